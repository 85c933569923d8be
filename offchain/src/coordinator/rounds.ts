/** Effects of a closing round: the outer step of a fragment, and the checkpoint. Tensors live here and nowhere else. */
import { setImmediate as nextTurn } from "node:timers/promises";

import {
  type Address,
  asDigest,
  outcomeCode,
  outerHyperparametersOf,
  type ReceiptLeaf,
  type ReceiptsFile,
  receiptsRoot,
  runParamsFromWire,
} from "@cotrain/sdk/protocol";

import { InternalError } from "../base/index.ts";
import {
  type ChunkSource,
  type Contribution,
  inspectPayload,
  PayloadError,
  type Reduced,
  reduceFragment,
  type SliceMemory,
} from "../diloco/index.ts";
import { BlobError, type OpenBlob, readFragment, writeFragment, writeManifest } from "../storage/index.ts";
import { ackOf } from "./acks.ts";
import type { EffectContext } from "./driver.ts";
import type { CheckpointStored, SyncReduced, Unstamped } from "./machine/events.ts";
import { receiptsOf } from "./machine/dealing.ts";
import { outcomeOf, progressAfter } from "./machine/rounds.ts";
import type { AcceptedReceipt, OpenRound } from "./machine/state.ts";
import { putDocument, type Run } from "./run.ts";

/**
 * Payload bytes; the event loop gets a turn before each slice, so that the API answers while tensors are reduced. One buffer
 * serves all slices, since fresh ones for every worker's payload would come faster than they are collected.
 * @param memory shared by sources that are read in turn
 */
export function sourceOfBlob(blob: OpenBlob, memory: SliceMemory = []): ChunkSource {
  return {
    length: blob.length,
    read: async (offset, length) => {
      await nextTurn();
      if ((memory[0]?.length ?? 0) < length) memory[0] = new Uint8Array(length);
      const target = memory[0]!.subarray(0, length);
      await blob.readInto(target, offset);
      return target;
    },
  };
}

function closing(context: EffectContext, round: number): OpenRound {
  const { current } = context.state;
  if (current?.round !== round) throw new InternalError("ROUND_GONE", `Round ${round} is not the one that is closing.`);
  return current;
}

/** Receipts of a round by ascending worker. */
export const acceptedOf = (round: OpenRound): { worker: Address; accepted: AcceptedReceipt }[] =>
  receiptsOf(round)
    .flatMap(({ assignment, receipt }) => (receipt ? [{ worker: assignment.worker, accepted: receipt }] : []))
    .toSorted((a, b) => (a.worker < b.worker ? -1 : 1));

/** Outcome of a payload that cannot be reduced. */
export function outcomeOfFailure(error: unknown): number {
  if (error instanceof PayloadError) {
    return error.code === "PAYLOAD_LENGTH" ? outcomeCode.payloadMalformed : outcomeCode.nonFinite;
  }
  if (error instanceof BlobError) return outcomeCode.payloadMissing;
  throw error;
}

/**
 * Aggregates one fragment and takes its outer step. A payload that turns out to be unusable is reported in the outcomes;
 * the machine then asks again without it.
 */
export async function reduceSync(
  run: Run,
  effect: { readonly key: string; readonly round: number; readonly fragment: number },
  context: EffectContext,
): Promise<Unstamped<SyncReduced>> {
  const { key, fragment } = effect;
  context.signal.throwIfAborted();
  const round = closing(context, effect.round);
  const { blobs } = run.modules;
  const params = runParamsFromWire(round.params);
  const elements = run.facts.elements[fragment] ?? 0;
  const outcomes: Record<Address, number> = {};
  const opened: OpenBlob[] = [];
  const memory: SliceMemory = [];
  try {
    const contributions: Contribution[] = [];
    for (const { worker, accepted } of acceptedOf(round)) {
      if (outcomeOf(round, worker) !== 0) continue;
      const part = accepted.header.fragments[fragment];
      try {
        const blob = await blobs.open(asDigest(part?.digest ?? ""));
        opened.push(blob);
        contributions.push({ worker, tokens: accepted.tokens, source: sourceOfBlob(blob, memory) });
      } catch (error) {
        outcomes[worker] = outcomeOfFailure(error);
      }
    }
    const event = { type: "SyncReduced", key, round: round.round, fragment, outcomes } as const;
    if (Object.keys(outcomes).length > 0) return { ...event, paramsDigest: null, outerDigest: null, shard: null };
    const base = context.state.checkpoint.fragments[fragment];
    if (!base) throw new InternalError("FRAGMENT_UNKNOWN", `The checkpoint has no fragment ${fragment}.`);
    // Nobody's payload could be used: the fragment stays as it is.
    if (contributions.length === 0) {
      return {
        ...event,
        paramsDigest: asDigest(base.parameters.digest),
        outerDigest: asDigest(base.outer.digest),
        shard: base,
      };
    }
    const before = await readFragment(blobs, run.table, base);
    context.signal.throwIfAborted();
    const { codec, outerOptimizer, weighting } = params;
    const outer = outerHyperparametersOf(params, round.round);
    const input = {
      params: before.params,
      buffer: before.outer,
      contributions,
      codec,
      outerOptimizer,
      weighting,
      outer,
    };
    let after: Reduced;
    try {
      after = await reduceFragment(input);
    } catch (error) {
      if (!(error instanceof PayloadError)) throw error;
      // The bytes are those that passed when the receipt was accepted; whoever judges otherwise now says whose are bad.
      for (const { worker, source } of contributions) {
        await inspectPayload(codec, source, elements).catch((cause: unknown) => {
          outcomes[worker] = outcomeOfFailure(cause);
        });
      }
      if (Object.keys(outcomes).length === 0) throw error;
      return { ...event, paramsDigest: null, outerDigest: null, shard: null };
    }
    const shard = await writeFragment(blobs, run.table, fragment, { params: after.params, outer: after.buffer });
    return {
      ...event,
      paramsDigest: asDigest(shard.parameters.digest),
      outerDigest: asDigest(shard.outer.digest),
      shard,
    };
  } finally {
    for (const blob of opened) await blob.close();
  }
}

/** The round's receipts with acknowledgements and outcomes, and the leaves of its receipts root. */
export async function receiptsFileOf(
  run: Run,
  round: OpenRound,
): Promise<{ file: ReceiptsFile; leaves: ReceiptLeaf[] }> {
  const receipts: ReceiptsFile["receipts"] = [];
  const leaves: ReceiptLeaf[] = [];
  for (const { worker, accepted } of acceptedOf(round)) {
    const work = round.work[worker];
    if (!work) continue;
    const { ack, signature: ackSignature } = await ackOf(run, accepted);
    const outcome = outcomeOf(round, worker);
    const { receipt, signature, tokens, receiptHash } = accepted;
    receipts.push({
      receipt,
      signature,
      ack,
      ackSignature,
      assignment: work.assignment,
      tokens: String(tokens),
      outcome,
    });
    leaves.push({ receiptHash, worker, beneficiary: receipt.beneficiary, tokens: BigInt(tokens), outcome });
  }
  return { file: { version: 1, runId: run.runId, round: round.round, receipts }, leaves };
}

/** Makes the checkpoint durable: shards are stored already, receipts and manifest follow. */
export async function storeCheckpoint(
  run: Run,
  effect: { readonly key: string; readonly round: number },
  context: EffectContext,
): Promise<Unstamped<CheckpointStored>> {
  const { key } = effect;
  const round = closing(context, effect.round);
  const { blobs } = run.modules;
  const { file, leaves } = await receiptsFileOf(run, round);
  const receipts = await putDocument(blobs, file);
  const { step, tokens } = progressAfter(context.state, round);
  const fragments = round.syncs.flatMap(({ shard }) => (shard ? [{ ...shard }] : []));
  const { digest } = await writeManifest(blobs, run.table, fragments, {
    runId: run.runId,
    round: round.round + 1,
    step,
    tokens: String(tokens),
    paramsVersion: round.paramsVersion,
    parent: round.base,
    receipts,
    screening: null,
  });
  return { type: "CheckpointStored", key, round: round.round, digest, receipts, receiptsRoot: receiptsRoot(leaves) };
}
