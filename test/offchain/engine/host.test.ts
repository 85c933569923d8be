/** The engine's process: what it is started with, how it ends, and that its word is not taken for granted. */
import { spawn, spawnSync } from "node:child_process";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { fileURLToPath } from "node:url";

import { describe, expect, test, vi } from "vitest";

import { createRandom } from "../../../offchain/src/base/index.ts";
import {
  buildPrograms,
  EngineClosedError,
  initialParameters,
  presets,
  readSignature,
} from "../../../offchain/src/engine/index.ts";
import { availableMemory, openEngineHost } from "../../../offchain/src/engine/runtime/node/index.ts";
import { engineHostOn } from "../../../offchain/src/engine/runtime/node/host/host.ts";
import { directoryPrefix, sweepDirectories } from "../../../offchain/src/engine/runtime/node/host/directories.ts";
import { allowanceFor, requireHostMemory } from "../../../offchain/src/engine/runtime/node/host/memory.ts";
import { environmentOf } from "../../../offchain/src/engine/runtime/node/host/spawn.ts";
import { createSender, giveBackAll, receive } from "../../../offchain/src/engine/runtime/node/host/frames.ts";
import { canRun } from "../../needs.ts";
import { checkReply, layoutOf, readRemark, readReply } from "../../../offchain/src/engine/runtime/node/host/replies.ts";

const { model, microBatch } = presets["0.1m"];
const { step } = buildPrograms(model, { microBatch });
const linux = process.platform === "linux";

/** Ends when the process is gone, or is a zombie that nobody has waited for. */
async function gone(pid: number): Promise<void> {
  for (;;) {
    try {
      process.kill(pid, 0);
      if (linux && /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))) return;
    } catch {
      return;
    }
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
}

// foundation 1
describe.skipIf(!linux)("the engine's process", () => {
  test("has an empty directory that is gone, an environment by allow-list and no way to this one's files", async () => {
    process.env["COTRAIN_SECRET"] = "canary";
    process.env["NODE_OPTIONS"] = "";
    const engine = await openEngineHost({ programs: { step: step.bytes }, threads: 1 });
    try {
      const of = (name: string): string => readFileSync(`/proc/${engine.pid}/${name}`, "utf8");
      const names = of("environ")
        .split("\0")
        .filter(Boolean)
        .map((line) => line.split("=")[0]);
      expect(names.length).toBeGreaterThan(0);
      const allowed = new Set([
        "HOME",
        "TMPDIR",
        "TEMP",
        "LANG",
        "LD_LIBRARY_PATH",
        "VK_DRIVER_FILES",
        "VK_ICD_FILENAMES",
        "VK_LOADER_DRIVERS_SELECT",
        "VK_LOADER_DRIVERS_DISABLE",
        "VK_LOADER_DEVICE_ID_FILTER",
        "VK_LOADER_VENDOR_ID_FILTER",
        "CUDA_VISIBLE_DEVICES",
        "CUDA_DEVICE_ORDER",
        "GLIBC_TUNABLES",
        "MALLOC_ARENA_MAX",
        "MALLOC_MMAP_THRESHOLD_",
        "MALLOC_TRIM_THRESHOLD_",
      ]);
      expect(names.filter((name) => !allowed.has(name ?? ""))).toEqual([]);
      const directory = readlinkSync(`/proc/${engine.pid}/cwd`);
      expect(directory).toMatch(/cotrain-engine-[\da-f]+-[\d-]+-\w+ \(deleted\)$/);
      expect(readdirSync(tmpdir())).not.toContain(directory.replace(/^.*\/| \(deleted\)$/g, ""));
      expect(of("cmdline")).toContain("--permission");
      const session = Number(
        of("stat")
          .replace(/^.*\) /, "")
          .split(" ")[3],
      );
      expect(session).toBe(engine.pid);
    } finally {
      delete process.env["COTRAIN_SECRET"];
      await engine.close();
    }
    await gone(engine.pid ?? 0);
  });

  test.runIf(canRun("the bound on the engine's memory", "prlimit"))(
    "gets no more memory than its programs and the runtime need, whatever is asked of it",
    async () => {
      const threads = 2;
      const engine = await openEngineHost({ programs: { step: step.bytes }, threads });
      const { peak } = readSignature(step.bytes, availableMemory()).model;
      const allowance = allowanceFor("cpu", [peak], threads, Infinity);
      const limits = readFileSync(`/proc/${engine.pid}/limits`, "utf8");
      const [, soft, hard] = /^Max data size\s+(\d+)\s+(\d+)/m.exec(limits) ?? [];
      expect(Number(soft)).toBeGreaterThan(allowance);
      expect(hard).toBe(soft);
      // Half as much again as it may have in one piece, since what it had may have shrunk: without the bound it would be taken,
      // and refused for its length.
      const greedy = engine.setParameters([new Float32Array(Math.ceil((1.5 * allowance) / 4))]);
      await expect(greedy).rejects.toBeInstanceOf(EngineClosedError);
      await gone(engine.pid ?? 0);
    },
  );

  test("gets no more memory than the machine has, beside addresses that take none", () => {
    const [peak, available] = [6 * 2 ** 30, 8 * 2 ** 30];
    expect(allowanceFor("cpu", [peak], 2, available)).toBe(available);
    for (const place of ["wasm", "webgpu", "cuda"] as const)
      expect(allowanceFor(place, [peak], 2, available) - allowanceFor(place, [], 2, 0)).toBe(available);
  });

  test.each(["cpu", "wasm"] as const)("computes on as many threads as it is told, on %s", async (place) => {
    const counts: number[] = [];
    for (const threads of [1, 5]) {
      const engine = await engineHostOn(place)({ programs: { step: step.bytes }, threads });
      counts.push(readdirSync(`/proc/${engine.pid}/task`).length);
      await engine.close();
    }
    expect(counts[1]! - counts[0]!).toBe(4);
  });

  test("ends with its host at kill -9, even in the middle of a step that takes hours", async () => {
    const script = fileURLToPath(new URL("./endlessHost.ts", import.meta.url));
    const host = spawn(process.execPath, ["--conditions=cotrain-source", script], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const pid = await new Promise<number>((resolve, reject) => {
      host.stdout.once("data", (line: Buffer) => resolve(Number(line.toString())));
      host.once("exit", () => reject(new RangeError("the host ended by itself")));
    });
    expect(() => process.kill(pid, 0)).not.toThrow();
    host.removeAllListeners("exit");
    host.kill("SIGKILL");
    await gone(pid);
  });

  test("frees the arrays that a call brought, in lists too", () => {
    const [parameters, tokens] = [Float32Array.of(1, 2), Uint16Array.of(3)];
    giveBackAll([[parameters], { step: 1 }, undefined, tokens]);
    expect([parameters.length, tokens.length]).toEqual([0, 0]);
  });

  test("ends at once with its signal, whatever it is doing", async () => {
    const ending = new AbortController();
    const engine = await openEngineHost({ programs: { step: step.bytes }, threads: 1, signal: ending.signal });
    const rows = microBatch * (model.sequence + 1);
    const training = engine.train(
      { tokens: new Uint16Array(1000 * rows), learningRate: 1e-3 },
      { progress: () => ending.abort() },
    );
    await expect(training).rejects.toBeInstanceOf(EngineClosedError);
    await gone(engine.pid ?? 0);
    const another = openEngineHost({ programs: { step: step.bytes }, threads: 1, signal: ending.signal });
    await expect(another).rejects.toBeInstanceOf(EngineClosedError);
  });

  test("is killed where it does not close, and closes what failed to", async () => {
    const engine = await engineHostOn("cpu", 0, 100)({ programs: { step: step.bytes }, threads: 1 });
    process.kill(engine.pid ?? 0, "SIGSTOP");
    const asked = engine.parameters();
    await Promise.all([engine.close(), expect(asked).rejects.toBeInstanceOf(EngineClosedError)]);
    await gone(engine.pid ?? 0);
    const killed = await openEngineHost({ programs: { step: step.bytes }, threads: 1 });
    const closing = killed.close();
    process.kill(killed.pid ?? 0, "SIGKILL");
    await closing;
  });

  test("killed, it rejects what was asked and what is asked later, in one sentence", async () => {
    const engine = await openEngineHost({ programs: { step: step.bytes }, threads: 1 });
    await engine.setParameters(initialParameters(model, 1).map(({ data }) => data));
    const rows = microBatch * (model.sequence + 1);
    const training = engine.train(
      { tokens: new Uint16Array(1000 * rows), learningRate: 1e-3 },
      { progress: (done) => void (done === 1 && process.kill(engine.pid ?? 0, "SIGKILL")) },
    );
    await expect(training).rejects.toBeInstanceOf(EngineClosedError);
    await expect(training).rejects.toMatchObject({ retryable: true, message: "The engine's process ended (SIGKILL)." });
    await expect(engine.parameters()).rejects.toBeInstanceOf(EngineClosedError);
    await engine.close();
  });
});

const bytes = (shapes: readonly { readonly shape: readonly number[] }[]): number =>
  shapes.reduce((sum, { shape }) => sum + 4 * shape.reduce((a, b) => a * b, 1), 0);

test("parameters and state that cross to a GPU must fit the machine's memory; what lies there alone need not", () => {
  const outline = readSignature(step.bytes, availableMemory());
  const [parameters, state] = [bytes(outline.parameters), bytes(outline.state)];
  // Node and the runtime besides; CUDA's cross with every call.
  for (const [place, needed] of [
    ["webgpu", 3 * parameters + state],
    ["cuda", 3 * (parameters + state)],
  ] as const) {
    const all = needed + (240 << 20);
    expect(() => requireHostMemory(place, [outline], all)).not.toThrow();
    expect(() => requireHostMemory(place, [outline], all - 1)).toThrow(
      expect.objectContaining({ code: "PROGRAM_TOO_LARGE", message: expect.stringMatching(/beside the GPU's/) }),
    );
  }
  expect(() => requireHostMemory("cpu", [outline], 0)).not.toThrow();
});

test("what an engine says of itself is a short text that acts on no terminal", () => {
  expect(readRemark(undefined)).toBeUndefined();
  expect(readRemark("slow\u001b[2J")).toBe("slow\uFFFD[2J");
  expect(readRemark("x".repeat(1_000))).toHaveLength(400);
  expect(() => readRemark({ text: 1 })).toThrow(expect.objectContaining({ code: "ENGINE_ANSWER" }));
});

const left = (parent: string, prefix: string): string => {
  const path = mkdtempSync(join(parent, prefix));
  writeFileSync(join(path, "left"), "");
  return path;
};
/** Of a process that has ended. */
const ended = (): number => spawnSync(process.execPath, ["--version"]).pid;

describe("a directory that a host left behind which was killed", () => {
  test("is removed by the next one that starts an engine", async () => {
    // A directory for temporary files of its own: in the machine's, any other host removes it first.
    const parent = mkdtempSync(join(tmpdir(), "cotrain-sweep-"));
    const path = left(parent, directoryPrefix(ended()));
    vi.stubEnv("TMPDIR", parent);
    const engine = await openEngineHost({ programs: { step: step.bytes }, threads: 1 });
    vi.unstubAllEnvs();
    expect(existsSync(path)).toBe(false);
    await engine.close();
    rmSync(parent, { recursive: true });
  });

  test("is told from those of hosts that live, of other spaces of processes, of other machines, and from what only has its name", () => {
    const parent = mkdtempSync(join(tmpdir(), "cotrain-sweep-"));
    const prefix = directoryPrefix(ended());
    const gone = left(parent, prefix);
    const kept = [
      left(parent, directoryPrefix()),
      left(parent, directoryPrefix(process.ppid)),
      left(
        parent,
        prefix.replace(/-(\d+)-(?=\d+-$)/, (_, space: string) => `-${space}1-`),
      ),
      // Of another machine that shares the directory, or of an earlier start of this one.
      left(parent, prefix.replace(/engine-[\da-f]+/, "engine-0123abcd")),
      left(parent, "cotrain-engine-"),
      left(parent, "another"),
    ];
    symlinkSync(kept[5]!, join(parent, `${prefix}link`));
    sweepDirectories(parent);
    expect(existsSync(gone)).toBe(false);
    expect(kept.filter((path) => !existsSync(join(path, "left")))).toEqual([]);
    sweepDirectories(join(parent, "nowhere"));
    rmSync(parent, { recursive: true });
  });
});

test("NVIDIA's libraries compute products in fp32 and count GPUs as nvidia-smi does, unless they are told to count otherwise", () => {
  const own = { NVIDIA_TF32_OVERRIDE: "1", CUDA_VISIBLE_DEVICES: "1", COTRAIN_SECRET: "canary" };
  const { cpu, cuda } = { cpu: environmentOf("cpu", own), cuda: environmentOf("cuda", own) };
  expect(cuda).toEqual({ ...cpu, NVIDIA_TF32_OVERRIDE: "0", CUDA_DEVICE_ORDER: "PCI_BUS_ID" });
  expect(cpu).toMatchObject({ CUDA_VISIBLE_DEVICES: "1" });
  expect(Object.keys(cpu).filter((name) => /TF32|SECRET/.test(name))).toEqual([]);
  expect(environmentOf("cuda", { CUDA_DEVICE_ORDER: "FASTEST_FIRST" })).toMatchObject({
    CUDA_DEVICE_ORDER: "FASTEST_FIRST",
  });
});

test("the system's choice of a GPU and its driver reaches the process", () => {
  const names = ["DRIVER_FILES", "ICD_FILENAMES", "LOADER_DRIVERS_SELECT", "LOADER_DRIVERS_DISABLE"];
  const filters = ["LOADER_DEVICE_ID_FILTER", "LOADER_VENDOR_ID_FILTER"];
  const chosen = Object.fromEntries([...names, ...filters].map((name) => [`VK_${name}`, name]));
  expect(environmentOf("webgpu", chosen)).toMatchObject(chosen);
});

const possible = canRun("the policy of a process that yields", "linux", "chrt");
/** Of every thread: scheduling policy (5 is SCHED_IDLE) and niceness, see proc_pid_stat(5). */
const policies = (pid: number): { policy: string; nice: string }[] =>
  readdirSync(`/proc/${pid}/task`).map((thread) => {
    const text = readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return { policy: fields[38] ?? "", nice: fields[16] ?? "" };
  });

// foundation 20
test.runIf(possible)("an engine that yields has only what nobody else wants, with all its threads", async () => {
  for (const yields of [true, false]) {
    const engine = await openEngineHost({ programs: { step: step.bytes }, threads: 2, yields });
    try {
      await engine.setParameters(initialParameters(model, 1).map(({ data }) => data));
      const found = policies(engine.pid ?? 0);
      expect(found.length).toBeGreaterThan(2);
      expect([...new Set(found.map(({ policy }) => policy))]).toEqual([yields ? "5" : "0"]);
      // The first thread's, which is what those that it starts inherit.
      expect(found[0]!.nice === "19").toBe(yields);
      // Where the kernel groups by session.
      const autogroup = `/proc/${engine.pid}/autogroup`;
      const group = existsSync(autogroup) ? readFileSync(autogroup, "utf8").trimEnd() : `nice ${yields ? 19 : 0}`;
      expect(group.endsWith("nice 19")).toBe(yields);
    } finally {
      await engine.close();
    }
  }
});

test.runIf(process.platform === "linux")("an engine that gives way has a lower priority, and is not idle", async () => {
  const engine = await openEngineHost({ programs: { step: step.bytes }, threads: 1, givesWay: true });
  try {
    const found = policies(engine.pid ?? 0);
    expect([...new Set(found.map(({ policy }) => policy))]).toEqual(["0"]);
    expect(found[0]!.nice).toBe("5");
    const autogroup = `/proc/${engine.pid}/autogroup`;
    const group = existsSync(autogroup) ? readFileSync(autogroup, "utf8").trimEnd() : "nice 5";
    expect(group).toMatch(/nice 5$/);
  } finally {
    await engine.close();
  }
});

const frame = (text: string, rest = Buffer.alloc(0)): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(Buffer.byteLength(text));
  return Buffer.concat([length, Buffer.from(text), rest]);
};

describe("messages", () => {
  test("cross with arrays, undefined and what JSON lacks, however the stream cuts them", async () => {
    const random = createRandom("frames");
    const sent = [
      { id: 1, given: [undefined, [Number.NaN, -Infinity], "x"], none: null },
      { id: 2, given: [Float32Array.of(1, Number.NaN, 3), new Uint16Array(0), BigInt64Array.of(-1n)] },
      { id: 3, given: [Float32Array.from({ length: 50_000 }, (_, i) => i)], deep: [{ data: Int32Array.of(7) }] },
    ];
    const wire: Buffer[] = [];
    const sink = new PassThrough();
    sink.on("data", (chunk: Buffer) => void wire.push(chunk));
    const send = createSender(sink);
    await Promise.all(sent.map(send));
    const bytes = Buffer.concat(wire);
    const stream = new PassThrough();
    const received: unknown[] = [];
    const all = new Promise<void>((resolve, reject) => {
      const onMessage = (message: unknown): void => void (received.push(message) === sent.length && resolve());
      receive(stream, () => 1 << 20, onMessage, reject);
    });
    for (let at = 0; at < bytes.length;) {
      const size = 1 + random.below(at < 2_000 ? 7 : 9_000);
      stream.write(bytes.subarray(at, at + size));
      at += size;
    }
    await all;
    expect(received).toEqual(sent);
  });

  test.each([
    ["a text of 4 GiB", Buffer.from([0xff, 0xff, 0xff, 0xff])],
    ["no JSON", frame("{{{{")],
    ["another form", frame('{"body":1}')],
    ["an array of 1 TiB", frame('{"body":0,"arrays":[{"kind":"Float32Array","bytes":1099511627776}]}')],
    ["many small arrays", frame(`{"body":0,"arrays":[${Array.from({ length: 100_001 }, () => "0").join()}]}`)],
    ["a negative size", frame('{"body":0,"arrays":[{"kind":"Float32Array","bytes":-4}]}')],
    ["a kind of its own", frame('{"body":0,"arrays":[{"kind":"__proto__","bytes":4}]}')],
    ["half an element", frame('{"body":0,"arrays":[{"kind":"Float32Array","bytes":6}]}')],
    ["an array that is not there", frame('{"body":{"$array":3},"arrays":[]}')],
    ["depth", frame(`{"body":${"[".repeat(5000)}${"]".repeat(5000)},"arrays":[]}`)],
  ])("with %s are refused, and nothing is read after them", async (_, bytes) => {
    const stream = new PassThrough();
    const failure = new Promise<Error>((resolve, reject) => {
      receive(
        stream,
        () => 1 << 20,
        () => reject(new RangeError("it was taken")),
        resolve,
      );
    });
    stream.write(bytes);
    expect((await failure).message).toMatch(/^A message between the engine's process and its host/);
  });

  test("that answer with something else are refused", () => {
    const layout = layoutOf([readSignature(step.bytes, availableMemory())]);
    const parameters = layout.parameters.map(({ name, shape }) => ({
      name,
      shape,
      data: new Float32Array(shape.reduce((a, b) => a * b, 1)),
    }));
    expect(checkReply(layout, "parameters", parameters)).toBe(parameters);
    expect(checkReply(layout, "parameters", parameters.slice(0, 1), [[parameters[0]!.name]])).toHaveLength(1);
    for (const [method, result, given] of [
      ["parameters", parameters.slice(1)],
      ["parameters", parameters.map((tensor) => ({ ...tensor, data: new Float32Array(1) }))],
      ["parameters", { length: parameters.length }],
      ["parameters", parameters.slice(0, 2), [["model.norm.weight"]]],
      ["train", [{ loss: "0", gradientNorm: 1 }]],
      ["stateDigest", "0x12"],
      ["evaluate", undefined],
      ["setParameters", 1],
    ] as const) {
      expect(() => checkReply(layout, method, result, given)).toThrow(/answered/);
    }
    for (const message of [
      null,
      1,
      {},
      { kind: "result" },
      { kind: "error", id: 1, error: { name: 1 } },
      { kind: "progress", id: 1, done: 1 },
    ])
      expect(() => readReply(message)).toThrow(/no answer/);
  });
});
