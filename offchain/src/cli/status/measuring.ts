/** What measuring held-out loss takes of this machine, as its validators wrote it down. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";

/** What measuring held-out loss took of this machine, by validator of this directory. */
export type MeasuringShares = Readonly<
  Record<string, { readonly round: number; readonly share: number; readonly atRest: boolean }>
>;

export async function measuringShares(state: string): Promise<MeasuringShares> {
  const { readMeasuring } = await import("../../validator/index.ts");
  const entries = await readdir(state).catch(() => []);
  const shares: Record<string, MeasuringShares[string]> = {};
  for (const role of entries.filter((name) => /^validator-\d{1,3}$/.test(name)).toSorted()) {
    const found = await readMeasuring(join(state, role));
    if (found) shares[role] = { round: found.round, share: found.share, atRest: found.atRest ?? false };
  }
  return shares;
}

export const measuringRows = (shares: MeasuringShares): [string, string][] =>
  Object.entries(shares).map(([role, { round, share, atRest }], index) => [
    index === 0 ? "measuring took" : "",
    `${(100 * share).toFixed(1)}% of the machine${atRest ? " at rest" : ""} (${role}, checkpoint ${round})`,
  ]);
