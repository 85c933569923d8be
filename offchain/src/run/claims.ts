/** What an account earned and was not paid yet, how it is claimed, of all roots at once, and that its shares have votes. */
import {
  balanceOf,
  type ClaimLeaf,
  claimMany,
  claimNonce,
  claimTo,
  delegate,
  delegateOf,
  unpaidLeaves,
} from "@cotrain/sdk/actions";
import {
  type Address,
  type ContractAddresses,
  domainFor,
  type Hex,
  type ModelId,
  rewardKind,
  typedDataOf,
} from "@cotrain/sdk/protocol";
import type { Account, Chain, Client, Transport } from "viem";
import { getBlock, getChainId, signTypedData } from "viem/actions";

import type { ActiveRewards } from "./rewards.ts";

/** Leaves of one transaction at most: it takes a quarter of the gas that a transaction may have (EIP-7825). */
const MOST_LEAVES = 200;
/** Bytes of them at most: nodes take no transaction of more than 128 KiB. */
const MOST_BYTES = 96 * 1_024;
/** A leaf's words in the call's data besides its proof: offset, number, amount, the proof's offset and length. */
const LEAF_BYTES = 5 * 32;

interface Earnings {
  /** Under all active roots whose documents are to be had. */
  readonly earned: bigint;
  readonly claimed: bigint;
  readonly claimable: bigint;
  /** What was not paid. */
  readonly leaves: readonly ClaimLeaf[];
}

interface Where {
  readonly addresses: Readonly<ContractAddresses>;
  readonly modelId: ModelId;
  readonly account: Address;
  /** What was earned for, of `rewardKind`; compute if not said. */
  readonly kind?: number;
}

/** Where it is claimed, and for whom. */
interface Claiming extends Where {
  /** Who is paid in the account's place, which then signs for that; default the account. */
  readonly to?: Address | undefined;
}

type Signer = Client<Transport, Chain | undefined, Account>;

/** For how long an order to pay another serves, chain seconds: until its transaction is in a block. */
const ORDER_SECONDS = 3_600n;

const sumOf = (leaves: readonly Pick<ClaimLeaf, "amount">[]): bigint =>
  leaves.reduce((sum, { amount }) => sum + amount, 0n);

/** @throws as `ChainReader` */
export async function earningsOf(
  client: Client,
  where: Where,
  rewards: Pick<ActiveRewards, "leavesOf"> | undefined,
): Promise<Earnings> {
  const all = rewards?.leavesOf(where.account) ?? [];
  const leaves = await unpaidLeaves(client, { ...where, leaves: all });
  const [earned, claimable] = [sumOf(all), sumOf(leaves)];
  return { earned, claimed: earned - claimable, claimable, leaves };
}

/** @param most bytes of one batch, unless a single leaf has more */
function* batchesOf(leaves: readonly ClaimLeaf[], most: number): Generator<readonly ClaimLeaf[]> {
  let batch: ClaimLeaf[] = [];
  let bytes = 0;
  for (const leaf of leaves) {
    const length = LEAF_BYTES + 32 * leaf.proof.length;
    if (batch.length > 0 && (batch.length === MOST_LEAVES || bytes + length > most)) {
      yield batch;
      [batch, bytes] = [[], 0];
    }
    batch.push(leaf);
    bytes += length;
  }
  if (batch.length > 0) yield batch;
}

/** An order of the account's, signed, by which another is paid in its place. */
async function orderTo(client: Signer, { addresses, modelId, account, kind, to }: Claiming & { readonly to: Address }) {
  const [chainId, nonce, { timestamp }] = await Promise.all([
    getChainId(client),
    claimNonce(client, { addresses, account }),
    getBlock(client),
  ]);
  const deadline = timestamp + ORDER_SECONDS;
  const order = { modelId, kind: kind ?? rewardKind.compute, account, to, nonce, deadline };
  const signature = await signTypedData(
    client,
    typedDataOf(domainFor(chainId, addresses.computeRewards), "ClaimTo", order),
  );
  return { order, signature };
}

/** One transaction. @returns what it paid */
async function claimSome(
  client: Signer,
  { to, ...where }: Claiming,
  leaves: readonly ClaimLeaf[],
): Promise<{ readonly amount: bigint; readonly transaction: Hex }> {
  const { addresses, account, ...roots } = where;
  if (to === undefined) {
    const claims = [{ ...roots, beneficiary: account, leaves }];
    const { receipt, event } = await claimMany.sync(client, { addresses, claims });
    return { amount: sumOf(event), transaction: receipt.transactionHash };
  }
  const { receipt, event } = await claimTo.sync(client, {
    addresses,
    leaves,
    ...(await orderTo(client, { ...where, to })),
  });
  return { amount: event?.amount ?? 0n, transaction: receipt.transactionHash };
}

/**
 * Claims leaves, in as many transactions as they need.
 * @returns what was paid, and the last transaction; what somebody else claimed meanwhile is not in it
 */
export async function claimLeaves(
  client: Signer,
  claiming: Claiming,
  leaves: readonly ClaimLeaf[],
  most = MOST_BYTES,
): Promise<{ readonly amount: bigint; readonly transaction: Hex | null }> {
  let amount = 0n;
  let transaction: Hex | null = null;
  for (const some of batchesOf(leaves, most)) {
    const paid = await claimSome(client, claiming, some);
    amount += paid.amount;
    ({ transaction } = paid);
  }
  return { amount, transaction };
}

interface Holder {
  readonly shares: Address;
  readonly account: Address;
}

/** Whether an account holds shares that nobody votes with: anybody can claim for it, but only the account can delegate. */
export const lacksVotes = async (client: Client, { shares, account }: Holder): Promise<boolean> =>
  (await balanceOf(client, { shares, account })) > 0n && BigInt(await delegateOf(client, { shares, account })) === 0n;

/**
 * Delegates where the account has chosen nobody, whether it holds shares already or will.
 * @param delegatee who is to vote; default the account itself
 * @returns whether it did
 */
export async function ensureDelegate(
  client: Client<Transport, Chain | undefined, Account>,
  { shares, account }: Holder,
  delegatee = account,
): Promise<boolean> {
  if (BigInt(await delegateOf(client, { shares, account })) !== 0n) return false;
  await delegate.sync(client, { shares, delegatee });
  return true;
}

/** Delegates where {@link lacksVotes}. @returns whether it did */
export async function takeUpVotes(
  client: Client<Transport, Chain | undefined, Account>,
  holder: Holder,
  delegatee?: Address,
): Promise<boolean> {
  if (!(await lacksVotes(client, holder))) return false;
  return ensureDelegate(client, holder, delegatee);
}
