/** Which positions of a run's data were trained on: each belongs to one round. */
import type { Address, PositionRange, ReceiptsFile } from "@cotrain/sdk/protocol";

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
