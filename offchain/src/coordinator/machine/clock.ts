/**
 * Time in a run: people read the wall clock's time, and a monotonic clock measures what a run waits for. When the two part (the
 * wall clock was set, or the coordinator was down), everything that is waited for moves with the wall clock, so that it stays
 * exactly as far away as before.
 */
import type { ClockStepped, Decisions } from "./events.ts";
import type { StateDraft } from "./pending.ts";

function onClockStepped(draft: StateDraft, { at, was }: ClockStepped): void {
  const shift = at - was;
  /** What is waited for stays as far away as before; what was over stays over, also when the clock was set back. */
  const moved = (time: number): number => (time > was ? time + shift : Math.min(time, at));
  for (const pending of Object.values(draft.pending)) {
    pending.notBefore = moved(pending.notBefore);
    if (pending.effect.kind === "setTimer" && pending.effect.clock === "run") pending.effect.due += shift;
  }
  for (const member of Object.values(draft.members)) {
    member.benchedUntil = moved(member.benchedUntil);
    // What has happened does not lie in the future, even if it was written down while the clock was ahead.
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
  // Spans are measured from these: nobody is blamed for time that passed while the coordinator was down.
  current.openedAt += shift;
  current.deadline += shift;
  current.latest += shift;
  if (current.newcomers !== null) current.newcomers += shift;
  // A receipt's time of acceptance stays as it is: a signed acknowledgement contains it.
  for (const work of Object.values(current.work)) {
    work.dealtAt += shift;
    work.begunAt += shift;
    work.partFrom += shift;
  }
}

export const clockDecisions = { ClockStepped: onClockStepped } satisfies Partial<Decisions>;
