/**
 * A chain that is not a development chain, and so the public profile with its days: deployment and one root on a second
 * anvil with another chain id, what is pending and when it is due, the organiser's own wallet, and one session after another.
 */
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { createTestClient, getAddress, http, publicActions } from "viem";

import { loadArtifact } from "../../deploy/artifacts.ts";
import { openReader } from "../../offchain/src/chain/index.ts";
import { openLocalRun, readerOptions } from "../../offchain/src/run/index.ts";
import { Summary } from "../../offchain/src/cli/up/summary.ts";
import { ensureKeystore, SCRYPT_N_LOCAL } from "../../offchain/src/service/index.ts";
import { Value } from "typebox/value";
import {
  freePort,
  endsWell,
  openStage,
  plainNode,
  readJson,
  root,
  type Running,
  type Stage,
  until,
} from "./harness.ts";

const CHAIN_ID = 4_242;
const DAY = 86_400;

let stage: Stage;
let url: string;
let records: string;
const treeRecords = join(root, "deploy/deployments");
const inTree = (): string[] => (existsSync(treeRecords) ? readdirSync(treeRecords) : []);

const chain = () => createTestClient({ mode: "anvil", transport: http(url) }).extend(publicActions);

async function up(extra: readonly string[]): Promise<Running> {
  const port = await freePort();
  return stage.cotrain([
    "up",
    `--state=${stage.state}`,
    "--preset=0.1m",
    `--rpc=${url}`,
    `--deployments=${records}`,
    `--port=${port}`,
    "--json",
    ...extra,
  ]);
}

function summaryOf(running: Running): Summary {
  const summary: unknown = JSON.parse(running.stdout());
  expect(Value.Errors(Summary, summary)).toEqual([]);
  return summary as Summary;
}

const dueOf = (summary: Summary, what: RegExp): number | undefined => {
  const found = summary.pending.find((item) => what.test(item.what));
  return found?.due ? Date.parse(found.due) / 1_000 : undefined;
};

const reader = async () => {
  const run = await openLocalRun(stage.state);
  return { run, reader: await openReader(readerOptions(url, CHAIN_ID, run.deployment)) };
};

beforeAll(async () => {
  stage = openStage();
  records = join(stage.directory, "deployments");
  // The chain lives a day ago, so that the coordinator's clock sees the first epoch end while the chain, told to, catches up.
  const began = Math.floor(Date.now() / 1_000) - DAY + 20;
  ({ url } = await plainNode(stage, ["--chain-id", String(CHAIN_ID), "--timestamp", String(began), "--prune-history"]));
});
afterAll(() => stage?.close());

describe("on a chain with another id", () => {
  let first: Summary;
  const before = inTree();

  it("a wallet without coins is named, to be funded; trying again helps", async () => {
    const running = await up(["--for=2s", "--exit"]);
    expect(await running.exited).toEqual({ code: 75, signal: null });
    const [sentence = ""] = running.stderr().trim().split("\n").slice(-1);
    const address = /organiser's wallet (0x[0-9a-fA-F]{40}) has no coins on chain 4242/.exec(sentence)?.[1];
    expect(address).toBeDefined();
    expect(sentence).toMatch(/run the same command again\.$/);
    await chain().setBalance({ address: address as `0x${string}`, value: 10n ** 20n });
    // Nothing was deployed meanwhile.
    expect(await chain().getTransactionCount({ address: address as `0x${string}` })).toBe(0);
  });

  it("the same command deploys, trains, and says what is pending and when it is due", async () => {
    const running = await up(["--for=2s"]);
    await until("the summary", () => {
      if (running.exit()) throw new Error(running.stderr());
      return running.stderr().includes("All stays up until Ctrl-C");
    });
    first = summaryOf(running);
    expect(first.chainId).toBe(CHAIN_ID);
    expect(first.training.rounds).toBeGreaterThan(0);
    expect(first.proposal).toBeNull();
    expect(first.shares.minted).toBe("0");

    const { run, reader: contracts } = await reader();
    expect(run.deployment.profile).toBe("public");
    expect(readJson(join(records, `${CHAIN_ID}.json`))).toMatchObject({
      chainId: CHAIN_ID,
      profile: "public",
      addresses: run.deployment.addresses,
      blocks: run.deployment.blocks,
    });

    // An epoch is a day long, and its root waits for two more.
    const head = await contracts.head(run.runId);
    const [zero] = await contracts.headsSince(run.runId, 0);
    const epoch = await contracts.epochOf(run.modelId, zero?.anchoredAt ?? 0);
    const end = await contracts.epochEnd(run.modelId, epoch);
    expect(head.sequence).toBeGreaterThanOrEqual(0);
    expect(dueOf(first, new RegExp(`reward root of epoch ${epoch}$`))).toBe(end);
    expect(dueOf(first, new RegExp(`claims of epoch ${epoch}$`))).toBe(end + 2 * DAY);

    // The day passes. The run is paused, and its first epoch is settled all the same.
    await until("all heads", async () => (await contracts.head(run.runId)).round >= first.training.rounds);
    await chain().increaseTime({ seconds: DAY });
    await chain().mine({ blocks: 1 });
    const pending = await until("the epoch's root", () => contracts.pendingRoot(run.modelId));
    expect(pending.epoch).toBe(epoch);
    expect(pending.activatableAt).toBeGreaterThan(end);

    running.kill("SIGINT");
    // Ctrl-C is how a run that stays up is meant to end.
    expect(await running.exited).toEqual({ code: 0, signal: null });
    await until("the end of all but the chain", () => stage.processes().every(({ name }) => name === "chain"));
  });

  it("the next session goes on with the same run and makes it better", async () => {
    const running = await up(["--for=2s", "--exit"]);
    await endsWell(running);
    const second = summaryOf(running);
    expect(second.model.runId).toBe(first.model.runId);
    expect(second.training.firstRound).toBe(first.training.rounds);
    expect(second.training.rounds).toBeGreaterThan(first.training.rounds);
    // Checkpoint 0 has one loss; a validator may not have got to it within the first session.
    expect([null, second.heldOut.initial]).toContain(first.heldOut.initial);
    expect(second.heldOut.after ?? Infinity).toBeLessThanOrEqual(first.heldOut.after ?? 0);
    const { run, reader: contracts } = await reader();
    const pending = await contracts.pendingRoot(run.modelId);
    expect(dueOf(second, new RegExp(`activation of the reward root of epoch ${pending?.epoch}$`))).toBe(
      pending?.activatableAt,
    );
    await until("the end of all but the chain", () => stage.processes().every(({ name }) => name === "chain"));
  });

  it("a wallet in a keystore of one's own pays for another run, whose model is sold for a token of that chain", async () => {
    // The code of a token alone: its name and symbol would be in its storage.
    const token = `0x${"ab".repeat(20)}` as const;
    const { deployedBytecode } = await loadArtifact("TestDollar");
    await chain().setCode({ address: token, bytecode: deployedBytecode });
    const wallet = join(stage.directory, "wallet.json");
    const passphrase = join(stage.directory, "passphrase");
    writeFileSync(passphrase, "correct horse battery staple\n", { mode: 0o600 });
    const account = await ensureKeystore({ keystore: wallet, passphrase, scryptN: SCRYPT_N_LOCAL });
    await chain().setBalance({ address: account.address, value: 10n ** 20n });
    const running = await up([
      "--fresh",
      "--for=1s",
      "--exit",
      `--wallet=${wallet}`,
      `--passphrase-file=${passphrase}`,
      `--capital=${token}=0.015`,
    ]);
    await endsWell(running);
    const summary = summaryOf(running);
    expect(summary.model.runId).not.toBe(first.model.runId);
    expect(await chain().getTransactionCount({ address: account.address })).toBeGreaterThan(3);
    const { run } = await reader();
    expect(run.file.wallets?.["organiser"]).toBe(account.address);
    expect(running.stderr().replaceAll(/\s+/g, " ")).toContain(
      `0.015 ${getAddress(token)} at the least: neither token`,
    );
    const shown = stage.cotrain(["capital", "show", `--state=${stage.state}`, "--json"]);
    await endsWell(shown);
    expect(JSON.parse(shown.stdout())).toMatchObject({
      token: { address: getAddress(token), decimals: 6 },
      priceFloor: "15000",
      price: "15000",
      minimum: "15000",
    });
    // The wallet that was made and funded before is still there: --fresh moves no coins away.
    expect(readdirSync(join(stage.state, "keys"))).toContain("organiser.json");
  });

  it("leaves no record in the tree", () => {
    expect(inTree()).toEqual(before);
  });
});
