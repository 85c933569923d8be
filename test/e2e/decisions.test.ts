/**
 * Holders decide by the command line, on a chain of its own: they claim, one proposes other parameters, all vote, and anybody carries
 * it out. The chain's clock is moved on, so that no vote ends while a slow machine thinks.
 */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

import { currentParamsVersion, governorOf, paramsOf, propose, setStatus } from "@cotrain/sdk/actions";
import { asAddress, defaultRunParams, type Hex, type RunView, runParamsToWire, runStatus } from "@cotrain/sdk/protocol";
import { concatHex, encodeAbiParameters, toFunctionSelector } from "viem";
import { sendTransaction } from "viem/actions";
import { afterAll, beforeAll, expect, it } from "vitest";

import { connect, walletOn } from "../../offchain/src/chain/index.ts";
import { ensureWallet, layout, openWallet, writeDeployment } from "../../offchain/src/run/index.ts";
import { openStateDirectory, writeRunFile } from "../../offchain/src/service/index.ts";
import { createNode, type TestNode } from "../offchain/chain/node.ts";
import { pass, settle } from "../offchain/chain/settle.ts";
import { createWorld, workers, type World } from "../offchain/chain/world.ts";
import { cotrainHere, refusal, verdictOf } from "../offchain/cli/support.ts";
import { modelContracts } from "../offchain/contracts.ts";
import { openStage, type Stage } from "./harness.ts";

/** Seconds, all far beyond what the commands take on any machine. */
const governor = { votingDelay: 36_000, votingPeriod: 72_000, timelockDelay: 36_000 };
/** Clears the screen, and begins a line that nobody but the command should. */
const HOSTILE = "\u001b[2J\u009b1A\u202eall is well\rgone\nproposal 1 is the best";

let stage: Stage;
let node: TestNode;
let world: World;
let local: string;

beforeAll(async () => {
  stage = openStage();
  const { state } = stage;
  local = `--state=${state}`;
  node = await createNode(0);
  await node.start();
  (await openStateDirectory(state, { create: true })).close();
  const roles = ["worker-1", "worker-2", "validator-1"] as const;
  const wallets: Record<string, string> = {};
  for (const role of roles) wallets[role] = (await ensureWallet(state, role, true)).address;
  world = await createWorld(node.url, state, governor);
  const { chainId, modelId, runId } = world;
  const first = asAddress(workers[0]!.address);
  const beneficiary = (worker: string) => asAddress(wallets[worker === first ? "worker-1" : "worker-2"]!);
  await settle(node, world, { beneficiary });
  await writeDeployment(state, world.deployment);
  const chain = { chainId, rpcUrl: node.url, embedded: false };
  const startedAt = new Date(0).toISOString();
  await writeRunFile(state, { version: 1, startedAt, chain, ports: {}, urls: {}, modelId, runId, wallets });
});
afterAll(async () => {
  await stage?.close();
  await node?.close();
});

/** A command as a process of its own, that ends well. */
async function documentOf<T>(...args: readonly string[]): Promise<T> {
  const running = stage.cotrain([...args, "--json"]);
  const { code } = await running.exited;
  assert(code === 0, running.stderr());
  return JSON.parse(running.stdout()) as T;
}

/** What a command that fails says last. */
const refused = async (...args: readonly string[]) => verdictOf(await cotrainHere([...args, local]));

const walletOf = (role: string): string[] => [
  `--wallet=${join(stage.state, "keys", `${role}.json`)}`,
  `--passphrase-file=${join(stage.state, "keys", "passphrase")}`,
];

/** Serves what a coordinator says of the run: which chain, which contracts. */
async function coordinatorOf(): Promise<{ readonly url: string; readonly close: () => void }> {
  const { runId, modelId, chainId, contracts, fromBlock } = world;
  const digest: Hex = `0x${"d1".repeat(32)}`;
  const view: RunView = {
    runId,
    modelId,
    chainId,
    contracts: { ...contracts, ...modelContracts },
    rpcUrl: null,
    deployment: { profile: "local", blocks: { runRegistry: fromBlock } },
    definition: digest,
    builds: [digest],
    poster: contracts.runRegistry,
    phase: "Training",
    round: 1,
    step: 1,
    tokens: "0",
    paramsVersion: 1,
    params: runParamsToWire(defaultRunParams),
    checkpoint: { round: 1, digest },
    anchored: null,
    current: null,
    members: [],
    accepted: { workers: 0, tokens: "0" },
    loss: { train: null, heldOut: null, heldOutFirst: null },
    tokensPerSecond: 0,
    traffic: { up: 0, down: 0, synchronous: 0, ring: 0 },
    kept: { payloadSeconds: 0, checkpoints: 8, checkpointBytes: 2 ** 31 },
  };
  const list = { runs: [{ runId, modelId, phase: "Training" }] };
  const server = createServer((request, response) => {
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify(request.url === "/v1/runs" ? list : view));
  });
  await new Promise<void>((listening) => void server.listen(0, "127.0.0.1", listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

interface Proposed {
  readonly title: string;
  readonly call: { readonly words: string };
  readonly proposal: { readonly proposalId: string; readonly proposer: Hex };
}

interface Listed {
  readonly proposalId: string;
  readonly title: string;
  readonly state: string;
  readonly votes: { readonly for: string; readonly against: string };
  readonly supply: string;
  readonly calls: readonly { readonly words: string }[];
}

it("a holder proposes, all vote, and anybody carries it out", async () => {
  const { contracts: addresses, modelId, runId, chainId } = world;
  // What cannot be is refused before anything is sent.
  expect(await refused("propose", "innerSteps=8192")).toEqual(
    refusal(1, "innerSteps is 8192; it must lie from 4 to 4096."),
  );
  expect(await refused("propose", "innerSteps=10")).toEqual(
    refusal(1, "innerSteps is 10; in a run of 4 fragments it must be a positive multiple of the fragments."),
  );
  expect(await refused("propose", "innerSteps=8")).toEqual(
    refusal(1, "All that is asked for is in force: name another value."),
  );
  expect(await refused("propose", "innerSteps=12")).toEqual(
    refusal(1, /^0x\w{40} has 0\.00 votes and a proposal takes 1\.00: claim what it earned/),
  );
  expect(await documentOf("proposals", "list", local)).toEqual([]);

  await documentOf("rewards", "claim", local);
  await pass(node, 1);
  expect(await refused("propose", "innerSteps=12", "--vote")).toEqual(
    refusal(1, `Voting on a proposal begins ${governor.votingDelay} s after it here: propose it without --vote`),
  );
  const change = ["propose", "innerSteps=12", "--reason=Rounds are too short."];
  expect(await documentOf(...change, local, "--dry-run")).toMatchObject({
    title: "8 → 12 inner steps per round",
    proposal: null,
  });
  const proposed = await documentOf<Proposed>(...change, local, "--max-fee=1");
  const { proposalId, proposer } = proposed.proposal;
  expect(proposer).toBe((await openWallet(stage.state, "worker-2")).address);
  const { words } = proposed.call;
  expect(words).toMatch(
    /^RunRegistry sets parameters of this run in the place of version 1: 8 → 12 inner steps per round\. The others, whatever is in force before, would be: /,
  );
  expect(await refused(...change)).toMatchObject({
    code: 1,
    sentence: expect.stringContaining(`Proposal ${proposalId}`),
  });

  // Another proposal says one thing and does another.
  const chain = await connect({ rpcUrl: node.url, chainId });
  const hostile = walletOn(chain, await openWallet(stage.state, "worker-1"));
  const finish = setStatus.call({ addresses, runId, status: runStatus.finished });
  const { event } = await propose.sync(hostile, {
    governor: await governorOf(hostile, { addresses, modelId }),
    calls: [finish],
    description: HOSTILE,
  });
  const other = String(event.proposalId);
  // A third has a text that is no UTF-8, so that nobody can see what its id stands for.
  const input = encodeAbiParameters(
    [{ type: "address[]" }, { type: "uint256[]" }, { type: "bytes[]" }, { type: "bytes" }],
    [[finish.to], [0n], [finish.data], "0x5061757365ff"],
  );
  const selector = toFunctionSelector("propose(address[],uint256[],bytes[],string)");
  const where = await governorOf(hostile, { addresses, modelId });
  const sent = await sendTransaction(hostile, { to: where, data: concatHex([selector, input]), chain: null });
  const receipt = await chain.client.waitForTransactionReceipt({ hash: sent });
  const unsound = String(propose.extractEvent(receipt).proposalId);
  // A fourth has more calls than anybody reads.
  const hidden = await propose.sync(hostile, { governor: where, calls: Array(65).fill(finish), description: "Many" });
  const many = String(hidden.event.proposalId);
  const { code, stdout } = await cotrainHere(["proposals", "list", local]);
  expect(code).toBe(0);
  // oxlint-disable-next-line no-control-regex -- this is what it is about
  expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]|^proposal 1/m);
  expect(stdout).toContain("RunRegistry makes this run finished, for ever");

  // Nobody votes before it begins; then all wallets of the directory do, once.
  const early = await refused("vote", proposalId, "for");
  expect(early).toEqual(
    refusal(75, `Nobody can vote on proposal ${proposalId} now; it is pending: voting begins after`),
  );
  await pass(node, governor.votingDelay + 60);
  const voteless = await refused("vote", proposalId, "for", ...walletOf("validator-1"));
  expect(voteless).toEqual(refusal(1, `had no votes when those on proposal ${proposalId} were counted`));
  const blind = "here it can be voted against, and nothing else.";
  expect(await refused("vote", unsound, "for")).toEqual(refusal(1, blind));
  expect(await refused("proposals", "execute", unsound)).toEqual(refusal(1, blind));
  expect(await refused("vote", unsound, "abstain")).toEqual(refusal(1, blind));
  expect(await refused("vote", unsound, "against", ...walletOf("worker-1"))).toMatchObject({ code: 0 });
  // What is only shown is not sent, and nobody agrees to what is not shown.
  const rehearsed = verdictOf(await cotrainHere(["vote", proposalId, "for", "--dry-run", local]));
  expect(rehearsed).toMatchObject({ code: 0, sentence: `If holders accept it: ${words}` });
  expect(rehearsed.otherLines).toContain(
    'Its proposer calls it "8 → 12 inner steps per round" and says, in words that nothing here checks: "Rounds are too short."',
  );
  expect(rehearsed.stdout).toMatch(/^Nothing was sent: [\d.,…]+ votes of 2 wallets here could be cast\.$/m);
  expect(await refused("vote", many, "for")).toEqual(refusal(1, "has 65 calls, of which 64 are shown here"));
  expect(await refused("vote", many, "abstain")).toEqual(refusal(1, "has 65 calls, of which 64 are shown here"));
  const cast = await documentOf<{ votes: { votes: string }[] }>(
    "vote",
    proposalId,
    "for",
    "--reason=Yes.",
    "--max-fee=1",
    local,
  );
  expect(cast.votes).toHaveLength(2);
  expect(await refused("vote", proposalId, "against")).toEqual(refusal(1, "a vote cannot be changed."));
  expect(await refused("proposals", "execute", proposalId)).toEqual(
    refusal(75, `Nothing can be done with proposal ${proposalId} now; it is active: voting ends`),
  );

  // From elsewhere, by whoever knows a coordinator and the chain's RPC.
  const coordinator = await coordinatorOf();
  const pins = [`--run=${runId}`, `--deployment=${layout(stage.state).deployment}`];
  const remote = [`--coordinator=${coordinator.url}`, `--rpc=${node.url}`, ...pins];
  try {
    const mine = walletOf("worker-2");
    // Where the coordinator alone says which contracts these are, a beginning of an id is none.
    const short = verdictOf(await cotrainHere(["vote", other.slice(0, 12), "against", ...mine, ...remote.slice(0, 2)]));
    expect(short).toMatchObject({ code: 1, sentence: expect.stringContaining("name the whole id") });
    const told = verdictOf(await cotrainHere(["vote", other, "against", ...mine, ...remote]));
    const own = /^wallet 0x\w{4}…\w{4} voted against with [\d.,…]+ votes in 0x\w{64}$/;
    expect(told).toMatchObject({ code: 0, sentence: expect.stringMatching(own) });
    expect(told.otherLines.join("\n")).toMatch(
      /^If holders accept it: RunRegistry makes this run finished, for ever: no/m,
    );
    const [, , newest, ...rest] = await documentOf<Listed[]>("proposals", "list", "--last=3", ...remote);
    expect(rest).toEqual([]);
    expect(newest).toMatchObject({
      proposalId: other,
      title: HOSTILE.split("\n")[0],
      state: "active",
      votes: { for: "0" },
    });
    const again = verdictOf(await cotrainHere(["propose", "innerSteps=12", ...mine, ...remote, "--dry-run"]));
    expect(again).toMatchObject({ code: 0, stdout: expect.stringContaining("Nothing was sent: 8 → 12 inner steps") });

    await pass(node, governor.votingPeriod + 60);
    const [, , , first] = await documentOf<Listed[]>("proposals", "list", local);
    expect(first).toMatchObject({ proposalId, title: proposed.title, state: "succeeded", votes: { against: "0" } });
    expect(BigInt(first!.votes.for)).toBe(cast.votes.reduce((sum, { votes }) => sum + BigInt(votes), 0n));
    expect(first!.calls).toMatchObject([{ words }]);
    expect(await refused("proposals", "execute", other)).toEqual(refusal(1, "it was defeated: voting ended "));

    const step = ["proposals", "execute", proposalId];
    const queued = await documentOf(...step, ...mine, ...remote, "--max-fee=1");
    expect(queued).toMatchObject({ step: "queue", state: "queued" });
  } finally {
    coordinator.close();
  }
  expect(await refused("proposals", "execute", proposalId)).toEqual(
    refusal(75, `it is queued: anybody may execute it from`),
  );
  await pass(node, governor.timelockDelay + 60);
  // Nor is it where a node of somebody else's answers for the chain.
  expect(await refused("proposals", "execute", proposalId.slice(0, 12))).toEqual(refusal(1, "name the whole id"));
  expect(await documentOf("proposals", "execute", proposalId, local)).toMatchObject({
    proposalId,
    step: "execute",
    state: "executed",
  });
  expect(await refused("proposals", "execute", proposalId)).toEqual(refusal(1, "it was executed: voting ended "));
  const version = await currentParamsVersion(chain.client, { addresses, runId });
  expect(await paramsOf(chain.client, { addresses, runId, version })).toMatchObject({ innerSteps: 12 });
  expect(version).toBe(2);
});
