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

/** Ms after which the time of a block is asked for again: what lied for a few seconds says the truth by then. */
const AGAIN_MS = 60_000;
/** And after twice as long each further time, up to this: a lie of any length is found out soon after it is over. */
const AGAIN_MAX_MS = 24 * 3_600_000;
/** Blocks that are asked about again, the newest, and up to twice as many: more than an epoch has heads under no root yet. */
const KEPT = 4_096;
/** Questions of one look. */
const AT_ONCE = 64;

interface Told {
  readonly block: number;
  readonly hash: Hex;
  readonly time: number;
  /** Monotonic ms at which it is asked for again, and how long that is after the answer before. */
  readonly due: number;
  readonly pause: number;
}

export interface BlockTimes {
  /** By the block's hash, in which something of `of` (a run) stands. */
  timeOf(of: string, block: number, hash: Hex): Promise<number>;
  /** Asks once more for what was told long enough ago. @returns the first block of `of` that has another time now */
  changed(of: string): Promise<number | undefined>;
  forget(): void;
}

/** The newest blocks, whichever was answered last: an RPC does not choose what it is asked about again. */
function newestOf(told: Map<Hex, Told>): Map<Hex, Told> {
  if (told.size <= 2 * KEPT) return told;
  const newest = [...told.values()].toSorted((a, b) => b.block - a.block).slice(0, KEPT);
  return new Map(newest.map((each) => [each.hash, each]));
}

export function createBlockTimes(load: (hash: Hex) => Promise<number>, clock: Clock): BlockTimes {
  let known = memo(load);
  let young = new Map<string, Map<Hex, Told>>();
  return {
    timeOf: async (of, block, hash) => {
      const time = await known(hash);
      const told = young.get(of) ?? new Map<Hex, Told>();
      if (told.get(hash)?.time === time) return time;
      told.set(hash, { block, hash, time, due: clock.monotonic() + AGAIN_MS, pause: AGAIN_MS });
      young.set(of, newestOf(told));
      return time;
    },
    changed: async (of) => {
      const told = young.get(of) ?? new Map<Hex, Told>();
      const now = clock.monotonic();
      const asked = [...told.values()].filter(({ due }) => due <= now).slice(0, AT_ONCE);
      // What gets no answer is asked for at the next look. A block that is gone has no time: that the chain went back is noticed
      // elsewhere.
      const times = await Promise.all(asked.map(({ hash }) => agreed(() => load(hash)).catch(() => undefined)));
      const others: number[] = [];
      for (const [i, each] of asked.entries()) {
        const time = times[i];
        if (time === undefined) continue;
        const pause = Math.min(2 * each.pause, AGAIN_MAX_MS);
        if (time === each.time) told.set(each.hash, { ...each, due: now + pause, pause });
        else others.push(each.block);
      }
      if (others.length === 0) return undefined;
      known = memo(load);
      return Math.min(...others);
    },
    forget: () => {
      known = memo(load);
      young = new Map();
    },
  };
}
