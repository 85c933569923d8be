/** Held-out loss of checkpoints as the validators signed it. */
import { verdictKind } from "@cotrain/sdk/protocol";

import type { HeldOut, RunState } from "./state.ts";

const lowerMedian = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
};

/** The lower median of the LOSS verdicts about the oldest or newest head that has any. */
export function heldOutOf(state: Pick<RunState, "heads" | "verdicts">, which: "first" | "newest"): HeldOut | null {
  const values = new Map<string, number[]>();
  for (const { verdict } of Object.values(state.verdicts)) {
    if (verdict.kind !== verdictKind.loss) continue;
    values.set(verdict.head, [...(values.get(verdict.head) ?? []), Number(verdict.value)]);
  }
  const measured = state.heads.filter(({ head }) => values.has(head));
  const entry = which === "first" ? measured[0] : measured.at(-1);
  return entry ? { round: entry.round, microBitsPerByte: lowerMedian(values.get(entry.head) ?? []) } : null;
}
