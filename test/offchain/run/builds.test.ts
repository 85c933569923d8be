/** What a machine has to show before a build for its device is proposed. */
import {
  asDigest,
  asRunId,
  type Build,
  canonicalJson,
  defaultScreening,
  type Digest,
  digestOfJson,
} from "@cotrain/sdk/protocol";
import { describe, expect, test } from "vitest";

import { UserError } from "../../../offchain/src/base/index.ts";
import {
  buildPrograms,
  type Device,
  endedBy,
  EngineClosedError,
  EngineError,
  halfStep,
  presets,
  tensorSpecs,
} from "../../../offchain/src/engine/index.ts";
import {
  classInBuild,
  HALF_LOSS_BOUND,
  proveBuild,
  readBuilds,
  type RunBuild,
  valuesOn,
} from "../../../offchain/src/run/builds.ts";
import { fakeDevice as fake } from "./fakeDevice.ts";

const { model, microBatch } = presets["0.1m"];
const { step } = buildPrograms(model, { microBatch });
const runId = asRunId(digestOfJson("run"));
const blobs = { blob: async () => step.bytes };
const value = (of: string) => digestOfJson(`value of ${of}`);

const admitted: Build = {
  version: 1,
  definition: digestOfJson("definition"),
  graphs: { step: step.digest, eval: step.digest, logits: step.digest },
  microBatch,
  accumulation: 2,
  precision: "fp32",
  runtime: "onnxruntime of the organiser",
  deviceClass: "exact-x86",
  segmentSteps: 32,
  conformance: value("cpu"),
};
const known = (over: Partial<RunBuild> = {}): RunBuild => ({
  digest: digestOfJson(admitted),
  admitted: true,
  since: 0,
  document: admitted,
  ...over,
});

const cpu = fake("cpu", () => value("cpu"));
const prove = (device: Device, builds: readonly RunBuild[] = [known()]) =>
  proveBuild({ blobs, runId }, { builds, device, steps: 5, reference: cpu });

describe("a build for another device", () => {
  test("has the programs and micro-batches of one that is admitted, and what the device says of itself", async () => {
    const { build, digest, ...proof } = await prove(fake("wasm", () => value("wasm"), [1e-5, -9e-5]));
    expect(build).toEqual({
      ...admitted,
      runtime: "wasm 1",
      deviceClass: "class of wasm",
      conformance: value("wasm"),
    });
    expect(digest).toBe(digestOfJson(build));
    expect(proof).toEqual({
      reference: "cpu",
      referenceBuild: known().digest,
      worst: expect.closeTo(9e-5),
      bound: 1e-4,
      steps: 5,
    });
    // One in fp16 has another step, whichever was admitted first.
    const inHalf = { ...admitted, precision: "fp16" as const, graphs: { ...admitted.graphs, step: value("half") } };
    const first = known({ digest: digestOfJson(inHalf), document: inHalf });
    const wasm = fake("wasm", () => value("wasm"));
    expect((await prove(wasm, [first, known()])).build).toEqual(build);
    const gpu = await prove(fake("gpu", (threads) => value(`gpu ${threads}`), [0], false));
    expect(gpu.build).toMatchObject({ segmentSteps: 0, conformance: value("gpu 1") });
  });

  test.each([
    ["whose losses are off once", [0, 0, 2e-4]],
    ["whose losses are no numbers", [0, NaN]],
  ])("is none for one %s", async (_, off) => {
    await expect(prove(fake("wasm", () => value("wasm"), off))).rejects.toMatchObject({ code: "BUILD_LOSSES" });
  });

  test("is none where its class is exact and two threads compute something else", async () => {
    const unsteady = prove(fake("wasm", (threads) => value(`wasm ${threads}`)));
    await expect(unsteady).rejects.toMatchObject({ code: "BUILD_UNSTEADY" });
  });

  test("is not needed where one of its value is admitted, and is again where that was withdrawn", async () => {
    const document = { ...admitted, deviceClass: "exact-wasm", conformance: value("wasm") };
    const other = known({ digest: digestOfJson(document), document });
    const device = fake("wasm", () => value("wasm"));
    await expect(prove(device, [known(), other])).rejects.toMatchObject({ code: "BUILD_NEEDLESS" });
    expect(await prove(device, [known(), { ...other, admitted: false }])).toMatchObject({ reference: "cpu" });
  });

  test("needs one that is admitted and can be read; the reference need not be of any", async () => {
    const none = prove(
      fake("wasm", () => value("wasm")),
      [known({ admitted: false }), known({ document: undefined })],
    );
    await expect(none).rejects.toMatchObject({ code: "BUILD_BASE" });
    const foreign = { ...admitted, conformance: asDigest(value("another machine")) };
    const builds = [known({ document: foreign })];
    expect(
      await prove(
        fake("wasm", () => value("wasm")),
        builds,
      ),
    ).toMatchObject({ referenceBuild: undefined });
  });
});

const source = (there: Readonly<Record<string, Uint8Array>>) => ({
  blob: async (_: unknown, digest: Digest) => {
    const bytes = there[digest];
    if (bytes === undefined) throw new UserError("BLOB_MISSING", "It is not there.");
    return bytes;
  },
});
/** A GPU whose products in fp16 come out so. @param off as in fakeDevice @param product of 1 + 2⁻¹² by 1 */
const gpu = (off: readonly number[], product = 1): Device => {
  const { open, ...rest } = fake("gpu", () => value("gpu"), off, false);
  const evaluate = async () => ({ loss: 64 * product, tokens: 1 });
  return { ...rest, open: async (options) => ({ ...(await open(options)), evaluate }) };
};

const unsupported = (): string => {
  throw new EngineError("DEVICE_UNSUPPORTED", "It lacks AVX2.");
};

test("a processor that no known class has makes builds of another, whose value says which machines are like it", () => {
  expect(classInBuild({ exactness: unsupported })).toBe("other");
  expect(classInBuild(cpu)).toBe("class of cpu");
});

describe("a build with products in fp16", () => {
  const optimizer = { kind: "sgd", momentum: 0.9, nesterov: true, weightDecay: 0, clipNorm: 1 } as const;
  const half = halfStep(model, { microBatch: microBatch / 2, accumulation: 2, optimizer });
  const definition = {
    version: 1 as const,
    tokenizer: digestOfJson("tokenizer"),
    data: digestOfJson("data"),
    innerOptimizer: optimizer,
    schedule: presets["0.1m"].schedule,
    sequence: model.sequence,
    initialParameters: digestOfJson("parameters"),
    screening: defaultScreening,
    model: { ...model },
    table: tensorSpecs(model).map(({ name, shape }) => ({ name, shape: [...shape], fragment: 0 })),
  };
  const base: Build = { ...admitted, definition: digestOfJson(definition), microBatch: microBatch / 2 };
  const stored: Readonly<Record<string, Uint8Array>> = {
    [base.definition]: new TextEncoder().encode(canonicalJson(definition)),
    [step.digest]: step.bytes,
    [half.digest]: half.bytes,
  };
  const proven = (device: Device, there = stored) =>
    proveBuild(
      { blobs: source(there), runId },
      { builds: [known({ document: base })], device, steps: 5, reference: cpu, precision: "fp16" },
    );

  test("has a step of its own, and the other programs of one that is admitted; its losses may be further off", async () => {
    const { build, worst, bound } = await proven(gpu([1e-3]));
    expect(build).toEqual({
      ...base,
      graphs: { ...base.graphs, step: half.digest },
      precision: "fp16",
      runtime: "gpu 1",
      deviceClass: "class of gpu",
      segmentSteps: 0,
      conformance: value("gpu"),
    });
    expect(worst).toBeCloseTo(1e-3);
    expect(bound).toBe(HALF_LOSS_BOUND);
    await expect(proven(gpu([2 * HALF_LOSS_BOUND]))).rejects.toMatchObject({ code: "BUILD_LOSSES" });
  });

  test("is none for a device that does not multiply so, or where the coordinator lacks its step", async () => {
    await expect(proven(gpu([0], 1 + 2 ** -12))).rejects.toMatchObject({ code: "DEVICE_HALF" });
    await expect(proven(cpu)).rejects.toMatchObject({ code: "DEVICE_HALF" });
    const { [half.digest]: _, ...rest } = stored;
    await expect(proven(gpu([0]), rest)).rejects.toMatchObject({ code: "BUILD_HALF" });
  });
});

const admissionOf = (build: Digest) => ({ args: { build, admitted: true }, blockHash: digestOfJson(build) });

describe("the documents of a run's builds", () => {
  const other: Build = { ...admitted, deviceClass: "exact-wasm" };
  const [first, second] = [digestOfJson(admitted), digestOfJson(other)];

  /** @param kept what the blobs have @param proposed what texts of proposals have */
  async function documents(kept: Readonly<Record<Digest, string>>, proposed: Readonly<Record<Digest, string>>) {
    let asked = 0;
    const place = {
      // The admissions, then the time of the block of each.
      connection: {
        call: async () => (asked++ === 0 ? { logs: [first, second].map(admissionOf) } : { timestamp: 7n }),
      },
      reader: { proposedBuild: async (_: unknown, digest: Digest) => proposed[digest] },
      blobs: {
        blob: async (_: unknown, digest: Digest) => {
          if (kept[digest] === undefined) throw new UserError("BLOB_MISSING", "It is not there.");
          return new TextEncoder().encode(kept[digest]);
        },
      },
      addresses: {},
      fromBlock: 0,
      runId,
    } as unknown as Parameters<typeof readBuilds>[0];
    return (await readBuilds(place)).map(({ digest, document }) => [digest, document]);
  }

  test.each(["{", "[]", '{"version":1}', "", "null"])(
    "one that is %j keeps nobody from the others",
    async (malformed) => {
      const sound = { [first]: canonicalJson(admitted) };
      const found = [
        [first, admitted],
        [second, undefined],
      ];
      expect(await documents({ ...sound, [second]: malformed }, {})).toEqual(found);
      expect(await documents(sound, { [second]: malformed })).toEqual(found);
      expect(await documents({ ...sound, [second]: malformed }, { [second]: malformed })).toEqual(found);
      // And where the proposal has it, that is as good.
      const told = { [second]: canonicalJson(other) };
      expect((await documents({ ...sound, [second]: malformed }, told))[1]).toEqual([second, other]);
      expect((await documents(sound, told))[1]).toEqual([second, other]);
    },
  );
});

test("a device that never has done with a stranger's program has no value, and keeps nobody waiting", async () => {
  const stuck = {
    name: "stuck",
    open: (({ signal }) =>
      new Promise((_, reject) => {
        signal?.addEventListener("abort", () => reject(new EngineClosedError("It was given up.")));
      })) as Device["open"],
  };
  expect(await valuesOn([stuck, stuck], step.bytes, 20)).toEqual(new Map());
});

test("a device that is given up in time still ends by the signal of whoever opens it", async () => {
  const given: (AbortSignal | undefined)[] = [];
  const open: Device["open"] = async ({ signal }) => {
    given.push(signal);
    throw new EngineClosedError();
  };
  const [late, stopped] = [new AbortController(), new AbortController()];
  const { open: opened } = endedBy(late.signal, { open });
  await expect(opened({ programs: {}, threads: 1, signal: stopped.signal })).rejects.toThrow(EngineClosedError);
  await expect(opened({ programs: {}, threads: 1 })).rejects.toThrow(EngineClosedError);
  stopped.abort();
  expect(given.map((signal) => signal?.aborted)).toEqual([true, false]);
  late.abort();
  expect(given.map((signal) => signal?.aborted)).toEqual([true, true]);
});
