/**
 * Calls that belong together: one batch that happens whole or not at all where the account's wallet makes such (EIP-5792), one
 * transaction after the other elsewhere.
 */
import {
  type Account,
  type Address,
  type Client,
  type Hash,
  isAddressEqual,
  type TransactionReceipt,
  zeroAddress,
} from "viem";
import { getCapabilities, sendCalls, waitForCallsStatus, waitForTransactionReceipt } from "viem/actions";
import { addressesFor } from "../addresses.ts";
import { TransactionRevertedError } from "../baseErrors.ts";
import { decodeError } from "../decodeError.ts";
import {
  type Addressed,
  type Call,
  type ClientArgs,
  defineWrite,
  nothing,
  signerOf,
  type SyncOptions,
} from "./action.ts";
import { sharesOf } from "./models.ts";
import { claimMany, type ClaimLeaf, type RootsArgs } from "./rewards.ts";
import { delegate, delegateOf } from "./shares.ts";

/**
 * Whether the account's wallet makes batches that happen whole or not at all, on the client's chain. A key in this program makes none,
 * nor does a wallet that does not say so, or a client that names no chain.
 */
export async function makesBatches(
  client: Client,
  args: { readonly account?: Account | Address } = {},
): Promise<boolean> {
  const account = signerOf(client, args.account);
  const { chain } = client;
  if (account.type !== "json-rpc" || chain === undefined) return false;
  try {
    const all = await getCapabilities(client, { account });
    // Under 0 a wallet lists what it can do on every chain.
    const status = (all[chain.id]?.atomic ?? all[0]?.atomic)?.status;
    return status === "supported" || status === "ready";
  } catch {
    // Wallets of before EIP-5792 refuse the question, each in its own way.
    return false;
  }
}

/** EIP-5792: the wallet would have to be upgraded for it, which its owner refused; or it cannot after all. */
const NOT_ATOMIC: ReadonlySet<unknown> = new Set([5750, 5760]);

function refusesBatch(error: unknown): boolean {
  for (let cause = error; cause instanceof Error; cause = cause.cause)
    if ("code" in cause && NOT_ATOMIC.has(cause.code)) return true;
  return false;
}

const sendOne = /* @__PURE__ */ defineWrite({
  addressed: false,
  call: ({ call }: { readonly call: Call }) => call,
  decode: nothing,
  extractEvent: nothing,
});

/** Calls that were made. */
export interface SentCalls {
  /** Whether they were one batch. */
  readonly batched: boolean;
  /** Of each transaction. A wallet's bundler may have put calls of others into the same. */
  readonly receipts: readonly TransactionReceipt[];
}

export interface SendBatchArgs extends SyncOptions {
  /** What writes' `call` gives, in this order. */
  readonly calls: readonly Call[];
  /** Who sends; the client's if left out. */
  readonly account?: Account | Address;
}

/** The transactions of a batch. @throws TransactionRevertedError */
async function batch(client: Client, { calls, account, timeout, pollingInterval }: SendBatchArgs): Promise<Hash[]> {
  const { id } = await sendCalls(client, {
    account: signerOf(client, account),
    chain: client.chain,
    calls: calls.map(({ to, data, value }) => ({ to, data, value })),
    forceAtomic: true,
  });
  const { status, receipts = [] } = await waitForCallsStatus(client, {
    id,
    ...(timeout === undefined ? {} : { timeout }),
    ...(pollingInterval === undefined ? {} : { pollingInterval }),
  });
  const hashes = [...new Set(receipts.map(({ transactionHash }) => transactionHash))];
  if (status !== "success") throw new TransactionRevertedError(hashes[0] ?? id);
  return hashes;
}

/**
 * Sends calls and waits for them: as one batch where the wallet makes such, else one after the other, of which those before a failure
 * stay. Nothing is sent where there is none.
 * @example
 * await sendBatch(client, { calls: [delegate.call({ shares, delegatee }), castVote.call({ governor, proposalId, support: "for" })] })
 * @throws AccountMissingError, ContractError, TransactionRevertedError
 */
export async function sendBatch(client: Client, args: SendBatchArgs): Promise<SentCalls> {
  const { calls, ...options } = args;
  if (calls.length > 1 && (await makesBatches(client, options))) {
    try {
      const hashes = await batch(client, args);
      const { confirmations = 1 } = options;
      const receipts = hashes.map((hash) => waitForTransactionReceipt(client, { hash, confirmations }));
      return { batched: true, receipts: await Promise.all(receipts) };
    } catch (error) {
      if (!refusesBatch(error)) throw decodeError(error) ?? error;
    }
  }
  const receipts: TransactionReceipt[] = [];
  for (const call of calls) receipts.push((await sendOne.sync(client, { ...options, call })).receipt);
  return { batched: false, receipts };
}

export interface ClaimAndDelegateArgs extends RootsArgs, Addressed {
  /** What the sender is granted and has not been paid: `unpaidLeaves`. */
  readonly leaves: readonly ClaimLeaf[];
  /** Who is to vote with the sender's shares; if left out the sender where nobody does yet, else whoever does. */
  readonly delegatee?: Address;
}

/** What was claimed, and who votes with it. */
export interface ClaimedAndDelegated extends SentCalls {
  /** What the sender was paid, in share wei. */
  readonly amount: bigint;
  /** Whose votes the sender's shares are now. */
  readonly delegatee: Address;
}

/**
 * Claims for the sender and has its shares vote, which shares that nobody is delegated do not: in one batch where the wallet makes such,
 * else by two transactions. What is done already is not sent again.
 * @example
 * const { amount, delegatee } = await claimAndDelegate(client, { addresses, modelId, leaves: unpaid })
 * @throws AccountMissingError, ContractError, TransactionRevertedError
 */
export async function claimAndDelegate(
  client: Client,
  {
    leaves,
    delegatee: wanted,
    account: given,
    ...args
  }: ClientArgs<ClaimAndDelegateArgs> & Omit<SendBatchArgs, "calls">,
): Promise<ClaimedAndDelegated> {
  const account = signerOf(client, given);
  const sender = account.address;
  const addresses = addressesFor(client, args.addresses);
  const { modelId, kind } = args;
  const shares = await sharesOf(client, { addresses, modelId });
  const before = await delegateOf(client, { shares, account: sender });
  const delegatee = wanted ?? (before === zeroAddress ? sender : before);
  const calls: Call[] = [];
  if (leaves.length > 0) {
    const claims = [{ modelId, beneficiary: sender, leaves, ...(kind === undefined ? {} : { kind }) }];
    const { call } = await claimMany.simulate(client, { addresses, claims, account });
    calls.push(call);
  }
  if (!isAddressEqual(delegatee, before)) calls.push(delegate.call({ shares, delegatee }));
  const sent = await sendBatch(client, { ...args, account, calls });
  const logs = sent.receipts.flatMap((receipt) => receipt.logs);
  const amount = claimMany
    .extractEvent({ logs: logs.filter(({ address }) => isAddressEqual(address, addresses.computeRewards)) })
    .filter((event) => isAddressEqual(event.account, sender))
    .reduce((sum, event) => sum + event.amount, 0n);
  return { ...sent, amount, delegatee };
}
