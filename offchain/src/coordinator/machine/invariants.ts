/** What must hold after every event: the coordinator checks it before an event is written, the simulator too. */
import type { Address } from "@cotrain/sdk/protocol";

import { balanceOf } from "../../data/index.ts";
import { type EffectKind, keyOf } from "./effects.ts";
import { fragmentCount, type OpenRound, type RunState } from "./state.ts";
import { candidates, expectedOf, GRACE_MS, isCollecting, minimumOf, outstandingOf, receiptsOf } from "./dealing.ts";
import { MAX_STRETCH } from "./pace.ts";

const isPaused = ({ pausedBy }: RunState): boolean => pausedBy.operator || pausedBy.chain;

/** When the state's events happened; not when receipts were accepted, which is signed and stays when the clock is set back. */
function momentsOf({ members, recent, current }: RunState): number[] {
  return [
    ...Object.values(members).map(({ joinedAt }) => joinedAt),
    ...recent.flatMap(({ openedAt, durableAt }) => [openedAt, durableAt]),
    ...(current ? [current.openedAt] : []),
    ...Object.values(current?.work ?? {}).flatMap(({ dealtAt, begunAt }) => [dealtAt, begunAt]),
  ];
}

const countedOf = ({ totals }: RunState): number => Object.values(totals).reduce((sum, tokens) => sum + tokens, 0);

/** Checks what must hold; the sentence says what is broken if it does not. */
type Assert = (holds: boolean, sentence: string) => void;

const pendingOf = (state: RunState, kind: EffectKind) =>
  Object.values(state.pending).filter(({ effect }) => effect.kind === kind);
const countOf = (state: RunState, kind: EffectKind): number => pendingOf(state, kind).length;

/** Sentences about what is broken; empty when all is well. */
export function violationsOf(state: RunState, before: RunState | null = null): string[] {
  const found: string[] = [];
  const claim: Assert = (holds, sentence) => {
    if (!holds) found.push(sentence);
  };
  claimTogether(claim, state);
  if (before) claimProgress(claim, state, before);
  for (const [key, pending] of Object.entries(state.pending)) {
    claim(pending.effect.key === key, `pending ${key} has its own key`);
  }
  if (state.current) {
    claimRound(claim, state, state.current);
    claimClosing(claim, state, state.current);
    claimDeadlines(claim, state, state.current);
    claimWork(claim, state, state.current, before);
  } else {
    claim(
      (["screenRound", "reduceSync", "gateRound", "storeCheckpoint"] as const).every(
        (kind) => countOf(state, kind) === 0,
      ),
      "nothing is reduced between rounds",
    );
  }
  claim(state.phase !== "Training" || state.current !== null, "training has a round");
  claim(state.phase !== "Waiting" || state.current === null, "waiting has none");
  claimLedger(claim, state);
  claimHeads(claim, state);
  claimEpochs(claim, state);
  return found;
}

function claimTogether(claim: Assert, state: RunState): void {
  claim(state.round === state.checkpoint.round, "the next round follows the newest checkpoint");
  claim(
    momentsOf(state).every((time) => time <= state.at),
    "nothing that happened lies in the future",
  );
  claim(
    Object.keys(state.absent).every((worker) => state.members[worker as Address] === undefined),
    "who is a member is not absent",
  );
}

/** From one state to the next. */
function claimProgress(claim: Assert, state: RunState, before: RunState): void {
  const wentBack = state.rollbacks !== before.rollbacks;
  claim(
    state.round === before.round || state.round === before.round + 1 || (wentBack && state.round < before.round),
    "rounds go up by one, and back by a rollback alone",
  );
  const trained = state.checkpoint.tokens - before.checkpoint.tokens;
  claim(trained >= 0 || wentBack, "trained tokens do not fall");
  claim(countedOf(state) - countedOf(before) === trained, "the workers' tokens add up to the checkpoint's");
  claim(
    state.settledEpoch >= before.settledEpoch || state.reverts > before.reverts,
    "settled epochs fall only by a reorg",
  );
  const closed = before.current && isCollecting(before.current) && state.current && !isCollecting(state.current);
  claim(
    !closed || state.finished || receiptsOf(state.current).length >= Math.max(1, state.current.params.minWorkers),
    "a round closes with enough receipts",
  );
  const stays = state.round === before.round && !wentBack;
  const lost = before.current && stays ? receiptsOf(before.current) : [];
  claim(
    lost.every(
      ({ receipt }) => state.current?.work[receipt!.receipt.worker]?.receipt?.receiptHash === receipt!.receiptHash,
    ),
    "an acknowledged receipt stays in its round",
  );
}

function claimRound(claim: Assert, state: RunState, current: OpenRound): void {
  const collecting = isCollecting(current);
  claim(current.round === state.round, "the open round is the next one");
  claim(current.base === state.checkpoint.digest, "a round starts from the newest checkpoint");
  claim(current.syncs.length === fragmentCount(state), "every fragment has a sync");
  claim(collecting || outstandingOf(current).length === 0, "a closed round waits for nobody");
  claim(collecting || receiptsOf(current).length > 0, "a closed round has a receipt");
  claim(!collecting || Object.keys(current.work).length > 0, "a round that collects gave out work");
  const short = collecting && state.phase === "Training" && !state.finished && !isPaused(state);
  const lacking = minimumOf(current.params) - expectedOf(state, current);
  const room = current.params.maxWorkers - Object.keys(current.work).length;
  claim(
    !short || lacking <= 0 || room <= 0 || candidates(state, current, 0, state.at).length === 0,
    "who is ready has work while a round is short of workers",
  );
}

function claimClosing(claim: Assert, state: RunState, current: OpenRound): void {
  const collecting = isCollecting(current);
  const statuses = current.syncs.map(({ status }) => status);
  const reducing = statuses.filter((status) => status === "Closing").length;
  const screened = current.record !== null;
  const reduced = statuses.every((status) => status === "Reduced");
  claim(countOf(state, "screenRound") === (collecting || screened ? 0 : 1), "what is closing is being screened");
  claim(countOf(state, "reduceSync") === (screened ? reducing : 0), "what is screened is being reduced");
  const gating = reduced && current.screening === null;
  claim(countOf(state, "gateRound") === (gating ? 1 : 0), "what is reduced is at the gate");
  claim(countOf(state, "storeCheckpoint") === (reduced && !gating ? 1 : 0), "what stands is being stored");
}

function claimDeadlines(claim: Assert, state: RunState, current: OpenRound): void {
  const collecting = isCollecting(current);
  const timer = state.pending[keyOf("setTimer", "deadline", current.round, current.deadlines)];
  const out = outstandingOf(current);
  claim((timer !== undefined) === (collecting && out.length > 0), "whoever is waited for has a deadline");
  const limit = MAX_STRETCH * current.params.roundDeadline * 1_000;
  claim(
    out.every(({ dealtAt }) => dealtAt <= state.at) &&
      current.deadline <= Math.max(current.latest, state.at) + GRACE_MS,
    "a deadline is not moved beyond its bound",
  );
  claim(current.latest <= state.at + limit, "nobody is waited for longer than the holders allow");
  const newcomers = out.length > 0 && out.every(({ assignment }) => !state.members[assignment.worker]?.measured);
  claim(
    !collecting ||
      !newcomers ||
      current.newcomers === null ||
      current.deadline <= Math.max(current.newcomers, state.at),
    "who never delivered is waited for no longer than the others need",
  );
}

function claimWork(claim: Assert, state: RunState, current: OpenRound, before: RunState | null): void {
  const kept = Object.keys(current.work).some(
    (worker) => before?.current?.work[worker as Address]?.digest === current.work[worker as Address]?.digest,
  );
  claim(!kept || current.params === before?.current?.params, "the parameters of an open round stay");
  claim(
    Object.values(current.work).every(({ assignment }) => assignment.paramsVersion === current.paramsVersion),
    "work is given out under the round's parameters",
  );
  const ids = Object.values(current.work).map(({ assignment }) => assignment.assignmentId);
  claim(new Set(ids).size === ids.length, "assignments of a round differ");
  for (const [worker, work] of Object.entries(current.work)) {
    claim(work.assignment.worker === worker, `work of ${worker} is its own`);
    claim(work.receipt !== null || state.members[worker as Address] !== undefined, `${worker} works as a member`);
    claim(
      work.receipt === null || work.receipt.receipt.assignment === work.digest,
      `${worker}'s receipt names its assignment`,
    );
  }
  claim(
    receiptsOf(current).every(({ receipt }) => receipt!.header.fragments.length === fragmentCount(state)),
    "receipts list every fragment",
  );
}

function claimLedger(claim: Assert, state: RunState): void {
  try {
    balanceOf(state.ledger);
  } catch (error) {
    claim(false, `the ledger balances (${String(error)})`);
  }
  const out = new Map(state.ledger.open.map(({ assignmentId, attempt }) => [assignmentId, attempt]));
  const expected = state.current ? outstandingOf(state.current) : [];
  claim(out.size === expected.length, "what is out in the ledger is being worked on");
  for (const { assignment } of expected) {
    claim(out.get(assignment.assignmentId) === assignment.attempt, `assignment ${assignment.assignmentId} is out`);
  }
}

function claimHeads(claim: Assert, state: RunState): void {
  const { heads } = state;
  claim(heads.at(-1)?.checkpoint === state.checkpoint.digest, "the newest head holds the newest checkpoint");
  for (const [i, entry] of heads.entries()) {
    const previous = heads[i - 1];
    if (!previous) continue;
    claim(entry.sequence === previous.sequence + 1 && entry.parentHead === previous.head, "heads form a chain");
    const isBack = entry.given === true && entry.round <= previous.round;
    claim(entry.round === previous.round + 1 || isBack, "heads go up by one round, and back by a rollback alone");
    claim(previous.anchor !== null || entry.anchor === null, "heads are anchored in order");
  }
  const anchoring = pendingOf(state, "anchorHead");
  const next = heads.find(({ anchor }) => anchor === null);
  claim(anchoring.length === (next ? 1 : 0), "one head at a time is posted");
  claim(
    !next || anchoring.every(({ effect }) => effect.kind === "anchorHead" && effect.sequence === next.sequence),
    "the oldest head is posted first",
  );
}

function claimEpochs(claim: Assert, state: RunState): void {
  const progress = state.epochs.filter(({ state: at }) => at === "computing" || at === "collecting" || at === "posted");
  claim(progress.length <= 1, "one epoch is in progress at a time");
  const record = progress[0];
  claim(countOf(state, "computeEpoch") === (record?.state === "computing" ? 1 : 0), "computing has its effect");
  claim(countOf(state, "activateRoot") === (record?.state === "posted" ? 1 : 0), "a posted root is being activated");
  const signed =
    record?.state === "collecting" && record.computed !== null && record.signatures.length >= record.computed.threshold;
  claim(countOf(state, "postRoot") === (signed ? 1 : 0), "a signed root is being posted");
  claim(!record || record.epoch > state.settledEpoch, "settled epochs are not settled again");
  claim(
    Object.keys(state.openEpochs).every((epoch) => Number(epoch) > state.settledEpoch),
    "open epochs are not settled",
  );
  const signers = record?.signatures.map(({ validator }) => validator) ?? [];
  claim(new Set(signers).size === signers.length, "each validator signs once");
}
