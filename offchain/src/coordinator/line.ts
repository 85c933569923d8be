/**
 * Who asked for a place while all were taken. Soft state, like presence: a place that becomes free goes to one who still
 * asks. Networks take turns, see networks.ts of service; asking often is no advantage over having asked first.
 */
import type { Address } from "@cotrain/sdk/protocol";

import {
  addressPrefixes,
  emptyNetwork,
  findNetwork,
  fullestOf,
  lastOf,
  type Network,
  type Path,
  putIn,
  sizeOf,
} from "../service/index.ts";

/** Who has not asked again for this long, ms, has lost its turn; workers ask twice in it. */
const PATIENCE_MS = 60_000;
/** Who comes when so many wait behind its address is not written down; the workers of one NAT fit. */
const MAX_OF_ADDRESS = 64;
/** With so many in all the last of the network with most of them makes room. */
const MAX_WAITING = 1_024;

export interface Line {
  /** Whether it is this worker's turn, with so many places open; if not it keeps or takes its place in the line. */
  turn(worker: Address, address: string, places: number, now: number): boolean;
}

export function createLine(): Line {
  const all = emptyNetwork<Address>();
  /** When each asked last, and behind which networks it waits. */
  const waiting = new Map<Address, { readonly path: Path; readonly at: number }>();
  const remove = (worker: Address, path: Path, why: Reason): void => {
    waiting.delete(worker);
    takeOut(all, path, worker, why);
  };
  return {
    turn: (worker, from, places, now) => {
      for (const [other, { path, at }] of waiting) if (now - at > PATIENCE_MS) remove(other, path, "late");
      // A worker whose address changes keeps its place, and has but one.
      const path = waiting.get(worker)?.path ?? addressPrefixes(from);
      if (before(all, path, worker) < places) {
        remove(worker, path, "served");
        return true;
      }
      if (!waiting.has(worker)) {
        if ((findNetwork(all, path)?.waiting.size ?? 0) >= MAX_OF_ADDRESS) return false;
        if (waiting.size >= MAX_WAITING) {
          const last = lastOfFullest(all, path);
          if (last === undefined) return false;
          remove(last, waiting.get(last)!.path, "crowded out");
        }
        putIn(all, path, worker);
      }
      waiting.set(worker, { path, at: now });
      return false;
    },
  };
}

/** Why somebody waits no longer. */
type Reason = "served" | "late" | "crowded out";

/**
 * Where it had its turn, its networks let the others go first; also where it let the turn pass, or keys that come and never ask
 * again would keep their network in front of everybody.
 */
function takeOut(network: Network<Address>, [prefix, ...rest]: Path, worker: Address, why: Reason): void {
  if (prefix === undefined) {
    network.waiting.delete(worker);
    return;
  }
  const part = network.parts.get(prefix);
  if (!part) return;
  const hadTurn = why === "served" || (why === "late" && before(part, rest, worker) === 0);
  takeOut(part, rest, worker, why);
  const empty = sizeOf(part) === 0;
  if (hadTurn || empty) network.parts.delete(prefix);
  if (hadTurn && !empty) network.parts.set(prefix, part);
}

/** How many come before it when networks take turns, in their order. */
function before(network: Network<Address>, [prefix, ...rest]: Path, worker: Address): number {
  if (prefix === undefined) {
    const at = [...network.waiting].indexOf(worker);
    return at < 0 ? network.waiting.size : at;
  }
  const own = network.parts.get(prefix);
  const turns = own ? before(own, rest, worker) : 0;
  let count = turns;
  let earlier = true;
  for (const [other, part] of network.parts) {
    if (other === prefix) earlier = false;
    else count += Math.min(sizeOf(part), earlier ? turns + 1 : turns);
  }
  return count;
}

/** Who makes room for one more behind some networks: the last of the widest one that has more waiting, if there is such. */
function lastOfFullest(network: Network<Address>, [prefix, ...rest]: Path): Address | undefined {
  if (prefix === undefined) return undefined;
  const own = network.parts.get(prefix);
  const fullest = fullestOf(network);
  if (!fullest || sizeOf(fullest) <= (own ? sizeOf(own) : 0) + 1) return own && lastOfFullest(own, rest);
  return lastOf(fullest);
}
