/**
 * Time in a run: what people read is the wall clock's, what a run waits for is measured by a clock that no one sets. When the
 * two part (the wall clock was set, or the coordinator was down), everything that is waited for moves with the wall clock, so
 * that it is exactly as far away as before.
 */
import type { ClockStepped, Decisions } from "./events.ts";
import type { StateDraft } from "./pending.ts";

function onClockStepped(draft: StateDraft, { at, was }: ClockStepped): void {
  const shift = at - was;
  /** What is waited for is as far away as before; what was over stays over, where the clock was set back too. */
  const moved = (time: number): number => (time > was ? time + shift : Math.min(time, at));
  for (const pending of Object.values(draft.pending)) {
    pending.notBefore = moved(pending.notBefore);
    if (pending.effect.kind === "setTimer" && pending.effect.clock === "run") pending.effect.due += shift;
  }
  for (const member of Object.values(draft.members)) {
    member.benchedUntil = moved(member.benchedUntil);
    // What has happened does not lie in the future, also where it was written down while the clock was ahead.
    member.joinedAt = Math.min(member.joinedAt, at);
  }
  for (const absence of Object.values(draft.absent)) {
    absence.benchedUntil = moved(absence.benchedUntil);
    absence.keptUntil = moved(absence.keptUntil);
  }
  for (const summary of draft.recent) {
    const ahead = Math.max(0, summary.durableAt - at);
    summary.openedAt -= ahead;
    summary.durableAt -= ahead;
  }
  const { current } = draft;
  if (!current) return;
  // Spans are measured from these: what was trained while the coordinator was down is not held against anybody.
  current.openedAt += shift;
  current.deadline += shift;
  current.latest += shift;
  if (current.newcomers !== null) current.newcomers += shift;
  // When a receipt was accepted stays as it is: it stands in an acknowledgement that was signed.
  for (const work of Object.values(current.work)) work.dealtAt += shift;
}

export const clockDecisions = { ClockStepped: onClockStepped } satisfies Partial<Decisions>;
