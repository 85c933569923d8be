/**
 * Passes of rented machines. One counts where a renter that this coordinator was told of signed it for this run, and it is not over. It
 * adds no right: stake, places and the line are for its machine as for any other. What it takes is a beneficiary of the machine's own
 * choice, and a second key.
 */
import {
  type Address,
  canonicalJson,
  fromWire,
  type Hex,
  type JoinRequest,
  leaseOfPass,
  type LeaseRequest,
  type LeaseView,
  type MachineReport,
  type SignedPass,
  zeroHash,
} from "@cotrain/sdk/protocol";
import { getAddress } from "viem";

import { RefusedError } from "./errors.ts";
import { leaseOver } from "./machine/rules.ts";
import type { Run } from "./run.ts";

/** Passes whose signature was found good, which is not looked for again; reports that are kept. */
const MOST_KNOWN = 4_096;

/** What is known of passes beside the log, lost with the process. */
export interface Passes {
  /** Who may give passes; lower case. */
  readonly renters: ReadonlySet<string>;
  /** Passes with their signatures that were found good. */
  readonly known: Set<string>;
  readonly reports: Map<Hex, MachineReport>;
}

export const createPasses = (renters: readonly Address[]): Passes => ({
  renters: new Set(renters.map((renter) => renter.toLowerCase())),
  known: new Set(),
  reports: new Map(),
});

/** Lets the oldest go. */
function trim(kept: Set<string> | Map<Hex, unknown>): void {
  for (const oldest of kept.keys()) {
    if (kept.size <= MOST_KNOWN) return;
    kept.delete(oldest as Hex);
  }
}

/**
 * What costs nothing comes before the signature.
 * @param address the client's, whose turn it is
 * @returns the lease
 * @throws RefusedError `WRONG_RUN`, `RENTER_UNKNOWN`, `LEASE_OVER`, `BAD_SIGNATURE`; RetryableError `SIGNATURES_BUSY`
 */
export async function requirePass(run: Run, signed: SignedPass, address: string): Promise<Hex> {
  const { pass, signature } = signed;
  const { renters, known } = run.passes;
  if (pass.runId !== run.runId)
    throw new RefusedError("WRONG_RUN", `The pass is for run ${pass.runId}; this is run ${run.runId}.`);
  if (!renters.has(pass.renter))
    throw new RefusedError(
      "RENTER_UNKNOWN",
      `${getAddress(pass.renter)} is none of those whose rented machines this coordinator takes: its --renters names them.`,
    );
  const struct = fromWire("JoinPass", pass);
  const lease = leaseOfPass(signed);
  if (Number(pass.notAfter) <= run.modules.clock.now()) {
    const { code, message } = leaseOver(lease);
    throw new RefusedError(code, message);
  }
  const name = canonicalJson(signed);
  if (known.has(name)) return lease;
  await run.modules.signatures.require(
    { domain: run.domain, name: "JoinPass", struct, signature, signer: pass.renter },
    address,
  );
  known.add(name);
  trim(known);
  return lease;
}

/** What a join says of its lease, before anything is looked up. @throws RefusedError `LEASE_UNKNOWN`, `FOREIGN_PASS` */
export function checkLease({ join, pass }: Pick<JoinRequest, "join" | "pass">): void {
  if (pass === undefined) {
    if (join.lease === zeroHash) return;
    throw new RefusedError(
      "LEASE_UNKNOWN",
      `Lease ${join.lease} is not known here without its pass; a machine of one's own has lease 0.`,
    );
  }
  if (join.lease === leaseOfPass(pass) && join.beneficiary === pass.pass.beneficiary) return;
  throw new RefusedError("FOREIGN_PASS", "The join names another lease or another beneficiary than its pass.");
}

/** What became of a lease, once what was asked is done. @throws as {@link requirePass} */
export async function tellLease(
  run: Run,
  { pass, report, end }: LeaseRequest,
  address: string,
): Promise<Omit<LeaseView, "software">> {
  const lease = await requirePass(run, pass, address);
  const { reports } = run.passes;
  const { driver, presence } = run;
  if (report !== undefined) {
    reports.delete(lease);
    reports.set(lease, report);
    trim(reports);
  }
  const isEnded = (): boolean => driver.state.leases?.[lease]?.ended ?? false;
  if (end === true && !isEnded())
    await driver.submit({ type: "LeaseEnded", lease, notAfter: Number(pass.pass.notAfter) }).catch((error: unknown) => {
      // Another request ended it meanwhile.
      if (!(error instanceof RefusedError) || error.code !== "OBSOLETE") throw error;
    });
  const worker = driver.state.leases?.[lease]?.worker ?? null;
  const member = worker !== null && driver.state.members[worker]?.lease === lease;
  return {
    lease,
    worker: worker === null ? null : getAddress(worker),
    member,
    ended: isEnded(),
    heardMs: member ? presence.heardMs(worker) : null,
    report: reports.get(lease) ?? null,
  };
}
