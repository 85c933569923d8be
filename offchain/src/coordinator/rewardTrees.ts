/**
 * Trees of the rewards under active roots, one cache for all runs. Anybody may ask what an account earned, and to build a tree takes
 * the process's only thread 50 µs for each leaf: askers wait for turns, so many at a time, which networks take, see networks.ts
 * of service; a turn builds so much, and afterwards the thread is left to others for as long.
 */
import type { Address, RewardView } from "@cotrain/sdk/protocol";

import { type Clock, RetryableError } from "../base/index.ts";
import { addressPrefixes, emptyNetwork, putIn, sizeOf, takeFirst, takeLast } from "../service/index.ts";

type Leaf = Pick<RewardView["leaves"][number], "amount" | "proof">;

/** What a root pays. */
export interface RootTree {
  readonly leaves: number;
  readonly leafOf: (account: Address) => Leaf | undefined;
}

/** A root whose tree may have to be built. */
export interface RewardRoot {
  /** Digest of its manifest. */
  readonly key: string;
  /** Resolves to undefined where its documents are not to be had. */
  readonly build: () => Promise<RootTree | undefined>;
}

export interface Asker {
  readonly address: string;
  /** Aborted when nobody waits for the answer any more: who has hung up gives its turn to the next. */
  readonly gone: AbortSignal;
}

export interface RewardTrees {
  /**
   * What the first of these roots grant an account: of as many as one turn builds the trees of, at least one.
   * @throws RetryableError `REWARDS_BUSY`, which whoever is gone does not read; what `build` throws
   */
  leavesOf(
    account: Address,
    roots: readonly RewardRoot[],
    asker: Asker,
  ): Promise<readonly (Leaf | "missing" | undefined)[]>;
}

export interface RewardTreesOptions {
  /** Leaves of all the trees that are kept at most, 0.6 KB each; the tree that was used last is kept whatever it has. */
  readonly most: number;
  /** With so many leaves built a turn ends. */
  readonly turn: number;
  /** With so many waiting, the last of the fullest network is told to come again. */
  readonly waiting: number;
}

const DEFAULTS: RewardTreesOptions = { most: 100_000, turn: 50_000, waiting: 64 };
/** Ms for which documents that are not to be had are not looked for again. */
const MISSING_MS = 60_000;

/** @param until when, monotonic ms, it is looked for again */
type Entry = { readonly tree: RootTree } | { readonly tree: undefined; readonly until: number };

interface Turn {
  readonly begin: () => void;
  readonly refuse: (error: Error) => void;
}

const busy = (): RetryableError =>
  new RetryableError("REWARDS_BUSY", "Too many ask at once what they earned: try again in a moment.");

/** Turns, one at a time. @returns what waits for one, and resolves to what ends it */
function createTurns(clock: Clock, most: number): (from: string) => Promise<() => void> {
  const waiting = emptyNetwork<Turn>();
  let taken = false;
  /** When it began. */
  let began = 0;
  let freeAt = 0;

  const begin = (): void => {
    began = clock.monotonic();
    takeFirst(waiting)?.begin();
  };
  const end = (): void => {
    const now = clock.monotonic();
    [taken, freeAt] = [false, now + (now - began)];
    next();
  };
  const next = (): void => {
    if (taken || sizeOf(waiting) === 0) return;
    taken = true;
    const rest = freeAt - clock.monotonic();
    if (rest > 0) void clock.sleep(rest).then(begin);
    else begin();
  };
  return (from) =>
    new Promise((resolve, refuse) => {
      putIn(waiting, addressPrefixes(from), { begin: () => resolve(end), refuse });
      if (sizeOf(waiting) > most) {
        takeLast(waiting)?.refuse(busy());
      }
      next();
    });
}

export function createRewardTrees(clock: Clock, options: Partial<RewardTreesOptions> = {}): RewardTrees {
  const { most, turn: mostOfTurn, waiting } = { ...DEFAULTS, ...options };
  const turn = createTurns(clock, waiting);
  /** Used last stands last. */
  const kept = new Map<string, Entry>();
  /** What all that is kept weighs. */
  let sum = 0;

  const find = (key: string): Entry | undefined => {
    const found = kept.get(key);
    return found && (found.tree || clock.monotonic() < found.until) ? found : undefined;
  };
  const forget = (key: string): void => {
    const found = kept.get(key);
    if (found && kept.delete(key)) sum -= weightOf(found.tree);
  };
  const keep = (key: string, entry: Entry): Entry => {
    forget(key);
    kept.set(key, entry);
    sum += weightOf(entry.tree);
    for (const old of kept.keys()) {
      if (sum <= most || kept.size === 1) break;
      forget(old);
    }
    return entry;
  };
  const build = async ({ key, build: make }: RewardRoot): Promise<Entry> => {
    const tree = await make();
    return keep(key, tree ? { tree } : { tree, until: clock.monotonic() + MISSING_MS });
  };

  return {
    leavesOf: async (account, roots, asker) => {
      const leafIn = ({ tree }: Entry) => (tree ? tree.leafOf(account) : "missing");
      if (roots.every(({ key }) => find(key))) return roots.map(({ key }) => leafIn(keep(key, kept.get(key)!)));
      const end = await turn(asker.address);
      try {
        const leaves: (Leaf | "missing" | undefined)[] = [];
        let built = 0;
        for (const root of roots) {
          // Who waited before may have had it built.
          const known = find(root.key);
          if (!known && built >= mostOfTurn) break;
          if (asker.gone.aborted) throw busy();
          const entry = known ? keep(root.key, known) : await build(root);
          if (!known) built += weightOf(entry.tree);
          leaves.push(leafIn(entry));
        }
        return leaves;
      } finally {
        end();
      }
    },
  };
}

/** A document is read in any case, and the smallest tree has its objects. */
const LEAST_WEIGHT = 16;
const weightOf = (tree: RootTree | undefined): number => Math.max(LEAST_WEIGHT, tree?.leaves ?? 0);
