/** A staged world's sale of shares, for the tests of `cotrain capital`: as commands find it, and with epochs that end. */
import { epochEnd } from "@cotrain/sdk/actions";
import type { Hex } from "@cotrain/sdk/protocol";
import { erc20Abi } from "viem";

import { connect } from "../../../offchain/src/chain/index.ts";
import type { FetchFunction } from "../../../offchain/src/chain/transport.ts";
import type { Place } from "../../../offchain/src/cli/place.ts";
import { presentSale, type SoldEpoch, workOn } from "../../../offchain/src/run/index.ts";
import { type Staged, told } from "./staged.ts";

export interface CapitalStage {
  /** What commands read a place with; it holds no wallets. */
  readonly placeNow: <T>(work: (place: Place) => Promise<T>, fetch?: FetchFunction) => Promise<T>;
  /** Goes on to the next epoch, most of which is before a test then: local ones last for seconds. */
  readonly nextEpoch: () => Promise<void>;
  /** The present epoch, as a deposit shows it. */
  readonly shownNow: () => Promise<SoldEpoch>;
  readonly dollarsOf: (account: Hex) => Promise<bigint>;
  /** Goes on to the end of an epoch. */
  readonly overBy: (epoch: bigint) => Promise<void>;
  /** The stranger pays so much in an epoch in which the buyer holds all shares that there are; then it is over. */
  readonly earn: (amount: string) => Promise<void>;
}

export function capitalStage(stage: Staged): CapitalStage {
  const placeNow = async <T>(work: (place: Place) => Promise<T>, fetch?: FetchFunction): Promise<T> =>
    workOn(await connect({ rpcUrl: stage.node.url, chainId: stage.world.chainId, retries: 0, fetch }), (connection) => {
      const { contracts: addresses, modelId, runId, fromBlock } = stage.world;
      return work({ connection, addresses, modelId, runId, fromBlock, entries: [], pinned: true } as unknown as Place);
    });
  const shownNow = async () => (await placeNow((place) => presentSale(place, []))).found;
  async function overBy(epoch: bigint): Promise<void> {
    const { contracts: addresses, modelId } = stage.world;
    const end = await epochEnd(stage.client, { addresses, modelId, epoch });
    if (end > (await stage.client.getBlock()).timestamp)
      await stage.client.setNextBlockTimestamp({ timestamp: BigInt(end) });
    await stage.client.mine({ blocks: 1 });
  }
  const nextEpoch = async () => overBy((await shownNow()).epoch);
  async function earn(amount: string): Promise<void> {
    const at = ["--state", stage.state];
    await nextEpoch();
    const { epoch } = await told<{ epoch: string }>("capital", "deposit", "2", ...at, ...stage.by("buyer"), "--yes");
    await overBy(BigInt(epoch));
    await told("capital", "claim", ...at, ...stage.by("buyer"));
    await nextEpoch();
    const paid = await told<{ epoch: number }>("revenue", "deposit", amount, ...at, ...stage.by("stranger"), "--yes");
    await overBy(BigInt(paid.epoch));
  }
  return {
    placeNow,
    shownNow,
    overBy,
    nextEpoch,
    earn,
    dollarsOf: (account) =>
      stage.client.readContract({
        address: stage.world.testDollar,
        abi: erc20Abi,
        functionName: "balanceOf",
        args: [account],
      }),
  };
}

/** A node that is silent where a request contains such a text. */
export const silentOn =
  (text: string): FetchFunction =>
  (input, init) =>
    typeof init?.body === "string" && init.body.includes(text)
      ? Promise.reject(new DOMException("The operation timed out.", "TimeoutError"))
      : fetch(input, init);
