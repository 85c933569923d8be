/**
 * Disputes about a model's roots, as the chain tells them: which there are, how their votes stand, and what comes next. Amounts are
 * wei of the chain's coin, times chain seconds.
 */
import {
  backingOf,
  bondCreditOf,
  bondOf,
  disputedRoot,
  disputeOf,
  disputeOutcome,
  disputeSettled,
  getAllLogs,
  pendingRoot,
  rootDisputed,
  rootPosted,
} from "@cotrain/sdk/actions";
import {
  type Address,
  asAddress,
  type Attestation,
  type Hex,
  nameOfCode,
  rewardKind,
  structHash,
} from "@cotrain/sdk/protocol";

import { UserError } from "../base/index.ts";
import { type ProposalsPlace, type ProposalStanding, standingOf } from "./proposals.ts";
import type { WordsPlace } from "./proposalWords.ts";

/** Where disputes are looked for. */
export interface DisputesPlace extends ProposalsPlace, Pick<WordsPlace, "addresses" | "contracts"> {
  readonly modelId: Hex;
}

/** How a dispute ended; open while it has not. */
export type DisputeState = keyof typeof disputeOutcome;

/** A dispute, from its opening on. */
export interface Dispute {
  /** What the root pays for, of `rewardKind`. */
  readonly kind: number;
  /** The root's number. */
  readonly index: number;
  /** Of the attestation that is disputed. */
  readonly digest: Hex;
  /** sha256 of what the disputer found; all zero where it named nothing. */
  readonly evidence: Hex;
  readonly disputer: Address;
  readonly bond: bigint;
  /** The vote. */
  readonly proposalId: bigint;
  /** Until when the organiser may end it; undefined where it may not. */
  readonly rulableUntil: number | undefined;
  readonly state: DisputeState;
  /** What the winner got of the loser's bond, and what nobody gets; 0 while it is open. */
  readonly won: bigint;
  readonly burned: bigint;
  /** How the vote stands. */
  readonly standing: ProposalStanding;
  /** Where it was opened. */
  readonly block: bigint;
  readonly logIndex: number;
  readonly transaction: Hex;
}

const logsOf = async ({ connection, addresses, modelId, fromBlock }: DisputesPlace, kind: number | undefined) => {
  const from = { from: BigInt(fromBlock) };
  const of = { addresses, modelId, ...(kind !== undefined && { kind }) };
  const [opened, settled] = await Promise.all([
    connection.call((client) => getAllLogs(client, rootDisputed(of), from)),
    connection.call((client) => getAllLogs(client, disputeSettled(of), from)),
  ]);
  return { opened: opened.logs, settled: new Map(settled.logs.map(({ args }) => [args.digest, args])) };
};

/** The newest disputes, newest first. @param only those of one kind of root; if not said all */
export async function newestDisputes(place: DisputesPlace, most: number, only?: number): Promise<Dispute[]> {
  const { opened, settled } = await logsOf(place, only);
  const found: Dispute[] = [];
  for (const { args, blockNumber, logIndex, transactionHash } of opened.slice(-most).toReversed()) {
    const { kind, index, digest, evidence, disputer, bond, proposalId, rulableUntil } = args;
    const end = settled.get(digest);
    found.push({
      kind,
      index: Number(index),
      digest,
      evidence,
      disputer: asAddress(disputer),
      bond,
      proposalId,
      rulableUntil: rulableUntil === 0 ? undefined : rulableUntil,
      state: nameOfCode(disputeOutcome, end?.outcome ?? disputeOutcome.open) ?? "open",
      won: end?.won ?? 0n,
      burned: end?.burned ?? 0n,
      standing: await standingOf(place, place.contracts.shares, proposalId),
      block: blockNumber,
      logIndex,
      transaction: transactionHash,
    });
  }
  return found;
}

/** How a dispute's vote would end it as votes stand. */
export function leaning({ for: inFavour, against, quorum }: ProposalStanding): Exclude<DisputeState, "open"> {
  const most = inFavour > against ? inFavour : against;
  if (quorum === undefined || most === 0n || most < quorum) return "undecided";
  return inFavour > against ? "stands" : "void";
}

/** A root in its window, and what it costs to dispute it. */
export interface DisputableRoot {
  /** What it pays for, of `rewardKind`. */
  readonly kind: number;
  readonly index: number;
  readonly digest: Hex;
  readonly attestation: Attestation;
  /** Until when it can be disputed. */
  readonly until: number;
  readonly bond: bigint;
  /** How often the bond is doubled. */
  readonly level: number;
  /** What the poster put up, which a void root loses. */
  readonly backing: bigint;
  /** Time of the newest block. */
  readonly now: number;
}

/**
 * The pending root of a kind, where it can be disputed.
 * @param digest the attestation that is meant; whichever is pending if not said
 * @throws UserError `DISPUTE_NOTHING`, `DISPUTE_OPEN`, `DISPUTE_OTHER`, `DISPUTE_LATE`, `DISPUTE_UNTOLD`
 */
export async function disputableRoot(place: DisputesPlace, kind: number, digest?: Hex): Promise<DisputableRoot> {
  const { connection, addresses, modelId, fromBlock } = place;
  const of = { addresses, modelId, kind };
  const [pending, cost, backing, block] = await connection.call((client) =>
    Promise.all([pendingRoot(client, of), bondOf(client, of), backingOf(client, of), client.getBlock()]),
  );
  if (!pending)
    throw new UserError(
      "DISPUTE_NOTHING",
      `No root of ${kindText(kind)} is in its window: there is nothing that could be disputed.`,
    );
  if (digest !== undefined && digest.toLowerCase() !== pending.digest.toLowerCase())
    throw new UserError(
      "DISPUTE_OTHER",
      `The root in its window is that of attestation ${pending.digest}, not ${digest}: look at it before you dispute it.`,
    );
  const { activatableAt: until } = pending;
  const now = Number(block.timestamp);
  if (until === undefined)
    throw new UserError(
      "DISPUTE_OPEN",
      `Root ${pending.index} is disputed already: "npx cotrain disputes list" shows how.`,
    );
  if (now >= until)
    throw new UserError("DISPUTE_LATE", `The window of root ${pending.index} is over: nobody can dispute it any more.`);
  const { logs } = await connection.call((client) => getAllLogs(client, rootPosted(of), { from: BigInt(fromBlock) }));
  const attestation = logs
    .map(({ args }) => args.attestation)
    .findLast((each) => structHash("Attestation", each) === pending.digest);
  if (!attestation)
    throw new UserError(
      "DISPUTE_UNTOLD",
      `The node does not tell the posting of the root in its window, ${pending.digest}.`,
    );
  const { bond, level } = cost;
  return {
    kind,
    index: pending.index,
    digest: pending.digest,
    attestation,
    until,
    bond,
    level,
    backing: backing?.amount ?? 0n,
    now,
  };
}

/** The dispute about a root of a kind that is open, how its vote stands, and what settles it; undefined where none is. */
export async function openDisputeOf(place: DisputesPlace, kind: number) {
  const { connection, addresses, modelId } = place;
  const { digest } = await connection.call((client) => disputedRoot(client, { addresses, modelId, kind }));
  if (digest === undefined) return undefined;
  const found = await connection.call((client) => disputeOf(client, { addresses, digest }));
  // It may have ended between the two.
  if (!found || found.endedAt !== 0) return undefined;
  const standing = await standingOf(place, place.contracts.shares, found.proposalId);
  return { digest, standing, call: { addresses, modelId, kind, digest } };
}

/** The dispute that a call of `settleDispute` names; undefined where it has ended, or there is none. */
export async function namedDispute(
  { connection, addresses }: Pick<DisputesPlace, "connection" | "addresses">,
  [modelId, kind, named]: readonly [modelId: Hex, kind: number, named: Hex],
) {
  const { digest } = await connection.call((client) => disputedRoot(client, { addresses, modelId, kind }));
  if (digest !== named) return undefined;
  const found = await connection.call((client) => disputeOf(client, { addresses, digest }));
  return found?.endedAt === 0 ? found : undefined;
}

/** What bonds brought accounts, those with nothing left out. */
export async function bondCredits(
  { connection, addresses }: Pick<DisputesPlace, "connection" | "addresses">,
  accounts: readonly Address[],
): Promise<{ readonly account: Address; readonly amount: bigint }[]> {
  const all = await Promise.all(
    accounts.map(async (account) => ({
      account,
      amount: await connection.call((client) => bondCreditOf(client, { addresses, account })),
    })),
  );
  return all.filter(({ amount }) => amount > 0n);
}

/** What roots pay for, in a word. */
export const kindText = (kind: number): string => nameOfCode(rewardKind, kind) ?? `kind ${kind}`;
