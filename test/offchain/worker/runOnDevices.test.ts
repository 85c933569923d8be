/** A worker whose device fails: it leaves the round, another device takes its place, and it ends where there is none. */
import { describe, expect, test } from "vitest";

import type { UserError } from "../../../offchain/src/base/index.ts";
import { EngineClosedError, EngineError, RuntimeError } from "../../../offchain/src/engine/index.ts";
import { runOnDevices, type Trainer, type WorkerEnd } from "../../../offchain/src/worker/index.ts";
import { createRestingDevices } from "../../../offchain/src/worker/restingDevices.ts";
import type { WorkerDevice } from "../../../offchain/src/worker/workerDevice.ts";
import { createPlainTrainer } from "./fixture.ts";
import { beforeAndAfterEach, home, modules, of, options, start, until, w, worker } from "./workerHarness.ts";

beforeAndAfterEach();

const died = new EngineClosedError("The engine's process ended (SIGABRT).", {
  cause: "terminate called\nstd::bad_alloc\n",
});
const outOfMemory = new RuntimeError("RUNTIME_FAILED", "ONNX Runtime failed in the step program.", {
  cause: "Failed to allocate memory for requested buffer of size 8589934592\nat 0x7f",
});

/** A trainer that fails in the middle of its rounds, by number. */
function failing(rounds: readonly number[], error: Error): Trainer {
  const trainer = createPlainTrainer();
  let round = 0;
  const train = trainer.train.bind(trainer);
  return Object.assign(trainer, {
    train: async (...[steps, onSteps, limits]: Parameters<Trainer["train"]>) => {
      if (!rounds.includes(round++)) return train(steps, onSteps, limits);
      onSteps([{ loss: 4 }]);
      throw error;
    },
  });
}

/** By name what opens a trainer on a device, as often as the device is opened. */
function run(devices: Readonly<Record<string, () => Trainer>>): Promise<WorkerEnd> {
  const { openTrainer: _, deviceClass, ...others } = modules();
  return runOnDevices(
    options(),
    others,
    Object.entries(devices).map(([name, make]) => ({ name, deviceClass, openTrainer: async () => make() })),
  );
}

test("the next device takes the place of one that is lost, once the round was left", async () => {
  await start({ rounds: 10 });
  w.double.faults.dismissAfter = 3;
  const leftBefore: number[] = [];
  const end = await run({
    webgpu: () => failing([1], died),
    cpu: () => {
      leftBefore.push(w.double.left.length);
      return createPlainTrainer();
    },
  });
  expect(end).toMatchObject({ kind: "dismissed", rounds: 3, tokens: 3 * 8 * 2 * 16 });
  expect(of("deviceFailed")).toEqual([
    {
      type: "deviceFailed",
      device: "webgpu",
      reason: "The engine's process ended (SIGABRT): std::bad_alloc",
      raw: "terminate called\nstd::bad_alloc\n",
      next: "cpu",
      againIn: 4,
    },
  ]);
  // Nobody waited for it while another device was opened.
  expect(leftBefore).toEqual([1]);
  expect(w.double.left).toEqual([worker, worker]);
  expect(of("joined").map(({ again, device }) => [again, device])).toEqual([
    [false, "webgpu"],
    [true, "cpu"],
  ]);
});

test("a device that is lost is left all the same where it cannot be closed", async () => {
  await start({ rounds: 10 });
  w.double.faults.dismissAfter = 1;
  const stuck = new RuntimeError("RUNTIME_FAILED", "ONNX Runtime failed to release a buffer.");
  const webgpu = (): Trainer => Object.assign(failing([0], died), { close: () => Promise.reject(stuck) });
  expect(await run({ webgpu, cpu: createPlainTrainer })).toMatchObject({ kind: "dismissed", rounds: 1 });
  expect(of("deviceFailed")).toMatchObject([
    { device: "webgpu", next: "cpu", reason: expect.stringMatching(/SIGABRT/) },
  ]);
});

/** An answer may be late where a heartbeat told first that the round was over. */
const accepted = (): number => of("acknowledged").length + of("acknowledgedLate").length;

test("a device that was lost is tried again some rounds later, then twice as many, and says so", async () => {
  await start({ rounds: 40 });
  w.double.faults.dismissAfter = 20;
  const opened: number[] = [];
  // Lost after a round, lost anew at once, and well from then on.
  const faults = [[1], [0], []];
  const end = await run({
    webgpu: () => {
      opened.push(accepted());
      return failing(faults[opened.length - 1] ?? [], died);
    },
    cpu: createPlainTrainer,
  });
  expect(end).toMatchObject({ kind: "dismissed", rounds: 20 });
  const [first = 0, second = 0, third = 0] = opened;
  expect(opened).toHaveLength(3);
  expect([first, second >= 1 + 4, third >= second + 8]).toEqual([0, true, true]);
  expect(of("deviceFailed")).toMatchObject([
    { device: "webgpu", next: "cpu", againIn: 4 },
    { device: "webgpu", next: "cpu", againIn: 8 },
  ]);
  const again = { type: "device", device: "webgpu", why: "The device webgpu, which failed, is tried again." };
  expect(of("device")).toEqual([again, again]);
  // It went over between two rounds.
  expect(of("dropped").filter(({ code }) => code === "ABANDONED")).toEqual([]);
});

/** Closes each round that the worker drops. */
async function divergeUntil(isOver: () => boolean): Promise<void> {
  for (let open = 0; !isOver(); open++) {
    // Whoever joins anew in a round is assigned its work again: a round may be dropped twice.
    await until("the round is dropped", () => isOver() || of("dropped").some(({ round }) => round === open));
    if (!isOver()) await w.double.closeRound();
  }
}

const diverging = (): Trainer => Object.assign(createPlainTrainer(), { diverge: true });

test("a device whose losses are no numbers makes room for the next, and is tried again some rounds later", async () => {
  await start({ rounds: 30 });
  w.double.faults.dismissAfter = 6;
  const opened: number[] = [];
  const webgpu = (): Trainer => {
    opened.push(accepted());
    return opened.length === 1 ? diverging() : createPlainTrainer();
  };
  const ended = run({ webgpu, cpu: createPlainTrainer });
  await divergeUntil(() => of("deviceFailed").length > 0);
  await w.double.closeRound();
  expect(await ended).toMatchObject({ kind: "dismissed", rounds: 6 });
  expect(of("deviceFailed")).toMatchObject([
    { device: "webgpu", next: "cpu", againIn: 4, reason: expect.stringContaining("training diverged") },
  ]);
  expect(opened).toHaveLength(2);
  expect(opened[1]).toBeGreaterThanOrEqual(4);
});

test("losses that are no numbers on all devices are the run's own fault, and end the worker", async () => {
  await start({ rounds: 20 });
  let isOver = false;
  const ended = run({ webgpu: diverging, cpu: diverging })
    .catch((error: unknown) => error)
    .finally(() => (isOver = true));
  await divergeUntil(() => isOver);
  expect(await ended).toMatchObject({ code: "TRAINING_DIVERGED" });
  expect(of("deviceFailed")).toMatchObject([{ device: "webgpu", next: "cpu" }]);
});

const tooLarge = (details: Readonly<Record<string, number>>): EngineError =>
  new EngineError("PROGRAM_TOO_LARGE", "The program is too large.", { details });

test("a device that lacked memory is tried again, since who took it may give it back", async () => {
  await start({ rounds: 30 });
  w.double.faults.dismissAfter = 6;
  const faults = [tooLarge({ needed: 2, memory: 1 })];
  const webgpu = (): Trainer => {
    const error = faults.pop();
    if (error) throw error;
    return createPlainTrainer();
  };
  const large = throwing(tooLarge({}));
  expect(await run({ large, webgpu, cpu: createPlainTrainer })).toMatchObject({ rounds: 6 });
  // One whose program has too many nodes has them always.
  expect(of("deviceFailed").map(({ device, againIn }) => [device, againIn])).toEqual([
    ["large", undefined],
    ["webgpu", 4],
  ]);
  expect(of("device")).toMatchObject([{ device: "webgpu" }]);
});

describe("the rest of a device that was lost", () => {
  test("grows up to a bound, and begins anew once it trained for longer than it had rested", () => {
    const resting = createRestingDevices(2);
    const rests: number[] = [];
    let rounds = 0;
    for (let i = 0; i < 8; i++) {
      const rest = resting.failed(0, rounds, true).againIn!;
      rests.push(rest);
      expect(resting.first(rounds + rest - 1)).toBe(1);
      rounds += rest;
      expect(resting.first(rounds)).toBe(0);
    }
    expect(rests).toEqual([4, 8, 16, 32, 64, 128, 256, 256]);
    expect(resting.failed(0, rounds + 257, true)).toEqual({ againIn: 4, next: 1 });
  });

  test("keeps nobody from the devices between it and the last, and none that is unfit comes back", () => {
    const resting = createRestingDevices(3);
    expect(resting.failed(0, 0, true)).toEqual({ againIn: 4, next: 1 });
    expect(resting.failed(1, 0, false)).toEqual({ next: 2 });
    expect([resting.first(0), resting.first(4)]).toEqual([2, 0]);
    resting.failed(0, 4, false);
    expect(resting.first(1e9)).toBe(2);
  });
});

const throwing = (error: Error) => (): never => {
  throw error;
};

const missing = throwing(new EngineError("DEVICE_MISSING", "There is no GPU here."));

test("a device that is missing, or refuses the program, makes room for the next, and is an error where there is none", async () => {
  await start({ rounds: 10 });
  w.double.faults.dismissAfter = 1;
  expect(await run({ webgpu: missing, cpu: createPlainTrainer })).toMatchObject({ rounds: 1 });
  expect(of("deviceFailed")).toMatchObject([{ device: "webgpu", next: "cpu" }]);
  await expect(run({ webgpu: missing })).rejects.toMatchObject({ code: "DEVICE_MISSING" });
});

test("where none of several trains, each says why", async () => {
  await start({ rounds: 10 });
  const cuda = throwing(new EngineError("DEVICE_MISSING", "ONNX Runtime's libraries for CUDA are not installed."));
  await expect(run({ cuda, webgpu: missing })).rejects.toMatchObject({
    code: "DEVICE_MISSING",
    message:
      "None of these devices can train. cuda: ONNX Runtime's libraries for CUDA are not installed. webgpu: There is no GPU here.",
  });
  expect(of("deviceFailed")).toMatchObject([{ device: "cuda", next: "webgpu" }]);
});

test("what a runtime says of its own source is for the log, and a long line ends with a word", async () => {
  await start({ rounds: 10 });
  w.double.faults.dismissAfter = 1;
  const source =
    "/onnxruntime_src/onnxruntime/core/providers/webgpu/webgpu_context.cc:136 void onnxruntime::Initialize()";
  const long = `Out of ${"memory ".repeat(40)}`;
  const devices = {
    webgpu: throwing(
      new EngineError("DEVICE_MISSING", "There is no GPU here.", { cause: `Failed to get it: ${source}` }),
    ),
    "cuda:1": throwing(new EngineError("PROGRAM_REFUSED", "It is refused.", { cause: `Status 1: ${source}` })),
    cuda: throwing(new EngineError("PROGRAM_REFUSED", "It is refused.", { cause: source })),
    wasm: throwing(new EngineError("PROGRAM_REFUSED", "It is refused.", { cause: long })),
    cpu: createPlainTrainer,
  };
  await run(devices);
  const told = of("deviceFailed");
  expect(told.map(({ reason }) => reason)).toEqual([
    "There is no GPU here.",
    "It is refused: Status 1:",
    "It is refused.",
    expect.stringMatching(/^It is refused: Out of (memory )+…$/),
  ]);
  expect(told.map(({ raw }) => raw)).toEqual([`Failed to get it: ${source}`, `Status 1: ${source}`, source, long]);
});

const openTrainer = async (): Promise<Trainer> => createPlainTrainer();

test("a run that does not fit on one device goes on with the next that takes less; disk is the same for all", async () => {
  await start({ rounds: 10 });
  w.double.faults.dismissAfter = 1;
  const { deviceClass, ...others } = modules();
  const wasm = { name: "wasm", place: "wasm", deviceClass, openTrainer } as const;
  const cpu = { name: "cpu", place: "cpu", deviceClass, openTrainer } as const;
  const having = (devices: readonly WorkerDevice[], memory: number, disk = 1e12): Promise<WorkerEnd> => {
    const surroundings = { availableMemory: () => memory, freeDisk: () => Promise.resolve(disk) };
    return runOnDevices(options(), { ...others, home: home(surroundings) }, devices);
  };
  const short: unknown = await having([cpu], 1_000).catch((error: unknown) => error);
  expect(short).toMatchObject({ code: "MEMORY_SHORT", details: { needed: expect.any(Number) } });
  const { needed } = (short as UserError).details as { needed: number };
  await expect(having([wasm], needed)).rejects.toMatchObject({ code: "MEMORY_SHORT" });
  await expect(having([cpu, cpu], needed, 1)).rejects.toMatchObject({ code: "DISK_SHORT" });
  expect(of("deviceFailed")).toEqual([]);
  expect(await having([wasm, cpu], needed)).toMatchObject({ rounds: 1 });
  expect(of("deviceFailed")).toMatchObject([
    { device: "wasm", next: "cpu", reason: expect.stringMatching(/^This run needs about .* of memory/) },
  ]);
});

test("a run that does not fit a device's own memory goes on with the next", async () => {
  await start({ rounds: 10 });
  w.double.faults.dismissAfter = 1;
  const { deviceClass, ...others } = modules();
  const gpu = { name: "cuda", place: "cuda", deviceClass, openTrainer, ownMemory: async () => 1_000 } as const;
  const cpu = { name: "cpu", place: "cpu", deviceClass, openTrainer } as const;
  expect(await runOnDevices(options(), others, [gpu, cpu])).toMatchObject({ rounds: 1 });
  expect(of("deviceFailed")).toMatchObject([
    { device: "cuda", next: "cpu", reason: expect.stringMatching(/of the device's own memory/) },
  ]);
});

test("the only device is opened once again, as often as a round was accepted in between", async () => {
  await start({ rounds: 10 });
  w.double.faults.dismissAfter = 3;
  let opened = 0;
  const end = await run({
    cuda: () => {
      opened++;
      return failing([1], outOfMemory);
    },
  });
  expect(end).toMatchObject({ kind: "dismissed", rounds: 3 });
  expect(opened).toBe(3);
  const reason =
    "ONNX Runtime failed in the step program: Failed to allocate memory for requested buffer of size 8589934592";
  expect(of("deviceFailed")).toMatchObject([
    { next: "cuda", reason },
    { next: "cuda", reason },
  ]);
});

test("lost again before a round was accepted, it ends the worker in one sentence", async () => {
  await start({ rounds: 10 });
  let opened = 0;
  const ending = run({
    cuda: () => {
      opened++;
      return failing([0], died);
    },
  });
  await expect(ending).rejects.toMatchObject({
    code: "DEVICE_LOST",
    message: expect.stringMatching(/^The device cuda was lost twice before a round was accepted: [^\n]*\.$/),
    retryable: false,
  });
  expect(opened).toBe(2);
  expect(of("deviceFailed").map(({ next }) => next)).toEqual(["cuda", null]);
  expect(w.double.left).toEqual([worker, worker]);
});
