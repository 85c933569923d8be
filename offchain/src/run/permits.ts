/**
 * Permits (ERC-2612): an owner's signature that lets a contract take an amount, which goes along with what takes it, so that one
 * transaction does both and nothing is left allowed. Only for tokens that say how they are signed, and whose own word about that holds.
 */
import type { Address, Hex } from "@cotrain/sdk/protocol";
import {
  AbiDecodingDataSizeTooSmallError,
  BaseError,
  ContractFunctionRevertedError,
  ContractFunctionZeroDataError,
  domainSeparator,
  parseAbi,
  parseSignature,
  type TypedDataDomain,
} from "viem";
import { signTypedData } from "viem/actions";

import type { ChainConnection, WalletClient } from "../chain/index.ts";

/** A signature, as contracts take it. */
export interface SignedPermit {
  readonly deadline: bigint;
  readonly v: number;
  readonly r: Hex;
  readonly s: Hex;
}

/** Seconds for which a permit serves: a deposit may begin anew for some epochs. */
const SERVES = 3_600n;

const permitAbi = parseAbi([
  "function nonces(address owner) view returns (uint256)",
  "function DOMAIN_SEPARATOR() view returns (bytes32)",
  "function name() view returns (string)",
  "function eip712Domain() view returns (bytes1 fields, string name, string version, uint256 chainId, address verifyingContract, bytes32 salt, uint256[] extensions)",
]);

const permitTypes = {
  Permit: [
    { name: "owner", type: "address" },
    { name: "spender", type: "address" },
    { name: "value", type: "uint256" },
    { name: "nonce", type: "uint256" },
    { name: "deadline", type: "uint256" },
  ],
} as const;

type Chain = Pick<ChainConnection, "call" | "chainId">;

/** What a contract that has no such function answers. */
const refusals = [ContractFunctionRevertedError, ContractFunctionZeroDataError, AbiDecodingDataSizeTooSmallError];

/** What a token answers; undefined where it has no such function. @throws where the node is away */
const answerOf = <T>(work: Promise<T>): Promise<T | undefined> =>
  work.catch((error: unknown) => {
    const refused = error instanceof BaseError && error.walk((cause) => refusals.some((kind) => cause instanceof kind));
    if (refused) return undefined;
    throw error;
  });

/** The domain of a token's permits, and the owner's next nonce; undefined where it takes none, or says how in a way of its own. */
async function termsOf({ call, chainId }: Chain, address: Address, owner: Address) {
  const at = { address, abi: permitAbi } as const;
  const read = <T>(work: Parameters<typeof call<T>>[0]) => call((chain) => answerOf(work(chain)));
  const nonce = await read((chain) => chain.readContract({ ...at, functionName: "nonces", args: [owner] }));
  const separator = await read((chain) => chain.readContract({ ...at, functionName: "DOMAIN_SEPARATOR" }));
  const said = await read((chain) => chain.readContract({ ...at, functionName: "eip712Domain" }));
  const name = said?.[1] ?? (await read((chain) => chain.readContract({ ...at, functionName: "name" })));
  if (nonce === undefined || separator === undefined || name === undefined) return undefined;
  // Tokens that are older than EIP-5267 mostly have version 1, a dollar that many use has 2.
  const versions = said ? [said[2]] : ["1", "2"];
  const domains = versions.map((version): TypedDataDomain => ({ name, version, chainId, verifyingContract: address }));
  const domain = domains.find((each) => domainSeparator({ domain: each }) === separator);
  return domain && { domain, nonce };
}

/**
 * Signs that a contract may take an amount of the client's.
 * @returns undefined where the token takes no permits
 */
export async function permitFor(
  connection: Chain,
  client: WalletClient,
  { token, spender, amount }: { readonly token: Address; readonly spender: Address; readonly amount: bigint },
): Promise<SignedPermit | undefined> {
  const owner = client.account.address;
  const terms = await termsOf(connection, token, owner);
  if (!terms) return undefined;
  const { timestamp } = await connection.call((chain) => chain.getBlock());
  const deadline = timestamp + SERVES;
  const { domain, nonce } = terms;
  const message = { owner, spender, value: amount, nonce, deadline };
  const signature = await signTypedData(client, {
    account: client.account,
    domain,
    types: permitTypes,
    primaryType: "Permit",
    message,
  });
  const { r, s, yParity } = parseSignature(signature);
  return { deadline, v: 27 + yParity, r, s };
}
