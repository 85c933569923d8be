/** Rounds: who trains what, when a round closes, what its checkpoint is. */
import { castDraft } from "immer";

import { type Address, innerStepsOf, outcomeCode, runParamsFromWire } from "@cotrain/sdk/protocol";

import { consumeAssignment, tokensOf } from "../../data/index.ts";
import { isBacklogged, pushHead } from "./anchoring.ts";
import {
  candidates,
  countMiss,
  deal,
  dealAgain,
  hurryNewcomers,
  isCollecting,
  minimumOf,
  outstandingOf,
  receiptsOf,
  type RoundDraft,
} from "./dealing.ts";
import type { CheckpointStored, RoundGated, RoundScreened, SyncReduced } from "./effects.ts";
import type { Decisions, FragmentAccepted, ReceiptAccepted } from "./events.ts";
import { removeMember } from "./members.ts";
import { paceAfter } from "./pace.ts";
import { end, issue, type StateDraft } from "./pending.ts";
import { type OpenRound, parametersOf, type Phase, type RunState } from "./state.ts";

const RECENT_ROUNDS = 16;
/** Outcomes of former members are kept for this many rounds. */
const OUTCOMES_KEPT = 64;

/** Makes the decisions that have become possible; called after every event. */
export function advance(draft: StateDraft, at: number): void {
  const paused = draft.pausedBy.operator || draft.pausedBy.chain;
  if (draft.current && isCollecting(draft.current)) advanceCollecting(draft, draft.current, paused, at);
  if (!draft.current && !paused && !draft.finished) openRound(draft, at);

  const { current } = draft;
  if (current && isCollecting(current)) hurryNewcomers(draft, current, at);
  draft.phase = phaseOf(draft, paused);
}

function phaseOf({ current, finished }: StateDraft, paused: boolean): Phase {
  const stalled = current !== null && isCollecting(current) && outstandingOf(current).length === 0;
  if (current && !(paused && stalled)) return "Training";
  if (finished && !current) return "Finished";
  return paused ? "Paused" : "Waiting";
}

function advanceCollecting(draft: StateDraft, round: RoundDraft, paused: boolean, at: number): void {
  const received = receiptsOf(round).length;
  const settled = outstandingOf(round).length === 0;
  // There is a deadline only while somebody is waited for.
  if (settled) end(draft, "setTimer", "deadline", round.round, round.deadlines);
  if (settled && received > 0 && (received >= minimumOf(round.params) || draft.finished)) {
    close(draft, round);
  } else if (settled && received === 0) {
    // Nothing was done in it: it opens again when there are enough members, under what the holders decided meanwhile.
    draft.current = null;
  } else if (!paused && !draft.finished) {
    dealAgain(draft, round, at);
  }
}

function openRound(draft: StateDraft, at: number): void {
  if (isBacklogged(draft)) return;
  const next = draft.nextParams;
  const params = next?.params ?? draft.params;
  const innerSteps = innerStepsOf(runParamsFromWire(params), draft.round);
  const members = candidates(draft, { round: draft.round, innerSteps, params }, minimumOf(params), at);
  // What changed on-chain is in force from this boundary on, even while the run waits for members.
  if (next) {
    draft.params = next.params;
    draft.paramsVersion = next.version;
    draft.nextParams = null;
  }
  if (members.length < minimumOf(params)) return;
  const round: RoundDraft = {
    round: draft.round,
    openedAt: at,
    deadline: at,
    deadlines: 0,
    latest: at,
    newcomers: null,
    graced: false,
    paramsVersion: draft.paramsVersion,
    params,
    innerSteps,
    base: draft.checkpoint.digest,
    work: {},
    syncs: draft.facts.elements.map(() => ({ status: "Collecting", shard: null, outcomes: {} })),
    pass: 0,
    excluded: {},
    record: null,
    gate: { before: null, passes: [] },
    screening: null,
  };
  draft.current = round;
  deal(draft, round, members, at);
}

/** From here on the set of payloads is fixed: they are screened, reduced, and pass the loss gate or not. */
function close(draft: StateDraft, round: RoundDraft): void {
  for (const sync of round.syncs) sync.status = "Closing";
  screen(draft, round);
}

/** A round that comes again after a rollback is another one. */
const againOf = ({ rollbacks }: StateDraft): [] | [number] => (rollbacks === undefined ? [] : [rollbacks]);

function screen(draft: StateDraft, round: RoundDraft): void {
  issue(draft, "screenRound", [round.round, round.pass, ...againOf(draft)], { round: round.round });
}

function onRoundScreened(draft: StateDraft, event: RoundScreened): void {
  const round = draft.current;
  if (!round) return;
  round.record = event.record;
  round.excluded = { ...event.outcomes };
  reduceAll(draft, round);
}

function reduceAll(draft: StateDraft, round: RoundDraft): void {
  for (const [fragment, sync] of round.syncs.entries()) {
    sync.status = "Closing";
    sync.shard = null;
    sync.outcomes = {};
    issue(draft, "reduceSync", [round.round, fragment, round.pass, ...againOf(draft)], {
      round: round.round,
      fragment,
    });
  }
}

function onFragmentAccepted(draft: StateDraft, event: FragmentAccepted): void {
  const work = draft.current?.work[event.worker];
  if (!work) return;
  work.uploads[event.index] = { index: event.index, digest: event.digest, bytes: event.bytes };
  work.uploaded += 1;
  draft.traffic.up += event.bytes;
}

function onReceiptAccepted(draft: StateDraft, event: ReceiptAccepted): void {
  const { receipt, signature, receiptHash, header, at } = event;
  const work = draft.current?.work[receipt.worker];
  if (!work) return;
  const { assignment } = work;
  const { steps } = receipt;
  const tokens = tokensOf({ ...assignment, steps });
  // Of two receipts one is later, even within a millisecond or when the clock was set back.
  const last = Math.max(...Object.values(draft.current?.work ?? {}).map((each) => each.receipt?.acceptedAt ?? 0));
  const acceptedAt = Math.max(at, last + 1);
  const before = ringBytes(draft);
  work.receipt = { receipt, signature, header, receiptHash, tokens, acceptedAt };
  draft.ledger = castDraft(consumeAssignment(draft.ledger, { ...assignment, steps }).ledger);
  const member = draft.members[receipt.worker];
  if (member) {
    // Who joins again with its work done and hands it in at once would seem fast, and leave the others no time.
    member.pace = paceAfter(member, at - work.begunAt, steps);
    member.measured = true;
    // Delivering clears what was missed.
    member.misses = 0;
    member.benchedUntil = 0;
    member.since = draft.round + 1;
  }
  // Synchronous data parallelism sends and receives the fp32 gradient at every inner step.
  draft.traffic.synchronous += steps * 2 * 4 * parametersOf(draft.facts);
  draft.traffic.ring += ringBytes(draft) - before;
}

/**
 * Bytes that the open round's steps would have moved in a ring all-reduce of the n workers that have delivered: at every step each
 * sends 2 (n − 1)/n bf16 gradients.
 */
function ringBytes({ current, facts }: StateDraft): number {
  const delivered = Object.values(current?.work ?? {}).filter(({ receipt }) => receipt);
  const steps = delivered.reduce((sum, { receipt }) => sum + (receipt?.receipt.steps ?? 0), 0);
  const n = delivered.length;
  return n === 0 ? 0 : Math.floor((steps * 2 * 2 * parametersOf(facts) * (n - 1)) / n);
}

function onSyncReduced(draft: StateDraft, event: SyncReduced): void {
  const round = draft.current;
  const sync = round?.syncs[event.fragment];
  if (!round || !sync) return;
  sync.status = "Reduced";
  sync.shard = event.shard && { ...event.shard };
  sync.outcomes = { ...event.outcomes };
  if (!round.syncs.every(({ status }) => status === "Reduced")) return;
  if (round.syncs.some(({ outcomes }) => Object.keys(outcomes).length > 0)) {
    screenAgain(draft, round);
    return;
  }
  issue(draft, "gateRound", [round.round, round.pass, ...againOf(draft)], { round: round.round });
}

/**
 * A payload was lost after it was measured. Others were compared with it too, so the round is judged again by what is there; what
 * the gate measured no longer counts: where no payload is left, its record holds no loss at all.
 */
function screenAgain(draft: StateDraft, round: RoundDraft): void {
  round.record = null;
  round.excluded = {};
  round.gate = { before: null, passes: [] };
  round.pass += 1;
  for (const sync of round.syncs) sync.status = "Closing";
  screen(draft, round);
}

function onRoundGated(draft: StateDraft, event: RoundGated): void {
  const round = draft.current;
  if (!round) return;
  round.gate.before = event.before;
  if (Object.values(event.outcomes).includes(outcomeCode.payloadMissing)) {
    screenAgain(draft, round);
    return;
  }
  if (event.pass) round.gate.passes.push(castDraft(event.pass));
  if (event.screening === null) {
    round.excluded = { ...round.excluded, ...event.outcomes };
    round.pass += 1;
    reduceAll(draft, round);
    return;
  }
  round.screening = event.screening;
  issue(draft, "storeCheckpoint", [round.round, ...againOf(draft)], { round: round.round });
}

/** 0, or why a payload was left out. */
export const outcomeOf = (round: Pick<OpenRound, "excluded">, worker: Address): number => round.excluded[worker] ?? 0;

/** Inner steps and tokens of the checkpoint that the closing round leads to. */
export function progressAfter(state: RunState, round: OpenRound): { step: number; tokens: number } {
  const accepted = receiptsOf(round).filter(({ assignment }) => outcomeOf(round, assignment.worker) === 0);
  return {
    step: state.checkpoint.step + round.innerSteps,
    tokens: state.checkpoint.tokens + accepted.reduce((sum, work) => sum + (work.receipt?.tokens ?? 0), 0),
  };
}

function onCheckpointStored(draft: StateDraft, event: CheckpointStored): void {
  const round = draft.current;
  if (!round) return;
  const progress = progressAfter(draft, round);
  const fragments = round.syncs.flatMap(({ shard }) => (shard ? [shard] : []));
  const workers = Object.keys(round.work).toSorted() as Address[];
  pushHead(draft, {
    round: round.round + 1,
    paramsVersion: round.paramsVersion,
    checkpoint: event.digest,
    receiptsRoot: event.receiptsRoot,
    workers,
  });
  for (const { receipt } of receiptsOf(round)) {
    if (!receipt) continue;
    const worker = receipt.receipt.worker;
    const outcome = outcomeOf(round, worker);
    draft.outcomes[worker] = { round: round.round, receiptHash: receipt.receiptHash, outcome };
    // Counted as in `progressAfter`: the sum over all workers is what the checkpoint says.
    if (outcome === outcomeCode.aggregated) draft.totals[worker] = (draft.totals[worker] ?? 0) + receipt.tokens;
  }
  for (const [worker, outcome] of Object.entries(draft.outcomes)) {
    const known = draft.members[worker as Address] !== undefined;
    if (known || outcome.round + OUTCOMES_KEPT >= round.round) continue;
    delete draft.outcomes[worker as Address];
    delete draft.strikes[worker as Address];
  }
  strike(draft, round, event.at);
  if (round.screening) draft.screenings.unshift(round.screening);
  const { history } = draft.facts.screening;
  draft.screenings.splice(history);
  if (draft.lost) draft.lost = draft.lost.filter((lost) => lost.round + history > round.round);
  draft.recent.push({
    round: round.round,
    openedAt: round.openedAt,
    durableAt: event.at,
    tokens: progress.tokens - draft.checkpoint.tokens,
    workers: workers.length,
  });
  draft.recent.splice(0, Math.max(0, draft.recent.length - RECENT_ROUNDS));
  draft.checkpoint = {
    round: round.round + 1,
    digest: event.digest,
    ...progress,
    paramsVersion: round.paramsVersion,
    fragments,
  };
  draft.round = round.round + 1;
  draft.secret = event.secret;
  draft.current = null;
}

/** A worker that is left out again and again for what it sent loses its place; one payload that counts clears its record. */
function strike(draft: StateDraft, round: RoundDraft, at: number): void {
  for (const { assignment } of receiptsOf(round)) {
    const { worker } = assignment;
    const outcome = outcomeOf(round, worker);
    if (outcome === outcomeCode.aggregated) delete draft.strikes[worker];
    // Nobody is blamed for blobs that are gone, or for rounds that nobody in particular spoilt.
    if (!blamable.has(outcome)) continue;
    const strikes = (draft.strikes[worker] ?? 0) + 1;
    draft.strikes[worker] = strikes;
    // A payload that was left out does not count as delivered: its sender is neither waited for nor believed as one that delivers.
    const member = draft.members[worker];
    if (member) {
      member.measured = false;
      countMiss(member, at, round.params);
    }
    if (strikes >= draft.facts.screening.strikes) removeMember(draft, worker, at);
  }
}

const blamable: ReadonlySet<number> = new Set([
  outcomeCode.payloadMalformed,
  outcomeCode.nonFinite,
  outcomeCode.normTooLarge,
  outcomeCode.lossHarm,
  outcomeCode.empty,
  outcomeCode.copy,
]);

export const roundDecisions = {
  FragmentAccepted: onFragmentAccepted,
  ReceiptAccepted: onReceiptAccepted,
  RoundScreened: onRoundScreened,
  SyncReduced: onSyncReduced,
  RoundGated: onRoundGated,
  CheckpointStored: onCheckpointStored,
} satisfies Partial<Decisions>;
