/** Held-out loss of checkpoints, as the validators signed it. */
import { type Address, asHead, measuringOrder, verdictKind } from "@cotrain/sdk/protocol";

import type { HeldOut, RunState } from "./state.ts";

interface Measurement {
  readonly validator: Address;
  readonly microBitsPerByte: number;
  readonly sequences: number;
}

/** The lower median. Two have no middle: the first in the head's measuring order is shown, since nobody could overtake it. */
function middleOf(head: string, measurements: readonly Measurement[]): Measurement | undefined {
  if (measurements.length === 2) {
    const [first] = measuringOrder(
      asHead(head),
      measurements.map(({ validator }) => validator),
    );
    return measurements.find(({ validator }) => validator === first);
  }
  const sorted = measurements.toSorted((a, b) => a.microBitsPerByte - b.microBitsPerByte);
  return sorted[Math.floor((sorted.length - 1) / 2)];
}

/**
 * The middle one of the LOSS verdicts about the oldest or newest head that has any. Each validator is one voice, by the largest
 * sample that it measured (a verdict's index says how many sequences).
 */
export function heldOutOf(state: Pick<RunState, "heads" | "verdicts">, which: "first" | "newest"): HeldOut | null {
  const byHead = new Map<string, Map<Address, Measurement>>();
  for (const { verdict } of Object.values(state.verdicts)) {
    if (verdict.kind !== verdictKind.loss) continue;
    const { head, validator, index: sequences } = verdict;
    const ofHead = byHead.get(head) ?? new Map<Address, Measurement>();
    byHead.set(head, ofHead);
    if ((ofHead.get(validator)?.sequences ?? 0) >= sequences) continue;
    ofHead.set(validator, { validator, microBitsPerByte: Number(verdict.value), sequences });
  }
  const measured = state.heads.filter(({ head, rolledBack }) => byHead.has(head) && !rolledBack);
  const entry = which === "first" ? measured[0] : measured.at(-1);
  const found = entry && middleOf(entry.head, [...(byHead.get(entry.head)?.values() ?? [])]);
  return entry && found
    ? { round: entry.round, microBitsPerByte: found.microBitsPerByte, sequences: found.sequences }
    : null;
}
