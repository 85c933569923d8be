/**
 * What the chain's rollback means for the journal: the heads that it lacks, the checkpoint from which the run goes on, and what the
 * rounds that are lost were trained on, from their own receipts.
 */
import {
  type Address,
  asDigest,
  type CheckpointManifest,
  type Digest,
  MAX_DOCUMENT_BYTES,
  outcomeCode,
  parseDocument,
  type PositionRange,
  ReceiptsFile,
} from "@cotrain/sdk/protocol";

import { parseCanonicalJson } from "../base/index.ts";
import type { PostedHead } from "../chain/index.ts";
import { splitRanges } from "../data/index.ts";
import { isRollback } from "../run/index.ts";
import { readManifest } from "../storage/index.ts";
import type { GivenHead, RolledBack, Undoing } from "./machine/events.ts";
import type { Unstamped } from "./machine/events.ts";
import { losesNothing } from "./machine/rollback.ts";
import type { LostRound, RunState } from "./machine/state.ts";
import { anchorOf, type Run, secretOf } from "./run.ts";

/** Checkpoints read from the table at a time. */
const PAGE = 256;

/** By how much links outnumber rounds: it rises with each rollback, and with nothing else. */
export const rollbacksIn = ({ sequence, round }: { readonly sequence: number; readonly round: number }): number =>
  sequence - round;

/** Of the journal's newest head that is on-chain. */
export const rollbacksKnown = ({ heads }: Pick<RunState, "heads">): number =>
  rollbacksIn(heads.findLast(({ anchor }) => anchor !== null) ?? { sequence: 0, round: 0 });

async function givenOf({ modules, facts }: Run, head: PostedHead): Promise<GivenHead> {
  const { sequence, round, parentHead, paramsVersion, checkpointDigest: checkpoint, receiptsRoot } = head;
  const anchored = await anchorOf(modules.chain, facts.modelId, head);
  return { sequence, round, parentHead, head: head.head, paramsVersion, checkpoint, receiptsRoot, ...anchored };
}

async function receiptsFileOf({ modules: { blobs } }: Run, digest: Digest): Promise<ReceiptsFile> {
  const bytes = await blobs.get(digest, MAX_DOCUMENT_BYTES);
  return parseDocument("receipts", ReceiptsFile, parseCanonicalJson(bytes, MAX_DOCUMENT_BYTES, "the receipts"));
}

/** What the rounds beyond a checkpoint were trained on, what they counted, and the records of their screenings. */
async function lostBeyond(run: Run, round: number): Promise<Required<Pick<Undoing, "positions" | "tokens" | "lost">>> {
  const { blobs } = run.modules;
  const lost: LostRound[] = [];
  const positions: PositionRange[] = [];
  const tokens: Record<Address, number> = {};
  for (let from = round + 1; ;) {
    const rows = await run.projections.checkpoints(from, PAGE);
    for (const { digest, round: led, receipts } of rows) {
      if (receipts === null) continue;
      const { screening } = await readManifest(blobs, digest);
      if (screening !== null) lost.unshift({ round: led - 1, screening: asDigest(screening) });
      for (const { receipt, assignment, tokens: counted, outcome } of (await receiptsFileOf(run, receipts)).receipts) {
        positions.push(...splitRanges(assignment.ranges, receipt.steps * assignment.batch)[0]);
        if (outcome === outcomeCode.aggregated)
          tokens[receipt.worker] = (tokens[receipt.worker] ?? 0) + Number(counted);
      }
    }
    if (rows.length < PAGE) return { positions, tokens, lost };
    from += PAGE;
  }
}

/** The records by which the next round is judged, newest first. */
async function screeningsBehind(run: Run, { screening, parent }: CheckpointManifest): Promise<Digest[]> {
  const found: Digest[] = [];
  for (let [next, before] = [screening, parent]; next !== null && found.length < run.definition.screening.history;) {
    found.push(asDigest(next));
    if (before === null) break;
    ({ screening: next, parent: before } = await readManifest(run.modules.blobs, asDigest(before)));
  }
  return found;
}

/** @returns a sentence where the run cannot go on here */
async function undoingFor(run: Run, target: PostedHead): Promise<Undoing | string> {
  const { blobs } = run.modules;
  const { round, checkpointDigest: digest } = target;
  if ((await run.projections.checkpoint(round))?.digest !== digest)
    return `the run was rolled back to a checkpoint ${round} that this coordinator did not make: ${digest}`;
  const manifest = await readManifest(blobs, digest);
  for (const shard of manifest.fragments)
    if (!(await blobs.has(asDigest(shard.digest))))
      return `the run was rolled back to checkpoint ${round}, of which the shard ${shard.digest} is not kept here any more: it goes on once that lies among its blobs again`;
  const { step, tokens, paramsVersion, fragments } = manifest;
  return {
    ...(await lostBeyond(run, round)),
    checkpoint: { round, digest, step, tokens: Number(tokens), paramsVersion, fragments },
    screenings: await screeningsBehind(run, manifest),
    secret: secretOf(run.modules),
  };
}

/**
 * The rollback that the chain holds and the journal does not.
 * @returns undefined where there is none; a sentence where the run cannot go on here
 * @throws RetryableError as the chain; BlobError for documents that are gone
 */
export async function findRollback(run: Run): Promise<Unstamped<RolledBack> | string | undefined> {
  const { runId, driver, modules } = run;
  const { state } = driver;
  const heads = await modules.chain.headsSince(runId, 0);
  const known = new Set<string>(state.heads.map(({ head }) => head));
  const at = heads.findLastIndex(({ head }) => known.has(head)) + 1;
  const [last, newest] = [heads.at(-1), state.heads.at(-1)];
  const missing = heads.slice(at);
  if (!last || !newest || at === 0 || !missing.some((head, i) => isRollback(head, heads[at + i - 1]))) return undefined;
  if (!isRollback(last, heads.at(-2)))
    return `the run was rolled back, and another poster's checkpoint ${last.round} follows: this coordinator cannot go on from there`;
  const given: GivenHead[] = [];
  for (const head of missing) given.push(await givenOf(run, head));
  const undoing = losesNothing(state, given) ? null : await undoingFor(run, last);
  if (typeof undoing === "string") return undoing;
  return { type: "RolledBack", newest: newest.head, given, undoing };
}
