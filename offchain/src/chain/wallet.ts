/**
 * Wallets that sign outside the posting journal. An RPC says which chain it is each time, and what is signed for another chain
 * is good there: so the account itself signs for its own chain alone.
 */
import { type Account, type Client, createWalletClient, http, type LocalAccount, type Transport } from "viem";

import { RetryableError } from "../base/index.ts";

class OtherChainError extends RetryableError {
  /** What viem shows of a cause. */
  readonly shortMessage = this.message;
}

/** The account, which signs no transaction for another chain. */
export function accountOn(account: LocalAccount, chainId: number): LocalAccount {
  return {
    ...account,
    signTransaction: async (transaction, options) => {
      if (transaction.chainId !== chainId)
        throw new OtherChainError(
          "CHAIN_CHANGED",
          `The RPC says that it is chain ${transaction.chainId}, not ${chainId}: nothing is signed for another chain.`,
        );
      return account.signTransaction(transaction, options);
    },
  };
}

export type WalletClient = Client<Transport, undefined, Account>;

/** A client that signs with this account for one chain; it asks for blocks often, since local ones come every second. */
export const walletOn = (
  { url, chainId }: { readonly url: string; readonly chainId: number },
  account: LocalAccount,
): WalletClient =>
  createWalletClient({
    account: accountOn(account, chainId),
    transport: http(url, { timeout: 10_000, retryCount: 2 }),
    pollingInterval: 200,
  });
