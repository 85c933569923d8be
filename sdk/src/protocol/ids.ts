/** Ids and digests: branded hex strings, always lower case, so that equal values are equal strings. */
import type { Address, Hex } from "viem";
import { encodeAbiParameters, keccak256 } from "viem";
import { ProtocolError } from "../baseErrors.ts";

export type { Address, Hex } from "viem";

declare const brand: unique symbol;
type Branded<Name extends string> = Hex & { readonly [brand]: Name };

/** keccak256(abi.encode(chainId, modelRegistry, sender, salt)). */
export type ModelId = Branded<"ModelId">;
/** keccak256(abi.encode(chainId, runRegistry, modelId, salt)). */
export type RunId = Branded<"RunId">;
/** SHA-256 of a published blob. */
export type Digest = Branded<"Digest">;
/** One link of a run's hash chain of checkpoints. */
export type HeadHash = Branded<"HeadHash">;

const hash32 = /^0x[0-9a-f]{64}$/;
const address20 = /^0x[0-9a-f]{40}$/;

function asHash32(what: string, value: string): ModelId & RunId & Digest & HeadHash {
  const lower = value.toLowerCase();
  if (!hash32.test(lower))
    throw new ProtocolError("MALFORMED_ID", `${what} must be 0x and 64 hex digits, not "${value.slice(0, 80)}".`);
  return lower as ModelId & RunId & Digest & HeadHash;
}

/** @throws ProtocolError MALFORMED_ID unless the value is 0x and 64 hex digits (true of all four). */
export const asModelId = (value: string): ModelId => asHash32("A model id", value);
export const asRunId = (value: string): RunId => asHash32("A run id", value);
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

/** Known before any transaction and stable under reorgs. */
export function modelIdOf(chainId: bigint, modelRegistry: Address, sender: Address, salt: Hex): ModelId {
  return keccak256(
    encodeAbiParameters(
      [{ type: "uint256" }, { type: "address" }, { type: "address" }, { type: "bytes32" }],
      [chainId, modelRegistry, sender, salt],
    ),
  ) as ModelId;
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
