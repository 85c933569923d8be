/** `cotrain verify` on an imported model and on a run that is served: what it says and ends with. Chain and walk are stand-ins. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { CoordinatorError } from "@cotrain/sdk/errors";
import { asDigest, asRunId } from "@cotrain/sdk/protocol";
import { afterEach, expect, test, vi } from "vitest";

import { anyPins } from "../anyPins.ts";
import { RetryableError, UserError } from "../../../offchain/src/base/index.ts";
import { loadTokenizer } from "../../../offchain/src/data/node/index.ts";
import { fragmentLayouts } from "../../../offchain/src/diloco/index.ts";
import type { BlobSource } from "../../../offchain/src/run/index.ts";
import { exportModel } from "../../../offchain/src/storage/index.ts";
import { goodPrograms } from "../../attack/hostileCorpus.ts";
import { collect, facts, storedModel, table, temporaryStore } from "../storage/fixtures.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";

const stand = vi.hoisted(() => ({
  reader: {},
  served: "",
  client: {},
  /** Heads that are found, and what the summary says of them. */
  reports: [] as object[],
  summary: {},
  walked: async (_blobs: BlobSource): Promise<void> => undefined,
}));
afterEach(() => void Object.assign(stand, { client: {}, reports: [], summary: {}, walked: async () => undefined }));

vi.mock("../../../offchain/src/chain/index.ts", async (original) => ({
  ...(await original<object>()),
  openReader: async () => stand.reader,
  connect: async () => ({ url: "http://127.0.0.1:9", chainId: 1 }),
  createReader: () => stand.reader,
}));
vi.mock("../../../offchain/src/run/index.ts", async (original) => ({
  ...(await original<object>()),
  openRemoteRun: async () => ({ client: stand.client, runId: stand.served, pins: {} }),
  // All that is on the chain holds, unless a test says otherwise.
  verifyRun: async function* ({ blobs }: { blobs: BlobSource }) {
    await stand.walked(blobs);
    yield* stand.reports;
    const counts = { heads: 0, ok: 0, pruned: 0, missing: 0, mismatch: 0, rolledBack: 0, unsigned: 0 };
    return { ...counts, problems: [], verdictsRead: true, falseRoots: [], away: null, ...stand.summary };
  },
}));

async function imported() {
  const directory = temporaryDirectory();
  const [car, state] = [join(directory, "model.car"), join(directory, "state")];
  const { store } = await temporaryStore();
  const { step, eval: evaluation, logits } = goodPrograms;
  const programs = { step: step.bytes, eval: evaluation.bytes, logits: logits.bytes };
  const model = await storedModel(store, {}, programs, (await loadTokenizer()).bytes);
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
    writeFileSync(file, JSON.stringify({ chainId, profile: "local", blocks: {}, ...anyPins, addresses }));
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
  const fragments = fragmentLayouts(table).length;
  const onChain = { runId: bundle.runId, definition: bundle.definition.digest, fragments };
  const reader = {
    run: async () => onChain,
    isAdmitted: async (_run: string, build: string) => build === bundle.build.digest,
    headsSince: async () => [head],
    runsOf: async () => [],
    modelContracts: async () => ({}),
    distributors: async () => ({}),
    founders: async () => 0n,
    bootstrap: async () => undefined,
    disputeCost: async () => ({ bond: 10n ** 16n, level: 0, isDue: false }),
  };
  stand.reader = reader;
  return { bundle, reader, onChain, verify };
}

test("a model is held against its run's checkpoints, definition and programs", async () => {
  const { bundle, reader, onChain, verify } = await anchored();
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
  const { fragments } = onChain;
  expect(await judged({ run: async () => ({ ...onChain, fragments: fragments - 1 }) })).toEqual([
    1,
    [
      `Run ${bundle.runId} has ${fragments - 1} fragments on-chain and ${fragments} in its definition: what validators draw is not what there is.`,
    ],
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

const none = async () => ({});
const distributors = async () => ({ codeGrants: `0x${"12".repeat(20)}`, capitalSale: `0x${"34".repeat(20)}` });
const disputeCost = async () => ({ bond: 5n * 10n ** 16n, level: 0, isDue: false });
/** A run that a coordinator serves, walked from a directory without a model. */
async function served() {
  stand.served = `0x${"ab".repeat(32)}`;
  const [founders, bootstrap, runsOf] = [async () => 0n, async () => undefined, async () => []];
  stand.reader = {
    chainId: 1,
    run: none,
    runsOf,
    modelContracts: none,
    distributors,
    founders,
    bootstrap,
    disputeCost,
  };
  return ["verify", "--state", join(temporaryDirectory(), "none"), ...coordinator];
}
const away = new RetryableError("UNAVAILABLE", "The walk ended at checkpoint 2: the blob 0x12 cannot be had now.");

test("what is away takes back nothing that was found wrong, and where nothing was it is to be tried again", async () => {
  const verify = await served();
  stand.summary = { heads: 2, ok: 2, away };
  for (const json of [[], ["--json"]]) {
    const { code, sentence } = verdictOf(await cotrainHere([...verify, ...json]));
    expect([code, sentence]).toEqual([75, expect.stringContaining(away.message)]);
    expect(sentence).toContain("a source that stays away for one and the same blob may be hiding");
  }
  const { stdout } = await cotrainHere([...verify, "--json"]);
  expect(JSON.parse(stdout)).toMatchObject({ sound: false, ok: 2, problems: [], away: away.message, checkpoints: [] });
  expect(JSON.parse(stdout)).toMatchObject({ contracts: { codeGrants: `0x${"12".repeat(20)}` } });
  const report = { condition: "mismatch", round: 1, sequence: 1, receipts: 3, bytes: 7, signed: true };
  stand.reports = [{ ...report, complete: false, problems: ["It is not what it says."] }];
  for (const wrong of [{ mismatch: 1 }, { missing: 1 }, { problems: ["Its definition is another."] }]) {
    stand.summary = { heads: 2, ...wrong, away };
    const found = await cotrainHere([...verify, "--json"]);
    expect([found.code, JSON.parse(found.stdout)]).toEqual([
      1,
      expect.objectContaining({ sound: false, away: away.message, checkpoints: stand.reports, ...wrong }),
    ]);
    const told = await cotrainHere(verify);
    expect([told.code, told.stdout]).toEqual([1, expect.stringContaining(away.message)]);
    expect(told.stdout).toContain("7 B hashed, the rest not looked at");
    expect(told.stdout).toContain("It is not what it says.");
    // Whoever finds that may dispute what pays for it.
    expect(told.stdout.replaceAll(/\s+/g, " ")).toContain("disputed inside its window, for a bond of 0.05 coins now");
  }
});

test("who does not say which runs came before leaves open what was rejected in them", async () => {
  const verify = await served();
  Object.assign(stand.reader, { runsOf: () => Promise.reject(new RetryableError("CHAIN_UNREACHABLE", "Gone.")) });
  const { code, stdout } = await cotrainHere([...verify, "--json"]);
  const why = "What validators rejected of the runs before was not seen: Gone.";
  expect([code, JSON.parse(stdout)]).toEqual([75, expect.objectContaining({ sound: false, away: why, inherited: [] })]);
  expect(verdictOf(await cotrainHere(verify)).sentence).toContain(why);
  // What ended the walk is said, and not what came after it.
  stand.summary = { away };
  expect(verdictOf(await cotrainHere(verify)).sentence).toContain(away.message);
});

test("a model that is wrong by its chain is wrong, be its run's coordinator away or, after the walk, its chain", async () => {
  const { bundle, reader, verify } = await anchored();
  stand.served = bundle.runId;
  stand.summary = { away };
  expect((await cotrainHere([...verify, ...coordinator])).code).toBe(75);
  stand.reader = { ...reader, isAdmitted: async () => false };
  const { code, stdout } = await cotrainHere([...verify, ...coordinator, "--json"]);
  expect([code, JSON.parse(stdout)]).toEqual([1, expect.objectContaining({ sound: false, away: away.message })]);
  stand.summary = { mismatch: 1 };
  const gone = [new RetryableError("CHAIN_UNREACHABLE", "Gone."), new UserError("WRONG_CHAIN", "Gone.")];
  for (const error of gone) {
    stand.reader = { ...reader, isAdmitted: () => Promise.reject(error) };
    const found = await cotrainHere([...verify, ...coordinator, "--json"]);
    expect([found.code, JSON.parse(found.stdout)]).toEqual([
      1,
      expect.objectContaining({ sound: false, away: "The imported model was not held against its run: Gone." }),
    ]);
  }
});

test("a model whose checkpoint was found wrong is wrong, be something away after it or before it", async () => {
  const { bundle, reader, verify } = await anchored();
  stand.served = bundle.runId;
  const [head] = await reader.headsSince();
  const report = {
    ...head,
    condition: "mismatch",
    complete: false,
    problems: ["Validators found that it does not hold."],
  };
  stand.reports = [{ ...report, receipts: 0, bytes: 0, signed: true }];
  stand.summary = { heads: 1, mismatch: 1, away };
  const judged = async () => {
    const { code, stdout } = await cotrainHere([...verify, ...coordinator, "--json"]);
    return [code, (JSON.parse(stdout) as { model: object }).model] as const;
  };
  const problems = ["Its checkpoint is wrong: Validators found that it does not hold."];
  expect(await judged()).toEqual([1, expect.objectContaining({ sound: false, problems, verdictsRead: true })]);
  // What was away before the verdicts were read leaves open what they say.
  Object.assign(stand, { reports: [], summary: { verdictsRead: false, away } });
  expect(await judged()).toEqual([75, expect.objectContaining({ sound: null, problems: [], verdictsRead: false })]);
  Object.assign(stand, { summary: { away, problems: ["Its definition is another."] } });
  const told = await cotrainHere([...verify, ...coordinator]);
  expect([told.code, told.stdout]).toEqual([
    1,
    expect.stringMatching(/^unseen imported model of checkpoint .* not looked at$/m),
  ]);
  // Of one that was looked at it is known, whatever is away after it.
  stand.reports = [{ ...report, condition: "ok", complete: true, problems: [], receipts: 0, bytes: 0, signed: true }];
  stand.summary = { heads: 1, ok: 1, away };
  expect(await judged()).toEqual([75, expect.objectContaining({ sound: true, problems: [] })]);
});

test("a coordinator that says that it is asked too often is asked again", async () => {
  const verify = await served();
  let asked = 0;
  stand.client = {
    blob: async () => {
      if (++asked === 1) throw new CoordinatorError(429, "RATE_LIMITED", "Too many requests.", { retryable: true });
      return new Uint8Array(1);
    },
  };
  stand.walked = async (blobs) => void (await blobs.blob(asRunId(stand.served), asDigest(`0x${"12".repeat(32)}`), 1));
  const { code, stderr } = await cotrainHere(verify);
  expect({ code, stderr, asked }).toEqual({ code: 0, stderr: "Too many requests. Waiting for it.\n", asked: 2 });
});
