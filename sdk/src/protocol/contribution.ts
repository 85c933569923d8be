/**
 * The contribution formula: from recorded receipts and verdicts to amounts, in integers only, so that every honest
 * validator gets the same root.
 */
import type { Address, Hex } from "viem";
import { nameOfCode, type Outcome, outcomeCode, verdictKind } from "./codes.ts";
import type { ReceiptLeaf } from "./leaves.ts";

export const FULL_QUALITY = 10_000n;

/** A verdict reduced to what the formula reads. */
export interface ContributionVerdict {
  readonly head: Hex;
  readonly kind: number;
  readonly worker: Address;
  readonly validator: Address;
  readonly value: bigint;
}

/** A head anchored in the epoch, with the leaves under its receiptsRoot. */
export interface ContributionHead {
  readonly head: Hex;
  readonly paramsVersion: number;
  readonly receipts: readonly ReceiptLeaf[];
}

/** A round's work may be out for this many times the governed roundDeadline. */
export const MAX_ROUND_STRETCH = 4;

/**
 * How long after a change of parameters a head may still be anchored with those before it, in seconds: an epoch, or twice the
 * longest that a round may last, whichever is more, so that a round that was open while the holders decided is paid.
 * @param roundDeadline seconds, of the version that the head carries
 */
export const versionSlack = (epochLength: number, roundDeadline: number): number =>
  Math.max(epochLength, 2 * MAX_ROUND_STRETCH * roundDeadline);

type OutcomeName = Exclude<keyof typeof outcomeCode, "aggregated">;
/** Why work earned nothing. */
export type ZeroReason =
  | OutcomeName
  | "unknownOutcome"
  | "parametersTooOld"
  | "aggregateRejected"
  | "replayRejected"
  | "noUtility"
  | "noBudget"
  | "tooLittle";

/** Each reason as a clause for people. */
export const zeroReasons: Readonly<Record<ZeroReason, string>> = {
  payloadMissing: "its payload was missing",
  payloadMalformed: "its payload was malformed",
  nonFinite: "its payload held numbers that are not finite",
  late: "it came too late",
  normTooLarge: "its update was far larger than the others', or than the model bears",
  lossHarm: "its update made the model worse",
  empty: "its update was all but zero",
  copy: "its update was a copy of another",
  roundDiscarded: "the round made the model worse, and all of it was left out",
  unknownOutcome: "it was left out for a reason that this version does not know",
  parametersTooOld: "the round was trained under parameters that the holders had changed long before",
  aggregateRejected: "validators found the round's aggregate wrong",
  replayRejected: "validators could not reproduce its training",
  noUtility: "validators found no use in its update",
  noBudget: "the epoch had no budget for compute",
  tooLittle: "its part of the epoch's budget is below the smallest unit",
};

const mostlyZero = (values: readonly bigint[]): boolean =>
  values.filter((value) => value === 0n).length * 2 > values.length;

function lowerMedian(values: readonly bigint[]): bigint | undefined {
  const sorted = [...values].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  return sorted[Math.floor((sorted.length - 1) / 2)];
}

/**
 * Whether a head's work earns nothing: more than half of the validators that looked at its aggregate say that it does not hold,
 * be it what they drew or what another drew. One validator is one voice, however much it says.
 */
export function aggregateRejected(
  head: Hex,
  verdicts: readonly Pick<ContributionVerdict, "head" | "kind" | "validator" | "value">[],
): boolean {
  const against = new Map<string, boolean>();
  for (const { head: of, kind, validator, value } of verdicts) {
    if (of !== head || (kind !== verdictKind.aggregate && kind !== verdictKind.confirmation)) continue;
    const who = validator.toLowerCase();
    against.set(who, value === 0n || against.get(who) === true);
  }
  return [...against.values()].filter(Boolean).length * 2 > against.size;
}

/** Verdicts about a head, and of those the ones about a worker. */
function about(head: ContributionHead, { worker }: ReceiptLeaf, verdicts: readonly ContributionVerdict[]) {
  const ofHead = verdicts.filter((verdict) => verdict.head === head.head);
  const ofWorker = (kind: number): bigint[] =>
    ofHead
      .filter((verdict) => verdict.kind === kind && verdict.worker.toLowerCase() === worker.toLowerCase())
      .map((verdict) => verdict.value);
  return {
    replay: ofWorker(verdictKind.replay),
    utility: lowerMedian(ofWorker(verdictKind.utility)) ?? FULL_QUALITY,
  };
}

/** Why a receipt's quality is 0, undefined where it is not. */
export function zeroReasonOf(
  head: ContributionHead,
  receipt: ReceiptLeaf,
  verdicts: readonly ContributionVerdict[],
  minParamsVersion: number,
): ZeroReason | undefined {
  if (receipt.outcome !== 0) {
    const name = nameOfCode(outcomeCode, receipt.outcome as Outcome);
    return name === undefined || name === "aggregated" ? "unknownOutcome" : name;
  }
  if (head.paramsVersion < minParamsVersion) return "parametersTooOld";
  if (aggregateRejected(head.head, verdicts)) return "aggregateRejected";
  const { replay, utility } = about(head, receipt, verdicts);
  if (mostlyZero(replay)) return "replayRejected";
  return utility === 0n ? "noUtility" : undefined;
}

/**
 * Quality of one receipt in basis points: lower median of UTILITY verdicts, 10,000 without any; 0 if it was not aggregated,
 * if more than half of its REPLAY verdicts are 0, if the head's aggregate is rejected, or if its parameters are too old.
 */
export function quality(
  head: ContributionHead,
  receipt: ReceiptLeaf,
  verdicts: readonly ContributionVerdict[],
  minParamsVersion: number,
): bigint {
  const zero = zeroReasonOf(head, receipt, verdicts, minParamsVersion);
  return zero === undefined ? about(head, receipt, verdicts).utility : 0n;
}

/** c_ie = Σ tokens × q by beneficiary (lower-case address), beneficiaries with 0 left out. */
export function contributionsOf(
  heads: readonly ContributionHead[],
  verdicts: readonly ContributionVerdict[],
  minParamsVersion: number,
): Map<Address, bigint> {
  const sums = new Map<Address, bigint>();
  for (const head of heads) {
    for (const receipt of head.receipts) {
      const contribution = receipt.tokens * quality(head, receipt, verdicts, minParamsVersion);
      const account = receipt.beneficiary.toLowerCase() as Address;
      if (contribution > 0n) sums.set(account, (sums.get(account) ?? 0n) + contribution);
    }
  }
  return sums;
}

/** ⌊budget × c_i ÷ Σ c⌋ by account; the remainder is never minted. Empty when Σ c = 0. */
export function shareOut(contributions: ReadonlyMap<Address, bigint>, budget: bigint): Map<Address, bigint> {
  const total = [...contributions.values()].reduce((sum, value) => sum + value, 0n);
  if (total === 0n) return new Map();
  return new Map([...contributions].map(([account, value]) => [account, (budget * value) / total] as const));
}
