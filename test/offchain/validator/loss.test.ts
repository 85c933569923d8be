/** Held-out loss in its own process, against the same engine asked directly. */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, readlinkSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { getPriority, tmpdir } from "node:os";
import { join } from "node:path";

import { type Digest, digestOfJson } from "@cotrain/sdk/protocol";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { systemClock } from "../../../offchain/src/base/index.ts";
import { createManualClock } from "../manualClock.ts";
import { problemOfSample } from "../../../offchain/src/run/index.ts";
import { type RunMaterial } from "../../../offchain/src/run/creation.ts";
import { createGateMeter } from "../../../offchain/src/coordinator/index.ts";
import { bitsPerByte, openSequences } from "../../../offchain/src/data/index.ts";
import { fragmentLayouts, gateSample, scatterFragment } from "../../../offchain/src/diloco/index.ts";
import { ENGINE_LIMITS } from "../../../offchain/src/engine/index.ts";
import { openCpuEngine } from "../../../offchain/src/engine/runtime/node/cpu.ts";
import {
  type BlobStore,
  type FragmentState,
  putDocument,
  readCheckpoint,
} from "../../../offchain/src/storage/index.ts";
import { createLossMeter, type LossMeter, restAfter, sampleOf } from "../../../offchain/src/validator/index.ts";
import { runId, serveRun, type ServedRun } from "./servedRun.ts";

let directory: string;
let store: BlobStore;
let served: ServedRun;
let material: RunMaterial;
let checkpoint: Digest;
let initial: readonly FragmentState[];
let meter: LossMeter;
let url: string;

const request = () => ({
  runId,
  definition: material.definitionDigest,
  build: material.buildDigest,
  checkpoint,
  sequences: 8,
});

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "cotrain-loss-"));
  served = await serveRun(directory, "loss");
  ({ store, material, checkpoint, url } = served);
  initial = (await readCheckpoint(store, checkpoint, material.table)).states;
  meter = createLossMeter({ coordinator: url, cache: join(directory, "cache") });
});
afterAll(async () => {
  meter?.close();
  await served?.close();
  await rm(directory, { recursive: true, force: true });
});

/** The engine's processes of this one, with niceness and scheduling class. */
const children = (): { pid: number; niceness: number; policy: string }[] =>
  execFileSync("ps", ["-o", "pid=,ni=,cls=,args=", "--ppid", String(process.pid)], { encoding: "utf8" })
    .split("\n")
    .filter((line) => line.includes("engine/runtime/node/host/process"))
    .map((line) => {
      const [pid, niceness, policy = ""] = line.trim().split(/\s+/);
      return { pid: Number(pid), niceness: Number(niceness), policy };
    });

/** What `/proc/PID/autogroup` says, undefined where the kernel has no such groups. */
function groupNiceness(pid: number): number | undefined {
  try {
    return Number(/nice (-?\d+)/.exec(readFileSync(`/proc/${pid}/autogroup`, "utf8"))?.[1]);
  } catch {
    return undefined;
  }
}

describe("held-out loss", () => {
  it("is waited for by nobody who is to stop, be it that its program does not come", async () => {
    const asked = Promise.withResolvers<void>();
    const silent = createServer(() => asked.resolve()).listen(0, "127.0.0.1");
    await once(silent, "listening");
    const { port } = silent.address() as AddressInfo;
    const waiting = createLossMeter({ coordinator: `http://127.0.0.1:${port}`, cache: join(directory, "none") });
    const stop = new AbortController();
    const measuring = waiting.measure(request(), stop.signal);
    await asked.promise;
    const reason = new Error("told to stop");
    stop.abort(reason);
    await expect(measuring).rejects.toBe(reason);
    waiting.close();
    silent.closeAllConnections();
    silent.close();
  });

  it("is what the engine says of the same sequences, measured at the lowest priority", async () => {
    const { signal } = new AbortController();
    const result = await meter.measure({ ...request(), share: 1 }, signal);
    expect(result.sequences).toBe(8);
    const [measuring, ...others] = children();
    expect(others).toEqual([]);
    expect(measuring?.niceness ?? 19).not.toBe(0); // ps shows a dash for idle threads on some systems
    // foundation 20: niceness counts within a session's group alone, so the group's own is set as well
    const group = groupNiceness(measuring?.pid ?? 0);
    expect(group === undefined || group === 19).toBe(true);
    expect(readlinkSync(`/proc/${measuring?.pid}/cwd`)).toContain("cotrain-engine-");

    const { definition, data, table, build } = material;
    const program = await store.get(build.graphs.eval as typeof checkpoint);
    const engine = await openCpuEngine({ programs: { eval: program }, threads: 1 });
    const parameters = new Map(
      table.map(({ name, shape }) => [name, new Float32Array(shape.reduce((a, b) => a * b, 1))]),
    );
    for (const layout of fragmentLayouts(table)) scatterFragment(initial[layout.index]!.params, layout, parameters);
    const heldOut = openSequences(store, data, "heldOut", definition.sequence);
    const tokens = await heldOut.tokens(sampleOf(heldOut.count, 8, 4));
    const { loss } = await engine.evaluate({ tokens, parameters: [...parameters.values()] });
    await engine.close();
    expect(result.loss).toBe(loss);
    expect(result.microBitsPerByte).toBe(Math.round(bitsPerByte(loss, data.heldOut) * 1e6));
    const { cpu, elapsed, ...same } = result;
    expect(cpu).toBeGreaterThan(0);
    expect(elapsed).toBeGreaterThan(0);
    expect(await meter.measure(request(), signal)).toMatchObject(same);
  });

  it("at rest is measured at a common priority, by one process in the place of the one that yields", async () => {
    const { signal } = new AbortController();
    for (const [share, priority] of [
      [1, /^IDL|^TS 19/],
      [undefined, new RegExp(`^TS ${getPriority()}$`)],
      [1, /^IDL|^TS 19/],
    ] as const) {
      await meter.measure({ ...request(), share }, signal);
      let [only, ...others] = children();
      while (others.length > 0) {
        await new Promise((resolve) => {
          setImmediate(resolve);
        });
        [only, ...others] = children();
      }
      expect(`${only?.policy} ${only?.niceness}`).toMatch(priority);
    }
  });

  // foundation 2
  it("of parameters over named sequences is what the coordinator's gate measures, bit for bit", async () => {
    const { signal } = new AbortController();
    const { definition, buildDigest } = material;
    const known = { known: [buildDigest] };
    const gate = createGateMeter(store, definition, known);
    try {
      const { build, available, batch } = await gate.describe();
      expect(build).toBe(buildDigest);
      const sequences = gateSample(digestOfJson("seed"), available, 8, batch);
      const parameters = initial.map(({ params }) => params.map((value) => value * 1.01));
      const ask = { ...request(), checkpoint: parameters, sequences };
      const { microBitsPerByte } = await meter.measure(ask, signal);
      expect(microBitsPerByte).toBe(await gate.loss(parameters, sequences));
      const others = await meter.measure(
        { ...ask, sequences: sequences.map((index) => (index + 1) % available) },
        signal,
      );
      expect(others.microBitsPerByte).not.toBe(microBitsPerByte);
      const untouched = { ...ask, checkpoint: initial.map(({ params }) => params) };
      expect(await meter.measure({ ...ask, checkpoint }, signal)).toMatchObject({
        microBitsPerByte: (await meter.measure(untouched, signal)).microBitsPerByte,
      });
      // The build was made here.
      await expect(meter.conformance(ask, signal)).resolves.toBe(material.build.conformance);
      expect((await gate.describe()).conformance).toBe(material.build.conformance);
    } finally {
      await gate.close();
    }
  });

  it("is not measured on data of which the manifest counts more than its shards hold", async () => {
    const { data, definition, build } = material;
    const publish = (document: unknown) => putDocument(store, document);
    const heldOut = { ...data.heldOut, tokens: data.heldOut.tokens + 1_000 };
    const other = { ...definition, data: await publish({ ...data, heldOut }) };
    const otherDigest = await publish(other);
    const origin = {
      ...request(),
      definition: otherDigest,
      build: await publish({ ...build, definition: otherDigest }),
    };
    await expect(meter.measure(origin, new AbortController().signal)).rejects.toMatchObject({ code: "DATA_INVALID" });
    const gate = createGateMeter(store, other, { known: [origin.build] });
    await expect(gate.describe()).rejects.toMatchObject({ code: "DATA_INVALID" });
    const gated = { seed: digestOfJson("seed"), build: origin.build, sequences: [] };
    const sample = { runId, definition: other, admitted: async () => true, gate: gated };
    const blobs = { blob: (_: unknown, digest: typeof checkpoint, limit: number) => store.get(digest, limit) };
    await expect(problemOfSample(blobs, sample)).rejects.toMatchObject({ code: "DOCUMENT_DATA" });
  });

  it("of a checkpoint that is not to be had is an error, and the process goes on", async () => {
    const { signal } = new AbortController();
    await expect(meter.measure({ ...request(), checkpoint: digestOfJson("nowhere") }, signal)).rejects.toMatchObject({
      code: "BLOB_NOT_FOUND",
    });
    await expect(meter.measure(request(), signal)).resolves.toMatchObject({ sequences: 8 });
  });

  it("is measured again after kill -9 of its process", async () => {
    const { signal } = new AbortController();
    const pid = children()[0]!.pid;
    const measuring = meter.measure(request(), signal);
    process.kill(pid, "SIGKILL");
    await expect(measuring).rejects.toMatchObject({ code: "ENGINE_CLOSED", retryable: true });
    await expect(meter.measure(request(), signal)).resolves.toMatchObject({ sequences: 8 });
  });
});

/** Stops the only engine that there was not before. */
const hang = (before: readonly number[]): void => {
  const own = children().find(({ pid }) => !before.includes(pid));
  process.kill(own?.pid ?? 0, "SIGSTOP");
};
const pids = (): number[] => children().map(({ pid }) => pid);

describe.skipIf(process.platform === "win32")("an engine that hangs", () => {
  const { signal } = new AbortController();
  const closed = { code: "ENGINE_CLOSED", retryable: true };
  it("holds no validator up: it is ended, and the loss measured again with another", async () => {
    const limits = { ...ENGINE_LIMITS };
    const before = pids();
    const own = createLossMeter({ coordinator: url, cache: join(directory, "cache"), limits });
    try {
      const result = await own.measure(request(), signal);
      hang(before);
      limits.answer = 100;
      await expect(own.measure(request(), signal)).rejects.toMatchObject(closed);
      limits.answer = ENGINE_LIMITS.answer;
      expect((await own.measure(request(), signal)).loss).toBe(result.loss);
    } finally {
      own.close();
    }
    await expect.poll(() => pids().filter((pid) => !before.includes(pid))).toEqual([]);
  });

  it("between two batches, too; one that yields is given time to have its turn", async () => {
    const limits = { ...ENGINE_LIMITS, silence: 1, answer: 1 };
    const before = pids();
    const clock = { ...systemClock, sleep: async () => undefined };
    const own = createLossMeter({ coordinator: url, cache: join(directory, "cache"), limits }, clock);
    try {
      await expect(own.measure({ ...request(), share: 1 }, signal)).resolves.toMatchObject({ sequences: 8 });
      clock.sleep = async () => {
        limits.conformance = 100;
        hang(before);
      };
      await expect(own.measure({ ...request(), share: 1 }, signal)).rejects.toMatchObject(closed);
    } finally {
      own.close();
    }
  });

  it("holds no gate up", async () => {
    const { definition, buildDigest } = material;
    const limits = { ...ENGINE_LIMITS };
    const before = pids();
    const gate = createGateMeter(store, definition, { known: [buildDigest] }, limits);
    try {
      const { available, batch } = await gate.describe();
      const sample = gateSample(digestOfJson("seed"), available, 8, batch);
      const parameters = initial.map(({ params }) => params);
      const loss = await gate.loss(parameters, sample);
      hang(before);
      Object.assign(limits, { answer: 100, close: 100 });
      await expect(gate.loss(parameters, sample)).rejects.toMatchObject(closed);
      Object.assign(limits, ENGINE_LIMITS);
      expect(await gate.loss(parameters, sample)).toBe(loss);
    } finally {
      await gate.close();
    }
    await expect.poll(() => pids().filter((pid) => !before.includes(pid))).toEqual([]);
  });
});

describe("its share of the machine", () => {
  it("is kept by resting between batches", async () => {
    // On two processors 5% is a tenth of one: 300 ms of work want 3 s of time.
    expect(restAfter(300, 1_000, 0.05, 2)).toBe(2_000);
    expect(restAfter(300, 4_000, 0.05, 2)).toBe(0);
    const clock = createManualClock();
    const bounded = createLossMeter({ coordinator: url, cache: join(directory, "cache") }, clock);
    const controller = new AbortController();
    const measuring = bounded.measure({ ...request(), share: 1e-6 }, controller.signal);
    measuring.catch(() => undefined);
    while (clock.sleepers === 0)
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    controller.abort(new RangeError("enough"));
    await expect(measuring).rejects.toThrow("enough");
    bounded.close();
  });

  it.each([0, 3_600_000, -3_600_000])(
    "is of the whole measurement, from the parameters to the last batch, and no less (clock set by %i ms)",
    async (step) => {
      let passed = 0;
      let set = 0;
      const clock = {
        ...createManualClock(),
        now: () => passed + set,
        monotonic: () => passed,
        sleep: async (ms: number) => {
          passed += ms;
          set = step;
        },
      };
      const bounded = createLossMeter({ coordinator: url, cache: join(directory, "cache") }, clock);
      const { cpu, elapsed } = await bounded.measure({ ...request(), share: 0.05 }, new AbortController().signal);
      expect(cpu).toBeGreaterThan(0);
      expect(elapsed).toBe(passed);
      expect(restAfter(cpu, passed, 0.05)).toBe(0);
      expect(restAfter(cpu, passed - 2, 0.05)).toBeGreaterThan(0);
      bounded.close();
    },
  );
});

describe("the sample", () => {
  it("is evenly spaced, whole batches, and the same for everybody", () => {
    expect(sampleOf(100, 8, 4)).toEqual([0, 12, 25, 37, 50, 62, 75, 87]);
    expect(sampleOf(10, 64, 4)).toEqual([0, 1, 2, 3, 5, 6, 7, 8]);
    expect(sampleOf(2, 64, 4)).toEqual([0, 1, 0, 1]);
    expect(new Set(sampleOf(1_000, 512, 8)).size).toBe(512);
  });
});
