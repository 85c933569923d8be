/**
 * The state machine of a run: `step(state, event) → { state, effects }`, pure. Time, randomness and I/O come in as events
 * and go out as effects. Start here, then rounds.ts, anchoring.ts, epochs.ts; what may enter the log is in rules.ts.
 */
import { produce } from "immer";

import { InternalError, unreachable } from "../../base/index.ts";
import { createLedger } from "../../data/index.ts";
import { onHeadAnchored, onHeadReverted, pruneHeads, pushHead } from "./anchoring.ts";
import { onClockStepped } from "./clock.ts";
import { type Effect, retryDelay } from "./effects.ts";
import {
  computeAgain,
  onAttestationAccepted,
  onAttestationDeadline,
  onEpochComputed,
  onEpochOver,
  onRootActivated,
  onRootPosted,
  onRootReverted,
  openEpoch,
} from "./epochs.ts";
import type { EffectFailed, RunCreated, RunEvent, TimerFired, VerdictAccepted } from "./events.ts";
import { onMemberJoined, onMemberLeft, onSilence } from "./members.ts";
import { onDeadline } from "./dealing.ts";
import { end, type StateDraft, timerKey } from "./pending.ts";
import {
  advance,
  onCheckpointStored,
  onFragmentAccepted,
  onReceiptAccepted,
  onRoundGated,
  onRoundScreened,
  onSyncReduced,
} from "./rounds.ts";
import { type RunState, verdictKey } from "./state.ts";
import { heldOutOf } from "./heldOut.ts";

/** Version of the decisions below: raised when one of them changes, see logics.ts. */
export const LOGIC_VERSION = 15;
/** Version of the events' form. */
export const EVENT_SCHEMA_VERSION = 3;

export interface Step {
  readonly state: RunState;
  /** What became due by this event; all that is due stands in `state.pending`. */
  readonly effects: readonly Effect[];
}

/**
 * Applies one event that passed `refusalOf`.
 * @param state null before RunCreated
 */
export function step(state: RunState | null, event: RunEvent): Step {
  if (state === null) {
    if (event.type !== "RunCreated")
      throw new InternalError("LOG_ORDER", `A run's log begins with RunCreated, not ${event.type}.`);
    const created = produce(initialState(event), (draft) => {
      onCreated(draft, event);
    });
    return { state: created, effects: due({}, created) };
  }
  const next = produce(state, (draft) => {
    draft.at = event.at;
    apply(draft, event);
    advance(draft, event.at);
  });
  return { state: next, effects: due(state.pending, next) };
}

/** Effects that are pending now and were not, or not in this form, before. */
function due(before: RunState["pending"], state: RunState): Effect[] {
  return Object.entries(state.pending).flatMap(([key, pending]) => (before[key] === pending ? [] : [pending.effect]));
}

function initialState(event: RunCreated): RunState {
  return {
    facts: event.facts,
    at: event.at,
    phase: "Waiting",
    pausedBy: { operator: false, chain: false },
    finished: false,
    round: event.checkpoint.round,
    checkpoint: event.checkpoint,
    paramsVersion: event.paramsVersion,
    params: event.params,
    nextParams: null,
    members: {},
    absent: {},
    joins: {},
    totals: {},
    outcomes: {},
    strikes: {},
    screenings: [],
    ledger: createLedger(),
    secret: event.secret,
    current: null,
    deadlines: 0,
    recent: [],
    heads: [],
    reverts: 0,
    openEpochs: {},
    epochs: [],
    settledEpoch: 0,
    verdicts: {},
    verdictsAccepted: 0,
    heldOutFirst: null,
    traffic: { up: 0, down: 0, synchronous: 0, ring: 0 },
    pending: {},
  };
}

function onCreated(draft: StateDraft, event: RunCreated): void {
  const { round, digest } = event.checkpoint;
  // Checkpoint 0 was made under the first version, whatever is in force now.
  pushHead(draft, { round, paramsVersion: 1, checkpoint: digest, receiptsRoot: zeroRoot, workers: [] });
  draft.pending = {};
  const entry = draft.heads[0];
  if (entry?.head !== event.head) {
    throw new InternalError("HEAD_MISMATCH", `Checkpoint 0 gives head ${entry?.head}, the chain holds ${event.head}.`);
  }
  entry.anchor = { ...event.anchor };
  openEpoch(draft, event.anchor.epoch, event.epochEnd);
}

const zeroRoot = `0x${"0".repeat(64)}` as const;

function apply(draft: StateDraft, event: RunEvent): void {
  if ("key" in event && event.type !== "EffectFailed" && event.type !== "EpochComputed") end(draft, event.key);
  switch (event.type) {
    case "RunCreated":
      throw new InternalError("LOG_ORDER", "A run is created once.");
    case "MemberJoined":
      return onMemberJoined(draft, event);
    case "MemberSilent":
      return onSilence(draft, event.worker, true);
    case "MemberReturned":
      return onSilence(draft, event.worker, false);
    case "MemberLeft":
      return onMemberLeft(draft, event);
    case "FragmentAccepted":
      return onFragmentAccepted(draft, event);
    case "ReceiptAccepted":
      return onReceiptAccepted(draft, event);
    case "TimerFired":
      return onTimer(draft, event);
    case "RoundScreened":
      return onRoundScreened(draft, event);
    case "SyncReduced":
      return onSyncReduced(draft, event);
    case "RoundGated":
      return onRoundGated(draft, event);
    case "CheckpointStored":
      return onCheckpointStored(draft, event);
    case "HeadAnchored":
      return onHeadAnchored(draft, event);
    case "HeadReverted":
      return onHeadReverted(draft, event);
    case "ParamsChanged":
      draft.nextParams = { version: event.version, params: { ...event.params } };
      return;
    case "VerdictAccepted":
      return onVerdict(draft, event);
    case "EpochComputed":
      return onEpochComputed(draft, event);
    case "AttestationAccepted":
      return onAttestationAccepted(draft, event);
    case "RootPosted":
      return onRootPosted(draft, event);
    case "RootActivated":
      onRootActivated(draft, event);
      return pruneHeads(draft);
    case "RootReverted":
      return onRootReverted(draft, event);
    case "PauseRequested":
      draft.pausedBy[event.by] = true;
      return;
    case "ResumeRequested":
      draft.pausedBy[event.by] = false;
      return;
    case "RunFinished":
      draft.finished = true;
      return;
    case "ClockStepped":
      return onClockStepped(draft, event);
    case "EffectFailed":
      return onEffectFailed(draft, event);
    default:
      return unreachable(event);
  }
}

function onTimer(draft: StateDraft, event: TimerFired): void {
  const { key, at } = event;
  const [, what, first, second] = key.split("/");
  if (what === "epoch") onEpochOver(draft, Number(first), at);
  else if (what === "attestation") onAttestationDeadline(draft, Number(first), Number(second), at);
  else if (draft.current && key === timerKey.deadline(draft.current.round, draft.current.deadlines))
    onDeadline(draft, event);
}

function onVerdict(draft: StateDraft, { verdict: signed }: VerdictAccepted): void {
  const { verdict } = signed;
  draft.verdicts[verdictKey(verdict)] = { verdict: { ...verdict }, signature: signed.signature };
  draft.verdictsAccepted += 1;
  const first = heldOutOf(draft, "first");
  if (first && (!draft.heldOutFirst || first.round <= draft.heldOutFirst.round)) draft.heldOutFirst = first;
}

/** What not even a later try can change, or only a wait. */
function onEffectFailed(draft: StateDraft, event: EffectFailed): void {
  const pending = draft.pending[event.key];
  if (!pending) return;
  if (pending.effect.kind === "postRoot" && !event.retryable) {
    // Refused by the contract: another set of validators by now, a deadline that passed. To be signed again.
    return computeAgain(draft, event.at);
  }
  pending.attempt = event.attempt + 1;
  pending.notBefore = event.at + retryDelay(waits.has(event.code) ? 1 : event.attempt);
}

/** Codes that mean "not yet": asked again soon, however often. */
const waits = new Set(["WINDOW_OPEN", "EPOCH_OPEN"]);
