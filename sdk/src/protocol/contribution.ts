/**
 * The contribution formula: from recorded receipts and verdicts to amounts, in integers only, so that every honest
 * validator gets the same root.
 */
import type { Address, Hex } from "viem";
import { verdictKind } from "./codes.ts";
import type { ReceiptLeaf } from "./leaves.ts";

export const FULL_QUALITY = 10_000n;

/** A verdict reduced to what the formula reads. */
export interface ContributionVerdict {
  readonly head: Hex;
  readonly kind: number;
  readonly worker: Address;
  readonly value: bigint;
}

/** A head anchored in the epoch, with the leaves under its receiptsRoot. */
export interface ContributionHead {
  readonly head: Hex;
  readonly paramsVersion: number;
  readonly receipts: readonly ReceiptLeaf[];
}

const mostlyZero = (values: readonly bigint[]): boolean =>
  values.filter((value) => value === 0n).length * 2 > values.length;

function lowerMedian(values: readonly bigint[]): bigint | undefined {
  const sorted = [...values].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  return sorted[Math.floor((sorted.length - 1) / 2)];
}

/**
 * Quality of one receipt in basis points: lower median of UTILITY verdicts, 10,000 without any; 0 if it was not aggregated,
 * if more than half of its REPLAY verdicts or of the head's AGGREGATE verdicts are 0, or if the head's parameters are too old.
 */
export function quality(
  head: ContributionHead,
  receipt: ReceiptLeaf,
  verdicts: readonly ContributionVerdict[],
  minParamsVersion: number,
): bigint {
  if (receipt.outcome !== 0 || head.paramsVersion < minParamsVersion) return 0n;
  const ofHead = verdicts.filter((verdict) => verdict.head === head.head);
  const ofWorker = (kind: number): bigint[] =>
    ofHead
      .filter((verdict) => verdict.kind === kind && verdict.worker.toLowerCase() === receipt.worker.toLowerCase())
      .map((verdict) => verdict.value);
  const aggregate = ofHead.filter((verdict) => verdict.kind === verdictKind.aggregate).map((verdict) => verdict.value);
  if (mostlyZero(aggregate) || mostlyZero(ofWorker(verdictKind.replay))) return 0n;
  return lowerMedian(ofWorker(verdictKind.utility)) ?? FULL_QUALITY;
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
