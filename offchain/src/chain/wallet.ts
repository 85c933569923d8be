/**
 * Wallets that sign outside the posting journal. An RPC says each time which chain it is and what the transaction costs, and
 * what is signed is good wherever it says: so the account itself signs for its own chain alone, and within bounds of the fees.
 */
import { type Account, type Client, createWalletClient, type LocalAccount, type Transport } from "viem";

import type { ChainConnection } from "./connection.ts";
import { DEFAULT_MAX_FEE, requireFee, UnsignedError } from "./fees.ts";
import { rpcTransport } from "./transport.ts";

/** The account, which signs no transaction for another chain, and none whose fees may be higher. */
function accountOn(account: LocalAccount, chainId: number, maxFee: bigint): LocalAccount {
  return {
    ...account,
    signTransaction: async (transaction, options) => {
      if (transaction.chainId !== chainId)
        throw new UnsignedError(
          "CHAIN_CHANGED",
          `The RPC says that it is chain ${transaction.chainId}, not ${chainId}: nothing is signed for another chain.`,
        );
      const { gas = 0n, gasPrice = 0n, maxFeePerGas = gasPrice, maxPriorityFeePerGas = 0n } = transaction;
      requireFee({ gas, price: maxFeePerGas, tip: maxPriorityFeePerGas }, maxFee);
      return account.signTransaction(transaction, options);
    },
  };
}

/** The chain that a wallet signs for; `maxFee` is the default if not said. */
export type WalletChain = Pick<ChainConnection, "url" | "chainId"> & Partial<Pick<ChainConnection, "maxFee">>;

export type WalletClient = Client<Transport, undefined, Account>;

/** A client that signs with this account for one chain; it asks for blocks often, since local ones come every second. */
export const walletOn = (
  { url, chainId, maxFee = DEFAULT_MAX_FEE }: WalletChain,
  account: LocalAccount,
): WalletClient =>
  createWalletClient({
    account: accountOn(account, chainId, maxFee),
    transport: rpcTransport(url, { timeout: 10_000, retries: 2 }),
    pollingInterval: 200,
  });
