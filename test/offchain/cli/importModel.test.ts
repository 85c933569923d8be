/** Into the directory of a run comes no model of another. */
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { expect, test } from "vitest";

import { anyPins } from "../anyPins.ts";
import { loadTokenizer } from "../../../offchain/src/data/node/index.ts";
import { writeDeployment } from "../../../offchain/src/run/index.ts";
import { openStateDirectory, writeRunFile } from "../../../offchain/src/service/index.ts";
import { exportModel } from "../../../offchain/src/storage/index.ts";
import { goodPrograms } from "../../attack/hostileCorpus.ts";
import { collect, storedModel, temporaryStore } from "../storage/fixtures.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";

test("a model of another run is not imported into the directory of a run, one of the same run is", async () => {
  const directory = temporaryDirectory();
  const [car, state] = [join(directory, "model.car"), join(directory, "state")];
  const { store } = await temporaryStore();
  const { step, eval: evaluation, logits } = goodPrograms;
  const programs = { step: step.bytes, eval: evaluation.bytes, logits: logits.bytes };
  const model = await storedModel(store, {}, programs, (await loadTokenizer()).bytes);
  writeFileSync(car, Buffer.concat(await collect(exportModel(store, model))));
  const { chainId, contracts: addresses, modelId, runId } = model.bundle;
  (await openStateDirectory(state, { create: true })).close();
  await writeDeployment(state, { chainId, profile: "local", addresses, ...anyPins, blocks: {} });
  const startedAt = new Date(0).toISOString();
  const chain = { chainId, rpcUrl: "http://127.0.0.1:9", embedded: false };
  const holding = (run: string) =>
    writeRunFile(state, { version: 1, startedAt, chain, ports: {}, urls: {}, modelId, runId: run, wallets: {} });
  const blobs = join(state, "blobs");
  const stored = () =>
    existsSync(blobs) ? readdirSync(blobs, { recursive: true }).filter((name) => name.toString().length > 60) : [];

  const another = `0x${"ab".repeat(32)}`;
  await holding(another);
  expect(verdictOf(await cotrainHere(["checkpoint", "import", car, "--state", state]))).toEqual(
    refusal(
      1,
      `${car} holds a model of run ${runId}, but ${state} holds run ${another}: import it into a directory of its own with --state.`,
    ),
  );
  expect(stored()).toEqual([]);
  await holding(runId);
  expect((await cotrainHere(["checkpoint", "import", car, "--state", state])).code).toBe(0);
  expect(stored()).not.toEqual([]);
});
