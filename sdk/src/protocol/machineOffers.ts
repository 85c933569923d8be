/**
 * Community machines: what an owner offers, what a coordinator asks of such a machine, and what the machine answers, each signed
 * under the domain of ComputeEscrow. What such a machine is paid, vouchers say (leases.ts).
 */
import { stringToHex, zeroAddress } from "viem";
import { ProtocolError } from "../baseErrors.ts";
import { leaseKind, nameOfCode } from "./codes.ts";
import type { Hex } from "./ids.ts";
import { type EscrowPlace, leaseOfTerms, type LeaseTerms } from "./leases.ts";
import {
  domainFor,
  type LeaseAccept,
  type LeaseOffer,
  type MachineOffer,
  recoverSigner,
  type SigningAccount,
  type Struct,
  type StructName,
  structHash,
  typedDataOf,
} from "./typedData.ts";

/** What offers and leases stay within; seconds where nothing else is said. */
export const leaseBounds = {
  /** How long a machine may be rented at most. */
  seconds: 2_592_000,
  /** How long an offer may stand at most from when it is looked at: an owner who has gone offers nothing. */
  standing: 2_592_000,
  /** How much work goes between two vouchers at most: what either side can lose. */
  period: 300,
  /** How long a machine has to answer. */
  answer: 60,
  /** Of a price for a second: so much for all the seconds of a lease fits into a deposit. */
  price: 2n ** 96n - 1n,
  /** How far a machine's clock may be off. */
  skew: 60,
} as const;

const refuse = (code: string, sentence: string): never => {
  throw new ProtocolError(code, sentence);
};

const offerMalformed = (sentence: string): never => refuse("MACHINE_OFFER_MALFORMED", sentence);
const leaseMalformed = (sentence: string): never => refuse("LEASE_OFFER_MALFORMED", sentence);
const leaseOther = (sentence: string): never => refuse("LEASE_OFFER_OTHER", sentence);
const sameAddress = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();

/** The name of a region as a struct has it: its letters, and zeros behind them. @throws ProtocolError REGION_MALFORMED */
export function regionOf(name: string): Hex {
  if (!/^[a-z0-9-]{1,32}$/.test(name))
    refuse("REGION_MALFORMED", `A region is 1 to 32 of a-z, 0-9 and "-", not ${JSON.stringify(name.slice(0, 80))}.`);
  return stringToHex(name, { size: 32 });
}

/** The region that a struct names; undefined where its bytes are no name. */
export function regionName(region: Hex): string | undefined {
  const [, letters = ""] = /^0x((?:[0-9a-f]{2})*?)(?:00)*$/.exec(region) ?? [];
  const name = (letters.match(/../g) ?? []).map((byte) => String.fromCodePoint(Number.parseInt(byte, 16))).join("");
  return /^[a-z0-9-]{1,32}$/.test(name) ? name : undefined;
}

/** Signs one of these. @returns the signature, in the one form that the contracts take */
const signStruct = <N extends StructName>(
  account: SigningAccount,
  { chainId, escrow }: EscrowPlace,
  name: N,
  struct: Struct<N>,
): Promise<Hex> => account.signTypedData(typedDataOf(domainFor(chainId, escrow), name, struct));

/** Signs what a machine costs; its owner's to sign. */
export const signMachineOffer = (owner: SigningAccount, place: EscrowPlace, offer: MachineOffer): Promise<Hex> =>
  signStruct(owner, place, "MachineOffer", offer);

/** Signs what a machine is asked to do; the key's that signs the vouchers. */
export const signLeaseOffer = (signer: SigningAccount, place: EscrowPlace, offer: LeaseOffer): Promise<Hex> =>
  signStruct(signer, place, "LeaseOffer", offer);

/** Signs that a machine takes a lease; the machine's key's to sign. */
export const signLeaseAccept = (machine: SigningAccount, place: EscrowPlace, accept: LeaseAccept): Promise<Hex> =>
  signStruct(machine, place, "LeaseAccept", accept);

async function requireSigner<N extends StructName>(
  { chainId, escrow }: EscrowPlace,
  name: N,
  struct: Struct<N>,
  { signature, signer }: { readonly signature: Hex; readonly signer: string },
): Promise<void> {
  const signed = await recoverSigner(domainFor(chainId, escrow), name, struct, signature);
  if (signed !== signer.toLowerCase())
    refuse("LEASE_OTHER_SIGNER", `The ${name} is signed by ${signed}, not by ${signer.toLowerCase()}.`);
}

/** Name of an offer: of all that it says. */
export const hashMachineOffer = (offer: MachineOffer): Hex => structHash("MachineOffer", offer);
/** What a machine's answer names. */
export const hashLeaseOffer = (offer: LeaseOffer): Hex => structHash("LeaseOffer", offer);

function requireOfferPrice({ kind: code, pricePerSecond, token }: MachineOffer): void {
  const kind = nameOfCode(leaseKind, code);
  if (kind === undefined) offerMalformed(`A machine works for shares (1) or is paid (2), not ${code}.`);
  const none = token === zeroAddress;
  if (kind === "shares" && (pricePerSecond !== 0n || !none))
    offerMalformed("A machine that works for shares names no price and no token.");
  const { price } = leaseBounds;
  if (kind === "paid" && (pricePerSecond === 0n || pricePerSecond > price || none))
    offerMalformed(`A machine that is paid names a token, and 1 to ${price} of its smallest units for a second.`);
}

function requireOfferTerms(offer: MachineOffer, now: number): void {
  const { seconds, standing } = leaseBounds;
  requireOfferPrice(offer);
  if (regionName(offer.region) === undefined) offerMalformed(`A machine's region is a name, not ${offer.region}.`);
  if (offer.minSeconds < 1 || offer.minSeconds > offer.maxSeconds || offer.maxSeconds > seconds)
    offerMalformed(
      `A machine is offered for 1 to ${seconds} seconds, the least first, not ${offer.minSeconds} to ${offer.maxSeconds}.`,
    );
  if (offer.validUntil > BigInt(now) + BigInt(standing))
    offerMalformed(`An offer stands for ${standing} seconds at most; this one for ${offer.validUntil - BigInt(now)}.`);
  if (offer.validUntil < BigInt(now))
    refuse("MACHINE_OFFER_EXPIRED", `The offer stood until second ${offer.validUntil}; it is ${now} now.`);
}

/**
 * Whether an offer is one: within its bounds, not expired, and its owner's.
 * @param now seconds since 1970
 * @throws ProtocolError MACHINE_OFFER_MALFORMED, MACHINE_OFFER_EXPIRED, LEASE_OTHER_SIGNER, MALFORMED_SIGNATURE
 */
export async function requireMachineOffer(
  offer: MachineOffer,
  signature: Hex,
  { now, ...place }: EscrowPlace & { readonly now: number },
): Promise<void> {
  requireOfferTerms(offer, now);
  await requireSigner(place, "MachineOffer", offer, { signature, signer: offer.owner });
}

/** What a machine knows when it is asked. */
export interface LeaseOfferExpected extends EscrowPlace {
  /** The offer that the machine serves under. */
  readonly offer: MachineOffer;
  /** What the lease is about, as it came with the question. */
  readonly terms: LeaseTerms;
  /** The least notice with which the machine can still redeem its last voucher, in seconds. */
  readonly leastNotice: number;
  readonly now: number;
}

function requireOwnOffer(asked: LeaseOffer, { offer, terms, ...place }: LeaseOfferExpected): void {
  const leaseId = leaseOfTerms(place, terms);
  if (asked.leaseId !== leaseId) leaseOther(`The question is of lease ${asked.leaseId}; its terms make ${leaseId}.`);
  if (asked.offer !== hashMachineOffer(offer))
    leaseOther(`The question is of offer ${asked.offer}, not of this machine's.`);
  if (
    !sameAddress(terms.machine, offer.machine) ||
    !sameAddress(terms.provider, offer.owner) ||
    !sameAddress(terms.token, offer.token)
  )
    leaseOther("The lease's machine, provider and token are not those of the machine's offer.");
}

function requireLeaseBounds(asked: LeaseOffer, { offer, terms, leastNotice, now }: LeaseOfferExpected): void {
  const { answer, period, skew } = leaseBounds;
  if (asked.seconds < offer.minSeconds || asked.seconds > offer.maxSeconds)
    leaseMalformed(
      `The machine is offered for ${offer.minSeconds} to ${offer.maxSeconds} seconds, not ${asked.seconds}.`,
    );
  if (asked.period < 1 || asked.period > period)
    leaseMalformed(`A voucher comes each ${period} seconds at least, not each ${asked.period}.`);
  if (asked.deposit < offer.pricePerSecond * BigInt(asked.period))
    leaseMalformed(`The deposit of ${asked.deposit} does not cover one period of ${asked.period} seconds.`);
  if (offer.kind === leaseKind.paid && terms.notice < leastNotice)
    leaseMalformed(`The lease's notice is ${terms.notice} seconds; this machine needs ${leastNotice}.`);
  const left = asked.answerBy - BigInt(now);
  if (left < 0n) refuse("LEASE_OFFER_EXPIRED", `An answer was due by second ${asked.answerBy}; it is ${now} now.`);
  if (left > BigInt(answer + skew)) leaseMalformed(`An answer is due within ${answer} seconds, not ${left}.`);
}

/**
 * Whether a machine may take a lease that it is asked to: of its own offer, within it, covered, in time, and by the key that signs vouchers.
 * @throws ProtocolError LEASE_OFFER_OTHER, LEASE_OFFER_MALFORMED, LEASE_OFFER_EXPIRED, LEASE_OTHER_SIGNER, MALFORMED_SIGNATURE
 */
export async function requireLeaseOffer(
  asked: LeaseOffer,
  signature: Hex,
  expected: LeaseOfferExpected,
): Promise<void> {
  requireOwnOffer(asked, expected);
  requireLeaseBounds(asked, expected);
  await requireSigner(expected, "LeaseOffer", asked, { signature, signer: expected.terms.signer });
}

/**
 * Whether a machine has taken a lease: this one, in time, by its key.
 * @throws ProtocolError LEASE_ACCEPT_OTHER, LEASE_ACCEPT_LATE, LEASE_OTHER_SIGNER, MALFORMED_SIGNATURE
 */
export async function requireLeaseAccept(
  accept: LeaseAccept,
  signature: Hex,
  {
    asked,
    terms,
    now,
    ...place
  }: EscrowPlace & {
    readonly asked: LeaseOffer;
    readonly terms: LeaseTerms;
    /** When the answer arrived, seconds since 1970. */
    readonly now: number;
  },
): Promise<void> {
  if (accept.leaseId !== asked.leaseId || accept.offer !== hashLeaseOffer(asked))
    refuse("LEASE_ACCEPT_OTHER", `The answer is to another question than that about lease ${asked.leaseId}.`);
  if (accept.machine.toLowerCase() !== terms.machine.toLowerCase())
    refuse("LEASE_ACCEPT_OTHER", `Machine ${accept.machine} answers for ${terms.machine}.`);
  // By the clock of whoever asked: what the machine says of its own proves nothing.
  if (BigInt(now) > asked.answerBy)
    refuse("LEASE_ACCEPT_LATE", `An answer was due by second ${asked.answerBy}; it came at ${now}.`);
  await requireSigner(place, "LeaseAccept", accept, { signature, signer: terms.machine });
}
