/**
 * Which of a round's payloads are aggregated and how much of each: empty ones, copies and those far beyond the others are
 * left out, large ones are clipped. A pure function of what was measured, of the checkpoint's norms, of the rules in the run's definition and of the
 * records of earlier rounds, so that everybody can repeat it (docs/protocol.md, "Screening").
 */
import { type Address, outcomeCode, type ScreeningFile, type ScreeningRules } from "@cotrain/sdk/protocol";

import { bitsOfFp32, fp32OfBits, type Measured, sketchBytes } from "./measure.ts";

export type ScreeningEntry = ScreeningFile["workers"][number];
type FragmentEntry = ScreeningEntry["fragments"][number];

/** A payload as it was measured. */
export interface MeasuredPayload {
  readonly worker: Address;
  readonly steps: number;
  /** Of its acknowledgement; no two of a round are equal. */
  readonly acceptedAt: number;
  /** 0, or why it could not be read; then it has no fragments. */
  readonly outcome: number;
  /** The first fragment that could not be read, where one could not. */
  readonly unreadable?: number;
  readonly fragments: readonly (Measured & { readonly digest: string })[];
}

export interface ScreeningInput {
  readonly rules: ScreeningRules;
  readonly round: number;
  readonly aggregatorBps: number;
  readonly innerLrPpb: number;
  /** By fragment: bits of the norm of the checkpoint's parameters, and how many they are. */
  readonly theta: readonly number[];
  readonly elements: readonly number[];
  /** In any order. */
  readonly payloads: readonly MeasuredPayload[];
  /** Records of the rounds before, newest first; more than `rules.history` are not looked at. */
  readonly past: readonly ScreeningFile[];
  /** Of rounds that the run went back behind: nobody is measured by them, and who hands in a payload of theirs again earns nothing. */
  readonly lost?: readonly LostRecord[];
}

/** What was measured in a round that the run went back behind, or a part of it. */
export type LostRecord = Pick<ScreeningFile, "round" | "workers">;

/** What is not clipped. */
export const WHOLE_PPM = 1_000_000;

const upperMedian = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

/** Judges the payloads of a round. @returns entries by ascending worker */
export function screen(input: ScreeningInput): ScreeningEntry[] {
  const entries = input.payloads
    .map((payload) => ({
      acceptedAt: payload.acceptedAt,
      entry: {
        worker: payload.worker,
        steps: payload.steps,
        outcome: payload.outcome,
        copyOf: null as ScreeningEntry["copyOf"],
        ...(payload.unreadable === undefined ? {} : { unreadable: payload.unreadable }),
        fragments: payload.fragments.map(({ digest, norm, sketch }) => ({
          digest: digest as FragmentEntry["digest"],
          norm,
          clipPpm: WHOLE_PPM,
          sketch,
        })),
      },
    }))
    .toSorted((a, b) => (a.entry.worker < b.entry.worker ? -1 : 1));
  const readable = entries.filter(({ entry }) => entry.outcome === 0);
  for (const { entry } of readable) if (isZero(entry)) entry.outcome = outcomeCode.empty;
  const inOrder = readable.filter(({ entry }) => entry.outcome === 0).toSorted((a, b) => a.acceptedAt - b.acceptedAt);
  findCopies(
    inOrder.map(({ entry }) => entry),
    input,
  );
  boundNorms(
    entries.map(({ entry }) => entry).filter(({ outcome }) => outcome === 0),
    input,
  );
  return entries.map(({ entry }) => entry);
}

type MutableEntry = {
  -readonly [Key in keyof ScreeningEntry]: ScreeningEntry[Key];
};

const isZero = (entry: ScreeningEntry): boolean => entry.fragments.every(({ norm }) => norm === 0);

/** What comparing takes, prepared once per payload. */
interface Comparable {
  readonly round: number;
  readonly entry: ScreeningEntry;
  readonly norms: readonly number[];
  readonly length: number;
  readonly sketches: readonly { readonly bytes: Int8Array; readonly square: number }[];
}

const dot = (a: Int8Array, b: Int8Array): number => {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += a[k]! * b[k]!;
  return sum;
};

function comparable(round: number, entry: ScreeningEntry): Comparable {
  const norms = entry.fragments.map(({ norm }) => fp32OfBits(norm));
  const sketches = entry.fragments.map(({ sketch }) => {
    const bytes = sketchBytes(sketch);
    return { bytes, square: dot(bytes, bytes) };
  });
  return { round, entry, norms, length: Math.sqrt(norms.reduce((sum, norm) => sum + norm * norm, 0)), sketches };
}

/** The later one of two that are alike earns nothing. */
function findCopies(inOrder: readonly MutableEntry[], { rules, round, past, lost = [] }: ScreeningInput): void {
  const before = [...past.slice(0, rules.history), ...lost].flatMap((file) =>
    file.workers.filter((entry) => !isZero(entry)).map((entry) => comparable(file.round, entry)),
  );
  const earlier: Comparable[] = [];
  for (const entry of inOrder) {
    const payload = comparable(round, entry);
    const original = [...earlier, ...before].find((other) => repeats(payload, other, rules));
    if (original) {
      entry.outcome = outcomeCode.copy;
      entry.copyOf = { round: original.round, worker: original.entry.worker };
    }
    earlier.push(payload);
  }
}

function repeats(a: Comparable, b: Comparable, rules: ScreeningRules): boolean {
  const theirs = b.entry.fragments;
  if (a.entry.fragments.some(({ digest, norm }, f) => norm !== 0 && theirs[f]?.digest === digest)) return true;
  if (a.entry.steps < rules.copySteps || b.entry.steps < rules.copySteps) return false;
  let sum = 0;
  for (const [f, { bytes, square }] of a.sketches.entries()) {
    const other = b.sketches[f];
    if (!other || square === 0 || other.square === 0) continue;
    const cosine = dot(bytes, other.bytes) / Math.sqrt(square * other.square);
    sum += cosine * (a.norms[f]! * b.norms[f]!);
  }
  return sum >= (rules.copyBps / 10_000) * (a.length * b.length);
}

/** Leaves out what is far beyond the others, then, without those as anybody's measure, what is next to nothing; clips the rest. */
function boundNorms(entries: readonly MutableEntry[], input: ScreeningInput): void {
  const { rules, aggregatorBps } = input;
  const limits = limitsOf(input);
  // A vote changes norms by what it changes of the learning rate; what steps do is in √steps.
  const past = input.past
    .slice(0, rules.history)
    .map(({ medians, innerLrPpb }) => medians.map((bits) => fp32OfBits(bits) * (input.innerLrPpb / innerLrPpb)));
  for (const [i, own] of ratiosOf(entries, past, limits).entries()) {
    const entry = entries[i]!;
    const tooLarge = own.some(
      (ratio, f) =>
        (ratio !== null && ratio > rules.maxRatio) ||
        fp32OfBits(entry.fragments[f]!.norm) > rules.maxRatio * limits[f]!,
    );
    if (tooLarge) entry.outcome = outcomeCode.normTooLarge;
  }
  const left = entries.filter(({ outcome }) => outcome === 0);
  for (const [i, own] of ratiosOf(left, past, limits).entries()) {
    const entry = left[i]!;
    const clip = entry.fragments.map((each, f) => {
      const absolute = Math.floor((limits[f]! / fp32OfBits(each.norm)) * WHOLE_PPM);
      return { ...each, clipPpm: Math.min(absolute, clipOf(own[f]!, aggregatorBps)) };
    });
    if (own.every((ratio) => ratio !== null && ratio * rules.emptyRatio < 1)) entry.outcome = outcomeCode.empty;
    else entry.fragments = clip;
  }
}

/**
 * By fragment: the norm beyond which a payload is clipped whoever else there is. A fragment that begins near zero is measured by
 * the whole's root mean square instead; nothing is, where all parameters are zero.
 */
function limitsOf({ rules, theta, elements }: ScreeningInput): number[] {
  const norms = theta.map(fp32OfBits);
  const squares = norms.reduce((sum, norm) => sum + norm * norm, 0);
  const all = elements.reduce((sum, n) => sum + n, 0);
  if (squares === 0) return norms.map(() => Infinity);
  return norms.map((norm, f) => (rules.thetaBps / 10_000) * Math.max(norm, Math.sqrt(squares * (elements[f]! / all))));
}

/** Norm per √steps ÷ reference, by entry and fragment; null where there is too little to compare with. */
function ratiosOf(
  entries: readonly MutableEntry[],
  past: readonly (readonly number[])[],
  limits: readonly number[],
): (number | null)[][] {
  const norms = entries.map(({ fragments }) => fragments.map(({ norm }) => fp32OfBits(norm)));
  const references = limits.map((limit, f) =>
    referenceOf(
      entries.map(({ steps }, i) => Math.min(norms[i]![f]!, limit) / Math.sqrt(steps)),
      past.map((medians) => medians[f] ?? 0).filter((median) => median > 0),
    ),
  );
  return entries.map(({ steps }, i) =>
    norms[i]!.map((norm, f) => (references[f] === 0 ? null : norm / Math.sqrt(steps) / references[f]!)),
  );
}

/**
 * The median of what there is in this round. Past rounds have one voice together, and only where it decides: between two equal
 * halves, so that those who came first cannot shut out a majority that came later. Who is alone is held against the past alone.
 */
function referenceOf(present: readonly number[], past: readonly number[]): number {
  const undecided = present.length % 2 === 0 && past.length > 0;
  const pool = present.length === 1 ? past : undecided ? [...present, upperMedian(past)] : present;
  return pool.length < 3 ? 0 : upperMedian(pool);
}

function clipOf(ratio: number | null, aggregatorBps: number): number {
  if (ratio === null || ratio === 0 || aggregatorBps === 0) return WHOLE_PPM;
  return Math.min(WHOLE_PPM, Math.floor(10_000_000_000 / aggregatorBps / ratio));
}

/** By fragment: bits of the upper median of what was aggregated, after clipping, per √steps. */
export function mediansOf(entries: readonly ScreeningEntry[], fragments: number): number[] {
  const aggregated = entries.filter(({ outcome }) => outcome === 0);
  return Array.from({ length: fragments }, (_, f) =>
    bitsOfFp32(
      upperMedian(
        aggregated.map(({ fragments: own, steps }) => {
          const { norm = 0, clipPpm = WHOLE_PPM } = own[f] ?? {};
          return Math.fround((fp32OfBits(norm) * (clipPpm / WHOLE_PPM)) / Math.sqrt(steps));
        }),
      ),
    ),
  );
}
