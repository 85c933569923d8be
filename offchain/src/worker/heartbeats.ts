/** Tells the coordinator every few seconds that the worker lives and how far it is, and hears what is not due any more. */
import type { Assignment, Heartbeat, HeartbeatReply } from "@cotrain/sdk/protocol";

import { type Clock, pause, roundNumber } from "../base/index.ts";
import { retryEvent, type WorkerEvent } from "./events.ts";
import type { SessionKeeper } from "./session.ts";
import { lossOf } from "./trainingLoss.ts";
import { type RoundProgress, RoundClosed, type WorkState } from "./workState.ts";

interface HeartbeatModules {
  readonly session: SessionKeeper;
  readonly clock: Clock;
  readonly onEvent: (event: WorkerEvent) => void;
}

/** Beats until the signal is aborted. */
export async function keepBeating(
  { session, clock, onEvent }: HeartbeatModules,
  state: WorkState,
  signal: AbortSignal,
): Promise<void> {
  let failing = false;
  while (!signal.aborted) {
    await pause(clock, (session.heartbeatSeconds ?? 1) * 1_000, signal);
    if (signal.aborted) return;
    if (session.heartbeatSeconds === undefined) continue;
    const { newest, ...progress } = state.progress;
    const beat: Heartbeat = { ...progress, ...lossOf(newest) };
    const asked = state.current;
    try {
      const reply = await session.once((current) => current.heartbeat(beat), signal);
      failing = false;
      // What the coordinator said before this work was given out says nothing about it.
      if (!asked || asked !== state.current) continue;
      const over = supersededBy(reply, asked.assignment, state.progress);
      if (over) asked.closed(over);
      const { left, partIn } = reply.work ?? {};
      const now = clock.monotonic();
      asked.times =
        typeof left === "number" && typeof partIn === "number"
          ? { dueAt: now + left, partAt: now + partIn }
          : undefined;
    } catch (error) {
      // One word at the beginning of a silence, not one per second of it.
      const waitMs = session.heartbeatSeconds * 1_000;
      if (!signal.aborted && !failing) onEvent(retryEvent("heartbeat", error, waitMs, waitMs));
      failing = true;
    }
  }
}

/** Why work is over by what the coordinator says, undefined while it is due. */
function supersededBy(
  { round, work }: HeartbeatReply,
  { round: mine, assignmentId, attempt }: Assignment,
  { uploading }: RoundProgress,
): RoundClosed | undefined {
  if (round > mine)
    return new RoundClosed("ROUND_CLOSED", `Round ${roundNumber(mine)} closed while this worker was in it.`);
  // What is being sent is refused, or taken, by the one who gets it.
  if (uploading || (work?.assignmentId === assignmentId && work.attempt === attempt)) return undefined;
  return new RoundClosed("SUPERSEDED", `Assignment ${assignmentId}, attempt ${attempt}, is not due any more.`);
}
