/** The loop of assignments: ask for work, settle what became of the last, train and send, until told to stop or to leave. */
import { CoordinatorError } from "@cotrain/sdk/errors";
import type { Assignment, WorkReply } from "@cotrain/sdk/protocol";

import { fullJitter, pause } from "../base/index.ts";
import { checkAssignment } from "./checkAssignment.ts";
import { DEFAULT_CACHE_BYTES, type WorkerEnd, type WorkerOptions } from "./options.ts";
import type { Prepared } from "./prepare.ts";
import { AcknowledgementError, tokensOf } from "./receipt.ts";
import { workRound } from "./round.ts";
import { type SessionKeeper, SPENT } from "./session.ts";
import { askUnanswered, settle } from "./settling.ts";
import { DivergedError } from "./training.ts";
import { type RoundProgress, RoundClosed, type WorkState } from "./workState.ts";

/** How long one request for work may wait, s. */
const POLL_SECONDS = 20;
/** Refused assignments in a row after which going on is pointless. */
const MAX_REFUSALS = 5;
/** A coordinator that answers within this, ms, over and over is not asked in a tight loop. */
const AT_ONCE_MS = 200;

/** Works on assignment after assignment. @returns why there are no more */
export async function workOnAssignments(
  options: WorkerOptions,
  modules: Prepared,
  state: WorkState,
): Promise<Pick<WorkerEnd, "kind" | "reason">> {
  const { signal } = options;
  const { session, clock, onEvent } = modules;
  for (;;) {
    const askedAt = clock.monotonic();
    const reply = await nextWork(session, signal);
    if (reply === undefined) return { kind: "stopped", reason: "It was asked to stop." };
    if (reply.kind === "leave") {
      countLate(state, await askUnanswered(modules, signal, { untold: true }));
      return { kind: "dismissed", reason: reply.reason };
    }
    const reason = reply.kind === "wait" ? reply.reason : await takeUp(reply, options, modules, state);
    if (reason === undefined) continue;
    onEvent({ type: "waiting", reason });
    if (clock.monotonic() - askedAt < AT_ONCE_MS) {
      await pause(clock, fullJitter(0, modules.backoff, modules.random), signal);
    }
  }
}

/** The next work, undefined once the worker is to stop. */
async function nextWork(session: SessionKeeper, signal: AbortSignal): Promise<WorkReply | undefined> {
  try {
    if (signal.aborted) return undefined;
    return await session.call("work", (current) => current.work({ waitSeconds: POLL_SECONDS }, signal), signal);
  } catch (error) {
    if (signal.aborted) return undefined;
    // A finished run refuses the join of who is no member any more, and so does an ended lease: ends like being told to leave.
    if (error instanceof CoordinatorError && ["RUN_FINISHED", "LEASE_ENDED"].includes(error.code))
      return { kind: "leave", reason: error.message };
    throw error;
  }
}

const isSame = (a: Assignment, b: Assignment | undefined): boolean =>
  b !== undefined && a.assignmentId === b.assignmentId && a.attempt === b.attempt;

/** Counts what was acknowledged only now. @param late tokens of each */
function countLate({ tally }: WorkState, late: readonly number[]): void {
  tally.rounds += late.length;
  tally.tokens += late.reduce((sum, tokens) => sum + tokens, 0);
}

/** Settles the last round by what comes with an assignment, and works on it. @returns why it does not, undefined once it has */
async function takeUp(
  reply: Extract<WorkReply, { kind: "train" }>,
  options: WorkerOptions,
  modules: Prepared,
  state: WorkState,
): Promise<string | undefined> {
  const { assignment } = reply;
  if (isSame(assignment, state.last)) return "The round goes on without this worker.";
  const { residual: settled, late } = await settle(reply, state.residuals, modules, options.signal);
  countLate(state, late);
  if (settled === "advanced") state.carried = state.last?.round;
  const barred = await modules.whyBarred();
  if (barred !== undefined) return barred;
  const params = await modules.paramsOf(assignment.paramsVersion);
  if (!params) return `The coordinator does not tell the parameters ${assignment.paramsVersion} of its work.`;
  checkAssignment(assignment, { ...modules, params });
  const { round, assignmentId, attempt, steps } = assignment;
  const residual = (await forgetLost(assignment, modules, state)) ? "reset" : settled;
  modules.onEvent({ type: "assigned", round, assignmentId, attempt, steps, tokens: tokensOf(assignment), residual });
  await workOn(assignment, options, modules, state);
  await modules.artefacts.trim(options.cacheBytes ?? DEFAULT_CACHE_BYTES);
  return undefined;
}

/**
 * A round that was in the aggregate comes again where the run was taken back behind it: then nothing of it is left here.
 * @returns whether that is so
 */
async function forgetLost({ round }: Assignment, { trainer }: Prepared, state: WorkState): Promise<boolean> {
  if (state.carried === undefined || round > state.carried) return false;
  await trainer.reset();
  state.residuals.reset();
  state.carried = undefined;
  return true;
}

/** One round, which a request to stop, a heartbeat's answer or a refusal may end early. */
async function workOn(
  assignment: Assignment,
  options: WorkerOptions,
  modules: Prepared,
  state: WorkState,
): Promise<void> {
  const controller = new AbortController();
  const stopping = stopRoundOn(options, state.progress, controller);
  state.current = { assignment, closed: (reason) => controller.abort(reason), times: undefined };
  state.last = assignment;
  try {
    const done = await workRound(assignment, modules, state, controller.signal);
    state.tally.rounds += 1;
    state.tally.tokens += tokensOf(done);
    state.refusals = 0;
  } catch (error) {
    const drop = dropOf(error, controller.signal, state.residuals.pending !== undefined);
    if (!drop) throw error;
    if (error instanceof DivergedError) {
      await modules.trainer.reset();
      state.residuals.reset();
    }
    const { round, assignmentId } = assignment;
    modules.onEvent({ type: "dropped", round, assignmentId, code: drop.code, reason: drop.message });
    state.refusals = drop.stale ? 0 : state.refusals + 1;
    if (state.refusals >= MAX_REFUSALS) throw error;
  } finally {
    stopping.end();
    // What is still under way of a round that failed ends with it: an upload that goes on would join anew.
    controller.abort(new RoundClosed("ROUND_OVER", "The round is over for this worker."));
    state.current = undefined;
    Object.assign(state.progress, { round: null, step: 0, uploading: false });
    state.idleSince = modules.clock.monotonic();
  }
}

/** What a request to stop does to a round: abandoned while it trains, given some time when only sending is left. */
function stopRoundOn(
  { signal, grace = 5_000 }: WorkerOptions,
  progress: RoundProgress,
  controller: AbortController,
): { end(): void } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const abandon = (): void => controller.abort(signal.reason);
  const stop = (): void => {
    if (!progress.uploading) abandon();
    else timer = setTimeout(abandon, grace);
  };
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  return {
    end: () => {
      signal.removeEventListener("abort", stop);
      clearTimeout(timer);
    },
  };
}

/** How a failed round is dropped, undefined for what ends the worker. `stale`: the round went on, nothing is wrong here. */
function dropOf(
  error: unknown,
  signal: AbortSignal,
  sent: boolean,
): { code: string; message: string; stale: boolean } | undefined {
  if (error instanceof AcknowledgementError) return undefined;
  if (signal.aborted) {
    const { reason } = signal as { reason: unknown };
    if (sent) {
      const message =
        "The answer to its receipt had not come yet: it is asked for again with the next work, or when the run is over.";
      return { code: "UNANSWERED", message, stale: true };
    }
    if (reason instanceof RoundClosed) return { code: reason.code, message: reason.message, stale: true };
    return { code: "ABANDONED", message: "The worker was asked to stop.", stale: true };
  }
  if (error instanceof DivergedError) return { code: error.code, message: error.message, stale: false };
  if (!(error instanceof CoordinatorError)) return undefined;
  // Wrong bytes are a matter of trust, and an answer of something else than a coordinator a matter of configuration.
  if (["BLOB_MISMATCH", "NOT_A_COORDINATOR"].includes(error.code)) return undefined;
  const stale = [404, 409, 410].includes(error.status) || SPENT.has(error.code);
  return { code: error.code, message: error.message, stale };
}
