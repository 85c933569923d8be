/** ONNX Runtime behind the port, with a package that keeps what it answers on a device: what is read, replaced and given back. */
import "../../../offchain/src/engine/runtime/node/noTelemetry.ts";
import node from "onnxruntime-node";
import { expect, test } from "vitest";

import { EngineError } from "../../../offchain/src/engine/index.ts";
import { copyProgram } from "../../../offchain/src/engine/runtime/copyProgram.ts";
import { onnxRuntime, type OnnxPlace } from "../../../offchain/src/engine/runtime/onnxRuntime.ts";
import { wasmRuntime, type WasmPlace } from "../../../offchain/src/engine/runtime/wasm.ts";
import { webgpuRuntime } from "../../../offchain/src/engine/runtime/webgpu.ts";

interface Made {
  readonly location: "cpu" | "gpu-buffer";
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: Float32Array | BigInt64Array;
  disposed: boolean;
  dispose(): void;
}

function made(location: Made["location"], data: Made["data"], dims: readonly number[], type = "float32"): Made {
  const tensor: Made = {
    location,
    type,
    dims,
    data,
    disposed: false,
    dispose: () => {
      tensor.disposed = true;
    },
  };
  return tensor;
}

/** A place whose one program doubles `x` into `y`; outputs that are kept stay on its device. */
function place(more: Partial<OnnxPlace> = {}): {
  readonly place: OnnxPlace;
  readonly onDevice: Made[];
  readonly released: () => number;
} {
  const onDevice: Made[] = [];
  let released = 0;
  const create = async (_program: Uint8Array, options: { kept?: readonly string[] }) => ({
    run: async (feeds: Record<string, Made>) => {
      const copying = feeds["from"];
      if (copying) return { to: made("cpu", copying.data.slice(), copying.dims) };
      const { x } = feeds;
      const y = made(
        options.kept?.includes("y") ? "gpu-buffer" : "cpu",
        (x!.data as Float32Array).map((v) => 2 * v),
        x!.dims,
      );
      if (y.location === "gpu-buffer") onDevice.push(y);
      return { y, loss: made("cpu", Float32Array.of(7), []) };
    },
    release: async () => void released++,
  });
  // An arrow has no `new`; what a function returns stands for what it would make.
  function Tensor(type: string, data: Made["data"], dims: readonly number[]): Made {
    return made("cpu", data, dims, type);
  }
  return {
    onDevice,
    released: () => released,
    place: {
      ort: { Tensor, InferenceSession: { create } } as unknown as OnnxPlace["ort"],
      availableMemory: () => 1,
      cpuTime: () => 0,
      writesInPlace: false,
      sessionOptions: ({ kept }) => ({ kept }) as never,
      ...more,
    },
  };
}
const lost = async (): Promise<never> => {
  throw new Error("Device is lost.");
};
const missing = new EngineError("DEVICE_MISSING", "There is none.");
const options = { kind: "step", threads: 1, peak: 0, kept: ["y"] } as const;

test("what a step leaves on the device is fed, read by a copy, replaced by what is written, and given back", async () => {
  const { place: gpu, onDevice } = place();
  const runtime = onnxRuntime(gpu);
  const program = await runtime.open(new Uint8Array(), options);
  const [a, b] = [runtime.buffer([2], Float32Array.of(1, 2)), runtime.buffer([2])];
  const step = (from: typeof a, to: typeof a) => program.run(new Map([["x", from]]), new Map([["y", to]]), ["loss"]);
  expect((await step(a, b)).get("loss")).toEqual(Float32Array.of(7));
  await step(b, a);
  await step(a, b);
  expect(await b.read()).toEqual(Float32Array.of(8, 16));
  expect(await a.read()).toEqual(Float32Array.of(4, 8));
  // The first y made room for the third, which took its place.
  expect(onDevice.map(({ disposed }) => disposed)).toEqual([true, false, false]);
  a.write(Float32Array.of(5, 6));
  expect(await a.read()).toEqual(Float32Array.of(5, 6));
  expect(onDevice.map(({ disposed }) => disposed)).toEqual([true, true, false]);
});

test("programs that copied what lies on the device are released with the last program", async () => {
  const { place: gpu, released } = place();
  const runtime = onnxRuntime(gpu);
  const [first, last] = [await runtime.open(new Uint8Array(), options), await runtime.open(new Uint8Array(), options)];
  for (const length of [2, 3]) {
    const [x, y] = [runtime.buffer([length]), runtime.buffer([length])];
    await first.run(new Map([["x", x]]), new Map([["y", y]]), []);
    await y.read();
  }
  await first.release();
  expect(released()).toBe(1);
  await last.release();
  expect(released()).toBe(4);
});

test("on WebGPU all that is kept is asked to stay in the GPU's buffers, and what is read is not", async () => {
  const asked: unknown[] = [];
  const { ort } = place().place;
  const create = async (_program: Uint8Array, { preferredOutputLocation }: { preferredOutputLocation?: unknown }) => {
    asked.push(preferredOutputLocation);
    return { run: () => Promise.reject(missing), release: async () => undefined };
  };
  const recording = { ...ort, InferenceSession: { create } } as unknown as OnnxPlace["ort"];
  const gpu = webgpuRuntime({ ort: recording, availableMemory: () => 1, cpuTime: () => 0, missing: missing.message });
  await gpu.open(new Uint8Array(), { ...options, kept: ["next.a", "next.b"] });
  await gpu.open(new Uint8Array(), { ...options, kept: [] });
  expect(asked).toEqual([{ "next.a": "gpu-buffer", "next.b": "gpu-buffer" }, {}]);
});

test("WebAssembly and WebGPU leave products as the builder turned them, and WebAssembly has the threads that are asked for", async () => {
  const asked: { readonly extra?: unknown }[] = [];
  const create = async (_program: Uint8Array, given: { readonly extra?: unknown }) => {
    asked.push(given);
    return { run: () => Promise.reject(missing), release: async () => undefined };
  };
  const env = { wasm: { numThreads: 0 } };
  const ort = { ...place().place.ort, env, InferenceSession: { create } } as unknown as WasmPlace["ort"];
  const machine = { ort, availableMemory: () => 1, cpuTime: () => 0 };
  await wasmRuntime(machine).open(new Uint8Array(), { ...options, threads: 7 });
  expect(env.wasm.numThreads).toBe(7);
  await webgpuRuntime({ ...machine, missing: missing.message }).open(new Uint8Array(), options);
  const extra = { optimization: { disable_specified_optimizers: "GemmTransposeFusion" } };
  // A GPU's may add parts of a product as they come, unless they are told not to.
  const inOrder = { ...extra, session: { use_deterministic_compute: "1" } };
  expect(asked.map((given) => given.extra)).toEqual([extra, inOrder]);
});

test("the package knows the setting that has GPUs add in order: it takes no other value of it", async () => {
  const program = copyProgram([2]);
  const [known, unknown] = ["1", "maybe"].map((value) => ({
    executionProviders: ["cpu"],
    extra: { session: { use_deterministic_compute: value } },
  }));
  await (await node.InferenceSession.create(program, known)).release();
  await expect(node.InferenceSession.create(program, unknown)).rejects.toThrow(
    /'session\.use_deterministic_compute' must be a boolean/,
  );
});

test("a copy that cannot be opened is tried again when the device is read next", async () => {
  const works = place().place.ort;
  let failing = false;
  const create: typeof works.InferenceSession.create = (...given) =>
    failing ? lost() : works.InferenceSession.create(...given);
  const runtime = onnxRuntime(place({ ort: { ...works, InferenceSession: { create } } }).place);
  const program = await runtime.open(new Uint8Array(), options);
  const [a, b] = [runtime.buffer([2], Float32Array.of(1, 2)), runtime.buffer([2])];
  await program.run(new Map([["x", a]]), new Map([["y", b]]), ["loss"]);
  failing = true;
  await expect(b.read()).rejects.toMatchObject({ code: "RUNTIME_FAILED" });
  failing = false;
  expect(await b.read()).toEqual(Float32Array.of(2, 4));
});

test("of what a step wrote in place the package answers with a copy, which is given back at once", async () => {
  const answered: Made[] = [];
  const writing = {
    create: async () => ({
      run: async (feeds: Record<string, Made>, fetches: Record<string, Made | null>) => {
        const y = fetches["y"]!.data as Float32Array;
        y.set((feeds["x"]!.data as Float32Array).map((v) => 2 * v));
        answered.push(made("cpu", y.slice(), [2]));
        return { y: answered.at(-1), loss: made("cpu", Float32Array.of(7), []) };
      },
      release: async () => undefined,
    }),
  };
  const { ort } = place().place;
  const cpu = place({ ort: { ...ort, InferenceSession: writing } as unknown as OnnxPlace["ort"], writesInPlace: true });
  const runtime = onnxRuntime(cpu.place);
  const program = await runtime.open(new Uint8Array(), options);
  const [a, b] = [runtime.buffer([2], Float32Array.of(1, 2)), runtime.buffer([2])];
  const told = await program.run(new Map([["x", a]]), new Map([["y", b]]), ["loss"]);
  expect(told.get("loss")).toEqual(Float32Array.of(7));
  expect(await b.read()).toEqual(Float32Array.of(2, 4));
  expect(answered.map(({ data }) => data.length)).toEqual([0]);
});

test("a device that is lost while it is read, or gives back, fails as a runtime, not as a program that is refused", async () => {
  const { place: gpu } = place();
  const works = gpu.ort.InferenceSession;
  const opened = { gone: false };
  const dying = {
    ...gpu.ort,
    InferenceSession: {
      create: async (...given: Parameters<typeof works.create>) =>
        opened.gone ? lost() : { ...(await works.create(...given)), release: lost },
    },
  } as unknown as OnnxPlace["ort"];
  const runtime = onnxRuntime(place({ ort: dying }).place);
  const program = await runtime.open(new Uint8Array(), options);
  const [a, b] = [runtime.buffer([2], Float32Array.of(1, 2)), runtime.buffer([2])];
  await program.run(new Map([["x", a]]), new Map([["y", b]]), ["loss"]);
  opened.gone = true;
  const failed = { name: "RuntimeError", code: "RUNTIME_FAILED" };
  await expect(b.read()).rejects.toMatchObject(failed);
  await expect(program.release()).rejects.toMatchObject(failed);
});

test("a refusal is the program's, unless the place knows better", async () => {
  const refusing = {
    Tensor: Object,
    InferenceSession: { create: () => Promise.reject(new Error("no adapter")) },
  } as unknown as OnnxPlace["ort"];
  const plain = onnxRuntime(place({ ort: refusing }).place).open(new Uint8Array(), options);
  await expect(plain).rejects.toMatchObject({ code: "PROGRAM_REFUSED", message: expect.stringContaining("step") });
  const known = onnxRuntime(place({ ort: refusing, explain: () => missing }).place).open(new Uint8Array(), options);
  await expect(known).rejects.toMatchObject({ code: "DEVICE_MISSING" });
});
