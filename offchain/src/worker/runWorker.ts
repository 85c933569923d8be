/** The worker's life: find the run, prepare, join, work on assignment after assignment, leave. */
import { InternalError } from "../base/index.ts";
import { workOnAssignments } from "./assignments.ts";
import { keepBeating } from "./heartbeats.ts";
import { leave } from "./leaving.ts";
import type { WorkerEnd, WorkerModules, WorkerOptions } from "./options.ts";
import { type Prepared, prepare } from "./prepare.ts";
import { createWorkState } from "./workState.ts";

/**
 * Runs a worker until its signal is aborted or the coordinator dismisses it.
 * @returns why it ended
 * @throws CotrainError retryable (exit 75) when the coordinator stays away at the start; UserError and CoordinatorError
 *   (exit 1) for what it or the user must correct; InternalError (exit 70)
 */
export async function runWorker(options: WorkerOptions, modules: WorkerModules): Promise<WorkerEnd> {
  await using cleanup = new AsyncDisposableStack();
  let prepared: Prepared;
  try {
    prepared = await prepare(options, modules, cleanup);
  } catch (error) {
    if (!options.signal.aborted || error instanceof InternalError) throw error;
    return { kind: "stopped", reason: "It was stopped before it had joined.", rounds: 0, tokens: 0 };
  }
  // Awaited here, so that the trainer and the journal are closed after the work and not before.
  return await work(options, prepared);
}

/** The loop of assignments, beside the loop of heartbeats. */
async function work(options: WorkerOptions, modules: Prepared): Promise<WorkerEnd> {
  const state = createWorkState(modules);
  const ended = new AbortController();
  const heartbeats = keepBeating(modules, state, ended.signal);
  try {
    const { kind, reason } = await workOnAssignments(options, modules, state);
    modules.onEvent({ type: "left", reason });
    return { kind, reason, ...state.tally };
  } finally {
    ended.abort();
    await heartbeats;
    await leave(modules.session);
  }
}
