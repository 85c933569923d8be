/**
 * The contribution formula: from recorded receipts and verdicts to amounts, in integers only, so that every honest
 * validator gets the same root.
 */
import type { Address, Hex } from "viem";
import { nameOfCode, type Outcome, outcomeCode } from "./codes.ts";
import type { ReceiptLeaf } from "./leaves.ts";
import { isVoice } from "./verdicts.ts";

export const FULL_QUALITY = 10_000n;

/** A verdict reduced to what the formula reads. */
export interface ContributionVerdict {
  readonly head: Hex;
  readonly kind: number;
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
  | "rolledBack"
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
  rolledBack: "the run went back behind the round before it was paid",
  noBudget: "the epoch had no budget for compute",
  tooLittle: "its part of the epoch's budget is below the smallest unit",
};

/**
 * Whether a head's work earns nothing: more than half of the validators that looked at its aggregate say that it does not hold,
 * be it what they drew or what another drew. One validator is one voice, however much it says.
 */
export function aggregateRejected(head: Hex, verdicts: readonly ContributionVerdict[]): boolean {
  const against = new Map<string, boolean>();
  for (const { head: of, kind, validator, value } of verdicts) {
    if (of !== head || !isVoice(kind)) continue;
    const who = validator.toLowerCase();
    against.set(who, value === 0n || against.get(who) === true);
  }
  return [...against.values()].filter(Boolean).length * 2 > against.size;
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
  return aggregateRejected(head.head, verdicts) ? "aggregateRejected" : undefined;
}

/**
 * Quality of one receipt in basis points: 10,000, or 0 if it was not aggregated, if the head's aggregate is rejected, or if its
 * parameters are too old. What nobody can judge yet, a worker's use and its replay, counts for nothing.
 */
export function quality(
  head: ContributionHead,
  receipt: ReceiptLeaf,
  verdicts: readonly ContributionVerdict[],
  minParamsVersion: number,
): bigint {
  return zeroReasonOf(head, receipt, verdicts, minParamsVersion) === undefined ? FULL_QUALITY : 0n;
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
