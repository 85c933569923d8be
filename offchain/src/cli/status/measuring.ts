/** What evaluating held-out loss and the losses of audited gates takes of this machine, as its validators wrote it down. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";

import type { MeasuredFor } from "../../validator/index.ts";

/** What the evaluations of the newest of such measurements took of this machine, by validator of this directory. */
export type MeasuringShares = Readonly<
  Record<
    string,
    {
      readonly round: number;
      readonly share: number;
      readonly atRest: boolean;
      /** What this validator's may take while the run trains; null at rest, where no such bound holds. */
      readonly atMost: number | null;
    }
  >
>;

export async function measuringShares(state: string, what: MeasuredFor): Promise<MeasuringShares> {
  const { LOSS_SHARE, readMeasuring } = await import("../../validator/index.ts");
  const entries = await readdir(state).catch(() => []);
  const shares: Record<string, MeasuringShares[string]> = {};
  for (const role of entries.filter((name) => /^validator-\d{1,3}$/.test(name)).toSorted()) {
    const found = await readMeasuring(join(state, role), what);
    if (!found) continue;
    const { round, share, atRest = false } = found;
    shares[role] = { round, share, atRest, atMost: atRest ? null : LOSS_SHARE };
  }
  return shares;
}

const percent = (share: number, digits: number): string => `${(100 * share).toFixed(digits)}%`;

export const measuringRows = (label: string, shares: MeasuringShares): [string, string][] =>
  Object.entries(shares).map(([role, { round, share, atMost }], index) => [
    index === 0 ? label : "",
    `${percent(share, 1)} of the machine for evaluations${atMost === null ? " while the run was at rest" : `, at most ${percent(atMost, 0)}`} (${role}, checkpoint ${round})`,
  ]);

/**
 * What the validators of this directory take of the machine where all of them measure or audit at once, by the newest that each did
 * while the run trained: the bound is each validator's, which does one at a time, so that of its two shares the larger counts. The sum
 * is of what is shown of each. Nothing where it is one validator alone.
 */
export function togetherRow(kinds: readonly MeasuringShares[]): [string, string][] {
  const most = new Map<string, { readonly share: number; readonly atMost: number }>();
  for (const [role, { share, atMost }] of kinds.flatMap((shares) => Object.entries(shares)))
    if (atMost !== null && share >= (most.get(role)?.share ?? 0))
      most.set(role, { share: Math.round(1_000 * share) / 1_000, atMost });
  if (most.size < 2) return [];
  const sumOf = (key: "share" | "atMost"): number => [...most.values()].reduce((sum, each) => sum + each[key], 0);
  const [share, atMost] = [percent(sumOf("share"), 1), percent(sumOf("atMost"), 0)];
  const parts = [...most].map(([role, each]) => `${percent(each.share, 1)} (${role})`);
  return [
    [
      "together",
      `${share} of the machine for evaluations where all measure or audit at once, at most ${atMost}: the larger share of each, ${parts.join(" + ")}`,
    ],
  ];
}
