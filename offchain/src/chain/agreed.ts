/** What is asked once and then kept is not the word of one answer; what two answers in a row said of a time is asked once more later. */
import { isDeepStrictEqual } from "node:util";

import type { Hex } from "@cotrain/sdk/protocol";

import { type Clock, RetryableError } from "../base/index.ts";

/** What two answers in a row say. @throws RetryableError CHAIN_RPC */
async function agreed<T>(ask: () => Promise<T>): Promise<T> {
  const [first, second] = [await ask(), await ask()];
  if (isDeepStrictEqual(first, second)) return first;
  throw new RetryableError("CHAIN_RPC", "The chain's RPC answers one question in two ways: it is asked again.");
}

/** One result per key, kept while it was a success. What is never asked for again is not the word of one answer. */
export function memo<K, T>(load: (key: K) => Promise<T>): (key: K) => Promise<T> {
  const known = new Map<K, Promise<T>>();
  return (key) => {
    const found = known.get(key);
    if (found) return found;
    const loading = agreed(() => load(key));
    known.set(key, loading);
    loading.catch(() => known.delete(key));
    return loading;
  };
}

/** A function of two arguments as one of a tuple's text, so that `memo` compares by value. */
export function memo2<A extends string, T>(load: (a: A, b: number) => Promise<T>): (a: A, b: number) => Promise<T> {
  const byFirst = new Map<A, (b: number) => Promise<T>>();
  return (a, b) => {
    const bySecond = byFirst.get(a) ?? memo((second: number) => load(a, second));
    byFirst.set(a, bySecond);
    return bySecond(b);
  };
}

/** Ms after which the time of a block is asked for once more: what lied for a few seconds says the truth by then. */
const AGAIN_MS = 60_000;
/** Newest blocks of which it is; older ones are under roots by then. */
const YOUNG = 32;

interface Told {
  readonly block: number;
  readonly hash: Hex;
  readonly time: number;
  /** Monotonic ms. */
  readonly at: number;
}

export interface BlockTimes {
  /** By the block's hash, in which something of `of` (a run) stands. */
  timeOf(of: string, block: number, hash: Hex): Promise<number>;
  /** Asks once more for what was told long enough ago. @returns the first block of `of` that has another time now */
  changed(of: string): Promise<number | undefined>;
  forget(): void;
}

export function createBlockTimes(load: (hash: Hex) => Promise<number>, clock: Clock): BlockTimes {
  let known = memo(load);
  let young = new Map<string, readonly Told[]>();
  return {
    timeOf: async (of, block, hash) => {
      const time = await known(hash);
      const others = (young.get(of) ?? []).filter((told) => told.hash !== hash);
      young.set(of, [...others, { block, hash, time, at: clock.monotonic() }].slice(-YOUNG));
      return time;
    },
    changed: async (of) => {
      const asked = (young.get(of) ?? []).filter(({ at }) => clock.monotonic() - at >= AGAIN_MS);
      if (asked.length === 0) return undefined;
      young.set(
        of,
        (young.get(of) ?? []).filter((told) => !asked.includes(told)),
      );
      // A block that is gone has no time; that the chain went back is noticed elsewhere.
      const times = await Promise.all(asked.map(({ hash }) => agreed(() => load(hash)).catch(() => undefined)));
      const others = asked.filter(({ time }, i) => times[i] !== undefined && times[i] !== time);
      if (others.length === 0) return undefined;
      known = memo(load);
      return Math.min(...others.map(({ block }) => block));
    },
    forget: () => {
      known = memo(load);
      young = new Map();
    },
  };
}
