/** ModelShares: an ERC-20 with votes by time. Transfers and permits are those of any ERC-20; here is what Cotrain adds. */
import type { Address, Client } from "viem";
import { readContract } from "viem/actions";
import { modelSharesAbi } from "../abis/index.ts";
import { withContractErrors } from "../decodeError.ts";
import { callOf, defineWrite, eventOf, nothing, type ReadOptions } from "./action.ts";

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

type SharesReadArgs = SharesArgs & ReadOptions;
type AccountArgs = SharesReadArgs & { readonly account: Address };

const contract = ({ shares, blockNumber }: SharesReadArgs) => ({
  abi: modelSharesAbi,
  address: shares,
  ...(blockNumber === undefined ? {} : { blockNumber }),
});

/** Shares of an account, in wei. */
export const balanceOf = (client: Client, args: AccountArgs): Promise<bigint> =>
  withContractErrors(readContract(client, { ...contract(args), functionName: "balanceOf", args: [args.account] }));

/** Shares in existence, in wei. */
export const totalSupply = (client: Client, args: SharesReadArgs): Promise<bigint> =>
  withContractErrors(readContract(client, { ...contract(args), functionName: "totalSupply" }));

/** Shares in existence at a time in the past (chain seconds), in wei: what votes are a part of. @throws ERC5805FutureLookupError */
export const pastSupplyOf = (client: Client, args: SharesReadArgs & { readonly timepoint: bigint }): Promise<bigint> =>
  withContractErrors(
    readContract(client, { ...contract(args), functionName: "getPastTotalSupply", args: [args.timepoint] }),
  );

/** Votes of an account now. */
export const votesOf = (client: Client, args: AccountArgs): Promise<bigint> =>
  withContractErrors(readContract(client, { ...contract(args), functionName: "getVotes", args: [args.account] }));

/** Votes of an account at a time in the past (chain seconds). @throws ERC5805FutureLookupError */
export const pastVotesOf = (client: Client, args: AccountArgs & { readonly timepoint: bigint }): Promise<bigint> =>
  withContractErrors(
    readContract(client, {
      ...contract(args),
      functionName: "getPastVotes",
      args: [args.account, args.timepoint],
    }),
  );

/** Whose votes an account's shares are; the zero address for nobody's. */
export const delegateOf = (client: Client, args: AccountArgs): Promise<Address> =>
  withContractErrors(readContract(client, { ...contract(args), functionName: "delegates", args: [args.account] }));
