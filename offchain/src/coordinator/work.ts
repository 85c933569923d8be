/** The long poll for work: answered as soon as there is an assignment, or when the wait is over. */
import type { Address, WorkReply } from "@cotrain/sdk/protocol";

import { roundNumber } from "../base/index.ts";
import { isCollecting } from "./machine/dealing.ts";
import type { RunState } from "./machine/state.ts";
import type { Run } from "./run.ts";

/** The assignment that this worker should be working on, or that it should go. */
function workOf(state: RunState, worker: Address): WorkReply | undefined {
  if (state.phase === "Finished") return { kind: "leave", reason: "The run is finished." };
  const { current } = state;
  const work = current?.work[worker];
  if (!current || !work || work.receipt || !isCollecting(current)) return undefined;
  const lastOutcome = state.outcomes[worker];
  return {
    kind: "train",
    assignment: work.assignment,
    deadline: current.deadline,
    lastOutcome: lastOutcome ? { ...lastOutcome } : null,
  };
}

function reasonOf(state: RunState, worker: Address): string {
  switch (state.phase) {
    case "Paused":
      return "The run is paused.";
    case "Waiting":
      return `The run waits for ${Math.max(1, state.params.minWorkers)} workers; ${Object.keys(state.members).length} are here.`;
    default:
      return state.current?.work[worker]
        ? `Round ${roundNumber(state.round)} waits for the others.`
        : `Round ${roundNumber(state.round)} is on; work is given out when the next one opens.`;
  }
}

/** @param signal aborted when the asker is gone or the coordinator ends */
export function awaitWork(run: Run, worker: Address, waitMs: number, signal: AbortSignal): Promise<WorkReply> {
  const { driver, modules } = run;
  return new Promise((resolve) => {
    const finish = (reply: WorkReply): void => {
      unsubscribe();
      timer.abort();
      signal.removeEventListener("abort", onAbort);
      resolve(reply);
    };
    const look = (): boolean => {
      if (!driver.state.members[worker]) {
        finish({ kind: "wait", reason: "The membership ended: join again." });
        return true;
      }
      const reply = workOf(driver.state, worker);
      if (reply) finish(reply);
      return reply !== undefined;
    };
    const timer = new AbortController();
    const giveUp = (): void => finish({ kind: "wait", reason: reasonOf(driver.state, worker) });
    const onAbort = giveUp;
    const unsubscribe = driver.onChange(() => void look());
    if (look()) return;
    if (waitMs <= 0 || signal.aborted) return giveUp();
    signal.addEventListener("abort", onAbort, { once: true });
    modules.clock.sleep(waitMs, timer.signal).then(giveUp, () => undefined);
  });
}
