/** The README's examples, run against contracts; what the page shows is what runs here. */
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { BrowserProvider, Wallet } from "ethers";
import { toHex } from "viem";
import { afterAll, beforeAll, expect, it } from "vitest";
import { castVote, headOf, postHead, proposalDeadline, proposalSnapshot, proposalState } from "@cotrain/sdk/actions";
import { claimAndVote } from "../../sdk/examples/claim.ts";
import { voteWithEthers } from "../../sdk/examples/ethers.ts";
import { nextHeads } from "../../sdk/examples/follow.ts";
import { advance, proposeInnerSteps } from "../../sdk/examples/propose.ts";
import { readRun } from "../../sdk/examples/read.ts";
import { alice, bob, createWorld, hashOf, poster, share, type World } from "./world.ts";
import { listening } from "../loopback.ts";

const leaves = [
  { account: alice.address, amount: 300n * share },
  { account: bob.address, amount: 100n * share },
];

let world: World;
let servers: Server[];
let rpc: string;
let coordinator: string;

async function listen(answer: (path: string, body: string) => Promise<unknown>): Promise<string> {
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      void answer(request.url ?? "", body).then((value) => response.end(JSON.stringify(value)));
    });
  });
  servers.push(server);
  return listening(server);
}

beforeAll(async () => {
  servers = [];
  world = await createWorld();
  const tree = await world.reward(leaves);
  rpc = await listen(async (_, body) => {
    const { id, method, params } = JSON.parse(body) as { id: number; method: string; params: unknown };
    return { jsonrpc: "2.0", id, result: await world.request({ method, params } as never) };
  });
  coordinator = await listen(async (path) => {
    const account = leaves.find((leaf) => path.includes(leaf.account.toLowerCase()))!.account;
    const { amount, proof } = tree.proofOf(account)!;
    return {
      account: account.toLowerCase(),
      epoch: 1,
      leaves: [{ index: tree.index, amount: String(amount), proof }],
      next: null,
      missing: [],
      unpaid: [],
    };
  });
});
afterAll(async () => {
  for (const server of servers) server.close();
  await world.close();
});

it("the page shows the files that run here", () => {
  const page = readFileSync(new URL("../../sdk/README.md", import.meta.url), "utf8");
  const shown = [...page.matchAll(/```ts\n([\s\S]*?)```/g)].map((match) => match[1]);
  const files = ["read", "claim", "propose", "follow", "ethers"].map((name) =>
    readFileSync(new URL(`../../sdk/examples/${name}.ts`, import.meta.url), "utf8"),
  );
  expect(shown).toEqual(files);
});

it("read", async () => {
  const { head } = await headOf(world.client, { addresses: world.addresses, runId: world.runId });
  expect(await readRun(rpc, world.addresses, world.runId)).toEqual({
    head,
    round: 1n,
    innerSteps: 64,
    rewardsThroughEpoch: 1,
  });
});

it("claim, delegate, propose, vote, queue", async () => {
  const { addresses, runId, client, clientOf } = world;
  expect(await claimAndVote(clientOf(alice), addresses, coordinator, runId)).toBe(300n * share);
  expect(await claimAndVote(clientOf(alice), addresses, coordinator, runId)).toBe(0n);

  const made = await proposeInnerSteps(clientOf(alice), addresses, runId, 128);
  const { governor } = made;
  const { proposalId } = made.proposal;
  expect(await advance(clientOf(alice), made)).toBe("pending");
  await world.advanceTo(1n + (await proposalSnapshot(client, { governor, proposalId })));
  expect(await advance(clientOf(alice), made)).toBe("active");
  await world.advanceTo(1n + (await proposalDeadline(client, { governor, proposalId })));
  expect(await advance(clientOf(alice), made)).toBe("succeeded");
  expect(await proposalState(client, { governor, proposalId })).toBe("queued");
});

it("follow", async () => {
  const { addresses, client, clientOf, runId, blocks } = world;
  const first = await nextHeads(client, addresses, BigInt(blocks.checkpointRegistry));
  expect(first).toMatchObject({ rounds: [0n, 1n], done: true });
  const { head: parentHead } = await headOf(client, { addresses, runId });
  const link = { addresses, runId, parentHead, round: 2n, paramsVersion: 1 };
  await postHead.sync(clientOf(poster), { ...link, checkpointDigest: hashOf("2"), receiptsRoot: hashOf("2") });
  expect((await nextHeads(client, addresses, first.cursor)).rounds).toEqual([]);
  await world.request({ method: "hardhat_mine", params: ["0x2"] } as never);
  expect((await nextHeads(client, addresses, first.cursor)).rounds).toEqual([2n]);
});

it("ethers", async () => {
  const { addresses, clientOf, client, runId, shares } = world;
  await claimAndVote(clientOf(bob), addresses, coordinator, runId);
  const { governor, proposal } = await proposeInnerSteps(clientOf(bob), addresses, runId, 32);
  const { proposalId } = proposal;
  await world.advanceTo(1n + (await proposalSnapshot(client, { governor, proposalId })));
  const provider = new BrowserProvider({ request: (call) => world.request(call as never) }, undefined, {
    cacheTimeout: -1,
    pollingInterval: 10,
  });
  const signer = new Wallet(toHex(bob.getHdKey().privateKey!), provider);
  expect(await voteWithEthers(signer, shares, governor, proposalId)).toBe(100n * share);
  await expect(castVote(clientOf(bob), { governor, proposalId, support: "for" })).rejects.toThrow("has voted already");
});
