/** ModelShares: an ERC-20 with votes by time. Transfers and permits are those of any ERC-20; here is what Cotrain adds. */
import type { Address } from "viem";
import { modelSharesAbi } from "../abis/index.ts";
import { callOf, defineRead, defineWrite, eventOf, nothing, viewOf } from "./action.ts";

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
