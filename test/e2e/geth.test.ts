/**
 * A run on an unmodified `geth --dev`: the owner of the node sends one sum to one wallet, and the same command goes from the
 * first start to claims and a vote. The node takes no transaction without a chain id and makes blocks for transactions alone.
 */
import { join } from "node:path";

import { Value } from "typebox/value";
import { createPublicClient, http, parseEther } from "viem";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { openReader } from "../../offchain/src/chain/index.ts";
import { openLocalRun, readerOptions } from "../../offchain/src/run/index.ts";
import { Summary } from "../../offchain/src/cli/up/summary.ts";
import { GETH } from "../geth.ts";
import { findTool } from "../goTool.ts";
import { canRun } from "../needs.ts";
import { freePort, endsWell, openStage, type Running, type Stage, until } from "./harness.ts";

const CHAIN_ID = 1_337;
const OTHER = `0x${"42".repeat(20)}`;
const geth = findTool(GETH);
const possible = canRun("a run on geth --dev", "geth");

let stage: Stage;
let url: string;

/** Sends coins from the account that a node in development mode has. */
async function send(to: string, coins: string): Promise<void> {
  const client = createPublicClient({ transport: http(url) });
  const [from] = await client.request<{ Method: string; Parameters?: undefined; ReturnType: string[] }>({
    method: "eth_accounts",
  });
  const value = `0x${parseEther(coins).toString(16)}`;
  const hash = await client.request<{ Method: string; Parameters: unknown[]; ReturnType: `0x${string}` }>({
    method: "eth_sendTransaction",
    params: [{ from, to, value }],
  });
  await client.waitForTransactionReceipt({ hash });
}

const up = async (extra: readonly string[]): Promise<Running> =>
  stage.cotrain([
    "up",
    `--state=${stage.state}`,
    "--preset=0.1m",
    `--rpc=${url}`,
    `--deployments=${join(stage.directory, "deployments")}`,
    `--port=${await freePort()}`,
    "--json",
    ...extra,
  ]);

/** A minute of training with what its summary says. */
async function session(): Promise<Summary> {
  const running = await up(["--for=60s", "--vote", "--exit"]);
  await endsWell(running);
  const summary = JSON.parse(running.stdout()) as Summary;
  expect(Value.Errors(Summary, summary)).toEqual([]);
  return summary;
}

beforeAll(async () => {
  if (geth === undefined) return;
  stage = openStage();
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  stage.run(geth, ["--dev", "--http", `--http.port=${port}`, "--ipcdisable", "--authrpc.port=0", "--port=0"]);
  const client = createPublicClient({ transport: http(url, { retryCount: 0 }) });
  await until("the node", () =>
    client.getChainId().then(
      (id) => id === CHAIN_ID,
      () => false,
    ),
  );
});
afterAll(() => stage?.close());

// foundation 11
describe.runIf(possible)("on an unmodified geth --dev", () => {
  let wallet: string;
  let sum: string;

  it("one wallet is named, with one sum that stays the same, also when starting anew", async () => {
    const told: (readonly (string | undefined)[])[] = [];
    for (const flags of [[], [], ["--fresh"]]) {
      // The price of gas falls with each block that is nearly empty.
      if (told.length > 0) for (let blocks = 0; blocks < 3; blocks++) await send(OTHER, "0");
      const running = await up(["--for=10s", "--exit", ...flags]);
      expect(await running.exited).toEqual({ code: 75, signal: null });
      const [sentence = ""] = running.stderr().trim().split("\n").slice(-1);
      expect(sentence).toMatch(/then run the same command again\.$/);
      told.push(
        /wallet (0x[0-9a-fA-F]{40}) has no coins .* send at least ([0-9.]+[0-9]), then/.exec(sentence)?.slice(1) ?? [],
      );
    }
    expect(told[0]).toHaveLength(2);
    expect(told[1]).toEqual(told[0]);
    expect(told[2]).toEqual(told[0]);
    [wallet = "", sum = ""] = told[0] as string[];
  });

  it("that sum is enough from the deployment to claims, a purchase and a vote", async () => {
    await send(wallet, sum);
    // Beside busy neighbours a session may end before there is something to vote with: the same command goes on.
    let summary = await session();
    for (let more = 0; more < 3 && summary.proposal?.state !== "executed"; more++) summary = await session();
    expect(summary.chainId).toBe(CHAIN_ID);
    expect(summary.proposal).toMatchObject({ state: "executed" });
    expect(summary.wallets.filter(({ claimed }) => BigInt(claimed) > 0n).length).toBeGreaterThan(0);
    // Who buys and who wrote code have coins of that sum too, and the test dollars of this chain are play money as well.
    expect(summary.capital).toMatchObject({ paid: "2000000", transaction: expect.stringMatching(/^0x/) });
    expect(summary.code).toMatchObject({ transaction: summary.proposal?.executed });
    const run = await openLocalRun(stage.state);
    const reader = await openReader(readerOptions(url, CHAIN_ID, run.deployment));
    expect((await reader.run(run.runId)).poster.toLowerCase()).toBe(wallet.toLowerCase());
    expect((await reader.activeRoot(run.modelId))?.epoch).toBeGreaterThan(0);
  });
});
