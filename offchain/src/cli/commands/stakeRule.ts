/** `cotrain stake rule`: how a quorum of validators takes a part of a worker's stake for its work, unless holders veto it. */
import { proposeRuling } from "@cotrain/sdk/actions";
import { asHead, type Hex, zeroHash } from "@cotrain/sdk/protocol";
import { formatEther, sha256 } from "viem";

import { formatAddress, roundNumber, systemClock, timeText, UserError, wrap } from "../../base/index.ts";
import { readFileBounded } from "../../base/node/index.ts";
import {
  beginRuling,
  namedWallet,
  readRuling,
  rulingCost,
  type RulingDraft,
  type RulingFacts,
  rulingFacts,
  vetoEndsOf,
  writeRuling,
} from "../../run/index.ts";
import { account as accountOption, duration, hash, integer, text as textOption, toggle } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { columnsOf, factTable } from "../output.ts";
import { atPlace, type Place, signingOptions, validatorStateOption } from "../place.ts";
import { passedText, passOn, type Quorum, requirePinned, signedRow } from "../quorum.ts";

const DAY = 86_400_000;
/** Bytes of evidence that are read. */
const MOST_EVIDENCE = 64 << 20;

const told = (text: string): string[] => wrap(text, columnsOf(process.stdout));

/** What is signed, and by how many. @param cost what it would take now, wei */
function factsOf({ struct, receipt, signatures }: RulingDraft, { threshold, rulingBps }: RulingFacts, cost: bigint) {
  return factTable(
    [
      ["worker", formatAddress(receipt.worker)],
      ["run", receipt.runId],
      ["work", `${receipt.steps} inner steps of round ${roundNumber(Number(receipt.round))}`],
      ["receipt", struct.subject],
      ["evidence", BigInt(struct.evidence) === 0n ? "none" : `the text of sha256 ${struct.evidence}`],
      ["takes", `${formatEther(cost)} coins as things are, ${rulingBps / 100}% of its stake, unless holders veto it`],
      ["until", timeText(Number(struct.deadline))],
      signedRow({ signatures }, threshold),
    ],
    columnsOf(process.stdout),
  );
}

/** Who signs and sends it. */
const quorumOf = (facts: RulingFacts): Quorum<"Ruling", RulingDraft> => ({
  name: "Ruling",
  signer: "validator",
  wallets: "a validator's directory with --state, or its keystore",
  members: facts.validators,
  threshold: facts.threshold,
  write: (file, draft) => writeRuling(file, facts, draft),
  send: async (client, { struct, receipt, receiptSignature }, signatures) => {
    const call = { stakes: facts.stakes, ruling: struct, receipt, receiptSignature, signatures };
    await proposeRuling.simulate(client, call);
    const { receipt: mined } = await proposeRuling.sync(client, call);
    return mined.transactionHash;
  },
});

interface RuleFlags {
  readonly worker?: RulingDraft["struct"]["accused"] | undefined;
  readonly checkpoint?: number | undefined;
  readonly head?: string | undefined;
  readonly evidence?: string | undefined;
  readonly within: number;
}

/** The ruling of a file, or a new one. @throws UserError `RULING_OTHER`, `RULING_OPEN`; what reading and beginning one throw */
async function draftOf(file: string, place: Place, facts: RulingFacts, flags: RuleFlags): Promise<RulingDraft> {
  const { worker, checkpoint, head, evidence, within } = flags;
  const found = await readRuling(file, place, facts);
  if (found && [worker, checkpoint, head, evidence].some((flag) => flag !== undefined))
    throw new UserError(
      "RULING_OTHER",
      `${file} says already what is ruled on: leave --worker, --checkpoint, --head and --evidence out, or name another file.`,
    );
  if (found) return found;
  if (worker === undefined || (checkpoint === undefined && head === undefined))
    throw new UserError(
      "RULING_OPEN",
      `${file} is not there: to begin a ruling say on whose work, with --worker and --checkpoint or --head.`,
    );
  const digest: Hex = evidence === undefined ? zeroHash : sha256(await readFileBounded(evidence, MOST_EVIDENCE));
  const turn = { checkpoint, ...(head !== undefined && { head: asHead(head) }) };
  return beginRuling(place, facts, { worker, ...turn, evidence: digest, within: Math.floor(within / 1_000) });
}

/** `cotrain stake rule`. */
export const stakeRuleCommand = defineCommand({
  name: "stake rule",
  summary: "rule on a worker's work, by a quorum of the validators: unless holders veto it, it loses stake",
  args: [{ name: "file", description: "the ruling, which goes from validator to validator; made if not there" }],
  options: {
    ...signingOptions,
    state: validatorStateOption,
    worker: accountOption({ description: "of a new ruling: whose work it is on" }),
    checkpoint: integer(1, Number.MAX_SAFE_INTEGER, {
      description: "of a new ruling: the checkpoint that the work's round led to",
    }),
    head: hash({
      value: "head",
      description:
        "of a new ruling: the head that the round was anchored by, where it was rolled back or made anew (default: the one that stands)",
    }),
    evidence: textOption({
      value: "file",
      description: "of a new ruling: what shows why; its sha256 stands in it, and publishing it is yours to do",
    }),
    within: duration({ description: "of a new ruling: how long it may be used", default: DAY }),
    yes: toggle({ description: "sign it, and send it where that completes the quorum", default: false }),
  },
  examples: [
    [
      "npx cotrain stake rule ruling.json --worker 0x00000000000000000000000000000000000000aa --checkpoint 12",
      "what every validator of this directory's run would sign",
    ],
    [
      `npx cotrain stake rule ruling.json --yes --run 0x${"a9".repeat(32)} --deployment deployments/8453.json --rpc https://rpc.example.org`,
      "by this directory's validator of somebody else's run, whose coordinator is not asked",
    ],
  ],
  notes: [
    "Without --yes it shows what would be signed. On each receipt there is one ruling, ever, and none in bootstrap. Holders have a window, a whole vote and the timelock's delay for a veto, and who signed what they veto may lose a part of its own stake. A new ruling reads the round's documents: in somebody else's run name --coordinator.",
  ],
  async run({ options, args: [file = ""], output }) {
    const own = await namedWallet(options);
    const { facts, passed, cost, vetoEnds } = await atPlace(
      options,
      own,
      async (place) => {
        requirePinned(place);
        const facts = await rulingFacts(place, systemClock);
        const draft = await draftOf(file, place, facts, options);
        const cost = await rulingCost(place, facts, draft.receipt.worker);
        const passed = await passOn(place, file, draft, quorumOf(facts), options);
        const vetoEnds = passed.kind === "sent" ? await vetoEndsOf(place, facts, draft) : undefined;
        return { facts, cost, passed, vetoEnds };
      },
      undefined,
      { party: "validators" },
    );
    const { struct, signatures } = passed.statement;
    const { threshold } = facts;
    const text =
      passed.kind === "sent"
        ? `The ruling was proposed in ${String(passed.transaction)}. ${vetoEnds === undefined ? "It was lost in a reorganisation since" : `Holders may veto it, and from ${timeText(vetoEnds)} on anybody may carry it out`}.`
        : passedText(file, passed, { signer: "validator", threshold });
    output.result(
      {
        file,
        worker: struct.accused,
        receipt: struct.subject,
        evidence: BigInt(struct.evidence) === 0n ? null : struct.evidence,
        amount: cost,
        deadline: struct.deadline,
        vetoEnds: vetoEnds ?? null,
        signers: [...signatures.keys()],
        threshold,
        transaction: passed.kind === "sent" ? passed.transaction : null,
      },
      [...factsOf(passed.statement, facts, cost), ...told(text)],
    );
  },
});
