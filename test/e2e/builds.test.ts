/**
 * A member of a run comes with a kind of device that the run has no build for: it proposes one, the holders admit it, and a worker
 * on such a device trains it and is paid.
 */
import assert from "node:assert/strict";
import { join } from "node:path";

import {
  castVote,
  execute,
  type Proposal,
  proposalDeadline,
  proposalEta,
  proposalOf,
  proposalSnapshot,
  queue,
} from "@cotrain/sdk/actions";
import { asAddress, type Build, digestOfJson, type Hex } from "@cotrain/sdk/protocol";
import { afterAll, beforeAll, expect, it } from "vitest";

import { devices } from "../../offchain/src/engine/runtime/node/index.ts";
import { type ChainConnection, connect, walletOn } from "../../offchain/src/chain/index.ts";
import { admission, layout, openLocalRun, openWallet } from "../../offchain/src/run/index.ts";
import { vectorOf } from "../vectors/conformance.ts";
import { freePort, openStage, root, type Running, type Stage, until } from "./harness.ts";

let stage: Stage;
beforeAll(() => {
  stage = openStage();
});
afterAll(() => stage?.close());

const sentenceOf = ({ stderr }: Running): string => stderr().trim().split("\n").at(-1) ?? "";

/** Answers the document of a command, once it ends well. */
async function documentOf<T>(args: readonly string[]): Promise<T> {
  const running = stage.cotrain([...args, "--json"]);
  const { code } = await running.exited;
  assert(code === 0, running.stderr());
  return JSON.parse(running.stdout()) as T;
}

interface Listed {
  readonly digest: Hex;
  readonly admitted: boolean;
  readonly document: Build;
  readonly devices: readonly string[];
}

interface Proposed {
  readonly digest: Hex;
  readonly build: Build;
  readonly proof: { readonly reference: string; readonly referenceBuild: Hex; readonly worst: number };
  readonly proposal: { readonly governor: Hex; readonly proposer: Hex; readonly proposalId: string };
}

const untilTime = (chain: ChainConnection, time: bigint): Promise<boolean> =>
  until("a time of the chain", async () => (await chain.client.getBlock()).timestamp >= time);

/** All holders vote for a proposal, and it is executed. */
async function decide(chain: ChainConnection, governor: Hex, proposalId: bigint, proposal: Proposal): Promise<void> {
  const wallets = await Promise.all(
    (["worker-1", "worker-2"] as const).map(async (role) => walletOn(chain, await openWallet(stage.state, role))),
  );
  const { client } = chain;
  await untilTime(chain, 1n + (await proposalSnapshot(client, { governor, proposalId })));
  for (const wallet of wallets) await castVote.sync(wallet, { governor, proposalId, support: "for" });
  await untilTime(chain, 1n + (await proposalDeadline(client, { governor, proposalId })));
  await queue.sync(wallets[0]!, { governor, proposal });
  await untilTime(chain, await proposalEta(client, { governor, proposalId }));
  await execute.sync(wallets[0]!, { governor, proposal });
}

it("proposes a build for it, and a worker trains and earns when holders admitted it", async () => {
  const port = await freePort();
  const local = [`--state=${stage.state}`];
  const flags = ["up", ...local, "--preset=0.1m", "--workers=2", `--port=${port}`, "--no-vote", "--for=1800s"];
  const up = stage.cotrain(flags, ["env", `NODE_OPTIONS=--import=${join(root, "test/e2e/withoutWasm.ts")}`]);
  const running = (): void => assert(up.exit() === undefined, up.stderr());
  await until("the run", () => (running(), up.stderr().includes("Training · round")));
  expect(up.stderr()).toContain("The run has no build for wasm, on which this machine cannot train: There is no");
  const run = await openLocalRun(stage.state);
  const [first, ...others] = await documentOf<Listed[]>(["builds", "list", "--check", ...local]);
  expect(others).toEqual([]);
  expect(first).toMatchObject({ admitted: true, devices: ["cpu"], document: { deviceClass: devices.cpu.exactness() } });

  const propose = ["builds", "propose", "--device=wasm", ...local];
  const keys = join(stage.state, "keys");
  const by = (role: string): string[] => [
    `--wallet=${join(keys, `${role}.json`)}`,
    `--passphrase-file=${join(keys, "passphrase")}`,
  ];
  // Who has no votes, as validators never do, is told how many it takes, and nothing was sent.
  const voteless = stage.cotrain([...propose, ...by("validator-1")]);
  expect(await voteless.exited).toEqual({ code: 1, signal: null });
  expect(sentenceOf(voteless)).toMatch(
    /0x\w{40} has [\d.,…]+ votes and a proposal takes [\d.,]+: claim what it earned/,
  );

  const half = stage.cotrain([...propose, "--precision=fp16", "--dry-run"]);
  expect(await half.exited).toEqual({ code: 1, signal: null });
  expect(sentenceOf(half)).toContain("wasm has no use for products in fp16");

  // Which end the bootstrap, in which holders admit no build.
  await until("claims of both", () => (running(), up.stderr().includes(" shares by 2 wallets;")));
  const rehearsed = await documentOf<Proposed>([...propose, "--steps=3", "--dry-run"]);
  const proposed = await documentOf<Proposed>(propose);
  expect(rehearsed).toMatchObject({ digest: proposed.digest, proposal: null });
  const { digest, build, proof, proposal } = proposed;
  expect(digest).toBe(digestOfJson(build));
  const { deviceClass, runtime, conformance, ...computed } = build;
  expect(first!.document).toMatchObject(computed);
  expect({ deviceClass, runtime, conformance }).toEqual({
    deviceClass: "exact-wasm",
    runtime: devices.wasm.runtime(),
    conformance: vectorOf("exact-wasm", "0.1m"),
  });
  expect(proof).toMatchObject({ reference: "cpu", referenceBuild: first!.digest });
  expect(proof.worst).toBeLessThan(1e-4);

  const { chainId, rpcUrl } = run.file.chain;
  const chain = await connect({ rpcUrl, chainId });
  const { calls, description } = admission(run.deployment.addresses, run.runId, build);
  const made = proposalOf(calls, description, asAddress(proposal.proposer));
  await decide(chain, proposal.governor, BigInt(proposal.proposalId), made);

  const coordinator = `--coordinator=http://127.0.0.1:${port}`;
  const pins = [`--run=${run.runId}`, `--deployment=${layout(stage.state).deployment}`];
  const remote = [coordinator, `--rpc=${rpcUrl}`, ...pins];
  // Nobody uploaded it: the coordinator took it from the proposal.
  await until("the build at the coordinator", async () => {
    running();
    const view = (await (await fetch(`http://127.0.0.1:${port}/v1/runs/${run.runId}`)).json()) as { builds: Hex[] };
    return view.builds.includes(digest);
  });
  const rows = await documentOf<Listed[]>(["builds", "list", ...remote]);
  expect(rows.find((row) => row.digest === digest)).toMatchObject({ admitted: true, document: build });

  // By whoever holds shares, from elsewhere.
  const needless = stage.cotrain(["builds", "propose", "--device=wasm", ...remote, ...by("worker-1"), "--max-fee=1"]);
  expect(await needless.exited).toEqual({ code: 1, signal: null });
  expect(sentenceOf(needless)).toContain(`has a build of the value that wasm computes here, ${digest}: workers on it`);

  const state = `--state=${join(stage.directory, "elsewhere")}`;
  const worker = stage.cotrain(["worker", coordinator, state, "--device=wasm", "--threads=1", "--log=json"]);
  const alive = (): void => assert(worker.exit() === undefined, worker.stderr());
  await until("its work", () => (running(), alive(), worker.stderr().includes(" acknowledged: loss ")));
  const earned = async (): Promise<boolean> => {
    running();
    alive();
    const paid = await documentOf<{ name: string; earned: string }[]>(["rewards", "list", state, ...remote]);
    return paid.some(({ name, earned }) => name === "wallet" && BigInt(earned) > 0n);
  };
  await until("what it earned", earned, { every: 2_000 });
  const joined = worker
    .stderr()
    .split("\n")
    .find((line) => line.includes('"conforms":'));
  expect(JSON.parse(joined ?? "null")).toMatchObject({ build: digest, conforms: true });
  for (const each of [worker, up]) each.kill("SIGINT");
  expect(await worker.exited).toMatchObject({ signal: null });
  expect(await up.exited).toEqual({ code: 130, signal: null });
});
