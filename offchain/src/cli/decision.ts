/** A command that puts one decision to the holders: its options, and the way from what is meant to a proposal and votes on it. */
import { governorSettings, type ProposalCall } from "@cotrain/sdk/actions";
import type { Address } from "@cotrain/sdk/protocol";
import type { Client } from "viem";

import { type Clock, RetryableError, shortAddress, systemClock, timeText, UserError, wrap } from "../base/index.ts";
import { namedWallet, wordsOfCall } from "../run/index.ts";
import { type ConfigOf, text, toggle } from "../service/index.ts";
import { announcementText, announceOrCarryOut, type announcingOptions } from "./announcing.ts";
import { castAll } from "./casting.ts";
import type { CommandContext } from "./command.ts";
import { columnsOf } from "./output.ts";
import { atPlace, type Place, requireEntries, signingOptions, unpinnedNotice } from "./place.ts";
import {
  decidingAt,
  type DecidingPlace,
  proposerOf,
  putToHolders,
  type SentProposal,
  sentText,
  withVotes,
} from "./proposing.ts";
import { boundedText, type Cast, castDocuments, castLines, type Voter, voterOf } from "./voting.ts";

/** What every such command takes, beside what it is that the holders are to decide. */
export const decisionOptions = {
  ...signingOptions,
  reason: text({ description: "why, for those who vote: the proposal's text, behind what changes" }),
  vote: toggle({
    description: "vote for it with all wallets here as soon as voting begins, which is soon on a local chain",
    default: false,
  }),
  dryRun: toggle({ description: "check and simulate, and send nothing", default: false }),
};

/** What somebody wants the holders to decide. */
export interface Intention {
  /** What changes, in a line; empty where nothing does. */
  readonly title: string;
  /** What else those who vote are told, behind the title. */
  readonly text?: string;
  readonly call: ProposalCall;
  /** What the timelock does before it, such as allowing a token. */
  readonly before?: readonly ProposalCall[];
  /** That the contracts would do it for the timelock. @throws ContractError where they would not */
  readonly rehearse: () => Promise<unknown>;
  /** What `--json` has of it, beside the proposal. */
  readonly document: object;
}

/** A function that the timelock alone may call, as the SDK has it. */
interface TimelockAction<A> {
  readonly call: (args: A) => ProposalCall;
  readonly simulate: (client: Client, args: A & { readonly account: Address }) => Promise<unknown>;
}

/** That the timelock does this. */
export function intentionOf<A>(
  { connection, contracts }: DecidingPlace,
  action: TimelockAction<A>,
  args: A,
  { title, document }: Pick<Intention, "title" | "document">,
): Intention {
  return {
    title,
    document,
    call: action.call(args),
    rehearse: () => connection.call((client) => action.simulate(client, { ...args, account: contracts.timelock })),
  };
}

/** A part of a title, "10 → 20 shares an epoch"; none where nothing changes. */
export const changed = (before: string, after: string, of: string): string[] =>
  before === after ? [] : [`${before} → ${after} ${of}`.trimEnd()];

/** A title of what changes; empty where nothing does. */
export const titled = (about: string, parts: readonly string[]): string =>
  parts.length === 0 ? "" : `${about}: ${parts.join(", ")}`;

/** A value that a call sets, as it was and as it would be, "20%" and "30%" for "capital" say. */
interface SetValue {
  readonly before: string;
  readonly after: string;
  readonly of: string;
}

/**
 * A title of a call that sets several values at once: what changes, and then what it sets the others to, since these may be others by
 * the time that it is carried out. Empty where nothing changes.
 */
export function titledWhole(about: string, values: readonly SetValue[]): string {
  const parts = values.flatMap(({ before, after, of }) => changed(before, after, of));
  const same = values.flatMap(({ before, after, of }) => (before === after ? [`${after} ${of}`] : []));
  const title = titled(about, parts);
  return title === "" || same.length === 0 ? title : `${title}; unchanged ${same.join(", ")}`;
}

/** A command waits so long for a vote to begin, s. */
const LONGEST_DELAY = 60;
/** Between two looks at the chain's clock, ms. */
const LOOK_MS = 200;

/** @throws UserError `VOTE_LATER` where voting begins when nobody waits any more */
async function requireSoon({ connection, governor }: DecidingPlace): Promise<void> {
  const { votingDelay } = await connection.call((client) => governorSettings(client, { governor }));
  if (votingDelay > LONGEST_DELAY)
    throw new UserError(
      "VOTE_LATER",
      `Voting on a proposal begins ${votingDelay} s after it here: propose it without --vote, and vote then.`,
    );
}

/** The wallets of these that have votes, opened: a vote on the local chain is over in seconds. */
async function openVoters(place: DecidingPlace, entries: Place["entries"], fees: { readonly maxFee: number }) {
  await requireSoon(place);
  const voters: Voter[] = [];
  for (const { entry, votes } of await withVotes(place, entries))
    if (votes > 0n) voters.push(await voterOf(place, entry, fees));
  return voters;
}

/** All vote for what was just proposed. @throws RetryableError `VOTE_EARLY` where the chain's clock stands; what {@link castAll} throws */
async function voteFor(
  place: DecidingPlace,
  { proposalId, voteStart }: SentProposal,
  voters: readonly Voter[],
  clock: Clock,
): Promise<Cast[]> {
  const until = clock.monotonic() + 2_000 * LONGEST_DELAY;
  while (Number((await place.connection.call((client) => client.getBlock())).timestamp) <= voteStart) {
    if (clock.monotonic() > until)
      throw new RetryableError(
        "VOTE_EARLY",
        `Proposal ${proposalId} was made, and its vote begins after ${timeText(voteStart)}, which the chain has not reached: vote with "npx cotrain vote ${proposalId} for" then.`,
      );
    await clock.sleep(LOOK_MS);
  }
  return castAll(place, voters, { proposalId, support: "for" });
}

const nothingChanges = (): UserError =>
  new UserError("NOTHING_CHANGES", "All that is asked for is in force: name another value.");

/** The same by the organiser of a young model, without a vote. @throws UserError `ANNOUNCED_ALONE`; what {@link announceOrCarryOut} throws */
async function announce(
  { options, output }: Parameters<typeof decide>[0],
  own: Awaited<ReturnType<typeof namedWallet>>,
  intend: (place: DecidingPlace) => Promise<Intention>,
): Promise<void> {
  if (options.vote || options.reason !== undefined)
    throw new UserError(
      "ANNOUNCED_ALONE",
      "Nobody votes on what an organiser announces: leave out --vote and --reason.",
    );
  const { title, document, call, words, done } = await atPlace(
    options,
    own,
    async (at) => {
      const place = await decidingAt(at);
      const intention = await intend(place);
      if (intention.title === "") throw nothingChanges();
      const { to: target, data, value = 0n } = intention.call;
      const { words } = await wordsOfCall(place, { target, value, data });
      const [entry] = options.dryRun ? [] : requireEntries(place, options);
      return { ...intention, words, done: await announceOrCarryOut(place, intention, entry, options) };
    },
    undefined,
    { party: "organisers", ticking: true },
  );
  output.result(
    { title, ...document, call: { target: call.to, data: call.data, words }, ...done },
    wrap(announcementText(done, title), columnsOf(process.stdout)),
  );
}

/**
 * Finds out what is meant, shows it in words, simulates it, proposes it and votes for it, as the options say, and prints the outcome.
 * @param intend what is to be decided, by what the chain says now; what cannot be it refuses
 * @throws UserError `NOTHING_CHANGES` where that is in force, `VOTES_FEW`, `VOTE_LATER`, `TEXT_TOO_LONG`; what {@link putToHolders} throws
 */
export async function decide(
  {
    options,
    output,
  }: Pick<CommandContext<typeof decisionOptions>, "output"> & {
    readonly options: ConfigOf<typeof decisionOptions> & Partial<ConfigOf<typeof announcingOptions>>;
  },
  intend: (place: DecidingPlace) => Promise<Intention>,
): Promise<void> {
  const reason = boundedText(options.reason);
  const own = await namedWallet(options);
  if (options.announce) return announce({ options, output }, own, intend);
  const { title, document, call, before, words, proposal, casts } = await atPlace(
    options,
    own,
    async (at) => {
      const place = await decidingAt(at);
      const intention = await intend(place);
      const { title, call, before = [], rehearse } = intention;
      const calls = [...before, call];
      if (title === "") throw nothingChanges();
      const told: string[] = [];
      for (const { to: target, data, value = 0n } of calls)
        told.push((await wordsOfCall(place, { target, value, data })).words);
      const words = told.join(" ");
      const entries = options.dryRun ? [] : requireEntries(place, options);
      const proposer = await proposerOf(place, entries);
      const { maxFee } = options;
      const voters = options.vote ? await openVoters(place, entries, { maxFee }) : [];
      const description = [title, intention.text, reason].filter((part) => part !== undefined).join("\n\n");
      const decision = { calls, description, words, rehearse };
      const proposal = await putToHolders(place, decision, proposer, { maxFee, output });
      const casts = proposal && options.vote ? await voteFor(place, proposal, voters, systemClock) : [];
      return { ...intention, before, words, proposal, casts };
    },
    unpinnedNotice(options, output),
    { ticking: true },
  );
  const columns = columnsOf(process.stdout);
  output.result(
    {
      title,
      ...document,
      ...(before.length > 0 && { before: before.map(({ to: target, data }) => ({ target, data })) }),
      call: { target: call.to, data: call.data, words },
      proposal: proposal ?? null,
      votes: castDocuments(casts),
    },
    [
      ...(proposal === undefined
        ? wrap(`Nothing was sent: ${title} could be proposed.`, columns)
        : wrap(`${shortAddress(proposal.proposer)} proposed ${title} ${sentText(proposal)}`, columns)),
      ...castLines(casts, "for"),
    ],
  );
}
