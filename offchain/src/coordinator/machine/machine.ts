/**
 * The state machine of a run: `step(state, event) → { state, effects }`, pure. Time, randomness and I/O come in as events
 * and go out as effects. Start here, then effects.ts, rounds.ts, anchoring.ts, epochs.ts; what may enter the log is in rules.ts.
 */
import { produce } from "immer";

import { InternalError } from "../../base/index.ts";
import { createLedger } from "../../data/index.ts";
import { anchoringDecisions, pruneHeads, pushHead } from "./anchoring.ts";
import { clockDecisions } from "./clock.ts";
import { type Effect, type EffectFailed, effectKinds, endsItsEffect, pauseAfter } from "./effects.ts";
import { computeAgain, epochDecisions, openEpoch } from "./epochs.ts";
import type { Decisions, RunCreated, RunEvent, VerdictAccepted } from "./events.ts";
import { heldOutOf } from "./heldOut.ts";
import { leaseDecisions } from "./leases.ts";
import { memberDecisions } from "./members.ts";
import { endKey, type StateDraft } from "./pending.ts";
import { rollbackDecisions } from "./rollback.ts";
import { advance, roundDecisions } from "./rounds.ts";
import { type RunState, storedVerdictKey } from "./state.ts";
import { onTimerFired } from "./timers.ts";

/** Version of the decisions below: raised when one of them changes, see logics.ts. */
export const LOGIC_VERSION = 21;
/** Version of the events' form. */
export const EVENT_SCHEMA_VERSION = 4;

export interface Step {
  readonly state: RunState;
  /** What this event made due; `state.pending` holds all that is due. */
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

const decisions: Decisions = {
  ...memberDecisions,
  ...leaseDecisions,
  ...roundDecisions,
  ...anchoringDecisions,
  ...epochDecisions,
  ...clockDecisions,
  ...rollbackDecisions,
  RunCreated: () => {
    throw new InternalError("LOG_ORDER", "A run is created once.");
  },
  TimerFired: onTimerFired,
  RootActivated: (draft, event) => {
    epochDecisions.RootActivated(draft, event);
    pruneHeads(draft);
  },
  VerdictAccepted: onVerdict,
  ParamsChanged: (draft, event) => {
    draft.nextParams = { version: event.version, params: { ...event.params } };
  },
  PauseRequested: (draft, { by }) => {
    draft.pausedBy[by] = true;
  },
  ResumeRequested: (draft, { by }) => {
    draft.pausedBy[by] = false;
  },
  RunFinished: (draft) => {
    draft.finished = true;
  },
  EffectFailed: onEffectFailed,
};

function apply(draft: StateDraft, event: RunEvent): void {
  if (endsItsEffect(event)) endKey(draft, event.key);
  const decide = decisions[event.type] as (draft: StateDraft, event: RunEvent) => void;
  decide(draft, event);
}

function onVerdict(draft: StateDraft, { verdict: signed }: VerdictAccepted): void {
  const { verdict } = signed;
  draft.verdicts[storedVerdictKey(verdict)] = { verdict: { ...verdict }, signature: signed.signature };
  draft.verdictsAccepted += 1;
  const first = heldOutOf(draft, "first");
  if (first && (!draft.heldOutFirst || first.round <= draft.heldOutFirst.round)) draft.heldOutFirst = first;
}

/** Tries again after a pause, unless its kind says that the epoch is to be computed again. */
function onEffectFailed(draft: StateDraft, event: EffectFailed): void {
  const pending = draft.pending[event.key];
  if (!pending) return;
  if (!event.retryable && effectKinds[pending.effect.kind].refused === "computeAgain") {
    computeAgain(draft, event.at);
    return;
  }
  pending.attempt = event.attempt + 1;
  pending.notBefore = event.at + pauseAfter(event);
}
