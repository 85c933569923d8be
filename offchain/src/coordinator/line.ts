/**
 * Who asked for a place while all were taken. Soft state, like presence: a place that becomes free goes to one who still
 * asks. Addresses take turns, and behind one address who came first: asking often is no advantage over having asked first,
 * nor is a crowd of keys behind one address over a single worker behind another.
 */
import type { Address } from "@cotrain/sdk/protocol";

/** Who has not asked again for this long, ms, has lost its turn; workers ask twice in it. */
const PATIENCE_MS = 60_000;
/** Who comes when so many wait behind its address is not written down; the workers of one NAT fit. */
const MAX_OF_ADDRESS = 64;
/** With so many in all the last behind the address with most of them makes room. */
const MAX_WAITING = 1_024;

export interface Line {
  /**
   * Whether it is this worker's turn, with so many places open; if not it keeps or takes its place in the line.
   * @param address whom a limit per address counts as one
   */
  turn(worker: Address, address: string, places: number, now: number): boolean;
}

/** Behind each address when each worker asked last; Maps keep the order of the first time. */
type Waiting = Map<string, Map<Address, number>>;

export function createLine(): Line {
  const waiting: Waiting = new Map();
  return {
    turn: (worker, from, places, now) => {
      forget(waiting, now);
      // A worker whose address changes keeps its place, and has but one.
      const address = [...waiting].find(([, workers]) => workers.has(worker))?.[0] ?? from;
      const workers = waiting.get(address) ?? new Map<Address, number>();
      if (before(waiting, address, worker) < places) {
        workers.delete(worker);
        // Who comes to its turn lets the other addresses go first.
        if (waiting.delete(address) && workers.size > 0) waiting.set(address, workers);
        return true;
      }
      if (!workers.has(worker) && (workers.size >= MAX_OF_ADDRESS || !hasRoom(waiting, workers.size))) return false;
      waiting.set(address, workers.set(worker, now));
      return false;
    },
  };
}

function forget(waiting: Waiting, now: number): void {
  for (const [address, workers] of waiting) {
    for (const [worker, askedAt] of workers) if (now - askedAt > PATIENCE_MS) workers.delete(worker);
    if (workers.size === 0) waiting.delete(address);
  }
}

/** How many come before it when the addresses take turns, in their order. */
function before(waiting: Waiting, address: string, worker: Address): number {
  const own = [...(waiting.get(address)?.keys() ?? [])];
  const at = own.indexOf(worker);
  const turns = at < 0 ? own.length : at;
  let count = turns;
  let earlier = true;
  for (const [other, { size }] of waiting) {
    if (other === address) earlier = false;
    else count += Math.min(size, earlier ? turns + 1 : turns);
  }
  return count;
}

/** Whether one more fits behind an address that has so many; one behind the fullest address may have to go. */
function hasRoom(waiting: Waiting, own: number): boolean {
  const all = [...waiting.values()];
  if (all.reduce((sum, { size }) => sum + size, 0) < MAX_WAITING) return true;
  const fullest = all.reduce((most, workers) => (workers.size > most.size ? workers : most));
  if (fullest.size <= own + 1) return false;
  fullest.delete([...fullest.keys()].at(-1)!);
  return true;
}
