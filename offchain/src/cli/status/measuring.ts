/** What measuring held-out loss and auditing loss gates take of this machine, as its validators wrote it down. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";

import type { MeasuredFor } from "../../validator/index.ts";

/** What the newest of such measurements took of this machine, by validator of this directory. */
export type MeasuringShares = Readonly<
  Record<
    string,
    {
      readonly round: number;
      readonly share: number;
      readonly atRest: boolean;
      /** What it may take while the run trains; null at rest, where no such bound holds. */
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
    `${percent(share, 1)} of the machine${atMost === null ? " at rest" : `, at most ${percent(atMost, 0)}`} (${role}, checkpoint ${round})`,
  ]);
