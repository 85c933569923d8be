/** A coordinator that tells of a world's run, and does nothing else. */
import { createServer } from "node:http";

import { modelContractsOf } from "@cotrain/sdk/actions";
import { type EpochView, runParamsToWire, type RunView } from "@cotrain/sdk/protocol";
import type { PublicClient } from "viem";
import { onTestFinished } from "vitest";

import { listening } from "../../loopback.ts";
import { keyOf, params, poster, type World } from "../chain/world.ts";

/** @param epochs those that it publishes. @returns its URL; it ends with the test */
export async function tellingCoordinator(
  world: World,
  client: Pick<PublicClient, "request">,
  epochs: readonly EpochView[] = [],
): Promise<string> {
  const { chainId, contracts: addresses, modelId, runId } = world;
  const own = await modelContractsOf(client as PublicClient, { addresses, modelId });
  const view: RunView = {
    runId,
    modelId,
    chainId,
    contracts: { ...addresses, ...own },
    rpcUrl: null,
    deployment: { profile: "local", blocks: { modelRegistry: world.fromBlock } },
    definition: keyOf("definition"),
    builds: [],
    poster: poster.address,
    phase: "Waiting",
    round: 0,
    step: 0,
    tokens: "0",
    paramsVersion: 1,
    params: runParamsToWire(params),
    checkpoint: { round: 0, digest: keyOf("nothing") },
    anchored: null,
    current: null,
    members: [],
    accepted: { workers: 0, tokens: "0" },
    tokensPerSecond: 0,
    loss: { train: null, heldOut: null, heldOutFirst: null },
    traffic: { up: 0, down: 0, synchronous: 0, ring: 0 },
    kept: { payloadSeconds: 0, checkpoints: 1, checkpointBytes: 0 },
  };
  const server = createServer((request, response) => {
    const runs = { runs: [{ runId, modelId, phase: "Waiting" }] };
    const answer = request.url?.endsWith("/epochs") ? { epochs } : request.url?.endsWith(runId) ? view : runs;
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
  });
  const url = await listening(server);
  onTestFinished(() => void server.close());
  return url;
}
