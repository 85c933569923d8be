/**
 * The chain node is killed and loses the seconds in which a vote of the holders' was executed, as real processes: nobody would
 * send that again, and no head under the parameters that it made could be posted without it.
 */
import assert from "node:assert/strict";
import { copyFileSync, readFileSync, renameSync } from "node:fs";

import { CotrainError } from "@cotrain/sdk/errors";
import { afterAll, beforeAll, expect, it } from "vitest";

import { openReader } from "../../offchain/src/chain/index.ts";
import { layout, openLocalRun, readerOptions } from "../../offchain/src/run/index.ts";
import {
  follow,
  freePort,
  openStage,
  openWatch,
  type Running,
  setBackChain,
  type Stage,
  until,
  type Watch,
} from "./harness.ts";

let stage: Stage;
let up: Running;
let watch: Watch;
let chainPort: number;

beforeAll(async () => {
  stage = openStage();
  chainPort = await freePort();
  const ports = [`--port=${await freePort()}`, `--chain-port=${chainPort}`];
  up = stage.cotrain(["up", `--state=${stage.state}`, "--preset=0.1m", "--for=600s", "--json", ...ports]);
  await until("training", () => up.exit() !== undefined || up.stderr().includes("Training · round"));
  assert(up.exit() === undefined, up.stderr());
  watch = openWatch(stage.state);
});
afterAll(async () => {
  watch?.close();
  await stage?.close();
});

it("a chain that lost a vote's execution has it again, and the heads under what was decided", async () => {
  const run = await openLocalRun(stage.state);
  const options = readerOptions(`http://127.0.0.1:${chainPort}`, run.deployment.chainId, run.deployment);
  const reader = await openReader(options);
  const file = layout(stage.state).chainState;
  const [copy, kept] = [`${file}.copy`, `${file}.kept`];
  const version = async (): Promise<number> => (await reader.paramsInForce(run.runId)).version;

  await until(
    "the execution of a vote",
    async () => {
      copyFileSync(file, copy);
      const isBefore = (await version()) === 1;
      if (isBefore && isWhole(copy)) renameSync(copy, kept);
      return !isBefore;
    },
    { every: 500 },
  );
  const lost = await follow(watch, "a head under what was decided", ({ heads }) =>
    heads.find(({ anchor, paramsVersion }) => anchor !== null && paramsVersion === 2),
  );
  await setBackChain(stage, kept);

  let found = "";
  const again = await until(
    "the lost head, posted again",
    async () => {
      try {
        const heads = await (await openReader(options)).headsSince(run.runId, 0);
        found = `version ${await version()}, heads up to ${heads.at(-1)?.sequence}`;
        return heads.find(({ head }) => head === lost.head);
      } catch (error) {
        if (!(error instanceof CotrainError) || !error.retryable) throw error;
        found = error.message;
        return undefined;
      }
    },
    { every: 200, context: () => `It was head ${lost.sequence}; ${found}.` },
  );
  expect(again.anchoredAt).toBeGreaterThan(lost.anchor?.anchoredAt ?? Infinity);
  expect(await version()).toBe(2);
  watch.look();
  const { round } = watch.state();
  await follow(watch, "training that goes on", (state) => state.round > round);
});

function isWhole(file: string): boolean {
  try {
    return JSON.parse(readFileSync(file, "utf8")) !== null;
  } catch {
    return false;
  }
}
