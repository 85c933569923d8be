/**
 * Those who wait, or hold what there is little of, by the networks that they come from, the widest first: networks take turns,
 * within one its smaller networks, then its addresses, and behind one address who came first; the fullest makes room. A crowd of
 * keys or of addresses that one owns is no advantage so over a single one elsewhere.
 */

/** Who waits behind a network: in smaller ones, whose order is that of their turns, or at an address in the order of coming. */
export interface Network<T> {
  readonly parts: Map<string, Network<T>>;
  readonly waiting: Set<T>;
}

/** The networks of somebody, the widest first, see `addressPrefixes`. */
export type Path = readonly string[];

export const emptyNetwork = <T>(): Network<T> => ({ parts: new Map(), waiting: new Set() });

export function sizeOf<T>({ parts, waiting }: Network<T>): number {
  let size = waiting.size;
  for (const part of parts.values()) size += sizeOf(part);
  return size;
}

export const findNetwork = <T>(network: Network<T>, path: Path): Network<T> | undefined =>
  path.reduce((found: Network<T> | undefined, prefix) => found?.parts.get(prefix), network);

export function putIn<T>(network: Network<T>, [prefix, ...rest]: Path, one: T): void {
  if (prefix === undefined) {
    network.waiting.add(one);
    return;
  }
  const part = network.parts.get(prefix) ?? emptyNetwork<T>();
  network.parts.set(prefix, part);
  putIn(part, rest, one);
}

/** Takes out whose turn it is; its networks let the others go first. */
export function takeFirst<T>(network: Network<T>): T | undefined {
  const [first] = network.waiting;
  if (first !== undefined) {
    network.waiting.delete(first);
    return first;
  }
  const [entry] = network.parts;
  if (!entry) return undefined;
  const [prefix, part] = entry;
  const taken = takeFirst(part);
  network.parts.delete(prefix);
  if (sizeOf(part) > 0) network.parts.set(prefix, part);
  return taken;
}

/** Of equally full ones the last. */
export function fullestOf<T>({ parts }: Network<T>): Network<T> | undefined {
  const sizes = [...parts.values()].map((part) => ({ part, size: sizeOf(part) }));
  return sizes.toSorted((a, b) => a.size - b.size).at(-1)?.part;
}

/** The last of a network: of its fullest part, that one's, and so on. */
export function lastOf<T>(network: Network<T>): T | undefined {
  const part = fullestOf(network);
  return part ? lastOf(part) : [...network.waiting].at(-1);
}

/** Takes out the last of the fullest, see {@link lastOf}. */
export function takeLast<T>(network: Network<T>): T | undefined {
  const part = fullestOf(network);
  const taken = part ? takeLast(part) : [...network.waiting].at(-1);
  if (taken !== undefined) network.waiting.delete(taken);
  for (const [prefix, each] of network.parts) if (each === part && sizeOf(each) === 0) network.parts.delete(prefix);
  return taken;
}
