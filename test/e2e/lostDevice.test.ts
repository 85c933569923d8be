/** A device that is lost, or hangs, wherever a worker uses it: real engines over a runtime that fails at its port. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import ort from "onnxruntime-node";
import { afterAll, beforeAll, expect, test } from "vitest";

import { type Device, RuntimeError } from "../../offchain/src/engine/index.ts";
import { openEngine } from "../../offchain/src/engine/openEngine.ts";
import { sessionOptions } from "../../offchain/src/engine/runtime/node/cpu.ts";
import { devices } from "../../offchain/src/engine/runtime/node/index.ts";
import { onnxRuntime } from "../../offchain/src/engine/runtime/onnxRuntime.ts";
import type { DeviceBuffer, Executable, Runtime } from "../../offchain/src/engine/runtime/port.ts";
import { type BlobStore } from "../../offchain/src/storage/index.ts";
import { openBlobStore } from "../../offchain/src/storage/node/index.ts";
import { ENGINE_LIMITS, type EngineLimits } from "../../offchain/src/engine/index.ts";
import { openAssignmentSteps, runOnDevices, trainerOn } from "../../offchain/src/worker/index.ts";
import { publishEngineRun, type RunFixture } from "../offchain/worker/fixture.ts";
import { beforeAndAfterEach, modules, of, options, start, w, worker } from "../offchain/worker/workerHarness.ts";

beforeAndAfterEach();

let directory: string;
let store: BlobStore;
let fixture: RunFixture;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "cotrain-worker-"));
  store = await openBlobStore(join(directory, "remote"));
  fixture = await publishEngineRun(store, "0.1m");
});
afterAll(() => rm(directory, { recursive: true, force: true }));

/** Starts a coordinator that dismisses the worker after a round. */
async function startEngineRun(steps: number): Promise<void> {
  await start({ store, fixture, rounds: 9, steps });
  w.double.faults.dismissAfter = 1;
}

const { availableMemory } = devices.cpu;
const cpu = onnxRuntime({ ort, availableMemory, cpuTime: () => 0, writesInPlace: true, sessionOptions });

/** What a runtime is asked at its port. */
type Asked = "open" | "write" | "run" | "read" | "release";
/** Fails, or hangs, at what it is asked. */
type Fault = (asked: Asked) => undefined | "fails" | "hangs";

const lost = (): RuntimeError => new RuntimeError("RUNTIME_FAILED", "The device is lost.");

/** The CPU's runtime, which is lost as a fault says. */
function faulty(fault: Fault): Runtime {
  const asked = async (what: Asked): Promise<void> => {
    const found = fault(what);
    if (found === "hangs") await new Promise<never>(() => undefined);
    if (found === "fails") throw lost();
  };
  return {
    ...cpu,
    buffer: (...given) => {
      const buffer: DeviceBuffer = cpu.buffer(...given);
      const works = { ...buffer };
      // The same object, since runs look into it.
      return Object.assign(buffer, {
        read: async () => {
          await asked("read");
          return works.read();
        },
        write: (values: Float32Array) => {
          if (fault("write")) throw lost();
          works.write(values);
        },
      });
    },
    open: async (...given): Promise<Executable> => {
      await asked("open");
      const program = await cpu.open(...given);
      return {
        run: async (...call) => {
          await asked("run");
          return program.run(...call);
        },
        release: async () => {
          await asked("release");
          await program.release();
        },
      };
    },
  };
}

/** Opens one runtime for the rounds, and one that the conformance value is computed in. */
function gpu(fault: Fault, proving: Fault = () => undefined): Device {
  let opened = 0;
  return { ...devices.cpu, name: "gpu", open: (given) => openEngine(given, faulty(opened++ === 0 ? fault : proving)) };
}

/** From the first of these calls on, or once as many were made before. */
const from =
  (what: Asked, how: "fails" | "hangs", before = 0): Fault =>
  (asked) =>
    asked === what && before-- <= 0 ? how : undefined;
/** The first reading after a step. */
const afterSteps = (how: "fails" | "hangs"): Fault => {
  let trained = false;
  return (asked) => {
    trained ||= asked === "run";
    return trained && asked === "read" ? how : undefined;
  };
};
/** A device that fails in mid-round, and then at being closed. */
const twice = (how: "fails" | "hangs"): Fault => {
  const step = from("run", "fails", 1);
  return (asked) => (asked === "release" ? how : step(asked));
};

const none: Fault = () => undefined;
/** What is waited for is short where it hangs, and long where it works. */
const soon = { answer: 1_000, close: 200 };
const cases: readonly [string, boolean, Device, Partial<EngineLimits>][] = [
  ["while it is opened", false, gpu(from("open", "fails")), {}],
  ["while it is opened, and hangs", false, gpu(from("open", "hangs")), { conformance: 300 }],
  ["in the conformance proof", false, gpu(none, from("run", "fails")), {}],
  ["in the conformance proof, and hangs", false, gpu(none, from("run", "hangs")), { conformance: 3_000 }],
  ["while parameters are loaded", true, gpu(from("write", "fails")), {}],
  ["while the start is hashed", true, gpu(from("read", "fails")), {}],
  ["while the start is hashed, and hangs", true, gpu(from("read", "hangs")), soon],
  ["in mid-round", true, gpu(from("run", "fails", 2)), {}],
  ["in mid-round, and hangs", true, gpu(from("run", "hangs", 2)), { silence: 1_000 }],
  ["while parameters are read and hashed", true, gpu(afterSteps("fails")), {}],
  ["while parameters are read and hashed, and hangs", true, gpu(afterSteps("hangs")), soon],
  ["in mid-round, and cannot be closed", true, gpu(twice("fails")), {}],
  ["in mid-round, and hangs while it is closed", true, gpu(twice("hangs")), soon],
];

test.each(cases)(
  "a device that is lost %s: the worker leaves, says so, and the next device trains",
  async (_, joined, device, limits) => {
    await startEngineRun(8);
    const { openTrainer: _open, deviceClass, ...others } = modules({ openData: openAssignmentSteps });
    const left: number[] = [];
    const next = trainerOn(gpu(none));
    const end = await runOnDevices({ ...options(), threads: 1 }, others, [
      { name: "gpu", deviceClass, openTrainer: trainerOn(device, { ...ENGINE_LIMITS, ...limits }) },
      {
        name: "cpu",
        deviceClass,
        openTrainer: (input) => {
          left.push(w.double.left.length);
          return next(input);
        },
      },
    ]);
    expect(end.kind).toBe("dismissed");
    expect(of("deviceFailed")).toMatchObject([{ device: "gpu", next: "cpu", againIn: 4 }]);
    // The round was left before another device was opened; nothing of it was sent as if it were whole.
    expect(left).toEqual([joined ? 1 : 0]);
    expect(w.double.left).toEqual(joined ? [worker, worker] : [worker]);
    expect(w.double.receipts).toHaveLength(1);
  },
);

test.each(["fails", "hangs"] as const)("a device that is lost while it is closed after its work: %s", async (how) => {
  await startEngineRun(4);
  const { openTrainer: _, deviceClass, ...others } = modules({ openData: openAssignmentSteps });
  const openTrainer = trainerOn(gpu(from("release", how)), { ...ENGINE_LIMITS, close: 200 });
  const end = await runOnDevices({ ...options(), threads: 1 }, others, [
    { name: "gpu", deviceClass, openTrainer },
    { name: "cpu", deviceClass, openTrainer: trainerOn(gpu(none)) },
  ]);
  // What it did is done: nobody opens another device for it.
  expect(end.kind).toBe("dismissed");
  expect(w.double.receipts).toHaveLength(1);
  expect(of("deviceFailed")).toEqual([]);
});
