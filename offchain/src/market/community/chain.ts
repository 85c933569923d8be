/** ComputeEscrow, as either side of a lease uses it. */
import {
  allowEscrow,
  closeEscrow,
  escrowChannelOf,
  escrowWiring,
  misWired,
  openEscrow,
  redeemVoucher,
  wireSentence,
  withdrawEscrow,
} from "@cotrain/sdk/actions";
import { CotrainError } from "@cotrain/sdk/errors";
import {
  type Address,
  type EscrowPlace,
  escrowVaultAt,
  fromWire,
  leaseOfTerms,
  type LeaseTerms,
} from "@cotrain/sdk/protocol";
import pLimit from "p-limit";
import { erc20Abi, type LocalAccount } from "viem";
import { readContract } from "viem/actions";

import { UserError } from "../../base/index.ts";
import {
  allowanceOf,
  type ChainConnection,
  chainError,
  changeAllowance,
  connect,
  walletOn,
} from "../../chain/index.ts";
import type { RenterChain } from "./renting.ts";
import type { ChannelSeen, LendingModules } from "./lending.ts";

/**
 * The chain of an escrow, once the contract there is found to be wired as one.
 * @throws UserError `ESCROW_FOREIGN`; as {@link connect}
 */
export async function connectEscrow(rpcUrl: string, { chainId, escrow }: EscrowPlace): Promise<ChainConnection> {
  const connection = await connect({ rpcUrl, chainId });
  const foreign = (why: string, cause?: unknown): UserError =>
    new UserError("ESCROW_FOREIGN", `What is at ${escrow} on chain ${chainId} is no ComputeEscrow: ${why}`, { cause });
  const code = await connection.call((client) => client.getCode({ address: escrow }));
  if (code === undefined || code === "0x") throw foreign("there is no contract.");
  const [wrong] = misWired(
    await connection
      .call((client) => escrowWiring(client, { escrow }))
      .catch((cause: unknown) => {
        if (cause instanceof CotrainError && cause.code === "CHAIN_UNREACHABLE") throw cause;
        throw foreign("it does not say what its vaults are.", cause);
      }),
  );
  if (wrong) throw foreign(wireSentence(wrong));
  return connection;
}

/** A channel, and what its vault holds; undefined where there is none. */
async function channelSeen(
  connection: ChainConnection,
  place: EscrowPlace,
  terms: LeaseTerms,
): Promise<ChannelSeen | undefined> {
  const { escrow } = place;
  const leaseId = leaseOfTerms(place, terms);
  return connection.call(async (client) => {
    const channel = await escrowChannelOf(client, { escrow, leaseId });
    if (channel === undefined) return undefined;
    const held = await balanceAt(client, terms.token, escrowVaultAt(escrow, leaseId));
    const { deposit, earned, paid, closesAt } = channel;
    return { deposit, earned, paid, closesAt, held };
  });
}

const balanceAt = (client: ChainConnection["client"], token: Address, account: Address): Promise<bigint> =>
  readContract(client, { address: token, abi: erc20Abi, functionName: "balanceOf", args: [account] });

/** What a chain says that is no answer is an error of ours. */
const sending = async <T>({ url, chainId }: ChainConnection, work: () => Promise<T>): Promise<T> => {
  try {
    return await work();
  } catch (error) {
    throw error instanceof CotrainError ? error : chainError(url, error, chainId);
  }
};

export function renterChain(connection: ChainConnection, place: EscrowPlace, account: LocalAccount): RenterChain {
  const { escrow } = place;
  const wallet = walletOn(connection, account);
  // One transaction after the other: an allowance is of one deposit, and nothing of it stands after that.
  const inTurn = pLimit(1);
  const send = <T>(work: () => Promise<T>): Promise<T> => inTurn(() => sending(connection, work));
  return {
    channel: (terms) => channelSeen(connection, place, terms),
    balance: (token) => connection.call((client) => balanceAt(client, token, account.address)),
    open: (terms, amount) =>
      send(async () => {
        const { token } = terms;
        const allow = async (most: bigint): Promise<void> => {
          const standing = await allowanceOf(connection, { token, owner: account.address, spender: escrow });
          await changeAllowance(standing, most, (each) => allowEscrow.sync(wallet, { escrow, token, amount: each }));
        };
        await allow(amount);
        try {
          await openEscrow.sync(wallet, { escrow, terms, amount });
        } catch (error) {
          // What was not taken stands for nobody; what cannot be sent now, the next deposit replaces.
          await allow(0n).catch(() => undefined);
          throw error;
        }
      }),
    close: (terms) => send(async () => void (await closeEscrow.sync(wallet, { escrow, terms }))),
    withdraw: (terms) => send(async () => void (await withdrawEscrow.sync(wallet, { escrow, terms }))),
    now: async () => Number((await connection.call((client) => client.getBlock())).timestamp),
  };
}

/** @param fund sees to it that the machine's key can pay for a transaction, where that is play money */
export function machineChain(
  connection: ChainConnection,
  place: EscrowPlace,
  account: LocalAccount,
  fund: () => Promise<void>,
): Pick<LendingModules, "channel" | "redeem"> {
  const { escrow } = place;
  const wallet = walletOn(connection, account);
  return {
    channel: ({ terms }) => channelSeen(connection, place, terms),
    redeem: async ({ terms }, { voucher: wire, signature }) => {
      const voucher = fromWire("Voucher", wire);
      await sending(connection, async () => {
        await fund();
        await redeemVoucher.sync(wallet, { escrow, terms, voucher, signature });
      });
    },
  };
}
