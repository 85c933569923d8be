/** What accounts sign for a model's own contracts, and whether they did: an account with code answers itself (ERC-1271). */
import {
  type Address,
  BaseError,
  type Client,
  ContractFunctionRevertedError,
  ContractFunctionZeroDataError,
  AbiDecodingDataSizeTooSmallError,
  hashTypedData,
  type Hex,
  isAddressEqual,
  parseAbi,
} from "viem";
import { getChainId, getCode, readContract } from "viem/actions";
import { modelSharesAbi } from "../abis/index.ts";
import { ProtocolError } from "../baseErrors.ts";
import { recoverDigest } from "../protocol/typedData.ts";
import { defineRead, type ReadOptions, viewOf } from "./action.ts";

const domainOf = /* @__PURE__ */ defineRead({
  addressed: false,
  // Of shares and governors alike (EIP-5267).
  view: ({ contract }: { readonly contract: Address }) => viewOf(contract, modelSharesAbi, "eip712Domain", []),
});

/** The EIP-712 domain for which something is signed. */
export interface SigningDomain {
  /** The model's, as its contracts have it. */
  readonly name: string;
  readonly version: "1";
  readonly chainId: number;
  readonly verifyingContract: Address;
}

/**
 * The domain in which a model's shares or governor take signatures. Of what the node says of it the name alone is taken: whoever chose
 * the rest would have something signed for another chain or contract.
 * @param args.contract the model's shares or governor
 * @param args.chainId the chain that is meant; the client's if left out
 * @throws ProtocolError SIGNING_DOMAIN where the contract, or the node in its place, names another chain or contract
 */
export async function signingDomain(
  client: Client,
  { contract, ...args }: { readonly contract: Address; readonly chainId?: number } & ReadOptions,
): Promise<SigningDomain> {
  const chainId = args.chainId ?? client.chain?.id ?? (await getChainId(client));
  const [, name, version, saidChain, verifyingContract] = await domainOf(client, { contract, ...args });
  if (version !== "1" || saidChain !== BigInt(chainId) || !isAddressEqual(verifyingContract, contract))
    throw new ProtocolError(
      "SIGNING_DOMAIN",
      `The contract ${contract} says that it signs for ${verifyingContract} on chain ${saidChain}, and chain ${chainId} is meant: that is no contract of Cotrain's, or the node lies.`,
    );
  return { name, version, chainId, verifyingContract: contract };
}

/** Something to sign, as viem's `signTypedData` takes it. */
export interface TypedData {
  readonly domain: SigningDomain;
  readonly types: Readonly<Record<string, { readonly name: string; readonly type: string }[]>>;
  readonly primaryType: string;
  readonly message: Record<string, unknown>;
}

const erc1271Abi = /* @__PURE__ */ parseAbi([
  "function isValidSignature(bytes32 hash, bytes signature) view returns (bytes4)",
]);
const MAGIC = "0x1626ba7e";

/** What a wallet answers that has no such function, or throws in it: that it did not sign. */
const refusals = [ContractFunctionRevertedError, ContractFunctionZeroDataError, AbiDecodingDataSizeTooSmallError];

export interface SignedByArgs {
  readonly account: Address;
  readonly data: TypedData;
  readonly signature: Hex;
}

/**
 * Whether an account signed, as the contracts judge it (OpenZeppelin's SignatureChecker): of an account with code its own
 * `isValidSignature` decides, an EIP-7702 delegation included, of any other its key. Smart-contract wallets that do not exist yet
 * (ERC-6492) sign nothing that a contract here would take.
 * @example
 * const signed = await isSignedBy(client, { account: voter, data: await ballotToSign(client, { governor, ...ballot }), signature })
 */
export async function isSignedBy(
  client: Client,
  { account, data, signature, ...options }: SignedByArgs & ReadOptions,
): Promise<boolean> {
  const hash = hashTypedData(data);
  if ((await getCode(client, { address: account, ...options })) === undefined) {
    const signer = await recoverDigest(hash, signature).catch(() => undefined);
    return signer !== undefined && isAddressEqual(signer, account);
  }
  const asked = {
    address: account,
    abi: erc1271Abi,
    functionName: "isValidSignature",
    args: [hash, signature],
  } as const;
  try {
    return (await readContract(client, { ...asked, ...options })) === MAGIC;
  } catch (error) {
    const refused =
      error instanceof BaseError && error.walk((cause) => refusals.some((Class) => cause instanceof Class)) !== null;
    if (refused) return false;
    throw error;
  }
}
