/**
 * The loss gate: a round's aggregate must not raise held-out loss beyond a bound; if it does, who is to blame is left out.
 * What is measured on, who is suspected and what follows are functions of published data (docs/protocol.md, "Loss gate").
 */
import { type Address, type Digest, outcomeCode, type ScreeningFile, type ScreeningRules } from "@cotrain/sdk/protocol";

import { bytesOfHex, sha256Bytes } from "../base/index.ts";
import type { OuterState } from "./reduce.ts";
import type { ScreeningEntry } from "./screening.ts";

export type GatePass = ScreeningFile["gate"]["passes"][number];

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

/** A model's fragments, one after the other: whoever measures a loss never has both halves of all of them. */
export type FragmentStates = AsyncIterable<OuterState> | Iterable<OuterState>;

const isFinite = (values: Float32Array): boolean => values.every((value) => Number.isFinite(value));

/** θ by fragment; null where it, or the outer state, which is looked at and let go, is not finite. */
export async function finiteParameters(states: FragmentStates): Promise<Float32Array[] | null> {
  const parameters: Float32Array[] = [];
  let finite = true;
  for await (const { params, outer } of states) {
    if (!isFinite(params) || !isFinite(outer)) finite = false;
    if (finite) parameters.push(params.slice()); // a view of its shard would keep all of that
  }
  return finite ? parameters : null;
}

/** Whether the aggregate may stand. */
export const passHolds = (before: number, after: number | null, rules: Pick<ScreeningRules, "gateBound">): boolean =>
  after !== null && after <= before + rules.gateBound;

/** Payloads that stand side by side among those left, by ascending worker. */
export interface Group {
  readonly first: number;
  readonly count: number;
}

/**
 * What is aggregated to see what a group does alone: all that are left, the others times 0, so that each weighs what it weighs in
 * the whole. The mean of few is noisier than that of all: honest ones would do harm by it.
 */
export const aloneOf = (left: readonly ScreeningEntry[], { first, count }: Group): ScreeningEntry[] =>
  left.map((entry, i) =>
    i >= first && i < first + count
      ? entry
      : { ...entry, fragments: entry.fragments.map((each) => ({ ...each, clipPpm: 0 })) },
  );

/** What a search for the harmful ones is a function of. */
export interface Suspicion {
  readonly left: readonly Pick<ScreeningEntry, "worker">[];
  /** Those of this round that did not hold before this one. */
  readonly earlier: readonly Pick<GatePass, "tried">[];
  /** The record of the round before, if there is one. */
  readonly past: ScreeningFile | undefined;
}

/** How many losses the passes of a round may take to search; after a round that was discarded as many as it takes. */
function trialsAllowed({ past }: Suspicion, { gateTrials }: ScreeningRules): number {
  return past?.workers.some(({ outcome }) => outcome === outcomeCode.roundDiscarded) ? Infinity : gateTrials;
}

/**
 * Looks for the payloads that do harm by themselves: halves what does harm and measures each half alone, the worse one first,
 * down to single payloads. Harm is held against the loss with nobody's payload: what the outer momentum does is no payload's. Who
 * cancels another's poison is no cover for it alone.
 * @yields groups; takes the loss of each
 * @returns whom to leave out; nobody discards the round: where more than half of those left do harm it is not theirs
 */
export function* searchHarm(suspicion: Suspicion, rules: ScreeningRules): Generator<Group, Address[], number | null> {
  const { left, earlier } = suspicion;
  if (earlier.length >= rules.gatePasses) return [];
  let trials = trialsAllowed(suspicion, rules) - earlier.reduce((sum, { tried }) => sum + tried.length, 0);
  trials -= 1;
  const nobody = trials < 0 ? null : yield { first: 0, count: 0 };
  if (nobody === null) return [];
  const harmful: number[] = [];
  const groups: Group[] = [{ first: 0, count: left.length }];
  for (let group = groups.pop(); group; group = groups.pop()) {
    const { first, count } = group;
    if (count === 1) harmful.push(first);
    if (count === 1 || trials < 2) continue;
    trials -= 2;
    const half = Math.ceil(count / 2);
    const halves: Group[] = [
      { first, count: half },
      { first: first + half, count: count - half },
    ];
    const tried: { readonly group: Group; readonly loss: number | null }[] = [];
    for (const each of halves) tried.push({ group: each, loss: yield each });
    // The last one pushed is searched first.
    for (const each of tried.toSorted((a, b) => worth(a.loss) - worth(b.loss) || b.group.first - a.group.first))
      if (each.loss === null || each.loss > nobody + rules.gateBound / 2) groups.push(each.group);
  }
  if (2 * harmful.length > left.length) return [];
  return harmful.toSorted((a, b) => a - b).map((index) => left[index]!.worker);
}

const worth = (loss: number | null): number => loss ?? Number.MAX_VALUE;

/** Follows a pass's search with the losses that it measured. @returns whom the search finds, or where the pass departs from it */
function followSearch(
  search: ReturnType<typeof searchHarm>,
  { tried, leftOut }: GatePass,
  i: number,
): Address[] | string {
  let step = search.next();
  for (const { first, count, loss } of tried) {
    if (step.done || step.value.first !== first || step.value.count !== count)
      return `pass ${i} tried ${count} payloads from number ${first} on, which was not to be tried`;
    step = search.next(loss);
  }
  if (!step.done) return `pass ${i} did not try ${step.value.count} payloads from number ${step.value.first} on`;
  const harmful = step.value;
  return leftOut.join() === harmful.join()
    ? harmful
    : `pass ${i} left out ${nameAll(leftOut)}, not ${nameAll(harmful)}`;
}

/** The outcomes that a gate's passes give, beside those that were there before: what a verifier holds a record against. */
export function gateOutcomes(
  entries: readonly ScreeningEntry[],
  { before, passes }: Pick<ScreeningFile["gate"], "before" | "passes">,
  past: ScreeningFile | undefined,
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
        last && pass.leftOut.length === 0 && pass.tried.length === 0 ? "" : `pass ${i} holds and is not the last`,
      );
    }
    const search = searchHarm({ left, earlier: passes.slice(0, i), past }, rules);
    const harmful = followSearch(search, pass, i);
    if (typeof harmful === "string") return found(harmful);
    if (harmful.length === 0) {
      for (const { worker } of left) outcomes.set(worker, outcomeCode.roundDiscarded);
      return found(last ? "" : `pass ${i} discarded the round and is not the last`);
    }
    for (const worker of harmful) outcomes.set(worker, outcomeCode.lossHarm);
    left = left.filter(({ worker }) => !harmful.includes(worker));
  }
  return found("it ends without a pass that holds");
}

const nameAll = (workers: readonly Address[]): string => workers.join(", ") || "nobody";
