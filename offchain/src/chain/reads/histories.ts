/**
 * One history of events per run or model, made when it is first asked for. A node that lags behind the one that told the tip
 * leaves events out, which no later reading would bring: what is not whole is read anew from the beginning, once.
 */
import { RetryableError } from "../../base/index.ts";
import type { History } from "../history.ts";

export type IsWhole<T> = (items: readonly T[]) => boolean;

export interface Histories<K, T> {
  (key: K, isWhole?: IsWhole<T>): Promise<readonly T[]>;
  /** The next look reads from a block on. */
  forget(key: K, block: number): void;
}

/**
 * @param isChain what holds of the events of any key
 * @returns what throws RetryableError `CHAIN_RPC` where that does not hold the second time either
 */
export function histories<K, T>(make: (key: K) => History<T>, isChain: IsWhole<T> = () => true): Histories<K, T> {
  const known = new Map<K, History<T>>();
  const historyOf = (key: K): History<T> => {
    const history = known.get(key) ?? make(key);
    known.set(key, history);
    return history;
  };
  const read = async (key: K, isWhole: IsWhole<T> = () => true): Promise<readonly T[]> => {
    const history = historyOf(key);
    const items = await history();
    if (isChain(items) && isWhole(items)) return items;
    // Unless somebody else did.
    if (known.get(key) === history) known.delete(key);
    const second = historyOf(key);
    const anew = await second();
    if (isChain(anew)) return anew;
    if (known.get(key) === second) known.delete(key);
    throw leftOut();
  };
  const forget = (key: K, block: number): void => {
    const history = known.get(key);
    if (history) known.set(key, history.before(block));
  };
  return Object.assign(read, { forget });
}

export const leftOut = (): RetryableError =>
  new RetryableError("CHAIN_RPC", "The chain's RPC leaves out events that there must be: they are read again.");
