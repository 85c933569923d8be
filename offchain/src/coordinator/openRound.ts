/** Where what validators still look at begins. */
import { type RunState, settledHere } from "./machine/state.ts";

/** The first round whose receipts no active root of ours covers, and whose checkpoint before it validators still read. */
export function firstOpenRound(state: RunState): number {
  const { heads, round } = state;
  const settled = settledHere(state);
  const open = heads.filter(
    ({ anchor, sequence, given }) => sequence > 0 && !given && (!anchor || anchor.epoch > settled),
  );
  // A head's round counts completed rounds: its receipts are of the round before. After a rollback they do not rise all along.
  return open.reduce((first, head) => Math.min(first, head.round - 1), round);
}
