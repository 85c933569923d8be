/** Which positions of a run's data were trained on: each belongs to one round. */
import type { Address, PositionRange, ReceiptsFile, RunId } from "@cotrain/sdk/protocol";

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

/** Who of `holders` shares more sequences with a work that has as many positions, or fewer, than chance explains. */
function isSharing(work: Work, order: (position: number) => number, holders: Map<number, Work[]>): boolean {
  const shared = new Map<Work, number>();
  for (const { start, count } of work.parts)
    for (let position = start; position < start + count; position++) {
      const sequence = order(position);
      const found = holders.get(sequence) ?? [];
      if (found.length === 0) holders.set(sequence, found);
      for (const other of found) {
        if (other === work) continue;
        const sum = (shared.get(other) ?? 0) + 1;
        shared.set(other, sum);
        if (other.rarity * sum >= work.count + CHANCE_BITS) return true;
      }
      if (found.at(-1) !== work) found.push(work);
    }
  return false;
}

/**
 * A worker of a round whose data are another one's, in other positions. Positions of one pass stand for different sequences; those of
 * two passes may stand for the same, by chance: of `a` positions, x and more are among b sequences of n with a chance below
 * 2^a · (b ÷ n)^x. Where that is below 2^−128 it was no chance.
 * @param n sequences of the training split
 */
export function sharer({ receipts }: Pick<ReceiptsFile, "receipts">, seed: RunId, n: number): Address | undefined {
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
  const order = createDataOrder(seed, n);
  /** By sequence, those that were looked at and have it. */
  const holders = new Map<number, Work[]>();
  // Those with the most first: each is held against who has as many or more.
  const bySize = works.toReversed().toSorted((a, b) => b.count - a.count);
  return bySize.find((work) => isSharing(work, order, holders))?.worker;
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
