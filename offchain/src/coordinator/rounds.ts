/** Effects of a closing round: the outer step of a fragment, and the checkpoint. Tensors live here and nowhere else. */
import { asDigest, type ReceiptLeaf, type ReceiptsFile, receiptsRoot } from "@cotrain/sdk/protocol";

import { InternalError } from "../base/index.ts";
import { dropsMomentum, reduceFragment } from "../diloco/index.ts";
import { putDocument, readFragment, writeFragment, writeManifest } from "../storage/index.ts";
import { ackOf } from "./acks.ts";
import type { EffectContext } from "./effectRunner.ts";
import type { CheckpointStored, EffectOf, SyncReduced } from "./machine/effects.ts";
import type { Unstamped } from "./machine/events.ts";
import { outcomeOf, progressAfter } from "./machine/rounds.ts";
import type { OpenRound } from "./machine/state.ts";
import { acceptedOf, closing, fragmentPayloads, entriesOf } from "./payloads.ts";
import { documentsOf } from "./publishing.ts";
import { type Run, secretOf } from "./run.ts";

/**
 * Aggregates one fragment and takes its outer step. A payload that was lost since it was measured is reported in the outcomes;
 * the round is then screened again.
 */
export async function reduceSync(
  run: Run,
  effect: EffectOf<"reduceSync">,
  context: EffectContext,
): Promise<Unstamped<SyncReduced>> {
  const { key, fragment } = effect;
  context.signal.throwIfAborted();
  const round = closing(context, effect.round);
  const { blobs } = run.modules;
  await using opened = new AsyncDisposableStack();
  const entries = (await entriesOf(blobs, round)).filter(({ outcome }) => outcome === 0);
  const { payloads, outcomes } = await fragmentPayloads(run, round, fragment, entries, opened);
  const event = { type: "SyncReduced", key, round: round.round, fragment, outcomes } as const;
  if (Object.keys(outcomes).length > 0) return { ...event, paramsDigest: null, outerDigest: null, shard: null };
  const base = context.state.checkpoint.fragments[fragment];
  if (!base) throw new InternalError("FRAGMENT_UNKNOWN", `The checkpoint has no fragment ${fragment}.`);
  const before = await readFragment(blobs, run.table, base);
  context.signal.throwIfAborted();
  const anew = dropsMomentum(round.gate, run.definition.screening);
  const after = await reduceFragment({ state: before, payloads, rules: round.params, round: round.round, anew });
  const shard = await writeFragment(blobs, run.table, fragment, after);
  return {
    ...event,
    paramsDigest: asDigest(shard.parameters.digest),
    outerDigest: asDigest(shard.outer.digest),
    shard,
  };
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
  effect: EffectOf<"storeCheckpoint">,
  context: EffectContext,
): Promise<Unstamped<CheckpointStored>> {
  const { key } = effect;
  const round = closing(context, effect.round);
  const { blobs } = run.modules;
  // The entries stand in the screening now.
  if (round.record) await blobs.delete(round.record);
  const { file, leaves } = await receiptsFileOf(run, round);
  const documents = documentsOf(run);
  const receipts = await putDocument(documents, file);
  const { step, tokens } = progressAfter(context.state, round);
  const fragments = round.syncs.flatMap(({ shard }) => (shard ? [{ ...shard }] : []));
  const { digest } = await writeManifest(documents, run.table, fragments, {
    runId: run.runId,
    round: round.round + 1,
    step,
    tokens: String(tokens),
    paramsVersion: round.paramsVersion,
    parent: round.base,
    receipts,
    screening: round.screening,
  });
  return {
    type: "CheckpointStored",
    key,
    round: round.round,
    digest,
    receipts,
    receiptsRoot: receiptsRoot(leaves),
    secret: secretOf(run.modules),
  };
}
