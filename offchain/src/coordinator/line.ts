/**
 * Who asked for a place while all were taken, in the order in which they came. Soft state, like presence: a place that
 * becomes free goes to the first who still asks, so that asking often is no advantage over having asked first.
 */
import type { Address } from "@cotrain/sdk/protocol";

/** Who has not asked again for this long, ms, has lost its turn; workers ask twice in it. */
const PATIENCE_MS = 60_000;
/** Who comes when so many wait is not written down. */
const MAX_WAITING = 1_024;

export interface Line {
  /** Whether it is this worker's turn, with so many places open; if not it keeps or takes its place in the line. */
  turn(worker: Address, places: number, now: number): boolean;
}

export function createLine(): Line {
  /** When each asked last; a Map keeps the order of the first time. */
  const waiting = new Map<Address, number>();
  return {
    turn: (worker, places, now) => {
      for (const [other, askedAt] of waiting) if (now - askedAt > PATIENCE_MS) waiting.delete(other);
      let before = 0;
      for (const other of waiting.keys()) {
        if (other === worker) break;
        before += 1;
      }
      if (before < places) {
        waiting.delete(worker);
        return true;
      }
      if (waiting.has(worker) || waiting.size < MAX_WAITING) waiting.set(worker, now);
      return false;
    },
  };
}
