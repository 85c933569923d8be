/** Which positions of a run's data were trained on: each belongs to one round. */
import type { Address, PositionRange, ReceiptsFile, RunId } from "@cotrain/sdk/protocol";

import { turn } from "../base/index.ts";
import { createDataOrder } from "../data/index.ts";

/** Ranges in ascending order that neither overlap nor touch. */
export type Positions = readonly PositionRange[];

/** Far more than a ledger leaves: it takes ranges whole when more than 8,192 are free or out (data/ledger.ts). */
const MAX_PIECES = 65_536;

export type Trained = PositionRange & { readonly worker: Address };

/** What a round's workers trained on, by their receipts, in ascending order. */
export const trainedIn = ({ receipts }: Pick<ReceiptsFile, "receipts">): Trained[] =>
  receipts
    .flatMap(({ receipt: { worker, steps }, assignment: { ranges, batch } }) =>
      prefixOf(ranges, steps * batch).map((part) => ({ ...part, worker })),
    )
    .toSorted((a, b) => a.start - b.start);

/** A part that begins inside another one. @param parts in ascending order */
export const overlap = (parts: readonly Trained[]): Trained | undefined =>
  parts.find(({ start }, i) => {
    const before = parts[i - 1];
    return before !== undefined && start < before.start + before.count;
  });

/** What workers share by chance is more than they were found to share, but for a chance below one in 2 to this. */
const CHANCE_BITS = 128;

/** ⌊log₂ ⌊n ÷ count⌋⌋: what is drawn of n is one of `count` with a chance of one in 2 to this at most; 0 where n is less. */
function rarity(n: number, count: number): number {
  let bits = 0;
  while (2 ** (bits + 1) * count <= n) bits += 1;
  return bits;
}

interface Work {
  readonly worker: Address;
  readonly parts: readonly PositionRange[];
  /** How many positions these are. */
  readonly count: number;
  readonly rarity: number;
}

/** Sequences whose holders one map tells: it holds 2^24 entries at most. */
const SEQUENCES_OF_MAP = 2 ** 23;
/** Positions of a round from which on nobody compares sequences: it would take minutes and gigabytes. */
const MAX_COMPARED = 2 ** 24;
/** Positions that are looked at before others get a turn. */
const POSITIONS_OF_TURN = 2 ** 14;

/** Which works have a sequence, as lists in arrays of numbers: a round may have millions of positions. @param most entries */
function createHolders(most: number) {
  const newest: Map<number, number>[] = [];
  const older = new Int32Array(most + 1);
  const works = new Int32Array(most + 1);
  let size = 0;
  return {
    /** Of the entries from 1 on: the one before it that is of the same sequence, 0 for the first. */
    older,
    /** By entry: the work that has the sequence. */
    works,
    /** Adds a work to those that have a sequence, unless it was the last to be added. @returns the newest entry until then, or 0 */
    add(sequence: number, work: number): number {
      const entries = (newest[Math.floor(sequence / SEQUENCES_OF_MAP)] ??= new Map<number, number>());
      const last = entries.get(sequence) ?? 0;
      if (last > 0 && works[last] === work) return last;
      size += 1;
      older[size] = last;
      works[size] = work;
      entries.set(sequence, size);
      return last;
    },
  };
}

/** The first of the works that shares more sequences with one before it than chance explains. @param works those with the most first */
async function firstSharing(works: readonly Work[], order: (position: number) => number): Promise<Work | undefined> {
  const holders = createHolders(works.reduce((sum, { count }) => sum + count, 0));
  let looked = 0;
  for (const [index, { count, parts }] of works.entries()) {
    // The one before it is the rarest of them: where all that this one has are too few to tell, no list is walked.
    const canTell = (works[index - 1]?.rarity ?? 0) * count >= count + CHANCE_BITS;
    const shared = new Uint32Array(canTell ? index : 0);
    const isFound = (other: number): boolean => {
      shared[other]! += 1;
      return works[other]!.rarity * shared[other]! >= count + CHANCE_BITS;
    };
    for (const part of parts)
      for (let i = 0; i < part.count; i++) {
        looked += 1;
        if (looked % POSITIONS_OF_TURN === 0) await turn();
        const last = holders.add(order(part.start + i), index);
        for (let entry = canTell ? last : 0; entry > 0; entry = holders.older[entry]!) {
          const other = holders.works[entry]!;
          if (other !== index && isFound(other)) return works[index];
        }
      }
  }
  return undefined;
}

/**
 * A worker of a round whose data are another one's, in other positions. Positions of one pass stand for different sequences; those of
 * two passes may stand for the same, by chance: of `a` positions, x and more are among b sequences of n with a chance below
 * 2^a · (b ÷ n)^x. Where that is below 2^−128 it was no chance.
 * @param n sequences of the training split
 */
export async function sharer(
  { receipts }: Pick<ReceiptsFile, "receipts">,
  seed: RunId,
  n: number,
): Promise<Address | undefined> {
  const works: Work[] = receipts.map(({ receipt: { worker, steps }, assignment: { ranges, batch } }) => {
    const count = steps * batch;
    return { worker, count, parts: prefixOf(ranges, count), rarity: rarity(n, count) };
  });
  const passOf = (position: number): number => Math.floor(position / n);
  const [first] = works[0]?.parts ?? [];
  const pass = passOf(first?.start ?? 0);
  const isInPass = ({ start, count }: PositionRange): boolean =>
    passOf(start) === pass && passOf(start + count - 1) === pass;
  if (n < 1 || works.every(({ parts }) => parts.every(isInPass))) return undefined;
  if (works.reduce((sum, { count }) => sum + count, 0) > MAX_COMPARED) return undefined;
  // Of who has more than a quarter of the data nothing can be told: x is `a` at most.
  const telling = works.filter((work) => work.rarity > 1);
  // Those with the most first: each is held against who has as many or more.
  const bySize = telling.toReversed().toSorted((a, b) => b.count - a.count);
  return (await firstSharing(bySize, createDataOrder(seed, n)))?.worker;
}

/** The first `count` positions of ranges laid end to end. */
function prefixOf(ranges: readonly PositionRange[], count: number): PositionRange[] {
  let left = count;
  return ranges.flatMap(({ start, count: length }) => {
    const taken = Math.min(length, left);
    left -= taken;
    return taken > 0 ? [{ start, count: taken }] : [];
  });
}

/**
 * Adds what a round was trained on to what those before it were.
 * @returns the sum, and what is wrong with it: empty where nothing is
 */
export function addRound(before: Positions, round: readonly Trained[]): { sum: Positions; problem: string } {
  const sum: { start: number; count: number }[] = [];
  const all: (PositionRange & { readonly worker?: Address })[] = [...before, ...round];
  let problem = "";
  for (const { start, count, worker } of all.toSorted((a, b) => a.start - b.start)) {
    const last = sum.at(-1);
    const end = last ? last.start + last.count : -1;
    if (start < end) problem = `${worker ?? "a worker"} was given data that an earlier round had`;
    if (last && start <= end) last.count = Math.max(end, start + count) - last.start;
    else sum.push({ start, count });
  }
  if (sum.length > MAX_PIECES) problem = `the run's data lie in ${sum.length} pieces, ${MAX_PIECES} at most may be`;
  return { sum: sum.slice(0, MAX_PIECES), problem };
}
