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
  type RenterWord,
  type SignedPass,
  zeroHash,
} from "@cotrain/sdk/protocol";
import { getAddress } from "viem";

import { RetryableError } from "../base/index.ts";
import { RefusedError } from "./errors.ts";
import { measuredOf } from "./measured.ts";
import { leaseOver } from "./machine/rules.ts";
import type { Run } from "./run.ts";

/** Passes whose signature was found good, which is not looked for again; reports that are kept. */
const MOST_KNOWN = 4_096;

/** How long after an answer was due a machine waits for its channel at the most, ms. */
const OPENS_WITHIN = 600_000;

/** The machine's lease for which a pass was given. */
interface Tenancy {
  readonly owner: Address;
  /** Hash of what the machine is offered for. */
  readonly offer: Hex;
  readonly leaseId: Hex;
}

/** Who lets the machine that a pass was given to. */
interface Lent extends Tenancy {
  /** The pass's own end, ms since 1970. */
  readonly notAfter: number;
  /** Until when it counts, ms since 1970: no longer than the machine can have its lease, 0 once that is over. */
  readonly until: number;
}

/** What is known of passes beside the log, lost with the process. */
export interface Passes {
  /** Who may give passes; lower case. */
  readonly renters: ReadonlySet<string>;
  /** Passes with their signatures that were found good. */
  readonly known: Set<string>;
  readonly reports: Map<Hex, MachineReport>;
  /** Leases of community machines' workers. */
  readonly lent: Map<Hex, Lent>;
}

export const createPasses = (renters: readonly Address[]): Passes => ({
  renters: new Set(renters.map((renter) => renter.toLowerCase())),
  known: new Set(),
  reports: new Map(),
  lent: new Map(),
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

/**
 * Notes whose machine has these passes, as far as they are a renter's.
 * @param workers that the machine has room for
 * @throws RefusedError `PASSES_MANY`
 */
export async function noteLent(
  run: Run,
  { passes, asked: { offer: asked } }: Pick<RenterWord, "passes" | "asked">,
  { owner, offer, workers }: Omit<Tenancy, "leaseId"> & { readonly workers: number },
  address: string,
): Promise<void> {
  const { lent } = run.passes;
  const { leaseId } = asked;
  const known = [...lent].filter(([, { leaseId: other }]) => other === leaseId).map(([lease]) => lease);
  if (new Set([...known, ...passes.map(leaseOfPass)]).size > workers)
    throw new RefusedError(
      "PASSES_MANY",
      `The machine has room for ${workers} workers, and its lease has more passes.`,
    );
  const ends = Number(asked.answerBy) * 1_000 + OPENS_WITHIN + asked.seconds * 1_000;
  for (const pass of passes) {
    if (lent.has(leaseOfPass(pass)) || ends <= run.modules.clock.now()) continue;
    try {
      const lease = await requirePass(run, pass, address);
      const notAfter = Number(pass.pass.notAfter);
      lent.set(lease, { owner, offer, leaseId, notAfter, until: Math.min(notAfter, ends) });
    } catch (error) {
      // Of one that is over nothing is to be known; where others wait for signatures, the word is said again.
      if (!(error instanceof RefusedError) && !(error instanceof RetryableError)) throw error;
    }
  }
  trim(lent);
}

/** The passes of a machine's lease serve no longer, and its workers leave at the end of their round. */
export async function endLent(run: Run, offer: Hex, leaseId: Hex): Promise<void> {
  const { lent } = run.passes;
  const ending = [...lent].filter(([, row]) => row.offer === offer && row.leaseId === leaseId && row.until > 0);
  for (const [lease, row] of ending) {
    lent.set(lease, { ...row, until: 0 });
    await endPass(run, lease, row.notAfter);
  }
}

/** Who lets the machine whose worker joins by a lease, while that lasts. */
export function ownerOf(run: Run, lease: Hex): Address | undefined {
  const row = run.passes.lent.get(lease);
  return row !== undefined && row.until > run.modules.clock.now() ? row.owner : undefined;
}

/** Workers that an owner's machines have passes for, which are neither over nor ended, but for those of machines that are counted otherwise. */
export function lentBy(run: Run, owner: Address, isCounted: (offer: Hex) => boolean): number {
  const { leases = {}, members } = run.driver.state;
  const now = run.modules.clock.now();
  let workers = 0;
  for (const [lease, { owner: other, offer, until }] of run.passes.lent) {
    const row = leases[lease];
    const isMember = row?.worker != null && members[row.worker]?.lease === lease;
    if (!isMember && (until <= now || row?.ended === true)) run.passes.lent.delete(lease);
    else if (other === owner && !isCounted(offer)) workers += 1;
  }
  return workers;
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

const isEnded = ({ driver }: Run, lease: Hex): boolean => driver.state.leases?.[lease]?.ended ?? false;

/** Nobody joins by a pass any more. @throws RefusedError where no more leases can be remembered */
async function endPass(run: Run, lease: Hex, notAfter: number): Promise<void> {
  if (isEnded(run, lease)) return;
  await run.driver.submit({ type: "LeaseEnded", lease, notAfter }).catch((error: unknown) => {
    // Another request ended it meanwhile.
    if (!(error instanceof RefusedError) || error.code !== "OBSOLETE") throw error;
  });
}

/** Whether a member has work: a run that waits or pauses has none whose time is not over, and who missed its time does none. */
function isWorking({ driver: { state }, modules }: Run, worker: Address): boolean {
  const { current, members } = state;
  const hasWork = current?.work[worker] !== undefined && modules.clock.now() < current.deadline;
  return hasWork && members[worker]?.misses === 0;
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
  if (end === true) await endPass(run, lease, Number(pass.pass.notAfter));
  const worker = driver.state.leases?.[lease]?.worker ?? null;
  const member = worker !== null && driver.state.members[worker]?.lease === lease;
  return {
    lease,
    worker: worker === null ? null : getAddress(worker),
    member,
    ended: isEnded(run, lease),
    heardMs: member ? presence.heardMs(worker) : null,
    working: member && isWorking(run, worker),
    report: reports.get(lease) ?? null,
    measured: member ? measuredOf(run, worker) : null,
  };
}
