/** Effects on the chain: heads posted in order, epochs computed, attested roots posted and activated. */
import {
  type Address,
  aggregateRejected,
  asHead,
  digestOfJson,
  fromWire,
  isVoice,
  toWire,
} from "@cotrain/sdk/protocol";

import { InternalError, RetryableError } from "../base/index.ts";
import type { NextHead, PendingRootView, RootView } from "../chain/index.ts";
import { blobSourceOf } from "../run/index.ts";
import { putDocument } from "../storage/index.ts";
import type { EffectContext } from "./effectRunner.ts";
import type { EffectOf, EpochComputed, HeadAnchored, RootActivated, RootPosted } from "./machine/effects.ts";
import type { Unstamped } from "./machine/events.ts";
import type { RunState } from "./machine/state.ts";
import { documentsOf } from "./publishing.ts";
import { restoreRewards } from "./rewards.ts";
import type { HeadEntry } from "./machine/state.ts";
import { anchorOf, type Run } from "./run.ts";
import { isLeftToLater, requireNews } from "./voided.ts";

const nextOf = ({ paramsVersion, checkpoint, receiptsRoot }: HeadEntry): NextHead => ({
  paramsVersion,
  checkpointDigest: checkpoint,
  receiptsRoot,
});

/** What posts for a run knows its effects by: runs of a model, one after the other, have one journal, and each numbers its own. */
const postingKey = ({ runId }: Pick<Run, "runId">, { key }: { readonly key: string }): string => `${key}/${runId}`;

export async function anchorHead(
  run: Run,
  effect: EffectOf<"anchorHead">,
  context: EffectContext,
): Promise<Unstamped<HeadAnchored>> {
  const { chain } = run.modules;
  const entry = context.state.heads.find(({ sequence }) => sequence === effect.sequence);
  if (!entry) throw new InternalError("HEAD_GONE", `Head ${effect.sequence} is not in the journal.`);
  const { parentHead, round } = entry;
  const fields = { runId: run.runId, parentHead, round, ...nextOf(entry) };
  // Each is anchored in its turn, which finds it there.
  const following = context.state.heads.filter(({ sequence }) => sequence > entry.sequence).map(nextOf);
  const posted = await chain.postHead(fields, postingKey(run, effect), following);
  if (posted.head !== entry.head) {
    throw new InternalError("HEAD_MISMATCH", `The chain holds head ${posted.head} where ${entry.head} was posted.`);
  }
  const [found, parent] = await anchorAndParent(run, context, entry);
  if (!found) throw new RetryableError("CHAIN_MOVED", `Head ${effect.sequence} was posted and is not there any more.`);
  const anchored = await anchorOf(chain, run.facts.modelId, found, parent?.anchoredAt);
  return { type: "HeadAnchored", head: entry.head, sequence: entry.sequence, ...anchored };
}

/**
 * A head and the one before it, of one reading. Where that says another time of the one before than the log, all is read anew,
 * and believed then: the log may have it of a lie that is over, or of a block that is gone, and the next head must not wait for it.
 */
async function anchorAndParent({ runId, modules: { chain } }: Run, { state }: EffectContext, entry: HeadEntry) {
  const read = async () => {
    const heads = await chain.headsSince(runId, 0, entry.head);
    const at = heads.findLastIndex(({ head }) => head === entry.head);
    return [heads[at], heads[at - 1]] as const;
  };
  const known = state.heads.find(({ sequence }) => sequence === entry.sequence - 1)?.anchor?.anchoredAt;
  const first = await read();
  if (known === undefined || first[1]?.anchoredAt === known) return first;
  chain.forget(runId);
  return read();
}

/** That a root is pending: for no longer than the model's window from now on, whatever one answer says of it. */
export async function rootPosted(
  { driver, facts, modules }: Run,
  { epoch, root, activatableAt }: PendingRootView,
  transaction: RootPosted["transaction"],
): Promise<Unstamped<RootPosted>> {
  const { window } = await modules.chain.schedule(facts.modelId);
  const latest = Math.ceil(driver.now() / 1_000) + window;
  // While it is disputed nobody knows when: then the posting of its activation waits.
  return { type: "RootPosted", epoch, root, transaction, activatableAt: Math.min(activatableAt ?? latest, latest) };
}

export const rootActivated = (root: RootView): Unstamped<RootActivated> => ({
  type: "RootActivated",
  epoch: root.epoch,
  root: root.root,
});

/** Of a posting delay, how long from when an epoch is computed the rest are waited for where some say that a head does not hold. */
const GRACE = 1 / 4;
/** Ms between looks at what has been said meanwhile. */
const LISTEN_MS = 500;

/** Whether some reject a head of these epochs while others of the set have not spoken about it. */
function isContested({ heads, verdicts }: RunState, epoch: number, members: readonly Address[]): boolean {
  const voices = Object.values(verdicts)
    .map(({ verdict }) => fromWire("Verdict", verdict))
    .filter(({ kind }) => isVoice(kind))
    .filter(({ validator }) => members.includes(validator));
  const hasSpoken = (head: string, member: Address): boolean =>
    voices.some((voice) => voice.head === head && voice.validator === member);
  return heads.some(
    ({ head, anchor, rolledBack }) =>
      anchor !== null &&
      !rolledBack &&
      anchor.epoch <= epoch &&
      aggregateRejected(head, voices) &&
      !members.every((member) => hasSpoken(head, member)),
  );
}

/** Since when a run's epoch is heard out, monotonic ms: a computation that is tried again does not wait again. */
const hearings = new WeakMap<Run, { readonly epoch: number; readonly since: number }>();

/** Who speaks first about an epoch's last head must not be the only one who is counted: the others have hardly looked. */
async function hearOut(run: Run, epoch: number, signal: AbortSignal): Promise<void> {
  const { chain, clock } = run.modules;
  const { modelId } = run.facts;
  const { validators } = await chain.validators(modelId);
  if (!isContested(run.driver.state, epoch, validators)) return;
  const { postingDelay } = await chain.schedule(modelId);
  const last = hearings.get(run);
  const hearing = last?.epoch === epoch ? last : { epoch, since: clock.monotonic() };
  hearings.set(run, hearing);
  const isOver = (): boolean => clock.monotonic() - hearing.since >= GRACE * postingDelay * 1_000;
  while (!isOver() && isContested(run.driver.state, epoch, validators)) await clock.sleep(LISTEN_MS, signal);
}

/** Attempts to attest what the active root does not cover that were not posted in time. */
const expiredIn = ({ epochs, settledEpoch }: RunState, now: number): RunState["epochs"] =>
  epochs.filter(
    ({ epoch, state, computed, failed }) =>
      state === "superseded" &&
      !failed &&
      epoch > settledEpoch &&
      computed &&
      Number(computed.attestation.deadline) * 1_000 <= now,
  );

/** The attempts before this one, said with what they lacked: nobody is paid while they fail. */
function expiredBefore({ driver, modules: { logger } }: Run, epoch: number): number {
  const expired = expiredIn(driver.state, driver.now());
  const last = expired.at(-1);
  if (last?.computed) {
    const { signatures, computed } = last;
    logger.warn(
      { epoch, attempts: expired.length, signatures: signatures.length, threshold: computed.threshold },
      "the root before was not posted by its deadline; it is computed again, with more time to sign",
    );
  }
  return expired.length;
}

export async function computeEpoch(
  run: Run,
  effect: EffectOf<"computeEpoch">,
  context: EffectContext,
): Promise<Unstamped<EpochComputed>> {
  const { chain, blobs } = run.modules;
  const { modelId } = run.facts;
  await hearOut(run, effect.epoch, context.signal);
  const { state } = run.driver;
  const [active, pending] = await Promise.all([chain.activeRoot(modelId), chain.pendingRoot(modelId)]);
  // Somebody else was faster, the chain went back, or this is not so: one look decides nothing, see chainWatch.ts.
  if (pending || (active?.epoch ?? 0) !== state.settledEpoch) {
    throw new RetryableError(
      "CHAIN_MOVED",
      `The chain's active root covers epoch ${active?.epoch ?? 0} and its pending one ${pending?.epoch ?? "none"}; the journal's covers ${state.settledEpoch}.`,
    );
  }
  const verdicts = Object.values(state.verdicts);
  const { epoch } = effect;
  requireNews(run, epoch);
  await restoreRewards(run);
  const result = await chain.computeEpoch(
    { modelId, epoch, verdicts, expired: expiredBefore(run, epoch) },
    blobSourceOf(blobs),
  );
  const event = { type: "EpochComputed", key: effect.key, epoch } as const;
  if (result.kind === "nothing") {
    run.modules.logger.debug({ epoch, reason: result.reason }, "epoch has nothing to attest");
    return { ...event, result: null };
  }
  const { computation } = result;
  if (await isLeftToLater(run, epoch, computation.attestation)) return { ...event, result: null };
  const documents = documentsOf(run);
  await putDocument(documents, computation.inputs);
  await putDocument(documents, computation.verdicts);
  const rewards = await putDocument(documents, computation.rewards);
  const manifest = await putDocument(documents, computation.manifest);
  const attestation = toWire("Attestation", computation.attestation);
  if (manifest !== attestation.epochDigest || manifest !== digestOfJson(computation.manifest)) {
    throw new InternalError("EPOCH_DIGEST", `The manifest of epoch ${epoch} is not what its attestation names.`);
  }
  const set = await chain.validators(modelId, computation.attestation.setVersion);
  const { postingDelay } = await chain.schedule(modelId);
  const finished = computation.manifest.finished.find(({ runId }) => runId === run.runId);
  return {
    ...event,
    result: {
      manifest,
      rewards,
      attestation,
      ...(finished && { last: asHead(finished.head) }),
      validators: set.validators,
      threshold: set.threshold,
      postingDelay,
      verdicts: state.verdictsAccepted,
    },
  };
}

function recordOf(context: EffectContext, epoch: number) {
  const record = context.state.epochs.findLast((each) => each.epoch === epoch && each.state !== "superseded");
  if (!record) throw new InternalError("EPOCH_GONE", `Epoch ${epoch} is not in the journal.`);
  return record;
}

export async function postRoot(
  run: Run,
  effect: EffectOf<"postRoot">,
  context: EffectContext,
): Promise<Unstamped<RootPosted>> {
  const { computed, signatures } = recordOf(context, effect.epoch);
  if (!computed) throw new InternalError("EPOCH_GONE", `Epoch ${effect.epoch} has no attestation to post.`);
  const attestation = fromWire("Attestation", computed.attestation);
  const posted = await run.modules.chain.postRoot(attestation, signatures, postingKey(run, effect));
  return rootPosted(run, posted.root, posted.transaction);
}

export async function activateRoot(run: Run, effect: EffectOf<"activateRoot">): Promise<Unstamped<RootActivated>> {
  const { root } = await run.modules.chain.activateRoot(run.facts.modelId, effect.epoch, postingKey(run, effect));
  if (root.epoch !== effect.epoch) {
    throw new RetryableError(
      "CHAIN_MOVED",
      `The root that was activated is of epoch ${root.epoch}, not ${effect.epoch}: the watch takes over what stands there.`,
    );
  }
  return rootActivated(root);
}
