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

/** Whether the aggregate may stand; beside a checkpoint that has no loss, whatever has one. */
export const passHolds = (
  before: number | null,
  after: number | null,
  { gateBound }: Pick<ScreeningRules, "gateBound">,
): boolean => after !== null && after <= (before ?? Infinity) + gateBound;

/**
 * Whether a round goes on without the momentum after its first pass: that alone, with nobody's payload, does half of the harm that the
 * aggregate may. So what one round leaves in it takes nobody's pay in the next.
 */
export function dropsMomentum(
  { before, passes }: { readonly before: number | null; readonly passes: readonly Pick<GatePass, "tried">[] },
  { gateBound }: Pick<ScreeningRules, "gateBound">,
): boolean {
  const nobody = passes[0]?.tried[0];
  return nobody !== undefined && !passHolds(before, nobody.loss, { gateBound: gateBound / 2 });
}

/** Payloads that stand side by side among those left, by ascending worker, whose loss is asked for: alone, or of all but these. */
export type Trial = Omit<GatePass["tried"][number], "loss">;

/**
 * What is aggregated in a trial: all that are left, some of them times 0, so that each weighs what it weighs in the whole. The mean of
 * few is noisier than that of all: honest ones would do harm by it.
 */
export const triedOf = (left: readonly ScreeningEntry[], { first, count, without }: Trial): ScreeningEntry[] =>
  left.map((entry, i) =>
    (i >= first && i < first + count) !== without
      ? entry
      : { ...entry, fragments: entry.fragments.map((each) => ({ ...each, clipPpm: 0 })) },
  );

/** A worker whose payload is in, and what its weight in the aggregate is in proportion to (`pullOf`). */
export interface Suspect extends Pick<ScreeningEntry, "worker"> {
  readonly pull: bigint;
}

/** What a search for the harmful ones is a function of. */
export interface Suspicion {
  readonly left: readonly Suspect[];
  /** The loss of the checkpoint before. */
  readonly before: number | null;
  /** The loss with all of them. */
  readonly after: number | null;
  /** Those of this round that did not hold before this one. */
  readonly earlier: readonly Pick<GatePass, "tried">[];
  /** Records of the rounds before, newest first; more than `rules.history` are not looked at. */
  readonly past: readonly Pick<ScreeningFile, "workers">[];
}

/**
 * Passes of a round that may leave payloads out: `gatePasses` by the first search, the others by the second. The one that drops the
 * momentum is none of them.
 */
const MAX_PASSES = 16;

/** Whether a pass searched for those that do harm together. */
const isTogether = ({ tried }: Pick<GatePass, "tried">): boolean => tried.some(({ without }) => without);

/** Losses that a pass took before it searched for those that do harm together. */
function triedAlone({ tried }: Pick<GatePass, "tried">): number {
  const first = tried.findIndex(({ without }) => without);
  return first === -1 ? tried.length : first;
}

/**
 * How many losses the passes of a round may take to search for those that do harm alone: as many as it takes where one of the rounds
 * before was discarded. The search for those that do so together takes few, and is not counted.
 */
function trialsLeft({ earlier, past }: Suspicion, { history, gateTrials }: ScreeningRules): number {
  const counted = past.slice(0, history);
  if (counted.some(({ workers }) => workers.some(({ outcome }) => outcome === outcomeCode.roundDiscarded)))
    return Infinity;
  return gateTrials - earlier.reduce((sum, pass) => sum + triedAlone(pass), 0);
}

type Search<T> = Generator<Trial, T, number | null>;

/**
 * Looks for the payloads that do harm: first for those that do so by themselves, then, where there are none, for the one of several
 * that do harm together which the others do the least harm without; passes after one that found such a one look for another at once.
 * Harm is held against the loss with nobody's payload: what the outer momentum does is no payload's.
 * @yields groups; takes the loss of each
 * @returns whom to leave out; nobody where more than half of those left do harm, as it is not theirs then. That discards the round, if
 *   it does not go on without the momentum
 */
export function* searchHarm(suspicion: Suspicion, rules: ScreeningRules): Search<Address[]> {
  const { left, before, after, earlier } = suspicion;
  const dropped = dropsMomentum({ before, passes: earlier }, rules);
  const searched = dropped ? earlier.length - 1 : earlier.length;
  if (searched >= MAX_PASSES) return [];
  const together = earlier.some(isTogether) || searched >= rules.gatePasses;
  // What the momentum does alone is the same in all passes of a round, and nothing once it is dropped.
  const measured = earlier[0] ? (earlier[0].tried[0]?.loss ?? null) : yield { first: 0, count: 0, without: false };
  const nobody = dropped ? before : measured;
  if (!dropped && !passHolds(before, nobody, { gateBound: rules.gateBound / 2 })) return [];
  const trials = trialsLeft(suspicion, rules) - (earlier.length === 0 ? 1 : 0);
  // Beside a checkpoint that has no loss nobody's is none either, and says nothing of who does harm alone.
  const alone = !together && nobody !== null;
  const harmful = alone ? yield* searchAlone(left.length, nobody + rules.gateBound / 2, trials) : [];
  if (2 * harmful.length > left.length) return [];
  if (harmful.length === 0) harmful.push(...(yield* searchTogether(left, { nobody, after }, rules)));
  return harmful.toSorted((a, b) => a - b).map((index) => left[index]!.worker);
}

/** The halves of a group, the first one at least as large. */
function halvesOf({ first, count, without }: Trial): Trial[] {
  const half = Math.ceil(count / 2);
  return [
    { first, count: half, without },
    { first: first + half, count: count - half, without },
  ];
}

interface Tried {
  readonly trial: Trial;
  readonly loss: number | null;
}

function* tryAll(trials: readonly Trial[]): Search<Tried[]> {
  const tried: Tried[] = [];
  for (const trial of trials) tried.push({ trial, loss: yield trial });
  return tried;
}

/**
 * Halves what does harm and measures each half alone, the worse one first, down to single payloads. Who cancels another's poison is
 * no cover for it alone.
 * @param most loss that a group may have alone
 * @param trials losses that it may take
 */
function* searchAlone(count: number, most: number, trials: number): Search<number[]> {
  let allowed = trials;
  const harmful: number[] = [];
  const groups: Trial[] = [{ first: 0, count, without: false }];
  for (let group = groups.pop(); group; group = groups.pop()) {
    if (group.count === 1) harmful.push(group.first);
    if (group.count === 1 || allowed < 2) continue;
    allowed -= 2;
    const tried = yield* tryAll(halvesOf(group));
    // The last one pushed is searched first.
    for (const { trial, loss } of tried.toSorted(
      (a, b) => worth(a.loss) - worth(b.loss) || b.trial.first - a.trial.first,
    ))
      if (loss === null || loss > most) groups.push(trial);
  }
  return harmful;
}

/**
 * Several that push in one steep direction do each a small part of the harm alone, as it grows with the square of their sum. So of the
 * two halves of a group the one is halved further without which the loss is lower, down to a single payload. Where all push alike, the
 * harm falls by 2w − w² of it without one that has the part w of all weight; of k that push it falls by (2k − 1) ÷ k². To blame is the
 * one without which it falls by more than 4·w·(1 − w), as without one of half of them, and which does harm alone, both by more than
 * two measurements of it may differ. Who has half of all weight is never found: what the others did is as likely. Where nobody's loss
 * is none, the sum has none either; to blame is without whom it has one, and who has none alone.
 */
function* searchTogether(
  left: readonly Suspect[],
  { nobody, after }: { readonly nobody: number | null; readonly after: number | null },
  { gateTolerance }: ScreeningRules,
): Search<number[]> {
  let group: Trial = { first: 0, count: left.length, without: true };
  let loss: number | null = null;
  while (group.count > 1) {
    const [first, second] = yield* tryAll(halvesOf(group));
    ({ trial: group, loss } = worth(second!.loss) < worth(first!.loss) ? second! : first!);
  }
  if (loss === null) return [];
  if (after !== null && nobody !== null) {
    const all = left.reduce((sum, { pull }) => sum + pull, 0n);
    const { pull } = left[group.first]!;
    const fall = BigInt(after) - BigInt(loss) - BigInt(gateTolerance);
    const bar = 4n * pull * (all - pull) * BigInt(after - nobody);
    if (2n * pull >= all || fall * all * all <= bar) return [];
  }
  const alone = yield { ...group, without: false };
  const harms = alone === null || (nobody !== null && alone > nobody + gateTolerance);
  return harms ? [group.first] : [];
}

const worth = (loss: number | null): number => loss ?? Number.MAX_VALUE;

/** Follows a pass's search with the losses that it measured. @returns whom the search finds, or where the pass departs from it */
function followSearch(
  search: ReturnType<typeof searchHarm>,
  { tried, leftOut }: GatePass,
  i: number,
): Address[] | string {
  let step = search.next();
  for (const { loss, ...trial } of tried) {
    if (step.done || nameTrial(step.value) !== nameTrial(trial))
      return `pass ${i} tried ${nameTrial(trial)}, which was not to be tried`;
    step = search.next(loss);
  }
  if (!step.done) return `pass ${i} did not try ${nameTrial(step.value)}`;
  const harmful = step.value;
  return leftOut.join() === harmful.join()
    ? harmful
    : `pass ${i} left out ${nameAll(leftOut)}, not ${nameAll(harmful)}`;
}

/**
 * What the last pass gives, where it does not hold: its outcome to each whom it leaves out, another to all that are left where that is
 * nobody; to nobody anything where it drops the momentum.
 */
export function passOutcomes(
  left: readonly Pick<Suspect, "worker">[],
  { before, passes }: Pick<ScreeningFile["gate"], "before" | "passes">,
  rules: ScreeningRules,
): Map<Address, number> {
  const leftOut = passes.at(-1)?.leftOut ?? [];
  if (leftOut.length > 0) return new Map(leftOut.map((worker) => [worker, outcomeCode.lossHarm]));
  if (passes.length === 1 && dropsMomentum({ before, passes }, rules)) return new Map();
  return new Map(left.map(({ worker }) => [worker, outcomeCode.roundDiscarded]));
}

/** The outcomes that a gate's passes give, beside those that were there before: what a verifier holds a record against. */
export function gateOutcomes(
  entries: readonly Suspect[],
  { before, passes }: Pick<ScreeningFile["gate"], "before" | "passes">,
  past: Suspicion["past"],
  rules: ScreeningRules,
): { readonly outcomes: ReadonlyMap<Address, number>; readonly problem: string } {
  const outcomes = new Map<Address, number>();
  let left = entries;
  const found = (problem: string) => ({ outcomes, problem });
  if (left.length === 0) return found(passes.length === 0 && before === null ? "" : "it measured without payloads");
  for (const [i, pass] of passes.entries()) {
    const last = i === passes.length - 1;
    if (passHolds(before, pass.after, rules)) {
      return found(
        last && pass.leftOut.length === 0 && pass.tried.length === 0 ? "" : `pass ${i} holds and is not the last`,
      );
    }
    const search = searchHarm({ left, before, after: pass.after, earlier: passes.slice(0, i), past }, rules);
    const harmful = followSearch(search, pass, i);
    if (typeof harmful === "string") return found(harmful);
    const given = passOutcomes(left, { before, passes: passes.slice(0, i + 1) }, rules);
    for (const [worker, outcome] of given) outcomes.set(worker, outcome);
    left = left.filter(({ worker }) => !given.has(worker));
    if (left.length === 0) return found(last ? "" : `pass ${i} discarded the round and is not the last`);
  }
  return found("it ends without a pass that holds");
}

const nameTrial = ({ first, count, without }: Trial): string =>
  `${without ? "all without " : ""}${count} payloads from number ${first} on`;
const nameAll = (workers: readonly Address[]): string => workers.join(", ") || "nobody";
