/** Which builds a run begins with: what the organiser's machine computes and proves, whoever was named. */
import { digestOfJson } from "@cotrain/sdk/protocol";
import { beforeEach, describe, expect, test, vi } from "vitest";

import { buildPrograms, type Device, EngineError, halfStep, presets } from "../../../offchain/src/engine/index.ts";
import type * as Runtimes from "../../../offchain/src/engine/runtime/node/index.ts";
import { firstBuilds } from "../../../offchain/src/run/firstBuilds.ts";
import { createManualClock } from "../manualClock.ts";
import { fakeDevice } from "./fakeDevice.ts";

const named = vi.hoisted(() => new Map<string, Device>());
vi.mock("../../../offchain/src/engine/runtime/node/index.ts", async (original) => ({
  ...(await original<typeof Runtimes>()),
  deviceOf: (name: string) => named.get(name),
}));

const { model, microBatch } = presets["0.1m"];
const { step } = buildPrograms(model, { microBatch });
const half = halfStep(model, { microBatch });
const computed = {
  version: 1 as const,
  definition: digestOfJson("definition"),
  graphs: { step: step.digest, eval: step.digest, logits: step.digest },
  microBatch,
  precision: "fp32" as const,
};
const value = (of: string) => digestOfJson(`value of ${of}`);
const steady = (name: string) => fakeDevice(name, () => value(name));
const gpu = (name: string, more: Partial<Device> = {}): Device => ({
  ...fakeDevice(name, () => value(name), [1e-5], false),
  ...more,
});
const absent: Device["open"] = () => Promise.reject(new EngineError("DEVICE_MISSING", "There is none."));

const said: string[] = [];
beforeEach(() => void said.splice(0));
const clock = createManualClock();

async function builds(here: readonly Device[], asked: readonly Device[] = []) {
  for (const device of asked) named.set(device.name, device);
  const options = {
    here,
    devices: asked.map(({ name }) => name),
    notice: (text: string) => void said.push(text),
    clock,
  };
  return firstBuilds(computed, { step: step.bytes, half }, options);
}
const classes = async (...given: Parameters<typeof builds>): Promise<string[]> =>
  (await builds(...given)).map(({ deviceClass }) => deviceClass);

test("a run has a build for each device that is there, the CPU's first, though nobody named it", async () => {
  const here = [steady("wasm"), gpu("webgpu"), gpu("cuda", { open: absent }), steady("cpu")];
  expect(await classes(here)).toEqual(["class of cpu", "class of wasm", "class of webgpu"]);
  expect(said).toEqual([]);
});

test("a GPU in software has one where it is named", async () => {
  const software = gpu("webgpu", { adapter: async () => ({ name: "llvmpipe", software: true }) });
  expect(await classes([steady("cpu"), software])).toEqual(["class of cpu"]);
  expect(await classes([steady("cpu"), software], [software])).toEqual(["class of cpu", "class of webgpu"]);
});

test("two GPUs of one value have one build", async () => {
  const other = { ...gpu("webgpu"), name: "webgpu:1" };
  expect(await classes([steady("cpu"), gpu("webgpu"), other])).toEqual(["class of cpu", "class of webgpu"]);
});

test.each([
  [
    "whose losses are others'",
    fakeDevice("wasm", () => value("wasm"), [0, 2e-4]),
    "BUILD_LOSSES",
    "nats per token off",
  ],
  [
    "that computes something else on two threads",
    fakeDevice("wasm", (threads) => value(`wasm ${threads}`)),
    "BUILD_UNSTEADY",
    "computed two values",
  ],
])("one %s has none, and who named it is told why", async (_, device, code, sentence) => {
  expect(await classes([steady("cpu"), device])).toEqual(["class of cpu"]);
  expect(said).toEqual([expect.stringContaining(sentence)]);
  await expect(classes([steady("cpu"), device], [device])).rejects.toMatchObject({ code });
});

test("a device that nobody can do without is told of when it is missing, and where none computes there is no run", async () => {
  const wasm = { ...steady("wasm"), open: absent };
  expect(await classes([steady("cpu"), wasm])).toEqual(["class of cpu"]);
  expect(said).toEqual(["The run has no build for wasm, on which this machine cannot train: There is none."]);
  await expect(classes([{ ...steady("cpu"), open: absent }, wasm])).rejects.toMatchObject({ code: "DEVICE_MISSING" });
});

/** How a GPU multiplies in fp16: what it makes of 1 + 2⁻¹², how far its losses are off, and ms of a step in fp32 and in fp16. */
interface How {
  readonly product?: number;
  readonly off?: number;
  readonly ms?: readonly [number, number];
}

const beside = async (device: Device) => (await builds([steady("cpu"), device])).slice(1);

describe("a build with products in fp16", () => {
  const halfGpu = ({ product = 1, off = 1e-3, ms = [9, 4] }: How = {}): Device => {
    const [whole, inHalf] = [gpu("webgpu"), fakeDevice("webgpu", () => value("half"), [off], false)];
    const open: Device["open"] = async (options) => {
      const isHalf = options.programs.step === half.bytes;
      const engine = await (isHalf ? inHalf : whole).open(options);
      const train: typeof engine.train = async (...given) => {
        await clock.advance(isHalf ? ms[1] : ms[0]);
        return engine.train(...given);
      };
      return { ...engine, train, evaluate: async () => ({ loss: 64 * product, tokens: 1 }) };
    };
    return { ...whole, open };
  };

  test("comes beside the one in fp32 for a GPU that is faster by it", async () => {
    const [full, other, ...more] = await beside(halfGpu());
    expect(full).toMatchObject({ precision: "fp32", conformance: value("webgpu") });
    expect(other).toEqual({
      ...full,
      graphs: { ...computed.graphs, step: half.digest },
      precision: "fp16",
      conformance: value("half"),
    });
    expect([more, said]).toEqual([[], []]);
  });

  test.each<[string, How, string[]]>([
    ["that does not multiply so", { product: 1 + 2 ** -12 }, []],
    ["that is no faster by it", { ms: [4, 4] }, []],
    [
      "whose losses are too far off",
      { off: 0.02 },
      [
        expect.stringMatching(
          /^The run has no build with products in fp16 for webgpu: Over 32 steps a loss .* 0\.01 is/,
        ),
      ],
    ],
  ])("is none for one %s, and the one in fp32 stays", async (_, how, told) => {
    expect(await beside(halfGpu(how))).toMatchObject([{ precision: "fp32", deviceClass: "class of webgpu" }]);
    expect(said).toEqual(told);
  });
});
