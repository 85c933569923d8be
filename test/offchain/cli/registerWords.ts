/** What somebody who reads a call that registers a run is told of it. */
import { modelContractsOf, registerRun, type RunConfig } from "@cotrain/sdk/actions";

import { connect, createReader } from "../../../offchain/src/chain/index.ts";
import {
  blobSourceOf,
  openLocalRun,
  saltAfter,
  wordsOfCall,
  type WordsPlace,
} from "../../../offchain/src/run/index.ts";
import type { Staged } from "./staged.ts";

export async function registerWords(stage: Staged, config: RunConfig): Promise<string> {
  const { contracts: addresses, modelId, runId, fromBlock, chainId } = stage.world;
  const connection = await connect({ rpcUrl: stage.node.url, chainId });
  const reader = createReader(connection, { contracts: addresses, fromBlock });
  const blobs = blobSourceOf((await openLocalRun(stage.state)).blobs);
  const contracts = await modelContractsOf(stage.client, { addresses, modelId });
  const place: WordsPlace = { connection, addresses, contracts, runId, fromBlock, reader, blobs };
  const { to: target, data } = registerRun.call({ addresses, modelId, salt: saltAfter(runId), config });
  return (await wordsOfCall(place, { target, value: 0n, data })).words;
}
