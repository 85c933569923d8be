/** Which devices there are, what each lacks, and which is taken where nobody names one. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { describe, expect, onTestFinished, test, vi } from "vitest";

import { type Device, type Engine, EngineClosedError, EngineError } from "../../../offchain/src/engine/index.ts";
import {
  adapterOfMaps,
  adapterOfNames,
  amdMemory,
  type InUse,
  nvidiaGpusOf,
  nvidiaIndexOf,
} from "../../../offchain/src/engine/runtime/node/adapters.ts";
import { sessionOptions } from "../../../offchain/src/engine/runtime/node/cpu.ts";
import {
  cudaOptions,
  providerLibrary,
  whyNoCuda,
  whyNoIndex,
} from "../../../offchain/src/engine/runtime/node/cudaOptions.ts";
import {
  chooseDevices,
  deviceOf,
  devices,
  devicesHere,
  inHardware,
  type Probe,
  probeDevices,
  requireDevice,
} from "../../../offchain/src/engine/runtime/node/index.ts";
import { type MemoryAsked, programMemory } from "../../../offchain/src/engine/runtime/node/placeMemory.ts";
import { workerDevice } from "../../../offchain/src/worker/index.ts";
import { runSystemProgram, systemProgram } from "../../../offchain/src/engine/runtime/node/systemPrograms.ts";

/** What nvidia-smi is to say; undefined: what this system has is asked. */
const nvidiaSays = vi.hoisted(() => ({ lines: undefined as string | undefined }));

vi.mock(import("../../../offchain/src/engine/runtime/node/systemPrograms.ts"), async (original) => {
  const programs = await original();
  return {
    ...programs,
    runSystemProgram: (name, args, timeout) =>
      name === "nvidia-smi" && nvidiaSays.lines !== undefined
        ? Promise.resolve(nvidiaSays.lines)
        : programs.runSystemProgram(name, args, timeout),
  };
});

describe("a device's name", () => {
  test("has an index where there are several", () => {
    expect(["cpu", "wasm:0", "webgpu:0", "cuda", "cuda:0", "cuda:3"].map((name) => deviceOf(name).name)).toEqual([
      "cpu",
      "wasm",
      "webgpu",
      "cuda",
      "cuda",
      "cuda:3",
    ]);
    expect(deviceOf("cuda:3").exactness()).toBe(devices.cuda.exactness());
  });

  test.each([
    ["webgpu:1", "DEVICE_INDEX", /^webgpu:1 cannot be chosen: ONNX Runtime chooses the GPU itself .* VK_DRIVER_FILES /],
    ["cpu:1", "DEVICE_INDEX", /^cpu:1 cannot be chosen: there is one, and all workers of this machine share it\.$/],
    ["gpu", "DEVICE_UNKNOWN", /^There is no device gpu: it is one of cpu, wasm, webgpu, cuda\.$/],
    ["auto", "DEVICE_UNKNOWN", /auto/],
  ])("%s is refused in one sentence", (name, code, message) => {
    expect(() => deviceOf(name)).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }));
  });
});

const namesHere = async (): Promise<string[]> => (await devicesHere()).map(({ name }) => name);

describe("CUDA", () => {
  test("opens a session on the GPU of its index, and on the first of a name without one", () => {
    expect(cudaOptions(3)).toMatchObject({
      executionProviders: [{ name: "cuda", deviceId: 3 }],
      executionMode: "sequential",
    });
    // What would turn products round is off there as on the CPU.
    const { optimization } = sessionOptions({ threads: 1, peak: 0 }).extra as { optimization: object };
    expect(cudaOptions(0).extra).toEqual({ optimization, session: { use_deterministic_compute: "1" } });
    expect(JSON.stringify(optimization)).toContain("GemmTransposeFusion");
  });

  test("takes as many steps in a call whatever the GPU, and nothing but the CPU does so beside it", () => {
    expect(["cpu", "wasm", "webgpu", "cuda", "cuda:2"].map((name) => deviceOf(name).blockMs)).toEqual([
      500,
      undefined,
      undefined,
      5_000,
      5_000,
    ]);
  });

  test("is looked at on each GPU that CUDA may see, and once where there is none", async () => {
    onTestFinished(() => void (nvidiaSays.lines = undefined));
    onTestFinished(() => void vi.unstubAllEnvs());
    nvidiaSays.lines = "";
    expect(await namesHere()).toEqual(["cpu", "wasm", "webgpu", "cuda"]);
    nvidiaSays.lines = ["0, NVIDIA A, 1000", "1, NVIDIA B, 3000", "2, NVIDIA C, 2000"].join("\n");
    expect(await namesHere()).toEqual(["cpu", "wasm", "webgpu", "cuda", "cuda:1", "cuda:2"]);
    vi.stubEnv("CUDA_VISIBLE_DEVICES", "2,1");
    expect(await namesHere()).toEqual(["cpu", "wasm", "webgpu", "cuda", "cuda:1"]);
    for (const none of ["", "-1", "0,-1,1"]) {
      vi.stubEnv("CUDA_VISIBLE_DEVICES", none);
      expect(await namesHere()).toEqual(["cpu", "wasm", "webgpu", "cuda"]);
    }
  });

  test("has the memory and the name of the GPU of its index", async () => {
    nvidiaSays.lines = ["0, NVIDIA A, 1000", "1, NVIDIA B, 3000", "2, NVIDIA C, 2000"].join("\n");
    onTestFinished(() => void (nvidiaSays.lines = undefined));
    for (const [name, model, mebibytes] of [
      ["cuda", "NVIDIA A", 1_000],
      ["cuda:1", "NVIDIA B", 3_000],
      ["cuda:2", "NVIDIA C", 2_000],
    ] as const) {
      const { ownMemory, programMemory: forPrograms, adapter } = deviceOf(name);
      const worker = workerDevice(deviceOf(name));
      for (const memory of [ownMemory, forPrograms, worker.ownMemory])
        expect(await memory?.()).toBe(mebibytes * 2 ** 20);
      expect(await adapter?.(0)).toEqual({ name: model, software: false });
    }
    expect(await deviceOf("cuda:3").ownMemory?.()).toBeUndefined();
    // WebGPU takes which it likes: what the largest has may be had.
    expect(await devices.webgpu.ownMemory()).toBe(3_000 * 2 ** 20);
    expect(await devices.webgpu.programMemory()).toBe(3_000 * 2 ** 20);
    expect(await devices.wasm.ownMemory()).toBe(2 ** 32);
  });

  test("is not looked at on more than sixteen GPUs", async () => {
    onTestFinished(() => void (nvidiaSays.lines = undefined));
    nvidiaSays.lines = Array.from({ length: 20 }, (_, i) => `${i}, NVIDIA A, 1000`).join("\n");
    expect((await namesHere()).filter((name) => name.startsWith("cuda"))).toHaveLength(16);
  });

  const here = fileURLToPath(import.meta.url);
  const why = (cause: string, library: string | undefined = here, said = "Module did not self-register") =>
    whyNoCuda(new Error(cause), { index: 2, library, loaderSays: () => said });

  test("says of a GPU that is not there that it is not, before anything that could be installed", async () => {
    onTestFinished(() => void (nvidiaSays.lines = undefined));
    expect(whyNoIndex(99, 2, "/nowhere.so")?.message).toBe(
      "There is no GPU 99 here: CUDA may see 2 of NVIDIA's, counted from 0.",
    );
    expect(whyNoIndex(99, 0, "/nowhere.so")?.message).toBe(
      "Nothing here tells of a GPU 99 of NVIDIA's, and ONNX Runtime's libraries for CUDA are not installed.",
    );
    // A container may have a GPU and no nvidia-smi; where there is no library at all, that is the sentence.
    const mayBe = [whyNoIndex(1, 2, "/nowhere.so"), whyNoIndex(0, 0, "/nowhere.so"), whyNoIndex(1, 0, here)];
    expect([...mayBe, whyNoIndex(1, 0, undefined)]).toEqual([undefined, undefined, undefined, undefined]);
    nvidiaSays.lines = ["0, NVIDIA A, 1000", "1, NVIDIA B, 3000"].join("\n");
    await expect(deviceOf("cuda:2").open({ programs: {}, threads: 1 })).rejects.toMatchObject({
      code: "DEVICE_MISSING",
      message: "There is no GPU 2 here: CUDA may see 2 of NVIDIA's, counted from 0.",
      details: { lacking: "GPU" },
    });
  });

  test("says what is missing and what brings it", () => {
    expect(providerLibrary({ platform: "darwin", arch: "arm64" })).toBeUndefined();
    expect(providerLibrary({ platform: "linux", arch: "x64" })).toMatch(/linux.x64.libonnxruntime_providers_cuda\.so$/);
    const elsewhere = whyNoCuda(new Error("?"), { index: 0, library: undefined, loaderSays: () => "" });
    expect(elsewhere?.message).toMatch(/Linux on x86 alone: --device webgpu /);
    expect(why("?", "/nowhere.so")?.message).toMatch(
      /^ONNX .* not installed; "node .*install\.js --.*=cuda12" fetches them, .* docs\/operations\.md, "GPUs", .* was ever run on a real GPU\.$/,
    );
    const loader = "libcublasLt.so.12: cannot open shared object file: No such file or directory";
    expect(why("?", here, loader)?.message).toMatch(/^CUDA's library libcublasLt\.so\.12 is not found: "pip install /);
    const bringing = (library: string): string | undefined =>
      /"pip install ([^"]*)"/.exec(why("?", here, loader.replace("libcublasLt.so.12", library))?.message ?? "")?.[1];
    for (const library of ["libcublasLt.so.12", "libcufft.so.11", "libcudnn.so.9"])
      expect(bringing(library)).toMatch(/^nvidia-cuda-runtime-cu12 .* nvidia-cudnn-cu12$/);
    for (const library of ["libcudart.so.13", "libcufft.so.12"])
      expect(bringing(library)).toMatch(/^nvidia-cuda-runtime nvidia-cublas .* nvidia-cudnn-cu13$/);
    expect(why("?", here, loader.replace("libcublasLt.so.12", "libcuda.so.1"))?.message).toMatch(/driver is missing/);
    expect(why("CUDA failure 35: CUDA driver version is insufficient")?.message).toMatch(/driver is missing or older/);
    expect(why("CUDA failure 100: no CUDA-capable device is detected")?.message).toMatch(/no NVIDIA GPU here/);
    expect(why("CUDA failure 101: invalid device ordinal")?.message).toBe(
      "There is no GPU 2 here: CUDA counts from 0.",
    );
    expect(why("?")).toBeUndefined();
    expect(why("?", here, loader)?.message).toMatch(/docs\/operations\.md, "GPUs"/);
    const lacking = [elsewhere, why("CUDA failure 101"), why("CUDA failure 35")].map((error) => error?.details);
    expect(lacking).toEqual([{ lacking: "libraries" }, { lacking: "GPU" }, { lacking: "driver" }]);
    for (const error of [elsewhere, why("CUDA failure 101")]) expect(error).toMatchObject({ code: "DEVICE_MISSING" });
  });
});

const line = (library: string) => `7f00-7f01 r-xp 00000000 08:01 1 ${library}\n`;

const inUse = (without: string | undefined, files: readonly string[] = []): InUse => ({
  without: async () => without,
  files: async () => files,
});

describe("what computes", () => {
  const unasked: InUse = { without: () => Promise.reject(new Error("asked")), files: async () => [] };
  test.each([
    ["/usr/lib/chromium/libvk_swiftshader.so", "libvk_swiftshader.so", true],
    ["/usr/lib/x86_64-linux-gnu/libvulkan_lvp.so", "libvulkan_lvp.so", true],
    ["/usr/lib/x86_64-linux-gnu/libvulkan_radeon.so", "libvulkan_radeon.so", false],
    ["/usr/lib/libGLX_nvidia.so.550.54.14", "libGLX_nvidia.so.550.54.14", false],
  ])("through %s", async (library, name, software) => {
    const maps = line("/usr/lib/chromium/libvulkan.so.1") + line(library).repeat(2) + line("/usr/lib/libc.so.6");
    expect(await adapterOfMaps(maps, unasked)).toEqual({ name, software });
  });

  const both = line("/usr/lib/libvulkan_lvp.so") + line("/usr/lib/libvulkan_intel.so");
  const intel = { name: "libvulkan_intel.so", software: false };
  const lavapipe = { name: "libvulkan_lvp.so", software: true };

  test.each([
    ["the GPU where WebGPU opens without those of software", inUse(line("/usr/lib/libvulkan_intel.so")), intel],
    [
      "software where it does not open then, though a GPU's file is open",
      inUse(undefined, ["/dev/dri/card0"]),
      lavapipe,
    ],
    [
      "the GPU where the loader leaves none out and its file is open",
      inUse(both, ["/dev/null", "/dev/dri/renderD128"]),
      intel,
    ],
    ["the GPU of NVIDIA's file", inUse(both, ["/dev/nvidia0"]), intel],
    ["software where no GPU's file is open", inUse(both, ["/dev/null", "socket:[1]", "/dev/nvidiactl"]), lavapipe],
  ])("is, with drivers of both kinds, %s", async (_, asked, found) => {
    expect(await adapterOfMaps(both, asked)).toEqual(found);
  });

  test("is nothing without a driver", async () => {
    expect(await adapterOfMaps(line("/usr/lib/libvulkan.so.1.3.239"), unasked)).toBeUndefined();
  });

  test("is told by its name on Windows, and by NVIDIA's own program", () => {
    expect(adapterOfNames("Microsoft Basic Render Driver\r\n")).toMatchObject({ software: true });
    expect(adapterOfNames("Microsoft Basic Display Adapter\r\nNVIDIA GeForce RTX 4060\r\n")).toEqual({
      name: "NVIDIA GeForce RTX 4060",
      software: false,
    });
    for (const name of [
      "Microsoft Remote Display Adapter",
      "Microsoft Hyper-V Video",
      "D3D12 (WARP)",
      "SwiftShader Device",
    ])
      expect(adapterOfNames(`${name}\r\n`)).toEqual({ name, software: true });
    expect(adapterOfNames("llvmpipe (LLVM 15.0.6, 256 bits)")).toMatchObject({ software: true });
    for (const name of ["AMD Radeon RX 7600", "Intel(R) Arc(TM) A770", "NVIDIA Warpdrive", "Microsoft Surface GPU"])
      expect(adapterOfNames(name)).toEqual({ name, software: false });
    expect(adapterOfNames("\r\n")).toBeUndefined();
    expect(nvidiaGpusOf("0, NVIDIA H100 80GB HBM3, 80994\n2, NVIDIA L4, 1\nNo devices\n")).toEqual([
      { index: 0, name: "NVIDIA H100 80GB HBM3", free: 80_994 * 2 ** 20 },
      { index: 2, name: "NVIDIA L4", free: 2 ** 20 },
    ]);
  });

  test("has its own memory, and inside a processor what it may take of the machine's", () => {
    expect([amdMemory(2 ** 34, 2 ** 35), amdMemory(2 ** 29, 2 ** 33), amdMemory(0, 0)]).toEqual([
      2 ** 34,
      2 ** 29 + 2 ** 33,
      0,
    ]);
  });

  test.each([
    [{}, 1],
    [{ CUDA_VISIBLE_DEVICES: "3, 2" }, 2],
    [{ CUDA_VISIBLE_DEVICES: "3" }, undefined],
    [{ CUDA_VISIBLE_DEVICES: "" }, undefined],
    [{ CUDA_VISIBLE_DEVICES: "GPU-8932f937,GPU-1" }, undefined],
    [{ CUDA_DEVICE_ORDER: "FASTEST_FIRST" }, undefined],
  ])("behind cuda:1 with %o is the GPU that nvidia-smi calls %s", (environment, index) => {
    expect(nvidiaIndexOf(1, environment)).toBe(index);
  });
});

const availableMemory = () => 2 ** 33;

/** A device whose engine has these losses, or fails. */
function fake(name: string, losses: readonly number[] | Error, more: Partial<Device> = {}): Device {
  let at = 0;
  const engine = {
    pid: 1,
    tensors: [],
    shapes: { step: { batch: 1, tokensPerSequence: 2, vocabulary: 3 } },
    setParameters: async () => undefined,
    resetOptimizer: async () => undefined,
    train: async () => [
      { loss: losses instanceof Error ? Number.NaN : (losses[Math.min(at++, losses.length - 1)] ?? 0) },
    ],
    stateDigest: async () => "0x",
    close: async () => undefined,
  } as unknown as Engine;
  const open = () => (losses instanceof Error ? Promise.reject(losses) : Promise.resolve(engine));
  return {
    name,
    runtime: () => "test",
    exactness: () => name,
    exact: true,
    threads: () => 1,
    availableMemory,
    open,
    ...more,
  };
}

const due = [6.9, 6.8, 6.7];

const hanging: Device["open"] = ({ signal }) =>
  new Promise((_, reject) => {
    signal?.addEventListener("abort", () => reject(new EngineClosedError()));
  });
const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
/** Nothing is open yet when the time is over: what ends it is the signal's own reason. */
const unopening: Device["open"] = async ({ signal }) => {
  await aborted(signal!);
  throw signal!.reason;
};
const lateProcess: Device["open"] = async (options) => {
  await aborted(options.signal!);
  return devices.cpu.open(options);
};
const software = async () => ({ name: "SwiftShader", software: true });

describe("a program of the system", () => {
  const all = { exists: () => true, root: "C:\\Windows" };

  test("is where only the system's owner can put it, whatever the platform", () => {
    const only = (path: string) => ({ ...all, platform: "linux", exists: (other: string) => other === path });
    expect(systemProgram("nvidia-smi", { ...all, platform: "linux" })).toBe("/usr/bin/nvidia-smi");
    expect(systemProgram("nvidia-smi", only("/usr/lib/wsl/lib/nvidia-smi"))).toBe("/usr/lib/wsl/lib/nvidia-smi");
    expect(systemProgram("nvidia-smi", only("/tmp/nvidia-smi"))).toBeUndefined();
    const powershell = "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe";
    const windows = { ...all, platform: "win32", exists: (path: string) => path === powershell };
    expect(systemProgram("powershell", windows)).toBe(powershell);
    for (const root of [undefined, "", ".", "Windows"])
      expect(systemProgram("powershell", { ...windows, exists: () => true, root })).toBeUndefined();
  });

  test.skipIf(process.platform === "win32")(
    "is no other that PATH has before it, and gets no more than it needs",
    async () => {
      const directory = mkdtempSync(join(tmpdir(), "cotrain-path-"));
      writeFileSync(join(directory, "env"), "#!/bin/sh\necho HOSTILE=1\n", { mode: 0o755 });
      vi.stubEnv("PATH", `${directory}:${process.env["PATH"]}`);
      vi.stubEnv("COTRAIN_SECRET", "canary");
      const said = await runSystemProgram("env", []);
      vi.unstubAllEnvs();
      rmSync(directory, { recursive: true });
      expect(said).not.toMatch(/HOSTILE|COTRAIN_SECRET|PATH=\//);
      await expect(runSystemProgram("no-such-program", [])).rejects.toMatchObject({ code: "PROGRAM_NONE" });
    },
  );
});

test("a program has the GPU's own memory, and the machine's where there is none or nothing is told", async () => {
  const asked: MemoryAsked = {
    machine: () => 1,
    wasm: () => 2,
    webgpu: async () => 3,
    cuda: async (index) => (index === 1 ? 4 : undefined),
  };
  const silent = { ...asked, webgpu: async () => undefined };
  const [of, none] = [asked, silent];
  expect(
    await Promise.all((["cpu", "wasm", "webgpu", "cuda"] as const).map((place) => programMemory(place, 1, of))),
  ).toEqual([1, 2, 3, 4]);
  expect([await programMemory("webgpu", 0, none), await programMemory("cuda", 0, none)]).toEqual([1, 1]);
});

const untold = async (): Promise<never> => Promise.reject(new Error("no space left"));

test("what is taken unnamed is closed where nothing tells what computes", async () => {
  const closed = vi.fn<() => Promise<void>>(async () => undefined);
  const device = fake("gpu", due);
  const open: Device["open"] = async (options) => ({ ...(await device.open(options)), pid: 1, close: closed });
  const opening = inHardware({ ...device, open, adapter: untold }).open({
    programs: { step: new Uint8Array() },
    threads: 1,
  });
  await expect(opening).rejects.toThrow("no space left");
  expect(closed).toHaveBeenCalledTimes(1);
});

test("a device passes that opens, has the CPU's losses and answers in time", async () => {
  const probes = await probeDevices({
    milliseconds: 0,
    tried: [
      fake("cpu", due),
      fake(
        "near",
        due.map((loss) => loss + 1e-5),
      ),
      fake("off", [6.9, 6.8, 6.702]),
      fake("broken", [6.9, Number.NaN]),
      fake("absent", new EngineError("DEVICE_MISSING", "There is none.", { details: { lacking: "libraries" } })),
      fake("refusing", new EngineError("PROGRAM_REFUSED", "It refuses the program.")),
      fake("software", due, { adapter: software }),
    ],
  });
  // A GPU is given up sooner than a processor, which busy neighbours make slow.
  const hung = fake("hanging", due, { open: hanging });
  const late = await probeDevices({ milliseconds: 0, patience: 400, tried: [{ ...hung, exact: false }, hung] });
  const unopened = await probeDevices({
    milliseconds: 0,
    patience: 40,
    tried: [fake("unopened", due, { open: unopening }), { ...devices.cpu, name: "process", open: lateProcess }],
  });
  expect(unopened.map(({ missing }) => missing)).toEqual([
    expect.stringMatching(/^It gave no answer for 0.0 s while /),
    expect.stringMatching(/^It gave no answer for 0.0 s while /),
  ]);
  expect(probes.map(({ device, missing }) => [device.name, missing])).toEqual([
    ["cpu", undefined],
    ["near", undefined],
    [
      "off",
      "It computes something else: the losses of the first steps are 6.9000, 6.8000, 6.7020, the CPU's 6.9000, 6.8000, 6.7000.",
    ],
    ["broken", expect.stringMatching(/^It computes something else: .* NaN/)],
    ["absent", "There is none."],
    ["refusing", "It refuses the program."],
    ["software", "SwiftShader is a GPU in software: --device software takes it, auto does not."],
  ]);
  expect(late.map(({ missing }) => missing)).toEqual([
    "It gave no answer for 0.2 s while it was to train the preset 1m.",
    "It gave no answer for 0.4 s while it was to train the preset 1m.",
  ]);
  expect(chooseDevices(probes).names.toSorted()).toEqual(["cpu", "near"]);
  // Not one word for a GPU that is not there and one that works, and was only slow.
  expect([...probes, ...late].map(({ lack }) => lack)).toEqual([
    undefined,
    undefined,
    "other losses",
    "other losses",
    "no libraries",
    "failed",
    "in software",
    "no answer in time",
    "no answer in time",
  ]);
});

/** Takes ten seconds for each answer. */
const slow = (name: string, more: Partial<Device> = {}): Device => {
  const device = fake(name, due, more);
  const open: Device["open"] = async (options) => {
    const engine = await device.open(options);
    const train: Engine["train"] = async (...given) => {
      await vi.advanceTimersByTimeAsync(10_000);
      if (options.signal?.aborted) throw new EngineClosedError();
      return engine.train(...given);
    };
    return { ...engine, train };
  };
  return { ...device, open };
};

test("a device that goes on answering is slow and not lost, however long all of it takes", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const probes = await probeDevices({ milliseconds: 0, patience: 24_000, tried: [slow("cpu"), slow("wasm")] });
  expect(probes.map(({ missing }) => missing)).toEqual([undefined, undefined]);
});

test("several GPUs of a kind share the time that steps of one are counted", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  onTestFinished(() => void vi.useRealTimers());
  const taken = new Map<string, number>();
  const counting = (name: string): Device => {
    const device = fake(name, due);
    const open: Device["open"] = async (options) => {
      const engine = await device.open(options);
      const train: Engine["train"] = async (...given) => {
        taken.set(name, (taken.get(name) ?? 0) + 1);
        await vi.advanceTimersByTimeAsync(100);
        return engine.train(...given);
      };
      return { ...engine, train };
    };
    return { ...device, open };
  };
  await probeDevices({ milliseconds: 3_000, tried: ["cpu", "cuda", "cuda:1"].map(counting) });
  // Besides the steps that are counted, the first, and those of the conformance value.
  expect(Object.fromEntries(taken)).toEqual({ cpu: 32, cuda: 17, "cuda:1": 17 });
});

/** Gives no answer, for longer than any device has. */
const hung: Device["open"] = async (options) => {
  void vi.advanceTimersByTimeAsync(36_000);
  return hanging(options);
};

test("a driver is given up later where the processor was held up before it, and never later than a processor", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  onTestFinished(() => void vi.useRealTimers());
  const driver = { exact: false };
  const gpus = ["cuda", "cuda:1"].map((name) => fake(name, due, { ...driver, open: hung }));
  const tried = [slow("cpu"), slow("wasm"), slow("webgpu", driver), ...gpus];
  const probes = await probeDevices({ milliseconds: 0, patience: 36_000, tried });
  expect(probes.map(({ missing }) => missing)).toEqual([
    undefined,
    undefined,
    undefined,
    "It gave no answer for 36.0 s while it was to train the preset 1m.",
    // All drivers together have that once.
    "It gave no answer for 4.5 s while it was to train the preset 1m.",
  ]);
});

test("a GPU that is not there is told before anything is made for it, each of several with what it lacks", async () => {
  const gpu = (name: string, losses: readonly number[] | Error, more: Partial<Device> = {}) =>
    fake(name, losses, { exact: false, ...more });
  const cuda = gpu("cuda", new EngineError("DEVICE_MISSING", "No libraries."));
  const webgpu = gpu("webgpu", new EngineError("DEVICE_MISSING", "No GPU."));
  await expect(requireDevice([cuda, webgpu])).rejects.toMatchObject({
    code: "DEVICE_MISSING",
    message: expect.stringMatching(/^cuda: No libraries\. webgpu: No GPU\. "npx cotrain doctor" .* --device auto /),
  });
  await expect(requireDevice([gpu("cuda", due, { open: hanging })], { patience: 40 })).rejects.toMatchObject({
    code: "DEVICE_SILENT",
  });
  const stop = new AbortController();
  stop.abort(new Error("stopped"));
  await expect(requireDevice([gpu("cuda", due, { open: unopening })], { signal: stop.signal })).rejects.toThrow(
    "stopped",
  );
  // One of them will do, a processor needs no trial, and a driver that dies is for the worker, which tries again.
  await requireDevice([cuda, gpu("cuda:1", due)]);
  await requireDevice([cuda, fake("cpu", new Error("never opened"))]);
  await requireDevice([gpu("cuda", new EngineClosedError())]);
});

test("a device is measured on all threads, as a worker takes it, where nobody says how many", async () => {
  const cpu = fake("cpu", due);
  const taken: number[] = [];
  const open: Device["open"] = (options) => {
    taken.push(options.threads);
    return cpu.open(options);
  };
  const tried = [{ ...cpu, open }];
  await probeDevices({ milliseconds: 0, tried });
  await probeDevices({ milliseconds: 0, tried, threads: 1 });
  expect(taken).toEqual([availableParallelism(), 1]);
});

test("a device that takes steps and does not give its state back is none", async () => {
  const mute = fake("mute", due);
  const open: Device["open"] = async (options) => ({
    ...(await mute.open(options)),
    stateDigest: () => Promise.reject(new EngineClosedError("It is gone.")),
  });
  expect(await probeDevices({ milliseconds: 0, tried: [{ ...mute, open }] })).toMatchObject([
    { tokensPerSecond: undefined, missing: "It is gone." },
  ]);
});

const probe = (name: string, tokensPerSecond?: number, more: Partial<Probe> = {}): Probe => ({
  device: fake(name, due),
  tokensPerSecond,
  value: undefined,
  adapter: undefined,
  missing: tokensPerSecond === undefined ? `No ${name} here.` : undefined,
  lack: tokensPerSecond === undefined ? "no libraries" : undefined,
  ...more,
});

describe("where nobody names a device", () => {
  test("the fastest that trains is taken, the others in their order behind it, in one sentence", () => {
    const gpu = probe("webgpu", 400_000, { adapter: { name: "libvulkan_radeon.so", software: false } });
    expect(chooseDevices([probe("cpu", 21_034), probe("wasm", 5_100.4), gpu, probe("cuda")])).toEqual({
      names: ["webgpu", "cpu", "wasm"],
      sentence:
        'Trains on webgpu (libvulkan_radeon.so), the fastest device here: 400,000 tokens/s of the preset 1m, cpu 21,034, wasm 5,100, cuda no libraries; "npx cotrain doctor" says more.',
    });
  });

  test("and none where none trains, for the reasons of each", () => {
    expect(() => chooseDevices([probe("cpu"), probe("webgpu")])).toThrow(
      "No device of this machine can train. cpu: No cpu here. webgpu: No webgpu here.",
    );
  });
});
