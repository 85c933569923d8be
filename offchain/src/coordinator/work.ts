/** The long poll for work: answered as soon as there is an assignment, or when the wait is over. */
import { type Address, innerStepsOf, runParamsFromWire, type WorkReply } from "@cotrain/sdk/protocol";

import { formatDuration, roundNumber } from "../base/index.ts";
import { isCollecting, restsIn } from "./machine/dealing.ts";
import type { RunState } from "./machine/state.ts";
import { isOver, type Run } from "./run.ts";

const OVER: WorkReply = { kind: "leave", reason: "The run is finished." };

const LEAVING: WorkReply = { kind: "leave", reason: "Its lease was ended, and its work is in." };

/** The assignment that this worker should be working on, or that it should go. */
function workOf(state: RunState, worker: Address): WorkReply | undefined {
  if (state.phase === "Finished") return OVER;
  const { current } = state;
  const work = current?.work[worker];
  if (!current || !work || work.receipt || !isCollecting(current))
    return state.members[worker]?.leaving ? LEAVING : undefined;
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
      return "The run is paused, and goes on by itself once its organiser lets it: npm start does. Whoever stays is given work then.";
    case "Waiting":
      return `The run waits for ${Math.max(1, state.params.minWorkers)} workers; ${Object.keys(state.members).length} are here.`;
    default:
      return state.current?.work[worker]
        ? `Round ${roundNumber(state.round)} waits for the others.`
        : (benchReason(state, worker) ??
            restReason(state, worker) ??
            `Round ${roundNumber(state.round)} is on; work is given out when the next one opens.`);
  }
}

/** Why a member gets no work that lately was waited for in vain. */
function benchReason({ at, members }: RunState, worker: Address): string | undefined {
  const { misses, benchedUntil } = members[worker] ?? { misses: 0, benchedUntil: 0 };
  if (benchedUntil <= at) return undefined;
  const rest = formatDuration(benchedUntil - at);
  return `This machine delivered nothing in time ${misses} times in a row. It gets work again in some ${rest}, or before where others are lacking.`;
}

/** Why a member gets no work in rounds that it could only hold up. */
function restReason(state: RunState, worker: Address): string | undefined {
  const { current, round } = state;
  const member = state.members[worker];
  const params = current?.params ?? state.params;
  const innerSteps = current?.innerSteps ?? innerStepsOf(runParamsFromWire(params), round);
  // Who waits while a round is on is not in that one.
  const due = { round: current ? round + 1 : round, innerSteps, params };
  const { rest, next } = member ? restsIn(state, due)(member) : { rest: 0, next: 0 };
  if (rest === 0) return undefined;
  return `One inner step takes this machine longer than the others need for a round. So that they need not wait, it works in one of ${rest + 1} rounds, next in round ${roundNumber(next)}.`;
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
        finish(isOver(run) ? OVER : { kind: "wait", reason: "The membership ended: join again." });
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
