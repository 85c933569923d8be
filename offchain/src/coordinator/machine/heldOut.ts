/** Held-out loss of checkpoints as the validators signed it. */
import { verdictKind } from "@cotrain/sdk/protocol";

import type { HeldOut, RunState } from "./state.ts";

const lowerMedian = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
};

/**
 * The lower median of the LOSS verdicts about the oldest or newest head that has any; of a head's verdicts those count that
 * measured the most sequences (a verdict's index says how many).
 */
export function heldOutOf(state: Pick<RunState, "heads" | "verdicts">, which: "first" | "newest"): HeldOut | null {
  const measurements = new Map<string, { sequences: number; values: number[] }>();
  for (const { verdict } of Object.values(state.verdicts)) {
    if (verdict.kind !== verdictKind.loss) continue;
    const best = measurements.get(verdict.head);
    if (best && best.sequences > verdict.index) continue;
    const values = best?.sequences === verdict.index ? best.values : [];
    measurements.set(verdict.head, { sequences: verdict.index, values: [...values, Number(verdict.value)] });
  }
  const measured = state.heads.filter(({ head }) => measurements.has(head));
  const entry = which === "first" ? measured[0] : measured.at(-1);
  const found = entry && measurements.get(entry.head);
  return entry && found
    ? { round: entry.round, microBitsPerByte: lowerMedian(found.values), sequences: found.sequences }
    : null;
}
