/** ModelShares: an ERC-20 with votes by time. Transfers and permits are those of any ERC-20; here is what Cotrain adds. */
import { type Account, type Address, type Client, type Hex, parseSignature } from "viem";
import { signTypedData } from "viem/actions";
import { modelSharesAbi } from "../abis/index.ts";
import { callOf, defineRead, defineWrite, eventOf, nothing, type ReadOptions, signerOf, viewOf } from "./action.ts";
import { signingDomain, type TypedData } from "./signatures.ts";

export interface SharesArgs {
  /** The model's shares: `sharesOf`. */
  readonly shares: Address;
}

export interface DelegateArgs extends SharesArgs {
  /** Whose votes the sender's shares become; its own address to vote itself. */
  readonly delegatee: Address;
}

/** Makes the sender's shares count as votes. Shares that nobody is delegated do not vote. */
export const delegate = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ shares, delegatee }: DelegateArgs) => callOf(shares, modelSharesAbi, "delegate", [delegatee]),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, modelSharesAbi, "DelegateChanged"),
});

type AccountArgs = SharesArgs & { readonly account: Address };

/** What a holder signs to delegate without sending anything. */
export interface DelegationMessage {
  readonly delegatee: Address;
  /** The holder's `delegationNonce`. */
  readonly nonce: bigint;
  /** Chain seconds until which it may be sent. */
  readonly expiry: bigint;
}

/**
 * A delegation as `signTypedData` takes it (ERC-5805).
 * @param args.chainId the chain that is meant; the client's if left out
 * @throws ProtocolError SIGNING_DOMAIN, see `signingDomain`
 */
export async function delegationToSign(
  client: Client,
  {
    shares,
    chainId,
    delegatee,
    nonce,
    expiry,
    ...options
  }: SharesArgs & DelegationMessage & { readonly chainId?: number } & ReadOptions,
): Promise<TypedData> {
  const at = { contract: shares, ...(chainId !== undefined && { chainId }), ...options };
  return {
    domain: await signingDomain(client, at),
    types: {
      Delegation: [
        { name: "delegatee", type: "address" },
        { name: "nonce", type: "uint256" },
        { name: "expiry", type: "uint256" },
      ],
    },
    primaryType: "Delegation",
    message: { delegatee, nonce, expiry },
  };
}

/** A delegation that was signed, for `delegateBySig`. */
export interface SignedDelegation {
  readonly delegation: DelegationMessage;
  readonly signature: Hex;
}

/**
 * Signs a delegation of the account's shares with its next nonce, and sends nothing.
 * @param args.account whose shares they are; the client's if left out
 * @example
 * const signed = await signDelegation(wallet, { shares, delegatee, expiry })
 * await delegateBySig.sync(relay, { shares, ...signed })
 * @throws AccountMissingError; ProtocolError SIGNING_DOMAIN
 */
export async function signDelegation(
  client: Client,
  {
    shares,
    account: given,
    delegatee,
    expiry,
  }: SharesArgs & Omit<DelegationMessage, "nonce"> & { readonly account?: Account | Address },
): Promise<SignedDelegation> {
  const account = signerOf(client, given);
  const nonce = await delegationNonce(client, { shares, account: account.address });
  const delegation = { delegatee, nonce, expiry };
  const data = await delegationToSign(client, { shares, ...delegation });
  return { delegation, signature: await signTypedData(client, { account, ...data }) };
}

export interface SignedDelegationArgs extends SharesArgs {
  readonly delegation: DelegationMessage;
  /** The holder's, of `delegationToSign`. */
  readonly signature: Hex;
}

/**
 * Delegates what somebody has signed; anyone may send it, once, until it expires. A contract's signature is not taken.
 * @throws VotesExpiredSignatureError, InvalidAccountNonceError
 */
export const delegateBySig = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ shares, delegation: { delegatee, nonce, expiry }, signature }: SignedDelegationArgs) => {
    const { r, s, yParity } = parseSignature(signature);
    return callOf(shares, modelSharesAbi, "delegateBySig", [delegatee, nonce, expiry, 27 + yParity, r, s]);
  },
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, modelSharesAbi, "DelegateChanged"),
});

/** With what an account signs its next delegation or permit. */
export const delegationNonce = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ shares, account }: AccountArgs) => viewOf(shares, modelSharesAbi, "nonces", [account]),
});

/** Shares of an account, in wei. */
export const balanceOf = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ shares, account }: AccountArgs) => viewOf(shares, modelSharesAbi, "balanceOf", [account]),
});

/** Shares in existence, in wei. */
export const totalSupply = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ shares }: SharesArgs) => viewOf(shares, modelSharesAbi, "totalSupply", []),
});

/** Shares in existence at a time in the past (chain seconds), in wei: what votes are a part of. @throws ERC5805FutureLookupError */
export const pastSupplyOf = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ shares, timepoint }: SharesArgs & { readonly timepoint: bigint }) =>
    viewOf(shares, modelSharesAbi, "getPastTotalSupply", [timepoint]),
});

/** Votes of an account now. */
export const votesOf = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ shares, account }: AccountArgs) => viewOf(shares, modelSharesAbi, "getVotes", [account]),
});

/** Votes of an account at a time in the past (chain seconds). @throws ERC5805FutureLookupError */
export const pastVotesOf = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ shares, account, timepoint }: AccountArgs & { readonly timepoint: bigint }) =>
    viewOf(shares, modelSharesAbi, "getPastVotes", [account, timepoint]),
});

/** Whose votes an account's shares are; the zero address for nobody's. */
export const delegateOf = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ shares, account }: AccountArgs) => viewOf(shares, modelSharesAbi, "delegates", [account]),
});

/** Where the model's licences and terms stand (ERC-7572): a URI, empty where none is named. */
export const contractUriOf = /* @__PURE__ */ defineRead({
  addressed: false,
  view: ({ shares }: SharesArgs) => viewOf(shares, modelSharesAbi, "contractURI", []),
});

/** Names other licences and terms; the timelock alone may. @throws ModelSharesOnlyTimelockError */
export const setContractUri = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ shares, uri }: SharesArgs & { readonly uri: string }) =>
    callOf(shares, modelSharesAbi, "setContractURI", [uri]),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, modelSharesAbi, "ContractURIUpdated"),
});
