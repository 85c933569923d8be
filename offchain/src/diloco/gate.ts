/**
 * The loss gate: a round's aggregate must not raise held-out loss beyond a bound; if it does, who is to blame is left out.
 * What is measured on, who is suspected and what follows are functions of published data (docs/protocol.md, "Loss gate").
 */
import { type Address, type Digest, outcomeCode, type ScreeningFile, type ScreeningRules } from "@cotrain/sdk/protocol";

import { sha256Bytes } from "../base/index.ts";
import { fp32OfBits } from "./measure.ts";
import type { ScreeningEntry } from "./screening.ts";

export type GatePass = ScreeningFile["gate"]["passes"][number];

function bytesOfHex(hex: string): Uint8Array {
  return Uint8Array.from({ length: (hex.length - 2) / 2 }, (_, i) =>
    Number.parseInt(hex.slice(2 + 2 * i, 4 + 2 * i), 16),
  );
}

/**
 * Chooses the sample; nobody knows it before the last receipt is in.
 * @param receiptHashes of all receipts, by ascending worker
 */
export function gateSeed(runId: string, round: number, receiptHashes: readonly string[]): Digest {
  const hashes = [runId, ...receiptHashes].map(bytesOfHex);
  const bytes = new Uint8Array(40 + 32 * receiptHashes.length);
  bytes.set(hashes[0]!, 0);
  new DataView(bytes.buffer).setBigUint64(32, BigInt(round));
  for (const [i, hash] of hashes.slice(1).entries()) bytes.set(hash, 40 + 32 * i);
  return sha256Bytes(bytes);
}

/**
 * Held-out sequences that are measured: evenly spaced from a place that the seed gives, a whole number of batches.
 * @param available sequences of the split
 */
export function gateSample(seed: string, available: number, wanted: number, batch: number): number[] {
  const count = Math.ceil(wanted / batch) * batch;
  const first = Number.parseInt(seed.slice(2, 14), 16) % available;
  return Array.from({ length: count }, (_, k) => (first + Math.floor((k * available) / count)) % available);
}

const sizeOf = ({ fragments, steps }: ScreeningEntry): number =>
  fragments.reduce((sum, { norm }) => sum + fp32OfBits(norm) * fp32OfBits(norm), 0) / steps;

/** Whom to leave out on trial: the largest first. */
export function suspectsOf(left: readonly ScreeningEntry[], rules: Pick<ScreeningRules, "gateSuspects">): Address[] {
  return left
    .map((entry) => ({ worker: entry.worker, size: sizeOf(entry) }))
    .toSorted((a, b) => b.size - a.size || (a.worker < b.worker ? -1 : 1))
    .slice(0, rules.gateSuspects)
    .map(({ worker }) => worker);
}

/** Whether the aggregate may stand. */
export const passHolds = (before: number, after: number | null, rules: Pick<ScreeningRules, "gateBound">): boolean =>
  after !== null && after <= before + rules.gateBound;

/**
 * Who is left out by a pass that does not hold; null discards the round.
 * @param earlier how many were left out by passes before it
 */
export function blamed(
  pass: Pick<GatePass, "after" | "without">,
  earlier: number,
  rules: Pick<ScreeningRules, "gatePasses">,
): Address | null {
  if (earlier >= rules.gatePasses) return null;
  let best: { readonly worker: Address; readonly loss: number } | undefined;
  for (const { worker, loss } of pass.without) {
    if (loss !== null && loss < (best?.loss ?? pass.after ?? Infinity)) best = { worker, loss };
  }
  return best?.worker ?? null;
}

/** The outcomes that a gate's passes give, beside those that were there before: what a verifier holds a record against. */
export function gateOutcomes(
  entries: readonly ScreeningEntry[],
  { before, passes }: Pick<ScreeningFile["gate"], "before" | "passes">,
  rules: ScreeningRules,
): { readonly outcomes: ReadonlyMap<Address, number>; readonly problem: string } {
  const outcomes = new Map<Address, number>();
  let left = entries;
  const found = (problem: string) => ({ outcomes, problem });
  if (left.length === 0) return found(passes.length === 0 && before === null ? "" : "it measured without payloads");
  if (before === null) return found("it has no loss of the checkpoint before");
  for (const [i, pass] of passes.entries()) {
    const last = i === passes.length - 1;
    if (passHolds(before, pass.after, rules)) {
      return found(
        last && pass.leftOut === null && pass.without.length === 0 ? "" : `pass ${i} holds and is not the last`,
      );
    }
    const suspects = suspectsOf(left, rules);
    if (pass.without.map(({ worker }) => worker).join() !== (i >= rules.gatePasses ? "" : suspects.join()))
      return found(`pass ${i} tried others than ${suspects.join(", ")}`);
    const blame = blamed(pass, i, rules);
    if (pass.leftOut !== blame) return found(`pass ${i} left out ${pass.leftOut}, not ${blame}`);
    if (blame === null) {
      for (const { worker } of left) outcomes.set(worker, outcomeCode.roundDiscarded);
      return found(last ? "" : `pass ${i} discarded the round and is not the last`);
    }
    outcomes.set(blame, outcomeCode.lossHarm);
    left = left.filter(({ worker }) => worker !== blame);
    // Without anybody the checkpoint stays as it was.
    if (left.length === 0) return found(last ? "" : `pass ${i} left nobody and is not the last`);
  }
  return found("it ends without a pass that holds");
}
