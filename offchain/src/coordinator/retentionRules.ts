/**
 * What of a run is kept, until when and why: the deletion (retention.ts) and the list in docs/operations.md follow from these
 * rows. What no row keeps goes.
 */
import type { Digest } from "@cotrain/sdk/protocol";

export interface RetentionOptions {
  /** How long payloads stay after the root that pays for them became active, ms. */
  readonly payloads: number;
  /** Bytes of shards kept beyond those that must stay. */
  readonly checkpointBytes: number;
  /** Newest checkpoints that always stay. */
  readonly checkpoints: number;
}

/** A root becomes active when its window to dispute it is over: so long payloads stay in any case. */
export const defaultRetention: RetentionOptions = { payloads: 0, checkpointBytes: 2 ** 31, checkpoints: 8 };

/** Where the run stands. */
export interface RetentionFacts {
  /** The first round whose receipts no active root covers. */
  readonly open: number;
  /** The first that no root covers which has been active for as long as payloads stay. */
  readonly settled: number;
  /** The newest checkpoint. */
  readonly newest: number;
}

/** For people. */
interface Words {
  readonly what: string;
  readonly until: string;
  readonly why: string;
}

/** Nothing deletes them. */
const documents: readonly Words[] = [
  {
    what: "manifests, receipts, screenings, definitions, builds, data, documents of epochs",
    until: "for ever",
    why: "`verify` walks them, and they are small",
  },
];

/** Payloads stay from the earliest round on that a row names. */
const payloads: readonly (Words & { from(facts: RetentionFacts): number })[] = [
  {
    what: "payloads of a round that no active root pays for",
    until: "one does, so for the whole window in which the root may be disputed",
    why: "validators recompute the round before they sign, and whoever doubts the root does",
    from: ({ open }) => open,
  },
  {
    what: "payloads of other rounds",
    until: "the root has been active for `--keep-payloads` (default: no longer), counted from the deadline to post it",
    why: "auditors from outside recompute the run",
    from: ({ settled }) => settled,
  },
];

/** The first round whose payloads are kept. */
export const payloadsFrom = (facts: RetentionFacts): number => Math.min(...payloads.map((row) => row.from(facts)));

/** See unnamed.ts. */
const uploads: readonly Words[] = [
  {
    what: "uploads that no receipt names",
    until: "another replaces them, their sender loses the work, the round closes, or the database's disk is full",
    why: "a receipt may still name them",
  },
];

/** Shards of a checkpoint stay if any row keeps them. */
const shards: readonly (Words & {
  keeps(round: number, facts: RetentionFacts, options: RetentionOptions): boolean;
})[] = [
  {
    what: "shards of checkpoint 0",
    until: "for ever",
    why: "everything is recomputed from it",
    keeps: (round) => round === 0,
  },
  {
    what: "shards of the newest checkpoints",
    until: "`--keep-checkpoints` (8) newer ones are there",
    why: "workers join at them, holders export them",
    keeps: (round, { newest }, { checkpoints }) => round > newest - checkpoints,
  },
  {
    what: "shards of the checkpoints before and after a round",
    until: "its payloads go",
    why: "the round is recomputed from one to the other",
    keeps: (round, facts) => round >= payloadsFrom(facts),
  },
];

/** Of shards that no row above keeps as many stay as there is room for, those of newer checkpoints first. */
const others: Words & { keeps(bytes: number, options: RetentionOptions): boolean } = {
  what: "shards of other checkpoints, the newest first",
  until: "they take more than `--keep-bytes` (2GiB)",
  why: "an old checkpoint can be exported for a while",
  keeps: (bytes, { checkpointBytes }) => bytes <= checkpointBytes,
};

/** @internal The list in docs/operations.md, which a test holds against these rows. */
export const retentionWords: readonly Words[] = [...documents, ...uploads, ...payloads, ...shards, others];

/** A checkpoint whose shards are there. */
export interface StoredCheckpoint {
  readonly round: number;
  readonly shards: readonly { readonly digest: Digest; readonly bytes: number }[];
}

/**
 * Which checkpoints lose their shards. Equal shards of different checkpoints are one blob, which goes with the last that holds it.
 * @param checkpoints newest first
 * @returns those, and every shard that stays
 */
export function releasedCheckpoints(
  checkpoints: readonly StoredCheckpoint[],
  facts: RetentionFacts,
  options: RetentionOptions,
): { readonly released: readonly StoredCheckpoint[]; readonly kept: ReadonlySet<Digest> } {
  const kept = new Set<Digest>();
  const released: StoredCheckpoint[] = [];
  let bytes = 0;
  for (const checkpoint of checkpoints) {
    const must = shards.some((row) => row.keeps(checkpoint.round, facts, options));
    const fresh = checkpoint.shards.reduce((sum, { digest, bytes: size }) => (kept.has(digest) ? sum : sum + size), 0);
    if (must || others.keeps(bytes + fresh, options)) {
      for (const { digest } of checkpoint.shards) kept.add(digest);
      if (!must) bytes += fresh;
    } else released.push(checkpoint);
  }
  return { released, kept };
}
