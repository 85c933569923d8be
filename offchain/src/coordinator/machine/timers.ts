/** What a run waits for a time for: which timers a state may be waiting for, and what follows when one's time has come. */
import { onDeadline } from "./dealing.ts";
import { keyOf, type Timer, type TimerFired } from "./effects.ts";
import { onAttestationDeadline, onEpochOver } from "./epochs.ts";
import type { StateDraft } from "./pending.ts";
import type { RunState } from "./state.ts";

interface TimerRow<T extends Timer> {
  /** Those that a state may be waiting for; a timer is known by its key among them. */
  readonly of: (state: RunState) => readonly T[];
  /** Whether the reports of those who are still at work are part of the decision. */
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

/** What a timer of this key is for; undefined where the state waits for none such. */
export const timerOf = (state: RunState, key: string): Timer | undefined =>
  Object.values(timers)
    .flatMap(({ of }): readonly Timer[] => of(state))
    .find((timer) => keyOf("setTimer", ...timer) === key);

const rowOf = (timer: Timer) => timers[timer[0]] as TimerRow<Timer>;

/** Whether the decision when this timer fires takes the reports of those who are at work. */
export function asksReports(state: RunState, key: string): boolean {
  const timer = timerOf(state, key);
  return timer !== undefined && rowOf(timer).asksReports;
}

export function onTimerFired(draft: StateDraft, event: TimerFired): void {
  const timer = timerOf(draft, event.key);
  if (timer) rowOf(timer).fired(draft, timer, event);
}
