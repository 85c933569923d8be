/** The effect that a timer is: what is known when its time has come. */
import type { EffectContext } from "./effectRunner.ts";
import type { EffectOf, TimerFired } from "./machine/effects.ts";
import type { Unstamped } from "./machine/events.ts";
import { asksReports } from "./machine/timers.ts";
import type { Run } from "./run.ts";

export async function setTimer(
  run: Run,
  { key }: EffectOf<"setTimer">,
  { state }: EffectContext,
): Promise<Unstamped<TimerFired>> {
  const fired = { type: "TimerFired", key } as const;
  return asksReports(state, key) ? { ...fired, reports: run.presence.reports() } : fired;
}
