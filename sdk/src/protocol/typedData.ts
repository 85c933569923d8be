/**
 * Every struct that somebody signs, as EIP-712 types (https://eips.ethereum.org/EIPS/eip-712), and its form on the wire:
 * addresses and hashes in lower-case hex, integers up to 32 bits as numbers, wider ones as decimal strings.
 */
import type { TypedDataToPrimitiveTypes } from "abitype";
import { Type, type TObject } from "typebox";
import { Check, Errors } from "typebox/schema";
import {
  type Address,
  encodeAbiParameters,
  type Hex,
  hashStruct,
  hashTypedData,
  keccak256,
  recoverAddress,
} from "viem";
import { ProtocolError } from "../baseErrors.ts";
import { closed } from "./fields.ts";
import { wireTypes } from "./wireTypes.ts";

export const structTypes = {
  Join: [
    { name: "runId", type: "bytes32" },
    { name: "worker", type: "address" },
    { name: "beneficiary", type: "address" },
    { name: "lease", type: "bytes32" },
    { name: "build", type: "bytes32" },
    { name: "conformance", type: "bytes32" },
    { name: "protocolMin", type: "uint16" },
    { name: "protocolMax", type: "uint16" },
    { name: "issuedAt", type: "uint64" },
  ],
  JoinPass: [
    { name: "runId", type: "bytes32" },
    { name: "renter", type: "address" },
    { name: "machine", type: "bytes32" },
    { name: "index", type: "uint32" },
    { name: "beneficiary", type: "address" },
    { name: "notAfter", type: "uint64" },
  ],
  Receipt: [
    { name: "runId", type: "bytes32" },
    { name: "round", type: "uint64" },
    { name: "worker", type: "address" },
    { name: "beneficiary", type: "address" },
    { name: "assignmentId", type: "uint64" },
    { name: "attempt", type: "uint32" },
    { name: "assignment", type: "bytes32" },
    { name: "steps", type: "uint32" },
    { name: "paramsVersion", type: "uint32" },
    { name: "build", type: "bytes32" },
    { name: "baseDigest", type: "bytes32" },
    { name: "commitment", type: "bytes32" },
    { name: "leaves", type: "uint32" },
    { name: "payloadDigest", type: "bytes32" },
  ],
  Fragment: [
    { name: "runId", type: "bytes32" },
    { name: "round", type: "uint64" },
    { name: "worker", type: "address" },
    { name: "assignmentId", type: "uint64" },
    { name: "attempt", type: "uint32" },
    { name: "index", type: "uint32" },
    { name: "base", type: "bytes32" },
    { name: "digest", type: "bytes32" },
  ],
  Ack: [
    { name: "runId", type: "bytes32" },
    { name: "round", type: "uint64" },
    { name: "worker", type: "address" },
    { name: "receiptHash", type: "bytes32" },
    { name: "tokens", type: "uint64" },
    { name: "acceptedAt", type: "uint64" },
  ],
  Verdict: [
    { name: "runId", type: "bytes32" },
    { name: "round", type: "uint64" },
    { name: "head", type: "bytes32" },
    { name: "validator", type: "address" },
    { name: "kind", type: "uint8" },
    { name: "worker", type: "address" },
    { name: "index", type: "uint32" },
    { name: "value", type: "uint64" },
    { name: "evidence", type: "bytes32" },
    { name: "issuedAt", type: "uint64" },
  ],
  Attestation: [
    { name: "kind", type: "uint8" },
    { name: "modelId", type: "bytes32" },
    { name: "index", type: "uint64" },
    { name: "fromEpoch", type: "uint64" },
    { name: "toEpoch", type: "uint64" },
    { name: "runId", type: "bytes32" },
    { name: "head", type: "bytes32" },
    { name: "epochDigest", type: "bytes32" },
    { name: "previousRoot", type: "bytes32" },
    { name: "root", type: "bytes32" },
    { name: "total", type: "uint256" },
    { name: "setVersion", type: "uint32" },
    { name: "blockNumber", type: "uint64" },
    { name: "blockHash", type: "bytes32" },
    { name: "deadline", type: "uint64" },
  ],
  ClaimTo: [
    { name: "modelId", type: "bytes32" },
    { name: "kind", type: "uint8" },
    { name: "account", type: "address" },
    { name: "to", type: "address" },
    { name: "nonce", type: "uint256" },
    { name: "deadline", type: "uint64" },
  ],
  Ruling: [
    { name: "modelId", type: "bytes32" },
    { name: "kind", type: "uint8" },
    { name: "subject", type: "bytes32" },
    { name: "dispute", type: "uint64" },
    { name: "accused", type: "address" },
    { name: "outcome", type: "uint8" },
    { name: "evidence", type: "bytes32" },
    { name: "setVersion", type: "uint32" },
    { name: "deadline", type: "uint64" },
  ],
  Suspend: [
    { name: "runId", type: "bytes32" },
    { name: "poster", type: "address" },
    { name: "head", type: "bytes32" },
    { name: "setVersion", type: "uint32" },
    { name: "deadline", type: "uint64" },
  ],
  Grant: [
    { name: "modelId", type: "bytes32" },
    { name: "author", type: "address" },
    { name: "repository", type: "bytes32" },
    { name: "commit", type: "bytes32" },
    { name: "description", type: "bytes32" },
    { name: "amount", type: "uint128" },
    { name: "start", type: "uint64" },
    { name: "cliff", type: "uint32" },
    { name: "duration", type: "uint32" },
    { name: "setVersion", type: "uint32" },
    { name: "deadline", type: "uint64" },
  ],
  Voucher: [
    { name: "leaseId", type: "bytes32" },
    { name: "cumulative", type: "uint128" },
    { name: "through", type: "uint64" },
  ],
  MachineOffer: [
    { name: "owner", type: "address" },
    { name: "machine", type: "address" },
    { name: "hardware", type: "bytes32" },
    { name: "token", type: "address" },
    { name: "pricePerSecond", type: "uint128" },
    { name: "minSeconds", type: "uint32" },
    { name: "maxSeconds", type: "uint32" },
    { name: "region", type: "bytes32" },
    { name: "validUntil", type: "uint64" },
    { name: "nonce", type: "uint64" },
    { name: "kind", type: "uint8" },
  ],
  LeaseOffer: [
    { name: "leaseId", type: "bytes32" },
    { name: "offer", type: "bytes32" },
    { name: "runId", type: "bytes32" },
    { name: "seconds", type: "uint32" },
    { name: "period", type: "uint32" },
    { name: "deposit", type: "uint128" },
    { name: "answerBy", type: "uint64" },
  ],
  LeaseAccept: [
    { name: "leaseId", type: "bytes32" },
    { name: "offer", type: "bytes32" },
    { name: "machine", type: "address" },
    { name: "acceptedAt", type: "uint64" },
  ],
} as const;

export type StructName = keyof typeof structTypes;
/** The struct as viem signs it: 64-bit integers and wider are bigints. */
export type Struct<N extends StructName> = TypedDataToPrimitiveTypes<typeof structTypes>[N];
export type Join = Struct<"Join">;
/** One key of a rented machine may join. */
export type JoinPass = Struct<"JoinPass">;
export type Receipt = Struct<"Receipt">;
export type Fragment = Struct<"Fragment">;
export type Ack = Struct<"Ack">;
export type Verdict = Struct<"Verdict">;
export type Attestation = Struct<"Attestation">;
/** An account has what it earned paid to somebody else. */
export type ClaimTo = Struct<"ClaimTo">;
export type Ruling = Struct<"Ruling">;
export type Suspend = Struct<"Suspend">;
/** Maintainers have an author paid for code. */
export type Grant = Struct<"Grant">;
/** A renter's signer owes the provider of a lease so much in all; the higher of two counts. */
export type Voucher = Struct<"Voucher">;
/** An owner offers a machine. */
export type MachineOffer = Struct<"MachineOffer">;
/** A coordinator asks a machine to take a lease. */
export type LeaseOffer = Struct<"LeaseOffer">;
/** A machine takes a lease. */
export type LeaseAccept = Struct<"LeaseAccept">;

/** The struct as JSON: wide integers are decimal strings. */
export type WireStruct<N extends StructName> = {
  readonly [K in keyof Struct<N>]: Struct<N>[K] extends bigint ? string : Struct<N>[K];
};

/**
 * EIP-712 domain; the verifying contract is RunRegistry, ComputeRewards (Attestation, ClaimTo), ValidatorSet (Ruling),
 * CheckpointRegistry (Suspend), CodeGrants (Grant) or ComputeEscrow (Voucher, and what no contract reads: MachineOffer, LeaseOffer,
 * LeaseAccept).
 */
export interface Domain {
  readonly name: "Cotrain";
  readonly version: "1";
  readonly chainId: number;
  readonly verifyingContract: Address;
}

export function domainFor(chainId: number, verifyingContract: Address): Domain {
  return { name: "Cotrain", version: "1", chainId, verifyingContract };
}

type Field = { readonly name: string; readonly type: keyof typeof wireTypes };
const fieldsOf = (name: StructName): readonly Field[] => structTypes[name];
const typesOf = (name: StructName) => ({ [name]: [...fieldsOf(name)] });

const widest: Record<string, bigint> = { uint64: 2n ** 64n - 1n, uint128: 2n ** 128n - 1n, uint256: 2n ** 256n - 1n };

/** JSON schema of a struct on the wire. */
export function wireSchema(name: StructName): TObject {
  const properties = Object.fromEntries(fieldsOf(name).map(({ name: field, type }) => [field, wireTypes[type]]));
  return Type.Object(properties, closed);
}

/** Struct → wire. */
export function toWire<N extends StructName>(name: N, struct: Struct<N>): WireStruct<N> {
  const source = struct as Readonly<Record<string, bigint | number | string>>;
  const entries = fieldsOf(name).map(({ name: field }) => {
    const value = source[field];
    return [field, typeof value === "number" ? value : String(value).toLowerCase()] as const;
  });
  return Object.fromEntries(entries) as WireStruct<N>;
}

/** Wire → struct. @throws ProtocolError MALFORMED_STRUCT that names the field. */
export function fromWire<N extends StructName>(name: N, wire: unknown): Struct<N> {
  const schema = wireSchema(name);
  if (!Check(schema, wire)) {
    const [, [error]] = Errors(schema, wire);
    throw new ProtocolError(
      "MALFORMED_STRUCT",
      `${name}${error?.instancePath ?? ""}: ${error?.message ?? "malformed"}.`,
    );
  }
  const source = wire as Readonly<Record<string, number | string>>;
  const entries = fieldsOf(name).map(({ name: field, type }) => {
    const value = source[field];
    const maximum = widest[type];
    if (maximum === undefined) return [field, value] as const;
    const wide = BigInt(value as string);
    if (wide > maximum) throw new ProtocolError("MALFORMED_STRUCT", `${name}/${field}: above ${maximum}.`);
    return [field, wide] as const;
  });
  return Object.fromEntries(entries) as Struct<N>;
}

/** What viem's `signTypedData` takes. */
export function typedDataOf<N extends StructName>(domain: Domain, name: N, struct: Struct<N>) {
  return {
    domain,
    types: typesOf(name),
    primaryType: name as string,
    message: { ...struct } as Record<string, unknown>,
  };
}

/** hashStruct of EIP-712: independent of the domain. */
export function structHash<N extends StructName>(name: N, struct: Struct<N>): Hex {
  return hashStruct({
    data: { ...struct } as Record<string, unknown>,
    types: typesOf(name),
    primaryType: name,
  });
}

/** The digest that is signed. */
export function structDigest<N extends StructName>(domain: Domain, name: N, struct: Struct<N>): Hex {
  return hashTypedData(typedDataOf(domain, name, struct));
}

/** A key that signs these structs; viem's local accounts are one. */
export interface SigningAccount {
  readonly address: Address;
  signTypedData(data: {
    readonly domain: Domain;
    readonly types: Record<string, { name: string; type: string }[]>;
    readonly primaryType: string;
    readonly message: Record<string, unknown>;
  }): Promise<Hex>;
}

/** Half of secp256k1's order: the contracts take only the lower of a signature's two forms, and only v = 27 or 28. */
const HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n;

/**
 * Who signed a digest. Takes the one form of a signature that the contracts take, since one that passes here may have to pass there.
 * @throws ProtocolError MALFORMED_SIGNATURE
 */
export async function recoverDigest(digest: Hex, signature: Hex): Promise<Address> {
  if (!/^0x[0-9a-f]{130}$/i.test(signature))
    throw new ProtocolError("MALFORMED_SIGNATURE", "A signature must be 0x and 130 hex digits.");
  if (BigInt(`0x${signature.slice(66, 130)}`) > HALF_ORDER || !/(1b|1c)$/i.test(signature))
    throw new ProtocolError("MALFORMED_SIGNATURE", "A signature must have s in the lower half and v of 27 or 28.");
  try {
    return (await recoverAddress({ hash: digest, signature })).toLowerCase() as Address;
  } catch (cause) {
    throw new ProtocolError("MALFORMED_SIGNATURE", "The signature is no point of the curve.", { cause });
  }
}

/**
 * Who signed; compare it with the struct's own signer. On the wire signatures are in lower case.
 * @throws ProtocolError MALFORMED_SIGNATURE
 */
export async function recoverSigner<N extends StructName>(
  domain: Domain,
  name: N,
  struct: Struct<N>,
  signature: Hex,
): Promise<Address> {
  if (signature !== signature.toLowerCase())
    throw new ProtocolError("MALFORMED_SIGNATURE", "A signature must be 0x and 130 lower-case hex digits.");
  return recoverDigest(structDigest(domain, name, struct), signature);
}

/** Name of a grant: a hash of its terms, so that it stays the same however long its signatures serve and whoever gives them. */
export function grantIdOf(grant: Omit<Grant, "setVersion" | "deadline">): Hex {
  const terms = fieldsOf("Grant").filter(({ name }) => name !== "setVersion" && name !== "deadline");
  const values = terms.map(({ name }) => (grant as Readonly<Record<string, unknown>>)[name]);
  return keccak256(encodeAbiParameters(terms, values));
}

export const hashReceipt = (receipt: Receipt): Hex => structHash("Receipt", receipt);
