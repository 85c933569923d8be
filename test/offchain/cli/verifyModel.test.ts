/** `cotrain verify` on an imported model: what is pinned is compared, with or without a chain. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { expect, test } from "vitest";

import { exportModel } from "../../../offchain/src/storage/index.ts";
import { goodPrograms } from "../../attack/hostileCorpus.ts";
import { collect, storedModel, temporaryStore } from "../storage/fixtures.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";

async function imported() {
  const directory = temporaryDirectory();
  const [car, state] = [join(directory, "model.car"), join(directory, "state")];
  const { store } = await temporaryStore();
  const { step, eval: evaluation, logits } = goodPrograms;
  const programs = { step: step.bytes, eval: evaluation.bytes, logits: logits.bytes };
  const model = await storedModel(store, {}, programs);
  writeFileSync(car, Buffer.concat(await collect(exportModel(store, model))));
  expect((await cotrainHere(["checkpoint", "import", car, "--state", state])).code).toBe(0);
  return { directory, bundle: model.bundle, verify: ["verify", "--state", state] };
}

test("the run that is pinned must be the model's", async () => {
  const { bundle, verify } = await imported();
  expect((await cotrainHere([...verify, "--run", bundle.runId])).code).toBe(0);
  const another = `0x${"ab".repeat(32)}`;
  for (const rpc of [[], ["--rpc", "http://127.0.0.1:9"]])
    expect(verdictOf(await cotrainHere([...verify, ...rpc, "--run", another]))).toEqual(
      refusal(1, `holds an imported model of run ${bundle.runId}, not ${another}: name that run with --run, or`),
    );
});

test("the deployment that is pinned must be the model's", async () => {
  const { directory, bundle, verify } = await imported();
  const file = join(directory, "deployment.json");
  const pinned = [...verify, "--deployment", file];
  expect(verdictOf(await cotrainHere(pinned))).toEqual(refusal(1, `${file} does not exist`));
  const write = (chainId: number, addresses: object): void =>
    writeFileSync(file, JSON.stringify({ chainId, profile: "local", blocks: {}, addresses }));
  write(bundle.chainId, bundle.contracts);
  expect((await cotrainHere(pinned)).code).toBe(0);
  write(bundle.chainId + 1, bundle.contracts);
  expect(verdictOf(await cotrainHere(pinned))).toEqual(
    refusal(1, `names the chain ${bundle.chainId}, but ${file} has`),
  );
  write(bundle.chainId, { ...bundle.contracts, runRegistry: `0x${"9".repeat(40)}` });
  expect(verdictOf(await cotrainHere(pinned))).toEqual(refusal(1, `but ${file} has 0x9999`));
});
