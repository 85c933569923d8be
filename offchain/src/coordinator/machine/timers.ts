/** Timers: which ones a state may be waiting for, and what follows when one fires. */
import { onDeadline } from "./dealing.ts";
import { keyOf, type Timer, type TimerFired } from "./effects.ts";
import { onAttestationDeadline, onEpochOver } from "./epochs.ts";
import type { StateDraft } from "./pending.ts";
import type { RunState } from "./state.ts";

interface TimerRow<T extends Timer> {
  /** Those that a state may be waiting for; a key identifies one of them. */
  readonly of: (state: RunState) => readonly T[];
  /** Whether the decision takes the reports of members that are still at work. */
  readonly asksReports: boolean;
  readonly fired: (draft: StateDraft, timer: T, event: TimerFired) => void;
}

const timers: { readonly [K in Timer[0]]: TimerRow<Extract<Timer, readonly [K, ...unknown[]]>> } = {
  deadline: {
    of: ({ current }) => (current ? [["deadline", current.round, current.deadlines]] : []),
    asksReports: true,
    fired: (draft, _timer, event) => onDeadline(draft, event),
  },
  epoch: {
    of: ({ openEpochs }) => Object.keys(openEpochs).map((epoch) => ["epoch", Number(epoch)]),
    asksReports: false,
    fired: (draft, [, epoch], { at }) => onEpochOver(draft, epoch, at),
  },
  attestation: {
    of: ({ epochs }) =>
      epochs.filter(({ state }) => state === "collecting").map(({ epoch, pass }) => ["attestation", epoch, pass]),
    asksReports: false,
    fired: (draft, [, epoch, pass], { at }) => onAttestationDeadline(draft, epoch, pass, at),
  },
};

/** The timer with this key; undefined if the state does not wait for it. */
export const timerOf = (state: RunState, key: string): Timer | undefined =>
  Object.values(timers)
    .flatMap(({ of }): readonly Timer[] => of(state))
    .find((timer) => keyOf("setTimer", ...timer) === key);

const rowOf = (timer: Timer) => timers[timer[0]] as TimerRow<Timer>;

/** Whether the decision when this timer fires takes the reports of members that are at work. */
export function asksReports(state: RunState, key: string): boolean {
  const timer = timerOf(state, key);
  return timer !== undefined && rowOf(timer).asksReports;
}

export function onTimerFired(draft: StateDraft, event: TimerFired): void {
  const timer = timerOf(draft, event.key);
  if (timer) rowOf(timer).fired(draft, timer, event);
}
