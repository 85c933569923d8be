/** Which builds a run begins with: what the organiser's machine computes and proves, whoever was named. */
import { digestOfJson } from "@cotrain/sdk/protocol";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { turn } from "../../../offchain/src/base/index.ts";
import {
  buildPrograms,
  type Device,
  EngineClosedError,
  EngineError,
  halfStep,
  presets,
} from "../../../offchain/src/engine/index.ts";
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

test("a device whose process was killed is tried once more", async () => {
  const dying = (name: string, deaths: number): Device => {
    const device = steady(name);
    let left = deaths;
    const open: Device["open"] = (options) =>
      left-- > 0 ? Promise.reject(new EngineClosedError()) : device.open(options);
    return { ...device, open };
  };
  expect(await classes([steady("cpu"), dying("once", 1), dying("again", 2)])).toEqual([
    "class of cpu",
    "class of once",
  ]);
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
  /** Ms of a step in fp32 while other devices are proven. */
  readonly busyMs?: number;
  /** Ms by which one step in fp32 is held up. */
  readonly heldUpMs?: number;
  /** Told which program an engine was opened with, and by which signal it ends. */
  readonly opened?: (program: "fp32" | "fp16" | "probe", signal: AbortSignal | undefined) => void;
  /** How steps in fp16 end that hang. */
  readonly ends?: (signal: AbortSignal | undefined) => Error;
}

const beside = async (device: Device) => (await builds([steady("cpu"), device])).slice(1);

describe("a build with products in fp16", () => {
  const halfGpu = (how: How = {}): Device => {
    const { product = 1, off = 1e-3, ms = [9, 4], busyMs = ms[0], heldUpMs = 0, opened, ends } = how;
    const [whole, inHalf] = [gpu("webgpu"), fakeDevice("webgpu", () => value("half"), [off], false)];
    let isBusy = true;
    const open: Device["open"] = async (options) => {
      const isHalf = options.programs.step === half.bytes;
      opened?.(options.programs.eval ? "probe" : isHalf ? "fp16" : "fp32", options.signal);
      const engine = await (isHalf ? inHalf : whole).open(options);
      const fullMs = isBusy ? busyMs : ms[0];
      isBusy = false;
      let steps = 0;
      const train: typeof engine.train = async (...given) => {
        if (isHalf && ends) throw ends(options.signal);
        await clock.advance((isHalf ? ms[1] : fullMs) + (++steps === 10 && !isHalf ? heldUpMs : 0));
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
    ["that gains no tenth by it, which may be noise", { ms: [4, 3.9] }, []],
    ["that was slower in fp32 while others were proven", { ms: [4, 4], busyMs: 9 }, []],
    ["of which a step in fp32 was held up", { ms: [4, 4], heldUpMs: 100 }, []],
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

  test("is timed after all proofs in fp32, with fp32 once more before it; of GPUs that compute the same, one is", async () => {
    const order: string[] = [];
    const wasm = steady("wasm");
    const close = async (): Promise<void> => {
      for (let i = 0; i < 100; i++) await turn();
      order.push("wasm ends");
    };
    const open: Device["open"] = async (options) => ({ ...(await wasm.open(options)), close });
    const device = halfGpu({ opened: (program) => void order.push(program) });
    const alike = { ...halfGpu({ opened: (program) => void order.push(`other ${program}`) }), name: "webgpu:1" };
    const same = { ...alike, exactness: device.exactness, runtime: device.runtime };
    const made = await builds([steady("cpu"), { ...wasm, open }, device, same]);
    expect(made.map(({ precision }) => precision)).toEqual(["fp32", "fp32", "fp32", "fp16"]);
    expect(order).toEqual(["fp32", "other fp32", "wasm ends", "wasm ends", "probe", "fp32", "fp16"]);
  });

  describe("whose steps hang keeps nobody waiting", () => {
    afterEach(() => void vi.restoreAllMocks());

    test.each([
      ["nobody named", false, 9, 30],
      ["was named", true, 9, 30],
      ["was named and is slow", true, 5_000, 80],
    ])("on a GPU that %s", async (_, isNamed, ms, seconds) => {
      const limits = new Map<AbortSignal, { readonly controller: AbortController; readonly ms: number }>();
      vi.spyOn(AbortSignal, "timeout").mockImplementation((given) => {
        const controller = new AbortController();
        limits.set(controller.signal, { controller, ms: given });
        return controller.signal;
      });
      const ends = (signal: AbortSignal | undefined): Error => {
        const limit = signal && limits.get(signal);
        if (!limit) return new TypeError("Nothing ends it.");
        expect(limit.ms).toBe(seconds * 1_000);
        limit.controller.abort();
        return new EngineClosedError();
      };
      const signals: (AbortSignal | undefined)[] = [];
      const device = halfGpu({ ms: [ms, ms / 2], ends, opened: (_program, signal) => void signals.push(signal) });
      const made = await builds([steady("cpu"), device], isNamed ? [device] : []);
      expect(made.map(({ precision }) => precision)).toEqual(["fp32", "fp32"]);
      expect(said).toEqual([
        `The run has no build with products in fp16 for webgpu: It gave no answer within ${seconds} s.`,
      ]);
      // A GPU that nobody named has as much for this as it had for fp32.
      const [inFull, ...others] = signals;
      expect(inFull !== undefined).toBe(!isNamed);
      expect(others).not.toContain(inFull);
    });
  });
});
