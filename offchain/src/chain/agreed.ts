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
export function memo2<A extends string, B extends string | number, T>(
  load: (a: A, b: B) => Promise<T>,
): (a: A, b: B) => Promise<T> {
  const byFirst = new Map<A, (b: B) => Promise<T>>();
  return (a, b) => {
    const bySecond = byFirst.get(a) ?? memo((second: B) => load(a, second));
    byFirst.set(a, bySecond);
    return bySecond(b);
  };
}

/** Ms after which the time of a block is asked for again: what lied for a few seconds says the truth by then. */
const AGAIN_MS = 60_000;
/** And after twice as long each further time, up to this: a lie of any length is found out soon after it is over. */
const AGAIN_MAX_MS = 24 * 3_600_000;
/** The same where there is no answer, of a block that is gone for good among others. */
const UNANSWERED_MAX_MS = 3_600_000;
/** Blocks that are asked about again, the newest, and up to twice as many. */
const KEPT = 4_096;
/** Questions of one look, of which there is one at a time: an RPC that bounds its requests has others to answer. */
const AT_ONCE = 16;

interface Told {
  readonly block: number;
  readonly hash: Hex;
  readonly time: number;
  /** Monotonic ms at which it is asked for again, and how long that is after the question before. */
  readonly due: number;
  readonly pause: number;
}

export interface BlockTimes {
  /** By the block's hash, in which something of `of` (a run) stands. */
  timeOf(of: string, block: number, hash: Hex): Promise<number>;
  /**
   * Asks once more for what was told long enough ago, the newest blocks first.
   * @returns the first block of `of` that has another time now; undefined too while another look is under way
   */
  changed(of: string): Promise<number | undefined>;
  /** What was told is asked for when it is needed again; that it is asked for later stays. */
  forget(): void;
}

const newestFirst = (told: Iterable<Told>): Told[] => [...told].toSorted((a, b) => b.block - a.block);

/** The newest blocks, whichever was answered last: an RPC does not choose what it is asked about again. */
function newestOf(told: Map<Hex, Told>): Map<Hex, Told> {
  if (told.size <= 2 * KEPT) return told;
  return new Map(
    newestFirst(told.values())
      .slice(0, KEPT)
      .map((each) => [each.hash, each]),
  );
}

export function createBlockTimes(load: (hash: Hex) => Promise<number>, clock: Clock): BlockTimes {
  let known = memo(load);
  const young = new Map<string, Map<Hex, Told>>();
  const looking = new Set<string>();

  /** @returns the blocks that have another time now; theirs are asked for again when they are read anew */
  async function look(told: Map<Hex, Told>): Promise<number[]> {
    const now = clock.monotonic();
    const due = newestFirst([...told.values()].filter((each) => each.due <= now)).slice(0, AT_ONCE);
    const times = await Promise.all(due.map(({ hash }) => agreed(() => load(hash)).catch(() => undefined)));
    const others: number[] = [];
    for (const [i, each] of due.entries()) {
      const time = times[i];
      const pause = Math.min(2 * each.pause, time === undefined ? UNANSWERED_MAX_MS : AGAIN_MAX_MS);
      // Also where there was no answer: a block that is gone keeps no other from its turn.
      told.set(each.hash, { ...each, due: clock.monotonic() + pause, pause });
      if (time !== undefined && time !== each.time) others.push(each.block);
    }
    return others;
  }

  return {
    timeOf: async (of, block, hash) => {
      const time = await known(hash);
      const told = young.get(of) ?? new Map<Hex, Told>();
      const before = told.get(hash);
      if (before?.time !== time)
        told.set(hash, { block, hash, time, due: clock.monotonic() + AGAIN_MS, pause: AGAIN_MS });
      young.set(of, newestOf(told));
      return time;
    },
    changed: async (of) => {
      const told = young.get(of);
      if (!told || looking.has(of)) return undefined;
      looking.add(of);
      try {
        const others = await look(told);
        if (others.length === 0) return undefined;
        known = memo(load);
        return Math.min(...others);
      } finally {
        looking.delete(of);
      }
    },
    forget: () => {
      known = memo(load);
    },
  };
}
