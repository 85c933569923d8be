/** Where what validators still look at begins. */
import { coveredHere, type RunState } from "./machine/state.ts";

/** The first round whose receipts no active root of ours covers, and whose checkpoint before it validators still read. */
export function firstOpenRound(state: RunState): number {
  const { heads, round } = state;
  const isCovered = coveredHere(state);
  const open = heads.filter((head) => head.sequence > 0 && !head.given && !isCovered(head));
  // A head's round counts completed rounds: its receipts are of the round before. After a rollback they do not rise all along.
  return open.reduce((first, head) => Math.min(first, head.round - 1), round);
}
