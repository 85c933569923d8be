/** A run for which machines are rented is not put aside: they would go on to cost, and have nobody to train for. */
import { dirname, join } from "node:path";

import { type Clock, UserError } from "../base/index.ts";
import { hasLeases, isOpen, leasesOf, openLedger, USUAL_LEASES } from "../market/index.ts";
import { readRunFile } from "../service/index.ts";

/** What is no state of this version names no run. */
async function runIn(state: string): Promise<string | undefined> {
  try {
    return (await readRunFile(state))?.runId;
  } catch (error) {
    if (error instanceof UserError) return undefined;
    throw error;
  }
}

/**
 * Looks into the ledger that lies beside a state where no other was named.
 * @throws UserError `LEASES_OPEN`; as `openLedger`
 */
export async function refuseRented(state: string, clock: Pick<Clock, "now">): Promise<void> {
  const directory = join(dirname(state), USUAL_LEASES);
  const runId = await runIn(state);
  if (runId === undefined || !hasLeases(directory)) return;
  const ledger = await openLedger(directory, () => clock.now());
  try {
    const { leases, clusters } = await ledger.read();
    const open = leasesOf({ leases }).find((lease) => isOpen(lease) && clusters[lease.cluster ?? ""]?.run === runId);
    if (open === undefined) return;
    throw new UserError(
      "LEASES_OPEN",
      `${state} is not put aside while machines are rented for its run: ${open.label} is ${open.state}. "npx cotrain market terminate --all" ends them.`,
    );
  } finally {
    await ledger.close();
  }
}
