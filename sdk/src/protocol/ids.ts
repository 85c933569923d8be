/** Ids and digests: branded hex strings, always lower case, so that equal values are equal strings. */
import type { Address, Hex } from "viem";
import { concatHex, encodeAbiParameters, getContractAddress, keccak256 } from "viem";
import { ProtocolError } from "../baseErrors.ts";

export type { Address, Hex } from "viem";

declare const brand: unique symbol;
type Branded<Name extends string> = Hex & { readonly [brand]: Name };

/** keccak256(abi.encode(chainId, modelRegistry, sender, salt, terms)). */
export type ModelId = Branded<"ModelId">;
/** keccak256(abi.encode(chainId, runRegistry, modelId, salt)). */
export type RunId = Branded<"RunId">;
/** keccak256(abi.encode(chainId, escrow, terms)): `leaseOfTerms`. */
export type LeaseId = Branded<"LeaseId">;
/** SHA-256 of a published blob. */
export type Digest = Branded<"Digest">;
/** One link of a run's hash chain of checkpoints. */
export type HeadHash = Branded<"HeadHash">;

const hash32 = /^0x[0-9a-f]{64}$/;
const address20 = /^0x[0-9a-f]{40}$/;

function asHash32(what: string, value: string): ModelId & RunId & LeaseId & Digest & HeadHash {
  const lower = value.toLowerCase();
  if (!hash32.test(lower))
    throw new ProtocolError("MALFORMED_ID", `${what} must be 0x and 64 hex digits, not "${value.slice(0, 80)}".`);
  return lower as ModelId & RunId & LeaseId & Digest & HeadHash;
}

/** @throws ProtocolError MALFORMED_ID unless the value is 0x and 64 hex digits (true of all five). */
export const asModelId = (value: string): ModelId => asHash32("A model id", value);
export const asRunId = (value: string): RunId => asHash32("A run id", value);
export const asLeaseId = (value: string): LeaseId => asHash32("A lease id", value);
export const asDigest = (value: string): Digest => asHash32("A digest", value);
export const asHead = (value: string): HeadHash => asHash32("A head", value);

/** Lower-case address, the form in documents and on the wire. @throws ProtocolError MALFORMED_ID */
export function asAddress(value: string): Address {
  const lower = value.toLowerCase();
  if (!address20.test(lower))
    throw new ProtocolError("MALFORMED_ID", `An address must be 0x and 40 hex digits, not "${value.slice(0, 80)}".`);
  return lower as Address;
}

/** All zeros: "none" wherever a hash is expected. */
export const zeroHash = `0x${"0".repeat(64)}` as Hex & Digest & HeadHash;

/**
 * Known before any transaction and stable under reorgs.
 * @param terms hash of all that the model is created from: `modelTermsHash`
 */
export function modelIdOf(chainId: bigint, modelRegistry: Address, sender: Address, salt: Hex, terms: Hex): ModelId {
  return keccak256(
    encodeAbiParameters(
      [{ type: "uint256" }, { type: "address" }, { type: "address" }, { type: "bytes32" }, { type: "bytes32" }],
      [chainId, modelRegistry, sender, salt, terms],
    ),
  ) as ModelId;
}

/** A model's own contracts; or, of a deployment, the implementations that every model's clones run. */
export interface ModelContracts {
  readonly shares: Address;
  readonly governor: Address;
  readonly timelock: Address;
}

/** ERC-1167's creation code around the address that every call is passed on to. */
const CLONE = ["0x3d602d80600a3d3981f3363d3d373d3d3d363d73", "0x5af43d82803e903d91602b57fd5bf3"] as const;

/** Where a contract's clone of an implementation is, or would be (ERC-1167, CREATE2). @returns the address in lower case */
export const cloneAt = (maker: Address, implementation: Address, salt: Hex): Address =>
  asAddress(
    getContractAddress({
      opcode: "CREATE2",
      from: maker,
      salt,
      bytecode: concatHex([CLONE[0], implementation, CLONE[1]]),
    }),
  );

/**
 * Where a model's own contracts are, or would be: it follows from the deployment and the model's id, so that nobody is asked.
 * @param implementations what every model's clones run
 * @returns addresses in lower case
 */
export function modelContractsAt(
  modelRegistry: Address,
  implementations: ModelContracts,
  modelId: ModelId,
): ModelContracts {
  const cloneOf = (implementation: Address): Address => cloneAt(modelRegistry, implementation, modelId);
  const { shares, governor, timelock } = implementations;
  return { shares: cloneOf(shares), governor: cloneOf(governor), timelock: cloneOf(timelock) };
}

/** Known before any transaction and stable under reorgs. */
export function runIdOf(chainId: bigint, runRegistry: Address, modelId: ModelId, salt: Hex): RunId {
  return keccak256(
    encodeAbiParameters(
      [{ type: "uint256" }, { type: "address" }, { type: "bytes32" }, { type: "bytes32" }],
      [chainId, runRegistry, modelId, salt],
    ),
  ) as RunId;
}
