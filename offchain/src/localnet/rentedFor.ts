/** A run for which machines are rented is not put aside: they would go on to cost, and have nobody to train for. */
import { dirname, join } from "node:path";

import { type Clock, UserError } from "../base/index.ts";
import { hasLeases, isOpen, leasesOf, openLedger, USUAL_LEASES } from "../market/index.ts";
import { readRunFile } from "../service/index.ts";

/** The run of a state and those that it trained before, for which machines may still be rented. What is no state of this version names none. */
async function runsIn(state: string): Promise<ReadonlySet<string>> {
  try {
    const { runId, earlier = [] } = (await readRunFile(state)) ?? {};
    return new Set(runId === undefined ? earlier : [...earlier, runId]);
  } catch (error) {
    if (error instanceof UserError) return new Set();
    throw error;
  }
}

/**
 * Looks into the ledger that lies beside a state where no other was named.
 * @throws UserError `LEASES_OPEN`; as `openLedger`
 */
export async function refuseRented(state: string, clock: Pick<Clock, "now">): Promise<void> {
  const directory = join(dirname(state), USUAL_LEASES);
  const runs = await runsIn(state);
  if (runs.size === 0 || !hasLeases(directory)) return;
  const ledger = await openLedger(directory, () => clock.now());
  try {
    const { leases, clusters } = await ledger.read();
    const open = leasesOf({ leases }).find(
      (lease) => isOpen(lease) && runs.has(clusters[lease.cluster ?? ""]?.run ?? ""),
    );
    if (open === undefined) return;
    throw new UserError(
      "LEASES_OPEN",
      `${state} is not put aside while machines are rented for its run: ${open.label} is ${open.state}. "npx cotrain market terminate --all" ends them.`,
    );
  } finally {
    await ledger.close();
  }
}
