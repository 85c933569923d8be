/**
 * What a watcher knows of roots, on its disk: what it found once and has to find again, and for how long something was not to be had.
 * Of runs, who posted them when sources were named for them. A restart goes on with it. One small file, written whole; old roots are dropped.
 */
import type { Address, RunId } from "@cotrain/sdk/protocol";
import { type Static, Type } from "typebox";

import type { Clock } from "../../base/index.ts";
import { readStateFile, writeStateFile } from "../../service/index.ts";

const Hash = Type.String({ pattern: "^0x[0-9a-f]{64}$" });

const Block = { block: Type.Integer(), hash: Hash } as const;
const Absence = Type.Object({ total: Type.Number(), at: Type.Number() }, { additionalProperties: false });

const Known = Type.Object(
  {
    digest: Hash,
    /** A look found it false: what it found, and the newest block then. */
    first: Type.Optional(Type.Object({ evidence: Hash, ...Block }, { additionalProperties: false })),
    /** Something of it was not to be had: for how long in all, and when that was seen last, both ms. */
    absent: Type.Optional(Absence),
    /** Likewise, with the time in which a source was only slow. */
    unread: Type.Optional(Absence),
    /** A look found that it holds, and the newest block then. */
    held: Type.Optional(Type.Object(Block, { additionalProperties: false })),
    /** Two looks found that it holds. */
    holds: Type.Optional(Type.Literal(true)),
    /** Written by versions before, and told to nobody: what is disputed stands in the journal before it is sent. */
    disputed: Type.Optional(Hash),
  },
  { additionalProperties: false },
);
const Named = Type.Object(
  {
    runId: Hash,
    /** Who posted it when the newest of the sources was named for the first time. */
    poster: Type.String({ pattern: "^0x[0-9a-f]{40}$" }),
    sources: Type.Array(Type.String()),
  },
  { additionalProperties: false },
);
const File = Type.Object(
  { version: Type.Literal(1), roots: Type.Array(Known), named: Type.Optional(Type.Array(Named)) },
  { additionalProperties: false },
);

/** What is known of one root. */
export type KnownRoot = Omit<Static<typeof Known>, "disputed">;

/** Roots that are remembered: one of each kind is in its window at a time. */
const MAX_ROOTS = 32;

/** Runs of which it is remembered who posted them. */
const MAX_NAMED = 64;

/** Of an absence one look after another tells this part at most, however long after: it takes several. */
const ABSENT_PART = 1 / 4;

export interface WatchMemory {
  of(digest: string): KnownRoot;
  /** Keeps what is known of a root in place of what was. @throws as `writeStateFile` */
  keep(known: KnownRoot): Promise<void>;
  /**
   * Who posted a run when these sources were named for it: now, where one of them was not named before.
   * @param now who posts it
   * @throws as `writeStateFile`
   */
  posterNamed(runId: RunId, sources: readonly string[], now: Address): Promise<Address>;
}

/** @throws UserError `STATE_CORRUPTED` */
export async function openWatchMemory(path: string): Promise<WatchMemory> {
  const remedy = "move it away, and what was found so far is looked at again; nothing is disputed twice all the same";
  const file = await readStateFile(path, File, remedy);
  const known = new Map(
    (file?.roots ?? []).map(({ disputed: _disputed, ...root }): [string, KnownRoot] => [root.digest, root]),
  );
  const named = new Map((file?.named ?? []).map((each): [string, Static<typeof Named>] => [each.runId, each]));
  let written = Promise.resolve();
  // Roots of two kinds are looked at at a time: what is known last has to be what is written last.
  const write = () =>
    writeStateFile(path, File, { version: 1, roots: [...known.values()], named: [...named.values()] });
  const keepAll = async (): Promise<void> => {
    written = written.then(write, write);
    await written;
  };
  return {
    of: (digest) => known.get(digest) ?? { digest },
    keep: async (root) => {
      known.delete(root.digest);
      known.set(root.digest, root);
      for (const digest of known.keys()) if (known.size > MAX_ROOTS) known.delete(digest);
      await keepAll();
    },
    posterNamed: async (runId, sources, now) => {
      const before = named.get(runId);
      if (before && sources.every((source) => before.sources.includes(source))) return before.poster as Address;
      named.delete(runId);
      named.set(runId, { runId, poster: now, sources: [...sources] });
      for (const each of named.keys()) if (named.size > MAX_NAMED) named.delete(each);
      await keepAll();
      return now;
    },
  };
}

/** An absence that was seen once more. @param patience ms for which it is waited for */
export function seenAbsent(before: KnownRoot["absent"], clock: Clock, patience: number): { total: number; at: number } {
  const at = clock.now();
  const more = before ? Math.min(Math.max(0, at - before.at), patience * ABSENT_PART) : 0;
  return { total: (before?.total ?? 0) + more, at };
}
