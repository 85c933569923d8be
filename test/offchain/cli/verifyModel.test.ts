/** `cotrain verify` on an imported model: what is pinned is compared, with or without a chain, of which there are stand-ins. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { expect, test, vi } from "vitest";

import { exportModel } from "../../../offchain/src/storage/index.ts";
import { goodPrograms } from "../../attack/hostileCorpus.ts";
import { collect, facts, storedModel, temporaryStore } from "../storage/fixtures.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";

const stand = vi.hoisted(() => ({ reader: {}, served: "" }));

vi.mock("../../../offchain/src/chain/index.ts", async (original) => ({
  ...(await original<object>()),
  openReader: async () => stand.reader,
}));
vi.mock("../../../offchain/src/run/index.ts", async (original) => ({
  ...(await original<object>()),
  openRemoteRun: async () => ({ client: {}, runId: stand.served, pinned: true }),
  // All that is on the chain holds.
  verifyRun: async function* () {
    yield* [];
    return { heads: 0, ok: 0, pruned: 0, missing: 0, mismatch: 0, unsigned: 0, problems: [] };
  },
}));

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

const rpc = ["--rpc", "http://127.0.0.1:9"];
const coordinator = ["--coordinator", "http://127.0.0.1:9", ...rpc];

/** A chain that has the model's checkpoint, definition and programs. */
async function anchored() {
  const { bundle, verify } = await imported();
  const head = {
    round: facts.round,
    sequence: 3,
    head: `0x${"cd".repeat(32)}`,
    checkpointDigest: bundle.checkpoint.digest,
  };
  const reader = {
    run: async () => ({ definition: bundle.definition.digest }),
    isAdmitted: async (_run: string, build: string) => build === bundle.build.digest,
    headsSince: async () => [head],
    modelContracts: async () => ({}),
  };
  stand.reader = reader;
  return { bundle, reader, verify };
}

test("a model is held against its run's checkpoints, definition and programs", async () => {
  const { reader, verify } = await anchored();
  const judged = async (chain: object) => {
    stand.reader = { ...reader, ...chain };
    const { code, stdout } = await cotrainHere([...verify, ...rpc, "--json"]);
    return [code, (JSON.parse(stdout) as { problems: unknown }).problems];
  };
  expect(await judged({})).toEqual([0, []]);
  expect(await judged({ run: async () => ({ definition: `0x${"ab".repeat(32)}` }) })).toEqual([
    1,
    ["Its definition is not the one of the run."],
  ]);
  expect(await judged({ isAdmitted: async () => false })).toEqual([1, ["Its programs are not admitted to the run."]]);
  expect(await judged({ headsSince: async () => [] })).toEqual([1, ["Its checkpoint is not anchored in the run."]]);
});

test("a model that its run does not anchor is wrong, however sound the run is that a coordinator serves", async () => {
  const { bundle, verify } = await anchored();
  stand.served = bundle.runId;
  const { code, stdout } = await cotrainHere([...verify, ...coordinator, "--json"]);
  expect([code, JSON.parse(stdout)]).toEqual([1, expect.objectContaining({ sound: false, problems: [] })]);
});

test("a model of another run than the one that a coordinator serves is not held against that one", async () => {
  const { bundle, verify } = await anchored();
  stand.served = `0x${"ab".repeat(32)}`;
  expect(verdictOf(await cotrainHere([...verify, ...coordinator]))).toEqual(
    refusal(1, `holds an imported model of run ${bundle.runId}, not ${stand.served}`),
  );
});
