/** Rounds: who trains what, when a round closes, what its checkpoint is. */
import { castDraft } from "immer";

import {
  type Address,
  type Assignment,
  digestOfJson,
  innerStepsOf,
  type RunParams,
  runParamsFromWire,
  type WireRunParams,
} from "@cotrain/sdk/protocol";

import { consumeAssignment, issueAssignment, returnAssignment, tokensOf } from "../../data/index.ts";
import { isBacklogged, pushHead } from "./anchoring.ts";
import type { CheckpointStored, FragmentAccepted, ReceiptAccepted, SyncReduced } from "./events.ts";
import { end, endAll, issue, type StateDraft, timerKey } from "./pending.ts";
import { type Member, type OpenRound, parametersOf, type RunState, type Work } from "./state.ts";

const RECENT_ROUNDS = 16;
/** Outcomes of workers that are no members any more are kept this many rounds. */
const OUTCOMES_KEPT = 64;

type Round = Pick<OpenRound, "work" | "syncs" | "params" | "overdue">;

export const isCollecting = (round: Round): boolean => round.syncs.every(({ status }) => status === "Collecting");
export const receiptsOf = (round: Round): Work[] => Object.values(round.work).filter((work) => work.receipt !== null);
export const outstandingOf = (round: Round): Work[] =>
  Object.values(round.work).filter((work) => work.receipt === null);
const minimumOf = (params: WireRunParams): number => Math.max(1, params.minWorkers);

const byAddress = (a: { worker: string }, b: { worker: string }): number => (a.worker < b.worker ? -1 : 1);

/** Members that can be given work in the next, or in this, round, in a fixed order. */
function candidates(draft: StateDraft): Member[] {
  return Object.values(draft.members)
    .filter((member) => !member.silent && draft.current?.work[member.worker] === undefined)
    .toSorted(byAddress);
}

/** Takes the decisions that have become possible; called after every event. */
export function advance(draft: StateDraft, at: number): void {
  const paused = draft.pausedBy.operator || draft.pausedBy.chain;
  if (draft.current && isCollecting(draft.current)) advanceCollecting(draft, draft.current, paused, at);
  if (!draft.current && !paused && !draft.finished) openRound(draft, at);

  const { current } = draft;
  const stalled = current !== null && isCollecting(current) && (current.overdue || outstandingOf(current).length === 0);
  if (current && !(paused && stalled)) draft.phase = "Training";
  else if (draft.finished && !current) draft.phase = "Finished";
  else draft.phase = paused ? "Paused" : "Waiting";
}

function advanceCollecting(
  draft: StateDraft,
  round: NonNullable<StateDraft["current"]>,
  paused: boolean,
  at: number,
): void {
  const received = receiptsOf(round).length;
  const outstanding = outstandingOf(round).length;
  const settled = outstanding === 0 || round.overdue;
  if (settled && received > 0 && (received >= minimumOf(round.params) || draft.finished)) {
    closeRound(draft, round);
  } else if ((paused || draft.finished) && received === 0 && settled) {
    abandonRound(draft, round);
  } else if (!paused && !draft.finished && received + outstanding < minimumOf(round.params)) {
    // Nobody is left who could bring the round to its end: it takes in those that wait for the next one.
    const waiting = candidates(draft);
    if (waiting.length > 0) {
      assign(draft, round, waiting);
      setDeadline(draft, round, at);
    }
  }
}

function openRound(draft: StateDraft, at: number): void {
  if (isBacklogged(draft)) return;
  const next = draft.nextParams;
  const params = next?.params ?? draft.params;
  const members = candidates(draft);
  // What changed on-chain is in force from this boundary on, also while members are awaited.
  if (next) {
    draft.params = next.params;
    draft.paramsVersion = next.version;
    draft.nextParams = null;
  }
  if (members.length < minimumOf(params)) return;
  const round: NonNullable<StateDraft["current"]> = {
    round: draft.round,
    openedAt: at,
    deadline: at,
    deadlines: 0,
    overdue: false,
    paramsVersion: draft.paramsVersion,
    params,
    innerSteps: innerStepsOf(runParamsFromWire(params), draft.round),
    base: draft.checkpoint.digest,
    work: {},
    syncs: draft.facts.elements.map(() => ({ status: "Collecting", shard: null, outcomes: {} })),
    pass: 0,
    excluded: {},
  };
  draft.current = round;
  assign(draft, round, members);
  setDeadline(draft, round, at);
}

/** Gives work to members in their order, up to the run's maximum. */
function assign(draft: StateDraft, round: NonNullable<StateDraft["current"]>, members: readonly Member[]): void {
  const places = round.params.maxWorkers - Object.keys(round.work).length;
  for (const member of members.slice(0, Math.max(0, places))) {
    const { batch } = member;
    const issued = issueAssignment(draft.ledger, { worker: member.worker, steps: round.innerSteps, batch });
    draft.ledger = castDraft(issued.ledger);
    const { assignmentId, attempt, ranges } = issued.assignment;
    const assignment: Assignment = {
      version: 1,
      runId: draft.facts.runId,
      round: round.round,
      worker: member.worker,
      assignmentId,
      attempt,
      steps: round.innerSteps,
      batch,
      sequence: draft.facts.sequence,
      ranges: ranges.map(({ start, count }) => ({ start, count })),
      seed: draft.facts.seed,
      base: round.base,
      paramsVersion: round.paramsVersion,
      globalStep: draft.checkpoint.step,
      innerLrPpb: round.params.innerLrPpb,
      codec: round.params.codec,
    };
    round.work[member.worker] = {
      assignment,
      digest: digestOfJson(assignment),
      uploads: {},
      uploaded: 0,
      receipt: null,
    };
    // Each worker fetches θ_r once, in fp32.
    draft.traffic.down += 4 * parametersOf(draft.facts);
  }
}

function setDeadline(draft: StateDraft, round: NonNullable<StateDraft["current"]>, at: number): void {
  end(draft, timerKey.deadline(round.round, round.deadlines));
  round.deadlines += 1;
  round.deadline = at + round.params.roundDeadline * 1_000;
  round.overdue = false;
  const key = timerKey.deadline(round.round, round.deadlines);
  issue(draft, { kind: "setTimer", key, due: round.deadline });
}

/** Takes a worker's unfinished work back; its data returns to the ledger. */
export function dropWork(draft: StateDraft, worker: Address): void {
  const work = draft.current?.work[worker];
  if (!draft.current || !work || work.receipt) return;
  draft.ledger = castDraft(returnAssignment(draft.ledger, work.assignment.assignmentId));
  delete draft.current.work[worker];
}

function dropOutstanding(draft: StateDraft, round: Round): void {
  for (const { assignment } of outstandingOf(round)) dropWork(draft, assignment.worker);
}

function abandonRound(draft: StateDraft, round: NonNullable<StateDraft["current"]>): void {
  dropOutstanding(draft, round);
  endAll(draft, "setTimer", "setTimer/deadline/");
  draft.current = null;
}

function closeRound(draft: StateDraft, round: NonNullable<StateDraft["current"]>): void {
  dropOutstanding(draft, round);
  endAll(draft, "setTimer", "setTimer/deadline/");
  reduceAll(draft, round);
}

function reduceAll(draft: StateDraft, round: NonNullable<StateDraft["current"]>): void {
  for (const [fragment, sync] of round.syncs.entries()) {
    sync.status = "Closing";
    sync.shard = null;
    sync.outcomes = {};
    const key = `reduceSync/${round.round}/${fragment}/${round.pass}`;
    issue(draft, { kind: "reduceSync", key, round: round.round, fragment });
  }
}

export function onDeadline(draft: StateDraft): void {
  if (draft.current) draft.current.overdue = true;
}

export function onFragmentAccepted(draft: StateDraft, event: FragmentAccepted): void {
  const work = draft.current?.work[event.worker];
  if (!work) return;
  work.uploads[event.index] = { index: event.index, digest: event.digest, bytes: event.bytes };
  work.uploaded += 1;
  draft.traffic.up += event.bytes;
}

export function onReceiptAccepted(draft: StateDraft, event: ReceiptAccepted): void {
  const { receipt, signature, receiptHash, header, at } = event;
  const work = draft.current?.work[receipt.worker];
  if (!work) return;
  const { assignment } = work;
  const tokens = tokensOf(assignment);
  work.receipt = { receipt, signature, header, receiptHash, tokens, acceptedAt: at };
  draft.ledger = castDraft(consumeAssignment(draft.ledger, assignment).ledger);
  draft.totals[receipt.worker] = (draft.totals[receipt.worker] ?? 0) + tokens;
  // Synchronous data parallelism sends and receives the fp32 gradient at every inner step.
  draft.traffic.synchronous += assignment.steps * 2 * 4 * parametersOf(draft.facts);
}

export function onSyncReduced(draft: StateDraft, event: SyncReduced): void {
  const round = draft.current;
  const sync = round?.syncs[event.fragment];
  if (!round || !sync) return;
  sync.status = "Reduced";
  sync.shard = event.shard && { ...event.shard };
  sync.outcomes = { ...event.outcomes };
  if (!round.syncs.every(({ status }) => status === "Reduced")) return;
  const found = Object.assign({}, ...round.syncs.map(({ outcomes }) => outcomes)) as Record<Address, number>;
  if (Object.keys(found).length > 0) {
    // The aggregate is a function of one set of payloads: all fragments are reduced again without the unusable ones.
    round.excluded = { ...round.excluded, ...found };
    round.pass += 1;
    reduceAll(draft, round);
    return;
  }
  issue(draft, { kind: "storeCheckpoint", key: `storeCheckpoint/${round.round}`, round: round.round });
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

export function onCheckpointStored(draft: StateDraft, event: CheckpointStored): void {
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
    draft.outcomes[worker] = {
      round: round.round,
      receiptHash: receipt.receiptHash,
      outcome: outcomeOf(round, worker),
    };
  }
  for (const [worker, outcome] of Object.entries(draft.outcomes)) {
    const known = draft.members[worker as Address] !== undefined;
    if (!known && outcome.round + OUTCOMES_KEPT < round.round) delete draft.outcomes[worker as Address];
  }
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
  draft.current = null;
}

/** The parameters of a round as the SDK's functions take them. */
export const roundParams = (round: Pick<OpenRound, "params">): RunParams => runParamsFromWire(round.params);
