/**
 * Community machines and who rents them meet here: a machine calls and hears what its renter says, a renter hears what the machine says.
 * All that this keeps is the newest word of either side, and it is lost with the process: both say it again at their next call. Whether a
 * word is to be believed each side finds out by itself; here it is seen to that strangers fill nothing and hear nothing.
 */
import {
  type Address,
  asAddress,
  callerOf,
  domainFor,
  fromWire,
  hardwareOf,
  hashLeaseOffer,
  hashMachineOffer,
  type Hex,
  type JoinRequest,
  leaseBounds,
  leaseOfTerms,
  type MachineCall,
  type MachineList,
  type MachineOffer,
  machineSecret,
  MAX_MACHINES,
  MAX_PASSES,
  type RenterReply,
  type RenterWord,
  runParamsFromWire,
} from "@cotrain/sdk/protocol";
import { getAddress } from "viem";

import { formatDuration, RetryableError } from "../base/index.ts";
import { addressPrefixes } from "../service/index.ts";
import { RefusedError } from "./errors.ts";
import { endLent, lentBy, noteLent, ownerOf } from "./passes.ts";
import type { Run } from "./run.ts";

/** A machine that has not called for so long, ms, is not there. */
const CALLS_WITHIN = 60_000;
/** Machines behind one address; twice as many in each wider network of it, a /48 and a /32 of IPv6 or a /24 of IPv4. */
const MOST_BEHIND = 16;
/** How far ahead an answer may be due, ms: while it is, nobody else is heard by the machine. */
const ANSWERS_WITHIN = (leaseBounds.answer + leaseBounds.skew) * 1_000;

interface Entry {
  /** Networks of whoever listed it, the widest first: a call from elsewhere makes no room there. */
  readonly networks: readonly string[];
  call: MachineCall;
  /** By the monotonic clock. */
  heardAt: number;
  word: RenterWord | null;
  /** Whether a stake or a renter stands for it: who says alone that it has a lease makes room for those. */
  isBacked: boolean;
}

/** By the hash of what a machine is offered for: who offers another's machine is in nobody's way. */
export type Machines = Map<Hex, Entry>;

/** Forgets who calls no more. */
function sweep(machines: Machines, now: number): void {
  for (const [offer, { heardAt }] of machines) if (now - heardAt > CALLS_WITHIN) machines.delete(offer);
}

/** Whether a machine says that it has a lease: it is heard to the end of that, whatever becomes of its owner's stake. */
const isLeased = ({ said }: MachineCall): boolean => said !== null && said.state !== "over";

/** Workers that a machine has room for. */
const workersOf = ({ facts: { gpus } }: MachineCall): number => Math.min(gpus, MAX_PASSES);

/**
 * That a machine's owner has at stake what the run asks of so many workers.
 * @throws RefusedError `STAKE_MISSING`, `STAKE_UNKNOWN`
 */
function requireStake({ admission, driver }: Run, owner: Address, workers: number): Promise<void> {
  const { params, nextParams } = driver.state;
  const { admission: rule, minStake } = runParamsFromWire(nextParams?.params ?? params);
  return admission.requireOwner(owner, { admission: rule, minStake: minStake * BigInt(workers) });
}

/**
 * Workers that an owner's stake stands for: himself, all that the machines have room for which he lists, and those that have passes of
 * machines that call no more.
 * @param beside who is looked at, and counts by himself
 */
function stoodFor(run: Run, owner: Address, beside: { readonly offer?: Hex; readonly worker?: Address } = {}): number {
  sweep(run.machines, run.modules.clock.monotonic());
  const own = beside.worker !== owner && run.driver.state.members[owner] !== undefined ? 1 : 0;
  let listed = 0;
  for (const [offer, { call }] of run.machines)
    if (offer !== beside.offer && asAddress(call.offer.owner) === owner) listed += workersOf(call);
  return own + listed + lentBy(run, owner, (offer) => offer === beside.offer || run.machines.has(offer));
}

/**
 * Who joins has the stake that the run asks for, beside all that it stands for already; for the worker of a community machine its owner
 * has. Which machine has a pass, the renter has said and signed.
 * @throws RefusedError `STAKE_MISSING`, `STAKE_UNKNOWN`
 */
export async function requireAdmitted(run: Run, { join: { worker, lease }, pass }: JoinRequest): Promise<void> {
  const { params, nextParams, members } = run.driver.state;
  if (pass !== undefined) {
    // Who is in by this lease was admitted by it; what was known of its machine may be lost with a process before this one.
    if (members[worker]?.lease === lease) return;
    const owner = ownerOf(run, lease);
    if (owner !== undefined) return requireStake(run, owner, stoodFor(run, owner));
  }
  const { admission, minStake } = runParamsFromWire(nextParams?.params ?? params);
  const workers = 1 + stoodFor(run, worker, { worker });
  await run.admission.require(worker, { admission, minStake: minStake * BigInt(workers) });
}

/**
 * Lists a machine whose owner has stake for all its workers, beside what it stands for already. One of whom it is known that he has not
 * is listed no more, so that it keeps no other of his out; one that has a lease is listed without, to the end of that.
 * @param list has it listed at once, so that nobody else is between the count and the list
 * @throws RefusedError `STAKE_MISSING`, `STAKE_UNKNOWN`; what `list` throws
 */
async function listByStake<T>(run: Run, call: MachineCall, offer: Hex, list: (isBacked: boolean) => T): Promise<T> {
  const owner = asAddress(call.offer.owner);
  const count = (): number => stoodFor(run, owner, { offer }) + workersOf(call);
  let isBacked = true;
  try {
    // While the chain is asked, others of his may be listed.
    for (let asked = 0; asked < count();) {
      asked = count();
      await requireStake(run, owner, asked);
    }
  } catch (error) {
    if (!(error instanceof RefusedError)) throw error;
    isBacked = false;
    if (!isLeased(call)) {
      if (error.code === "STAKE_MISSING") run.machines.delete(offer);
      throw error;
    }
  }
  return list(isBacked);
}

/** Whether a renter has spoken of the lease that a machine says it has. */
const isRentersLease = (call: MachineCall, word: RenterWord | null): boolean =>
  isLeased(call) && call.said?.leaseId === word?.asked.offer.leaseId;

/** A lease that a machine has, or is being asked to take. */
function leaseIn({ call: { said }, word }: Entry, run: Run): Hex | undefined {
  if (said !== null && said.state !== "over") return said.leaseId;
  if (word === null || word.end || word.asked.offer.leaseId === said?.leaseId) return undefined;
  return Number(word.asked.offer.answerBy) * 1_000 < run.modules.clock.now() ? undefined : word.asked.offer.leaseId;
}

/**
 * Who makes room for a machine: of those that nobody stands for one where there is none else.
 * @throws RetryableError `MACHINES_FULL`
 */
function roomFor(machines: Machines, address: string, isBacked: boolean): ReadonlySet<Hex> {
  const leaving = new Set<Hex>();
  const within = (isThere: (entry: Entry) => boolean, most: number): void => {
    const there = [...machines].filter(([name, entry]) => !leaving.has(name) && isThere(entry));
    if (there.length < most) return;
    const [unbacked] = (isBacked && there.find(([, entry]) => !entry.isBacked)) || [];
    if (unbacked === undefined)
      throw new RetryableError(
        "MACHINES_FULL",
        "This coordinator knows as many machines as it takes: call again later.",
      );
    leaving.add(unbacked);
  };
  for (const [wider, network] of addressPrefixes(address).toReversed().entries())
    within(({ networks }) => networks.includes(network), MOST_BEHIND * 2 ** wider);
  within(() => true, MAX_MACHINES);
  return leaving;
}

/** @throws RefusedError `BAD_SIGNATURE`; RetryableError `MACHINES_FULL`, `SIGNATURES_BUSY` */
async function list(run: Run, call: MachineCall, offer: MachineOffer, address: string): Promise<void> {
  roomFor(run.machines, address, true);
  await run.modules.signatures.require(
    {
      domain: domainFor(run.domain.chainId, call.escrow),
      name: "MachineOffer",
      struct: offer,
      signature: call.signature,
      signer: asAddress(offer.owner),
    },
    address,
  );
}

/**
 * A machine calls.
 * @returns what its renter says, if it has one
 * @throws as {@link list}; RefusedError `MACHINE_FOREIGN`, `MACHINE_OFFER_EXPIRED`, `STAKE_MISSING`, `STAKE_UNKNOWN`
 */
export async function hearMachine(
  run: Run,
  call: MachineCall,
  secret: string,
  address: string,
): Promise<RenterWord | null> {
  const { clock } = run.modules;
  // The offer has the facts' hash, and the facts that of the secret.
  const isIts = machineSecret.test(secret) && callerOf(secret as Hex) === call.facts.caller;
  if (!isIts || hardwareOf(call.facts) !== call.offer.hardware)
    throw new RefusedError("MACHINE_FOREIGN", "The call does not come from the machine that its offer is of.");
  if (Number(call.offer.validUntil) * 1_000 < clock.now())
    throw new RefusedError("MACHINE_OFFER_EXPIRED", "The machine's offer is over: its owner has to sign another.");
  const now = clock.monotonic();
  sweep(run.machines, now);
  const offer = fromWire("MachineOffer", call.offer);
  const name = hashMachineOffer(offer);
  const known = run.machines.get(name);
  // The offer's name is of all that it says, but for where its signature counts.
  if (known?.call.escrow !== call.escrow) await list(run, call, offer, address);
  // What it had passes for is over with its lease, whether or not its renter tidies up.
  if (call.said?.state === "over") await endLent(run, name, call.said.leaseId);
  const take = (isBacked: boolean): RenterWord | null => {
    // Others may have come while the chain was asked, and a renter may have spoken.
    const before = run.machines.get(name);
    if (before === undefined) for (const other of roomFor(run.machines, address, isBacked)) run.machines.delete(other);
    const word = before?.word ?? null;
    const networks = before?.networks ?? addressPrefixes(address);
    run.machines.set(name, { networks, call, heardAt: clock.monotonic(), word, isBacked });
    return word;
  };
  if (isRentersLease(call, known?.word ?? null)) return take(true);
  // It is listed where all its workers could join.
  return listByStake(run, call, name, take);
}

export function tellMachines(run: Run): MachineList {
  const now = run.modules.clock.monotonic();
  sweep(run.machines, now);
  return {
    machines: [...run.machines.values()].map((entry) => {
      const { escrow, offer, signature, facts } = entry.call;
      const heardMs = Math.max(0, Math.round(now - entry.heardAt));
      return { escrow, offer, signature, facts, heardMs, taken: leaseIn(entry, run) !== undefined };
    }),
  };
}

/** That a question is one of this machine and run, and its answer due soon. @throws RefusedError `LEASE_UNKNOWN` */
function checkQuestion(run: Run, name: Hex, { terms, asked }: RenterWord, escrow: string): void {
  const offer = fromWire("LeaseOffer", asked.offer);
  const place = { chainId: run.domain.chainId, escrow: asAddress(escrow) };
  if (offer.offer !== name || offer.leaseId !== leaseOfTerms(place, terms) || offer.runId !== run.runId)
    throw new RefusedError("LEASE_UNKNOWN", "The question is of another machine, lease or run.");
  if (Number(offer.answerBy) * 1_000 > run.modules.clock.now() + ANSWERS_WITHIN)
    throw new RefusedError(
      "LEASE_UNKNOWN",
      `The answer is due in more than ${formatDuration(ANSWERS_WITHIN)}, for which the machine would hear nobody else.`,
    );
}

/** A question that was heard before needs no second look; all else in it the machine looks at. @throws RefusedError `BAD_SIGNATURE` */
async function requireQuestion(run: Run, { call, word: before }: Entry, word: RenterWord, address: string) {
  if (before !== null && hashOf(before) === hashOf(word)) return;
  await run.modules.signatures.require(
    {
      domain: domainFor(run.domain.chainId, asAddress(call.escrow)),
      name: "LeaseOffer",
      struct: fromWire("LeaseOffer", word.asked.offer),
      signature: word.asked.signature,
      signer: word.terms.signer,
    },
    address,
  );
}

/**
 * A renter says what it has to say of a lease. What costs nothing comes before the signature.
 * @returns what the machine says of it
 * @throws RefusedError `RENTER_UNKNOWN`, `MACHINE_UNKNOWN`, `MACHINE_TAKEN`, `LEASE_UNKNOWN`, `PASSES_MANY`, `BAD_SIGNATURE`; RetryableError `SIGNATURES_BUSY`
 */
export async function hearRenter(run: Run, name: Hex, word: RenterWord, address: string): Promise<RenterReply> {
  const { terms, asked } = word;
  if (!run.passes.renters.has(terms.signer))
    throw new RefusedError(
      "RENTER_UNKNOWN",
      `${getAddress(terms.signer)} is none of those whose rented machines this coordinator takes: its --renters names them.`,
    );
  const now = run.modules.clock.monotonic();
  sweep(run.machines, now);
  const entry = run.machines.get(name);
  if (entry === undefined)
    throw new RefusedError("MACHINE_UNKNOWN", "No machine of that offer calls this coordinator.");
  checkQuestion(run, name, word, entry.call.escrow);
  const { leaseId } = asked.offer;
  const taken = leaseIn(entry, run);
  if (taken !== undefined && taken !== leaseId)
    throw new RefusedError("MACHINE_TAKEN", "The machine has another lease.");
  await requireQuestion(run, entry, word, address);
  const { said } = entry.call;
  const isOver = word.end || (said?.leaseId === leaseId && said.state === "over");
  const machine = { owner: asAddress(entry.call.offer.owner), offer: name, workers: workersOf(entry.call) };
  await (isOver ? endLent(run, name, leaseId) : noteLent(run, word, machine, address));
  entry.word = word;
  entry.isBacked = true;
  return {
    heardMs: Math.max(0, Math.round(now - entry.heardAt)),
    said: said?.leaseId === leaseId ? said : null,
  };
}

/** Of a question with its signature. */
const hashOf = ({ asked }: RenterWord): string =>
  `${hashLeaseOffer(fromWire("LeaseOffer", asked.offer))}${asked.signature}`;
