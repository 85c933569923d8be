import { execute, governorSettings, queue } from "@cotrain/sdk/actions";

import {
  formatAddress,
  formatSharesExactly,
  RetryableError,
  shortAddress,
  timeText,
  UserError,
  wrap,
} from "../../base/index.ts";
import { newestProposals, type ProposalStanding, standingOf } from "../../run/index.ts";
import { integer, toggle } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { columnsOf } from "../output.ts";
import { atPlace, placeOptions, signingAs, signingOptions } from "../place.ts";
import { atProposal, decidingAt } from "../proposing.ts";
import {
  callsText,
  documentOf,
  linesOf,
  MOST_CALLS,
  reasonText,
  requireAllTold,
  standsText,
  tell,
  type ToldProposal,
} from "../voting.ts";
import { grantedBeside, requireGrantedOnce } from "./granted.ts";
import { replacedSince } from "./replaced.ts";

/** A vote is a whole share's. */
const ONE = 10n ** 18n;

/** Calls that are told of each proposal of a list. */
const LISTED_CALLS = 16;

/** A proposal of a list. */
interface Listed {
  readonly told: ToldProposal;
  /** Why it can no longer be executed. */
  readonly stale: readonly string[];
  /** Which commits it would pay for though they have a grant by now. */
  readonly granted: readonly string[];
}

/** `cotrain proposals list`. */
export const proposalsListCommand = defineCommand({
  name: "proposals list",
  summary: "what was put to the holders of a model, where it stands, and what it would do",
  options: {
    ...placeOptions,
    last: integer(1, 1_000, { description: "newest proposals that are shown", default: 20 }),
  },
  examples: [
    ["npx cotrain proposals list", "those of this directory's model, newest first"],
    [
      "npx cotrain proposals list --last 5 --coordinator https://train.example.org --rpc https://rpc.example.org",
      "the five newest of somebody else's",
    ],
  ],
  notes: [
    "What a proposal would do is told by its calls; its title and its reason are whatever its proposer wrote. Votes are parts of the shares that there were when voting began.",
  ],
  async run({ options, output }) {
    const { all, threshold } = await atPlace(
      options,
      undefined,
      async (at) => {
        const place = await decidingAt(at);
        const all: Listed[] = [];
        for (const proposal of await newestProposals(place, options.last)) {
          const told = await tell(place, proposal, LISTED_CALLS);
          const stale = await replacedSince(place, told);
          all.push({ told, stale, granted: await grantedBeside(place, told) });
        }
        const { governor, connection } = place;
        const settings = await connection.call((client) => governorSettings(client, { governor }));
        return { all, threshold: settings.proposalThreshold };
      },
      undefined,
      { ticking: true },
    );
    const columns = columnsOf(process.stdout);
    output.result(
      all.map(({ told, stale, granted }) => ({ ...documentOf(told), stale, granted })),
      [
        ...(all.length === 0 ? ["Nothing was ever proposed to the holders."] : []),
        ...all.flatMap(({ told, stale, granted }) => linesOf(told, columns, [...stale, ...granted])),
        `It takes ${formatSharesExactly(threshold)} ${threshold === ONE ? "vote" : "votes"} to propose.`,
      ],
    );
  },
});

/**
 * What is next for a proposal, which is possible now.
 * @param now chain seconds
 * @throws RetryableError `PROPOSAL_EARLY`; UserError `PROPOSAL_OVER`
 */
export function nextStep(proposalId: bigint, standing: ProposalStanding, now: number): "queue" | "execute" {
  const { state, eta = 0 } = standing;
  if (state === "succeeded") return "queue";
  if (state === "queued" && now >= eta) return "execute";
  const sentence = `Nothing can be done with proposal ${proposalId} now; it ${standsText(standing)}.`;
  if (state === "pending" || state === "active" || state === "queued")
    throw new RetryableError("PROPOSAL_EARLY", sentence);
  throw new UserError("PROPOSAL_OVER", sentence);
}

/** `cotrain proposals execute`. */
export const proposalsExecuteCommand = defineCommand({
  name: "proposals execute",
  summary: "carry out what holders accepted: queue it, or execute it once its delay is over",
  args: [{ name: "proposal", description: "its id, or the first digits of it, as proposals list shows it" }],
  options: {
    ...signingOptions,
    again: toggle({ description: "also where a commit that it grants has another grant by now", default: false }),
  },
  examples: [
    [
      "npx cotrain proposals execute 4711081",
      "queues it; called again after the delay, executes it; by the first wallet of this directory",
    ],
    [
      "npx cotrain proposals execute 4711081 --coordinator https://train.example.org --rpc https://rpc.example.org",
      "in somebody else's run; whoever sends it only pays the gas",
    ],
  ],
  notes: [
    "An accepted proposal is queued by one call and executed by another, after the timelock's delay; whoever calls too early is told when it is possible (exit code 75).",
    "A grant for a commit that was granted by now, be it by maintainers while holders voted, is carried out with --again alone: both are paid.",
  ],
  async run({ args, options, output }) {
    const done = await atProposal({ args, options, output }, async (place, proposal, [entry]) => {
      if (!entry) throw new UserError("WALLET_MISSING", "There is no wallet that could pay the gas.");
      const { connection, governor, contracts } = place;
      const { proposalId } = proposal;
      const told = await tell({ ...place, brief: true }, proposal, MOST_CALLS);
      requireAllTold(told);
      const { timestamp } = await connection.call((client) => client.getBlock());
      const step = nextStep(proposalId, told.standing, Number(timestamp));
      const granted = await grantedBeside(place, told);
      if (!options.again) requireGrantedOnce(proposalId, granted);
      if (!output.json) {
        for (const line of reasonText(told)) output.notice(line);
        for (const line of callsText(told)) output.notice(`Holders accepted it: ${line}`);
        for (const line of [...(await replacedSince(place, told)), ...granted]) output.notice(line);
      }
      const client = await signingAs(place, entry, options);
      const { receipt } = await { queue, execute }[step].sync(client, { governor, proposal });
      const { state, eta, expiry } = await standingOf(place, contracts.shares, proposalId);
      const { transactionHash: transaction } = receipt;
      return { proposalId, step, account: entry.account, transaction, state, eta, expiry };
    });
    const { proposalId, step, account, transaction, state, eta = null, expiry } = done;
    const when =
      step === "queue" && eta !== null
        ? `; the same command executes it, from ${timeText(eta)} to ${timeText(expiry)}`
        : "";
    output.result(
      { proposalId, step, account: formatAddress(account), transaction, state, eta, expiry },
      wrap(
        `${shortAddress(account)} ${step === "queue" ? "queued" : "executed"} proposal ${proposalId} in ${transaction}${when}.`,
        columnsOf(process.stdout),
      ),
    );
  },
});
