/** Workers on the CPU, on WebAssembly and on a GPU in one run; where there is no GPU, SwiftShader stands in for one. */
import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Value } from "typebox/value";
import { afterAll, afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";

import {
  buildPrograms,
  classOf,
  type DeviceName,
  type Engine,
  initialParameters,
  presets,
} from "../../offchain/src/engine/index.ts";
import { chooseDevices, devices, probeDevices } from "../../offchain/src/engine/runtime/node/index.ts";
import { Summary } from "../../offchain/src/cli/up/summary.ts";
import { canRun } from "../needs.ts";
import { swiftShader } from "../swiftShader.ts";
import { endsWell, freePort, openStage, type Stage } from "./harness.ts";

const possible = canRun("training on WebGPU", "gpu");

/** Wallets of those that train; beside them stand one that buys shares, and one that wrote code. */
const trainersOf = ({ wallets }: Summary) => wallets.filter(({ name }) => name.startsWith("worker-"));

beforeEach(() => {
  for (const [name, value] of Object.entries(swiftShader() ?? {})) vi.stubEnv(name, value);
});
afterEach(() => {
  vi.unstubAllEnvs();
});

describe.runIf(possible)("an engine on WebGPU", () => {
  const { model, microBatch } = presets["0.1m"];
  const { step, eval: evaluation, logits } = buildPrograms(model, { microBatch });
  const programs = { step: step.bytes, eval: evaluation.bytes, logits: logits.bytes };
  const rows = microBatch * (model.sequence + 1);
  const values = initialParameters(model, 7).map(({ data }) => data);
  const tokens = Int32Array.from({ length: 8 * rows }, (_, i) => (i * 7 + (i >> 3)) % 97);
  const opened: Engine[] = [];
  afterAll(async () => {
    for (const engine of opened) await engine.close();
  });

  async function open(device: DeviceName): Promise<Engine> {
    const engine = await devices[device].open({ programs, threads: 1 });
    opened.push(engine);
    await engine.setParameters(values);
    return engine;
  }
  const train = (engine: Engine, from: number, to: number): ReturnType<Engine["train"]> =>
    engine.train({ tokens: tokens.subarray(from * rows, to * rows), learningRate: 3e-3 });

  it("has the CPU's losses, keeps its state on the device, and goes on from what was saved", async () => {
    const [cpu, gpu] = [await open("cpu"), await open("webgpu")];
    const [due, found] = [await train(cpu, 0, 8), await train(gpu, 0, 8)];
    for (const [i, { loss }] of due.entries()) expect(Math.abs(loss - found[i]!.loss)).toBeLessThan(1e-4);
    expect(found.at(-1)!.loss).toBeLessThan(found[0]!.loss);

    const heldOut = { tokens: tokens.subarray(0, 2 * rows) };
    expect(Math.abs((await cpu.evaluate(heldOut)).loss - (await gpu.evaluate(heldOut)).loss)).toBeLessThan(1e-4);
    expect((await gpu.logits(Int32Array.of(1, 2, 3))).length).toBe(model.sequence * model.vocabulary);

    const saved = await gpu.save();
    const digest = await gpu.stateDigest();
    const [after] = await train(gpu, 0, 1);
    expect(await gpu.stateDigest()).not.toBe(digest);
    await gpu.restore(saved);
    expect(await gpu.stateDigest()).toBe(digest);
    expect(await train(gpu, 0, 1)).toEqual([after]);
  });
});

describe.runIf(possible)("a GPU in software", () => {
  it("is known as such, and nobody takes it who has not named it", async () => {
    const probes = await probeDevices({ tried: [devices.webgpu], milliseconds: 0 });
    const name = "libvk_swiftshader.so";
    expect(probes).toMatchObject([{ adapter: { name, software: true }, tokensPerSecond: undefined }]);
    expect(() => chooseDevices(probes)).toThrow(`webgpu: ${name} is a GPU in software: --device webgpu takes it,`);
  });

  it("is not what computes where a driver beside it opens alone", async () => {
    const folder = mkdtempSync(join(tmpdir(), "cotrain-drivers-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    // The same library by a GPU driver's name.
    const library = join(folder, "libvulkan_radeon.so");
    const { VK_ICD_FILENAMES: manifest = "", LD_LIBRARY_PATH: place = "" } = swiftShader() ?? {};
    copyFileSync(join(place, "libvk_swiftshader.so"), library);
    const ICD = { library_path: library, api_version: "1.1.0" };
    writeFileSync(join(folder, "radeon_icd.json"), JSON.stringify({ file_format_version: "1.0.0", ICD }));
    vi.stubEnv("VK_ICD_FILENAMES", `${manifest}:${join(folder, "radeon_icd.json")}`);
    const { step } = buildPrograms(presets["0.1m"].model, { microBatch: 1 });
    const engine = await devices.webgpu.open({ programs: { step: step.bytes }, threads: 1 });
    onTestFinished(() => engine.close());
    expect(await devices.webgpu.adapter(engine.pid!)).toEqual({ name: "libvulkan_radeon.so", software: false });
  });

  it.each([
    ["VK_LOADER_DRIVERS_DISABLE", "*swiftshader*"],
    ["VK_LOADER_DEVICE_ID_FILTER", "0x1234"],
  ])("is left out by Vulkan's loader for %s=%s", async (variable, value) => {
    vi.stubEnv(variable, value);
    const { step } = buildPrograms(presets["0.1m"].model, { microBatch: 1 });
    const opening = devices.webgpu.open({ programs: { step: step.bytes }, threads: 1 });
    await expect(opening).rejects.toMatchObject({ code: "DEVICE_MISSING" });
  });
});

it("a machine without a GPU says so, before anything is made", async () => {
  vi.stubEnv("VK_ICD_FILENAMES", "/nowhere.json");
  const { step } = buildPrograms(presets["0.1m"].model, { microBatch: 1 });
  const opening = devices.webgpu.open({ programs: { step: step.bytes }, threads: 1 });
  await expect(opening).rejects.toMatchObject({ code: "DEVICE_MISSING" });
});

const classOfCpu = classOf(devices.cpu) === "exact-x86" ? /^exact-x86$/ : /^other:0x/;

it("doctor says how fast each device is, what a preset takes, and what is missing", async () => {
  vi.stubEnv("VK_ICD_FILENAMES", "/nowhere.json");
  const stage = openStage();
  try {
    const running = stage.cotrain(["doctor", "--json"]);
    await endsWell(running);
    const told = JSON.parse(running.stdout()) as {
      measured: string;
      devices: {
        name: string;
        class: string | null;
        threads: number | null;
        tokensPerSecond: number | null;
        missing: string | null;
      }[];
      presets: { name: string; memory: number; step: number; fits: Record<string, boolean | null> }[];
      fastest: string;
    };
    const [cpu, wasm, webgpu, cuda] = told.devices;
    expect(told.measured).toBe("1m");
    expect(cpu?.threads).toBeGreaterThan(0);
    expect([webgpu?.threads, cuda?.threads]).toEqual([null, null]);
    // By what it computes: on a processor of no known class its own value.
    expect(cpu).toMatchObject({ name: "cpu", class: expect.stringMatching(classOfCpu), missing: null });
    expect(wasm).toMatchObject({ name: "wasm", class: "exact-wasm", missing: null });
    expect(webgpu).toMatchObject({ name: "webgpu", class: null, tokensPerSecond: null });
    expect(webgpu?.missing).toMatch(/no GPU here .* apt-get install /);
    expect(cuda).toMatchObject({ name: "cuda", tokensPerSecond: null });
    expect(cuda?.missing).toMatch(/CUDA/);
    expect(wasm!.tokensPerSecond).toBeGreaterThan(0);
    expect(told.fastest).toBe(cpu!.tokensPerSecond! > wasm!.tokensPerSecond! ? "cpu" : "wasm");
    const memory = told.presets.map((preset) => preset.memory);
    expect(memory).toEqual(memory.toSorted((a, b) => a - b));
    expect(told.presets.every((preset) => preset.step > 0 && preset.step < preset.memory)).toBe(true);
    expect(told.presets[0]?.fits).toEqual({ cpu: true, wasm: true });
    expect(told.presets.at(-1)?.fits["wasm"]).toBe(false);
  } finally {
    await stage.close();
  }
});

describe.runIf(possible)("one run", () => {
  let stage: Stage;
  beforeEach(() => {
    stage = openStage();
  });
  afterEach(() => stage?.close());

  async function session(...flags: readonly string[]): Promise<Summary> {
    const running = stage.cotrain([
      "up",
      `--state=${stage.state}`,
      "--preset=0.1m",
      "--for=45s",
      "--exit",
      "--json",
      `--port=${await freePort()}`,
      ...flags,
    ]);
    await endsWell(running);
    const summary = JSON.parse(running.stdout()) as Summary;
    expect(Value.Errors(Summary, summary)).toEqual([]);
    return summary;
  }

  /**
   * Trains until a held-out loss was measured that has fallen by this, bits/byte, and each wallet is paid: beside busy neighbours that
   * takes more sessions.
   */
  async function trained(by: number, ...flags: readonly string[]): Promise<Summary> {
    let summary = await session(...flags);
    const fallen = (): boolean => {
      const { initial, after } = summary.heldOut;
      return initial !== null && after !== null && after < initial - by;
    };
    const paid = (): boolean => trainersOf(summary).every(({ earned }) => BigInt(earned) > 0n);
    for (let more = 0; more < 5 && !(fallen() && paid()); more++) summary = await session(...flags);
    assert(fallen(), JSON.stringify(summary.heldOut));
    assert(paid(), JSON.stringify([summary.wallets, summary.unpaid, summary.pending]));
    return summary;
  }

  // `auto` is the CPU here: the GPU in software is not taken by itself.
  it("has workers of three kinds, each at its own pace, and each earns", async () => {
    const summary = await trained(0.1, "--device=auto,wasm,webgpu");
    const tokens = trainersOf(summary).map((wallet) => BigInt(wallet.tokens));
    expect(tokens).toHaveLength(3);
    for (const trained of tokens) expect(trained).toBeGreaterThan(0n);
    // The GPU in software is slower by far; it trains what it can, and the others do not wait for it.
    expect(tokens[2]! * 4n).toBeLessThan(tokens[0]!);
    // A GPU in software takes what processors there are; beside neighbours that may be four sessions of five minutes.
  });

  // Few steps a round at the whole rate: a step of a GPU in software takes a second, or several beside busy neighbours.
  it.each([
    ["wasm", []],
    ["webgpu", ["--inner-steps=12", "--warmup-steps=1"]],
  ] as const)("trains on %s alone, and what it learned is kept", async (name, recipe) => {
    const summary = await trained(0.02, `--device=${name}`, "--workers=1", ...recipe);
    expect(trainersOf(summary)).toHaveLength(1);
    const listing = stage.cotrain(["builds", "list", `--state=${stage.state}`, "--json"]);
    await endsWell(listing);
    const builds = JSON.parse(listing.stdout()) as { document: { deviceClass: string; precision: string } }[];
    const own = builds.filter(({ document }) => document.deviceClass === devices[name].exactness());
    // SwiftShader does not multiply in fp16.
    expect(own).toMatchObject([{ document: { precision: "fp32" } }]);
  });
});
