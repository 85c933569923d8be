/** Passes of a loss gate in which nothing has a loss. */
import type { ScreeningFile } from "@cotrain/sdk/protocol";

/** A pass that drops the momentum: neither with everybody's payload nor with nobody's is there a loss. */
export const DROPPED = { after: null, tried: [{ first: 0, count: 0, without: false, loss: null }], leftOut: [] };

const without = (first: number, count: number) => ({ first, count, without: true, loss: null });

/** What is tried among so many where no sum of them has a loss: what is left without each half, down to the first one. */
export function triedInVain(count: number): ScreeningFile["gate"]["passes"][number]["tried"] {
  if (count < 2) return [];
  const half = Math.ceil(count / 2);
  return [without(0, half), without(half, count - half), ...triedInVain(half)];
}
