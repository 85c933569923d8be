/** What `cotrain doctor` says of presets: whether the machine and the device both have the memory. */
import { expect, test } from "vitest";

import { classOfValue, deviceTable, needsOfPresets } from "../../../offchain/src/cli/commands/doctor.ts";
import { engineMemory, presetOf, stepSize } from "../../../offchain/src/engine/index.ts";
import { vectorOf } from "../../vectors/conformance.ts";

const GIB = 2 ** 30;
const device = (name: string, memory: number | null = null) => ({
  name,
  tokensPerSecond: 1,
  memory: memory === null ? null : memory * GIB,
  ownMemory: name !== "cpu",
});
const devices = [device("cpu", 64), device("wasm", 4), device("webgpu", 24), device("cuda:1", 80)];

const fitting = (available: number, found = devices) => {
  const needs = needsOfPresets(found, available * GIB);
  return Object.fromEntries(
    found.map(({ name }) => [name, needs.filter(({ fits }) => fits[name] === true).map((preset) => preset.name)]),
  );
};

const upTo150m = ["0.1m", "1m", "3.5m", "20m", "60m", "150m"];

test("with memory enough on the machine, the device's own decides", () => {
  expect(fitting(64)).toEqual({
    cpu: [...upTo150m, "1b"],
    // Addresses of 32 bits: 60m has a step of 4.4 GiB.
    wasm: upTo150m.slice(0, 4),
    webgpu: upTo150m,
    // State crosses to CUDA with every step, so that the machine holds it all.
    "cuda:1": [...upTo150m, "1b"],
  });
});

test("a GPU is of no use to a model that the machine around it cannot hold", () => {
  expect(fitting(4)).toEqual({
    cpu: upTo150m.slice(0, 4),
    wasm: upTo150m.slice(0, 4),
    webgpu: upTo150m.slice(0, 5),
    "cuda:1": upTo150m.slice(0, 5),
  });
  expect(fitting(0.25)).toEqual({ cpu: [], wasm: [], webgpu: [], "cuda:1": [] });
});

test("of a GPU that does not tell its memory is said so, unless the machine's is too little", () => {
  const fits = needsOfPresets([device("webgpu")], 8 * GIB).map((preset) => preset.fits["webgpu"]);
  expect(fits.slice(0, 6)).toEqual(upTo150m.map(() => null));
  expect(fits.at(-1)).toBe(false);
});

test("what a preset takes beside a GPU, and on it, is not what it takes on the processor", () => {
  const { model, microBatch } = presetOf("20m");
  const { memory } = stepSize(model, { microBatch });
  const { besideGpu, step, stepInHalf, ...onCpu } = needsOfPresets([], 64 * GIB).find(({ name }) => name === "20m")!;
  expect(step).toBe(engineMemory("webgpu", memory).own);
  const half = stepSize(model, { microBatch, precision: "fp16" });
  expect(stepInHalf).toBe(engineMemory("webgpu", half.memory).own);
  expect(stepInHalf).toBeGreaterThan(step);
  expect(onCpu.memory - besideGpu).toBe(engineMemory("cpu", memory).host - engineMemory("webgpu", memory).host);
  expect(besideGpu).toBeLessThan(onCpu.memory);
});

test("a speed stands beside the preset and the threads that it is of", () => {
  const cpu = { runtime: "ort 1", adapter: null, class: "exact-x86", conformance: null, missing: null };
  const found = [
    { ...cpu, ...device("cpu", 64), tokensPerSecond: 21_034, threads: 12 },
    { ...cpu, ...device("webgpu"), class: null, tokensPerSecond: 400_000, threads: null },
  ];
  expect(deviceTable(found, 80)).toEqual([
    "device  threads  tokens/s (1m)    memory  steps are those of  runtime",
    "cpu          12         21,034  64.0 GiB  exact-x86           ort 1",
    "webgpu        –        400,000         –  –                   ort 1",
  ]);
  // A narrow terminal breaks no number.
  expect(deviceTable(found, 60)).toEqual([
    "device cpu",
    "  threads             12",
    "  tokens/s (1m)       21,034",
    "  memory              64.0 GiB",
    "  steps are those of  exact-x86",
    "  runtime             ort 1",
    "device webgpu",
    "  threads             –",
    "  tokens/s (1m)       400,000",
    "  memory              –",
    "  steps are those of  –",
    "  runtime             ort 1",
  ]);
});

test("a device that cannot train is told nothing of", () => {
  const [{ fits } = { fits: {} }] = needsOfPresets([{ ...device("cuda", 80), tokensPerSecond: null }], 64 * GIB);
  expect(fits).toEqual({});
});

test("a device is in the class that computes its value, as the vectors have it, and else in one of its own", () => {
  for (const known of ["exact-x86", "exact-wasm"]) expect(classOfValue(vectorOf(known, "1m")!)).toBe(known);
  const other = `0x${"0d".repeat(32)}`;
  expect(classOfValue(other)).toBe(`other:${other}`);
});
