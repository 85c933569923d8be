/** What a machine has to show before a build for its device is proposed. */
import { asDigest, asRunId, type Build, canonicalJson, type Digest, digestOfJson } from "@cotrain/sdk/protocol";
import { describe, expect, test } from "vitest";

import { UserError } from "../../../offchain/src/base/index.ts";
import { buildPrograms, type Device, presets } from "../../../offchain/src/engine/index.ts";
import { proveBuild, readBuilds, type RunBuild } from "../../../offchain/src/run/builds.ts";
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
      runtime: "onnxruntime wasm 1",
      deviceClass: "class of wasm",
      conformance: value("wasm"),
    });
    expect(digest).toBe(digestOfJson(build));
    expect(proof).toEqual({ reference: "cpu", referenceBuild: known().digest, worst: expect.closeTo(9e-5), steps: 5 });
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
