/** What a model's shares contract says, all of one block. */
import { capitalSaleOf, codeGrantsOf, foundersOf, mintedOf, timelockOf, totalSupply } from "@cotrain/sdk/actions";
import { type Address, asAddress, type ContractAddresses, type ModelId, rewardKind } from "@cotrain/sdk/protocol";
import { erc20Abi, parseAbi, zeroAddress } from "viem";

import type { ChainConnection } from "../chain/index.ts";

type Connection = Pick<ChainConnection, "call">;

/** Blocks that are asked about one after the other until the state of one is still there. */
const MOST_BLOCKS = 10;
/** What shares are asked by their standards: ERC-20, and of votes ERC-5805. */
const sharesAbi = [
  ...erc20Abi,
  ...parseAbi([
    "function getVotes(address account) view returns (uint256)",
    "function delegates(address account) view returns (address)",
  ]),
] as const;
/** Of questions that are asked together, about a hundred: what asks them is a contract, which has no room for many more. */
const TOGETHER_BYTES = 4_096;

/** A block of the chain. */
interface At {
  readonly number: bigint;
  /** Chain seconds. */
  readonly timestamp: bigint;
}

/**
 * What is read of the newest block. A local node keeps the state of no other: where that is gone when it is asked for, the next
 * block is taken.
 * @throws what `read` throws of a block that is still the newest, or of the last that is taken
 */
export async function ofNewest<T>({ call }: Connection, read: (block: At) => Promise<T>): Promise<T> {
  const newest = (): Promise<At> => call((client) => client.getBlock());
  let block = await newest();
  for (let met = 1; ; met++) {
    try {
      return await read(block);
    } catch (error) {
      const next = await newest();
      if (next.number === block.number || met === MOST_BLOCKS) throw error;
      block = next;
    }
  }
}

/** What the contract says of all accounts at one block, in wei: amounts of others than these are 0. */
export async function sharesAt(
  { connection: { call }, shares }: { readonly connection: Connection; readonly shares: Address },
  accounts: readonly Address[],
  blockNumber: bigint,
) {
  const asked = [...new Set(accounts)];
  const of = <const name extends string>(functionName: name) =>
    asked.map((account) => ({ address: shares, abi: sharesAbi, functionName, args: [account] as const }));
  const how = { allowFailure: false, deployless: true, batchSize: TOGETHER_BYTES, blockNumber } as const;
  const [supply, balances, votes, delegates] = await Promise.all([
    call((client) => totalSupply(client, { shares, blockNumber })),
    call((client) => client.multicall({ ...how, contracts: of("balanceOf") })),
    call((client) => client.multicall({ ...how, contracts: of("getVotes") })),
    call((client) => client.multicall({ ...how, contracts: of("delegates") })),
  ]);
  const at = (account: Address): number => asked.indexOf(account);
  return {
    supply,
    balanceOf: (account: Address): bigint => balances[at(account)] ?? 0n,
    votesOf: (account: Address): bigint => votes[at(account)] ?? 0n,
    delegateOf: (account: Address): Address => asAddress(delegates[at(account)] ?? zeroAddress),
  };
}

/**
 * The contracts that hold shares for those whom they are for: who worked, who wrote code or founded the model, who bought; and the
 * model's treasury. Zero where there is none.
 */
export interface SharesContracts {
  readonly rewards: Address;
  readonly grants: Address;
  readonly sale: Address;
  readonly treasury: Address;
}

/** What was minted for the model's founders when it was created, in wei. @throws RetryableError of the chain */
export const foundersAt = ({ call }: Connection, addresses: ContractAddresses, modelId: ModelId): Promise<bigint> =>
  call((client) => foundersOf(client, { addresses, modelId }));

/** What all shares of a model came about by, in wei: what was ever minted of each kind, what was burned since included. */
export type Minted = Readonly<Record<"compute" | "capital" | "code" | "treasury", bigint>>;

/** @throws what the chain does, of a block whose state is gone too */
export async function mintedAt(
  { call }: Connection,
  of: { readonly addresses: ContractAddresses; readonly modelId: ModelId },
  blockNumber: bigint,
): Promise<Minted> {
  const mintedFor = (kind: number) => call((client) => mintedOf(client, { ...of, kind, blockNumber }));
  const [compute, capital, code, treasury] = await Promise.all(
    ([rewardKind.compute, rewardKind.capital, rewardKind.code, rewardKind.treasury] as const).map(mintedFor),
  );
  return { compute: compute!, capital: capital!, code: code!, treasury: treasury! };
}

/** @throws RetryableError of the chain */
export async function contractsWithShares(
  { call }: Connection,
  addresses: ContractAddresses,
  modelId: ModelId,
): Promise<SharesContracts> {
  const [grants, sale, treasury] = await Promise.all([
    call((client) => codeGrantsOf(client, { addresses })),
    call((client) => capitalSaleOf(client, { addresses })),
    call((client) => timelockOf(client, { addresses, modelId })),
  ]);
  return {
    rewards: asAddress(addresses.computeRewards),
    grants: asAddress(grants),
    sale: asAddress(sale),
    treasury: asAddress(treasury),
  };
}
