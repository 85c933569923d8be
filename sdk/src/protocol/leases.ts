/** Leases that ComputeEscrow pays for: their ids, their vaults, and the vouchers that a renter's signer signs for them. */
import { encodeAbiParameters, getContractAddress, keccak256 } from "viem";
import { ProtocolError } from "../baseErrors.ts";
import { type Address, asAddress, asLeaseId, cloneAt, type Hex, type LeaseId } from "./ids.ts";
import { domainFor, recoverSigner, type SigningAccount, typedDataOf, type Voucher } from "./typedData.ts";

/** What a lease is about. Its id commits to all of it. */
export interface LeaseTerms {
  /** Who pays: opens the channel, may close it, and gets back what is left. */
  readonly renter: Address;
  /** Who is paid. */
  readonly provider: Address;
  /** The key of the machine that works. */
  readonly machine: Address;
  /** The key that signs vouchers; never a contract, which could take back what it signed. */
  readonly signer: Address;
  /** The ERC-20 that is paid. */
  readonly token: Address;
  /** Seconds from the closing to the withdrawal of the rest; 1 to 2,592,000. */
  readonly notice: number;
  /** Tells leases of the same terms apart. */
  readonly salt: Hex;
}

/** Where vouchers are redeemed. */
export interface EscrowPlace {
  readonly chainId: number;
  /** Address of ComputeEscrow. */
  readonly escrow: Address;
}

/** LeaseTerms of the contract, field by field. */
const termsParameter = {
  type: "tuple",
  components: [
    { name: "renter", type: "address" },
    { name: "provider", type: "address" },
    { name: "machine", type: "address" },
    { name: "signer", type: "address" },
    { name: "token", type: "address" },
    { name: "notice", type: "uint32" },
    { name: "salt", type: "bytes32" },
  ],
} as const;

/** Known before any transaction and stable under reorgs: keccak256(abi.encode(chainId, escrow, terms)). */
export const leaseOfTerms = ({ chainId, escrow }: EscrowPlace, terms: LeaseTerms): LeaseId =>
  asLeaseId(
    keccak256(
      encodeAbiParameters([{ type: "uint256" }, { type: "address" }, termsParameter], [BigInt(chainId), escrow, terms]),
    ),
  );

/** Where a lease's tokens lie, or would: it follows from the contract's address and the lease's id, so that nobody is asked. */
export const escrowVaultAt = (escrow: Address, leaseId: LeaseId): Address =>
  // The first contract that another makes has its nonce 1 (EIP-161): what all vaults run.
  cloneAt(escrow, asAddress(getContractAddress({ from: escrow, nonce: 1n })), leaseId);

/** Signs what is owed in all. @returns the signature, in the one form that the contract takes */
export const signVoucher = (
  account: SigningAccount,
  { chainId, escrow }: EscrowPlace,
  voucher: Voucher,
): Promise<Hex> => account.signTypedData(typedDataOf(domainFor(chainId, escrow), "Voucher", voucher));

/** What a voucher must be for whoever works for it. */
export interface VoucherExpected extends EscrowPlace {
  readonly terms: LeaseTerms;
  /** What must be owed in all by now. */
  readonly atLeast: bigint;
  /** What the channel's deposit is: no more is ever paid. */
  readonly deposit: bigint;
}

/**
 * Whether a voucher pays for the work: of this lease, by its signer, for as much as is due, and covered by the deposit.
 * @throws ProtocolError VOUCHER_OTHER_LEASE, VOUCHER_TOO_LITTLE, VOUCHER_UNCOVERED, VOUCHER_OTHER_SIGNER, MALFORMED_SIGNATURE
 */
export async function requireVoucher(
  voucher: Voucher,
  signature: Hex,
  { terms, atLeast, deposit, ...place }: VoucherExpected,
): Promise<void> {
  const leaseId = leaseOfTerms(place, terms);
  if (voucher.leaseId !== leaseId)
    throw new ProtocolError("VOUCHER_OTHER_LEASE", `The voucher is of lease ${voucher.leaseId}, not of ${leaseId}.`);
  if (voucher.cumulative < atLeast)
    throw new ProtocolError(
      "VOUCHER_TOO_LITTLE",
      `The voucher owes ${voucher.cumulative} of the token's smallest units, and ${atLeast} are due.`,
    );
  if (voucher.cumulative > deposit)
    throw new ProtocolError(
      "VOUCHER_UNCOVERED",
      `The voucher owes ${voucher.cumulative} of the token's smallest units, and ${deposit} are deposited.`,
    );
  const signed = await recoverSigner(domainFor(place.chainId, place.escrow), "Voucher", voucher, signature);
  if (signed !== terms.signer.toLowerCase())
    throw new ProtocolError("VOUCHER_OTHER_SIGNER", `The voucher is signed by ${signed}, not by ${terms.signer}.`);
}
