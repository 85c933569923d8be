/**
 * The whole life of a model by clients that people have: the SDK with viem, the SDK with ethers, and Foundry's cast alone; on anvil
 * and on an unmodified `geth --dev`. All three live at once on one node, each with a model of its own, and must come to the same.
 */
import { join } from "node:path";

import {
  balanceOf,
  bondCreditOf,
  currentParamsVersion,
  disputeOf,
  disputeOutcome,
  headOf,
  paramsOf,
  votesOf,
} from "@cotrain/sdk/actions";
import pLimit from "p-limit";
import { createPublicClient, http, parseEther } from "viem";
import { afterAll, describe, expect, it } from "vitest";

import { CAST } from "../cast.ts";
import { GETH } from "../geth.ts";
import { findTool } from "../goTool.ts";
import { canRun } from "../needs.ts";
import { findNpmTool } from "../npmTool.ts";
import { anvilBinary } from "../../offchain/src/chain/index.ts";
import { castHands, ethersHands, type Hands, viemHands } from "./clients/hands.ts";
import { decided, EARNED, type Life, live, openLife, SHARED } from "./clients/life.ts";
import { type ClientsNode, openClientsNode } from "./clients/node.ts";
import { freePort, openStage, type Stage, until } from "./harness.ts";

const possible = canRun("the life of a model by cast", "cast");
const stages: Stage[] = [];
afterAll(async () => {
  for (const stage of stages) await stage.close();
});

/** Starts a node and deploys on it. */
async function openNode(command: string, argsFor: (port: number) => readonly string[]): Promise<ClientsNode> {
  const stage = openStage();
  stages.push(stage);
  const port = await freePort();
  stage.run(command, argsFor(port));
  const url = `http://127.0.0.1:${port}`;
  const client = createPublicClient({ transport: http(url, { retryCount: 0 }) });
  await until("the node", () => client.getChainId().catch(() => undefined));
  return openClientsNode(url, join(stage.directory, "deployment.json"));
}

/** What a life has come to, by what the node says. */
async function outcomeOf({ node, of, modelId, runId, shares, voided }: Life) {
  const { client, deployment } = node;
  const { addresses } = deployment;
  const sharesOf = (account: `0x${string}`) => balanceOf(client, { shares, account });
  const dollarsOf = (account: `0x${string}`) => balanceOf(client, { shares: deployment.testDollar!, account });
  const dispute = await disputeOf(client, { addresses, digest: voided });
  const head = await headOf(client, { addresses, runId });
  const version = await currentParamsVersion(client, { addresses, runId });
  return {
    model: BigInt(modelId) !== 0n,
    round: head.round,
    sequence: head.sequence,
    alice: await sharesOf(of.alice.address),
    bob: await sharesOf(of.bob.address),
    votes: await votesOf(client, { shares, account: of.alice.address }),
    bought: await sharesOf(of.buyer.address),
    stolen: await sharesOf(of.thief.address),
    dispute: { outcome: dispute?.outcome, voted: dispute?.voted },
    credit: await bondCreditOf(client, { addresses, account: of.watcher.address }),
    shared: [await dollarsOf(of.alice.address), await dollarsOf(of.bob.address)],
    earned: await dollarsOf(of.watcher.address),
    returned: await dollarsOf(of.organiser.address),
    version,
    params: await paramsOf(client, { addresses, runId, version }),
  };
}

const lived = {
  model: true,
  // Its first round, the way back, and the first round again.
  round: 1n,
  sequence: 3n,
  alice: parseEther("330"),
  bob: parseEther("117"),
  votes: parseEther("330"),
  // All that the epoch sells is more than five dollars buy at two cents.
  bought: parseEther("150"),
  stolen: 0n,
  dispute: { outcome: disputeOutcome.void, voted: true },
  credit: 0n,
  shared: SHARED,
  earned: EARNED,
  // Of five dollars.
  returned: 5_000_000n - EARNED,
  version: 2,
  params: decided,
};

const clients: Readonly<Record<string, (node: ClientsNode) => Hands>> = {
  "the SDK with viem": viemHands,
  "the SDK with ethers": ethersHands,
  ...(possible && { "cast alone": (node: ClientsNode) => castHands(node, findNpmTool(CAST)!) }),
};

/**
 * Has each client live on a node.
 * @param atOnce where the node's clock is everybody's; one that is later with each transaction is turned by whoever waits, and would
 *   end the votes of those who are slower
 * @returns what each has come to
 */
async function liveAll(node: ClientsNode, atOnce: boolean): Promise<unknown[]> {
  const lives: Life[] = [];
  for (const [name, handsOf] of Object.entries(clients)) lives.push(await openLife(node, handsOf(node), name));
  const inTurn = pLimit(atOnce ? lives.length : 1);
  const ends = await Promise.allSettled(lives.map((life) => inTurn(() => live(life))));
  for (const { hands } of lives) hands.close();
  const failures = ends.flatMap((end, i) =>
    end.status === "rejected" ? [`${Object.keys(clients)[i]}: ${String(end.reason)}`] : [],
  );
  // As its message: an assertion about the list would print its length alone.
  if (failures.length > 0) throw new Error(failures.join("\n"));
  return Promise.all(lives.map(outcomeOf));
}

const everyLife = Object.keys(clients).map(() => lived);
const anvilArgs = (port: number): string[] => ["--port", String(port), "--silent"];
const gethArgs = (port: number): string[] => [
  "--dev",
  "--http",
  `--http.port=${port}`,
  "--ipcdisable",
  "--authrpc.port=0",
  "--port=0",
];

describe("the life of a model by three clients", () => {
  it("is the same on anvil", async () => {
    expect(await liveAll(await openNode(anvilBinary(), anvilArgs), true)).toEqual(everyLife);
  });

  const geth = findTool(GETH);
  it.runIf(canRun("the life of a model on geth --dev", "geth"))("is the same on an unmodified geth --dev", async () => {
    expect(await liveAll(await openNode(geth!, gethArgs), false)).toEqual(everyLife);
  });
});
