/** Epochs: computed when over, attested, posted, activated. One at a time, up to the newest that is over: a root
 * covers all since the last. */
import { MAX_DEADLINE_DELAYS } from "@cotrain/sdk/protocol";

import {
  type EffectIdentity,
  type EpochComputed,
  keyOf,
  retryDelay,
  type RootActivated,
  type RootPosted,
} from "./effects.ts";
import type { AttestationAccepted, Decisions, RootFailed, RootReverted } from "./events.ts";
import { begin, end, endAll, endKey, issue, type StateDraft } from "./pending.ts";
import { isSigned } from "./state.ts";

/** Records kept for the list of epochs. */
const EPOCHS_KEPT = 128;
/** Chain time is read from blocks, so a timer fires a little later than the clock says: the block is there by then. */
const CHAIN_LAG_MS = 250;

type RecordDraft = StateDraft["epochs"][number];

/** The epoch that is being computed, attested or activated. */
const inProgress = (draft: StateDraft): RecordDraft | undefined =>
  draft.epochs.findLast(({ state }) => state === "computing" || state === "collecting" || state === "posted");

export function openEpoch(draft: StateDraft, epoch: number, epochEnd: number): void {
  if (epoch <= draft.settledEpoch || draft.openEpochs[epoch]) return;
  draft.openEpochs[epoch] = { end: epochEnd, over: false, passes: 0 };
  issue(draft, "setTimer", ["epoch", epoch], { due: epochEnd * 1_000 + CHAIN_LAG_MS, clock: "chain" });
}

function close(draft: StateDraft, epoch: number): void {
  delete draft.openEpochs[epoch];
  end(draft, "setTimer", "epoch", epoch);
}

/** How often an epoch was computed, as far as records go back: none of those keys may be used again. */
const lastPass = ({ epochs }: StateDraft, epoch: number): number =>
  Math.max(0, ...epochs.filter((each) => each.epoch === epoch).map(({ pass }) => pass));

export function onEpochOver(draft: StateDraft, epoch: number, at: number): void {
  const open = draft.openEpochs[epoch];
  if (open) open.over = true;
  maybeComputeEpoch(draft, at);
}

/** Begins with the newest epoch that is over, when none is in progress and no head has to be posted again first. */
export function maybeComputeEpoch(draft: StateDraft, at: number): void {
  if (inProgress(draft) || draft.heads.some(({ anchor, reverted }) => anchor === null && reverted)) return;
  const epochs = Object.entries(draft.openEpochs).filter(([, { over }]) => over);
  const epoch = Math.max(0, ...epochs.map(([number]) => Number(number)));
  const open = draft.openEpochs[epoch];
  if (!open) return;
  open.passes += 1;
  const pass = open.passes;
  draft.epochs.push({
    epoch,
    pass,
    state: "computing",
    computed: null,
    root: null,
    signatures: [],
    transaction: null,
  });
  draft.epochs.splice(0, Math.max(0, draft.epochs.length - EPOCHS_KEPT));
  issue(draft, "computeEpoch", [epoch, pass], { epoch }, pass === 1 ? 0 : at + retryDelay(pass - 1));
}

function endProgress(draft: StateDraft): void {
  endAll(draft, "computeEpoch");
  endAll(draft, "postRoot");
  for (const { epoch, pass } of draft.epochs) end(draft, "setTimer", "attestation", epoch, pass);
}

/** Sets aside an epoch that is not posted yet, because its inputs changed. */
export function interruptEpoch(draft: StateDraft): void {
  const record = inProgress(draft);
  if (!record || record.state === "posted") return;
  record.state = "superseded";
  endProgress(draft);
}

/** Gives up this attestation and computes again, with a later deadline. */
export function computeAgain(draft: StateDraft, at: number): void {
  interruptEpoch(draft);
  maybeComputeEpoch(draft, at);
}

function onEpochComputed(draft: StateDraft, event: EpochComputed): void {
  const record = inProgress(draft);
  const pending = draft.pending[event.key];
  if (!record || record.state !== "computing" || !pending) return;
  const { result } = event;
  const { effect } = pending;
  if (result && result.verdicts < draft.verdictsAccepted && effect.kind === "computeEpoch" && !effect.again) {
    // A verdict arrived meanwhile and should count. Only once: a validator that spoke during each computation would let none end.
    begin(draft, { ...effect, again: true });
    return;
  }
  endKey(draft, event.key);
  if (!result) {
    draft.epochs.splice(draft.epochs.indexOf(record), 1);
    // Only this one: an epoch that was opened for a root that never was says nothing about those before it.
    close(draft, event.epoch);
    maybeComputeEpoch(draft, event.at);
    return;
  }
  const { verdicts: _counted, ...computed } = result;
  const { manifest, attestation } = computed;
  record.state = "collecting";
  record.root = attestation.root;
  record.computed = { ...computed, attestation: { ...attestation }, validators: [...computed.validators] };
  const same = draft.epochs.find(
    ({ state, computed, failed }) =>
      state === "superseded" &&
      // The contract takes no signature of it again.
      !failed &&
      computed?.manifest === manifest &&
      computed.attestation.deadline === attestation.deadline &&
      computed.attestation.setVersion === attestation.setVersion &&
      computed.attestation.blockHash === attestation.blockHash,
  );
  // The same statement again, after a reorganisation: its signatures still hold.
  if (same) record.signatures = same.signatures.map((each) => ({ ...each }));
  awaitAttestation(draft, record, record.computed, event.at);
  postWhenSigned(draft, record);
}

/** By the attestation's deadline it is signed and posted, or computed again with a later one. None is further away, unless somebody lied about the time. */
function awaitAttestation(
  draft: StateDraft,
  { epoch, pass }: RecordDraft,
  { attestation, postingDelay }: NonNullable<RecordDraft["computed"]>,
  at: number,
): void {
  const deadline = Number(attestation.deadline) * 1_000 + CHAIN_LAG_MS;
  const due = Math.min(deadline, at + MAX_DEADLINE_DELAYS * postingDelay * 1_000);
  issue(draft, "setTimer", ["attestation", epoch, pass], { due, clock: due === deadline ? "chain" : "run" });
}

function postWhenSigned(draft: StateDraft, record: RecordDraft): void {
  const { epoch, pass } = record;
  const which: EffectIdentity<"postRoot"> = [epoch, pass, draft.reverts];
  if (!isSigned(record) || draft.pending[keyOf("postRoot", ...which)]) return;
  issue(draft, "postRoot", which, { epoch });
}

function onAttestationAccepted(draft: StateDraft, event: AttestationAccepted): void {
  const record = inProgress(draft);
  if (!record || record.state !== "collecting" || record.computed?.manifest !== event.epochDigest) return;
  record.signatures.push({ validator: event.validator, signature: event.signature });
  postWhenSigned(draft, record);
}

export function onAttestationDeadline(draft: StateDraft, epoch: number, pass: number, at: number): void {
  const record = inProgress(draft);
  if (record?.state === "collecting" && record.epoch === epoch && record.pass === pass) computeAgain(draft, at);
}

/** The record of a root; for a root that somebody else posted one is made. All others in progress are set aside. */
function settleRecord(draft: StateDraft, epoch: number, root: RootPosted["root"]): RecordDraft {
  endProgress(draft);
  let found = draft.epochs.findLast((record) => record.epoch === epoch && record.root === root);
  if (!found) {
    draft.epochs.push({ epoch, pass: 0, state: "posted", computed: null, root, signatures: [], transaction: null });
    draft.epochs.splice(0, Math.max(0, draft.epochs.length - EPOCHS_KEPT));
    found = draft.epochs.at(-1)!;
  }
  for (const record of draft.epochs) {
    if (record !== found && record.state !== "active") record.state = "superseded";
  }
  return found;
}

function onRootPosted(draft: StateDraft, event: RootPosted): void {
  const record = settleRecord(draft, event.epoch, event.root);
  record.state = "posted";
  record.transaction = event.transaction ?? record.transaction;
  endAll(draft, "activateRoot");
  const due = event.activatableAt * 1_000 + CHAIN_LAG_MS;
  issue(draft, "activateRoot", [event.epoch, draft.reverts], { epoch: event.epoch, due });
}

function onRootActivated(draft: StateDraft, event: RootActivated): void {
  const record = settleRecord(draft, event.epoch, event.root);
  record.state = "active";
  endAll(draft, "activateRoot");
  draft.settledEpoch = event.epoch;
  for (const epoch of Object.keys(draft.openEpochs).map(Number)) if (epoch <= event.epoch) close(draft, epoch);
  maybeComputeEpoch(draft, event.at);
}

/**
 * Opens again the epochs of the heads that a lost root covered, or was said to cover, and the root's own epoch if it was computed
 * here. That any other epoch is over, or ever will be, is only the word of the RPC that named the root.
 */
function openCovered(
  draft: StateDraft,
  { computed }: RecordDraft,
  { at, epoch: lost }: Pick<RootReverted, "at" | "epoch">,
): void {
  const anchored = draft.heads.flatMap(({ anchor }) => anchor?.epoch ?? []);
  const covered = [...anchored, ...(computed ? [lost] : [])].filter(
    (each) => each > draft.settledEpoch && each <= lost,
  );
  for (const epoch of covered) {
    if (draft.openEpochs[epoch]) continue;
    // The last epoch in which a head was anchored may still go on; none before it waits for it.
    const over = computed !== null || anchored.some((each) => each > epoch);
    draft.openEpochs[epoch] = { end: Math.floor(at / 1_000), over, passes: lastPass(draft, epoch) };
    if (!over) issue(draft, "setTimer", ["epoch", epoch], { due: at, clock: "chain" });
  }
}

function onRootReverted(draft: StateDraft, event: RootReverted): void {
  const record = draft.epochs.findLast(({ epoch, root }) => epoch === event.epoch && root === event.root);
  if (!record) return;
  interruptEpoch(draft);
  draft.reverts += 1;
  // A root that an RPC names in its place, and that never became active here, is believed like any root: when it lasts.
  const actives = draft.epochs.filter((each) => each !== record && each.state === "active");
  const below = actives.filter(({ epoch }) => epoch <= event.settledEpoch).map(({ epoch }) => epoch);
  draft.settledEpoch = Math.max(0, ...below);
  // Another root that is posted stands, whatever was said of one that never was.
  const other = inProgress(draft);
  const stands = other !== undefined && other !== record;
  if (!stands) endAll(draft, "activateRoot");
  openCovered(draft, record, event);
  if (!stands && isSigned(record)) {
    record.state = "collecting";
    awaitAttestation(draft, record, record.computed, event.at);
    postWhenSigned(draft, record);
  } else {
    record.state = "superseded";
    maybeComputeEpoch(draft, event.at);
  }
}

/** What it covered is computed again, and signed of another block: the chain did not go back, and posting the same is refused. */
function onRootFailed(draft: StateDraft, event: RootFailed): void {
  const record = draft.epochs.findLast(
    ({ epoch, root, state }) => epoch === event.epoch && root === event.root && state === "posted",
  );
  if (!record) return;
  record.state = "superseded";
  record.failed = true;
  draft.reverts += 1;
  endAll(draft, "activateRoot");
  openCovered(draft, record, event);
  maybeComputeEpoch(draft, event.at);
}

export const epochDecisions = {
  EpochComputed: onEpochComputed,
  AttestationAccepted: onAttestationAccepted,
  RootPosted: onRootPosted,
  RootActivated: onRootActivated,
  RootReverted: onRootReverted,
  RootFailed: onRootFailed,
} satisfies Partial<Decisions>;
