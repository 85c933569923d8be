/**
 * A development chain that somebody else runs, named by --rpc: it funds the wallets, and all happens as on the embedded one. The
 * run keeps its blobs in a directory of its own choice, named by --blobs.
 */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

import { asDigest, MAX_DEFINITION_BYTES } from "@cotrain/sdk/protocol";
import { afterAll, beforeAll, expect, it } from "vitest";

import { openReader } from "../../offchain/src/chain/index.ts";
import { parseDefinition } from "../../offchain/src/storage/index.ts";
import { openLocalRun, readerOptions } from "../../offchain/src/run/index.ts";
import { freePort, openStage, plainNode, type Stage, until } from "./harness.ts";

let stage: Stage;
let url: string;

beforeAll(async () => {
  stage = openStage();
  ({ url } = await plainNode(stage));
});
afterAll(() => stage?.close());

it("is trained on, anchored, and pays", async () => {
  const port = await freePort();
  const flags = ["up", `--state=${stage.state}`, "--preset=0.1m", "--workers=1", `--rpc=${url}`, `--port=${port}`];
  // A run's steps are taken as its first start asks; a later one that asks for the same goes on.
  flags.push("--optimizer=muon", "--schedule=wsd", "--total-steps=5000", "--micro-batches=2", "--recompute");
  const blobs = join(stage.directory, "elsewhere/blobs");
  const running = stage.cotrain([...flags, `--blobs=${blobs}`, "--for=600s"]);
  await until("a claim and a purchase", () => {
    if (running.exit()) throw new Error(running.stderr());
    const told = running.stderr();
    return /newest claim: [\d.,]+ shares by 1 wallet;/.test(told) && told.includes("buyer bought 100.00 shares");
  });
  const run = await openLocalRun(stage.state);
  const reader = await openReader(readerOptions(url, 31_337, run.deployment));
  const { definition } = await reader.run(run.runId);
  expect(parseDefinition(await run.blobs.get(asDigest(definition), MAX_DEFINITION_BYTES))).toMatchObject({
    model: { recompute: true },
    innerOptimizer: { kind: "muon" },
    schedule: { kind: "warmup-stable-decay", steps: 5_000, decaySteps: 500 },
  });
  expect(run.file.chain).toEqual({ chainId: 31_337, rpcUrl: url, embedded: false });
  expect((await reader.head(run.runId)).round).toBeGreaterThan(0);
  running.kill("SIGINT");
  expect(await running.exited).toEqual({ code: 130, signal: null });
  expect(running.stderr()).toContain(
    `Stopped. The run is kept in ${stage.state}; "npm start -- --state ${stage.state}" goes on with it.`,
  );

  expect(readdirSync(blobs)).not.toEqual([]);

  // The next session is told no place, and finds it. After the summary the run stays up, and Ctrl-C is answered at once.
  const second = stage.cotrain([...flags, "--for=1s"]);
  const stays = "The run is paused. All stays up until Ctrl-C, and others may join meanwhile.\n";
  await until("the summary", () => {
    if (second.exit()) throw new Error(second.stderr());
    return second.stderr().endsWith(stays);
  });
  const told = second.stderr();
  expect(told).toMatch(/\nothers join with\n {2}npm run cotrain -- worker [^]*\nThe run is paused\. /);
  // What was bought is bought for ever.
  expect(told).not.toContain("deposited");
  second.kill("SIGINT");
  expect(await second.exited).toEqual({ code: 0, signal: null });
  expect(second.stderr().slice(told.length)).toBe(
    `Stopping. Ctrl-C once more ends it at once.\nStopped. The run is kept in ${stage.state}; "npm start -- --state ${stage.state}" goes on with it.\n`,
  );
  expect(existsSync(join(stage.state, "blobs"))).toBe(false);
});
