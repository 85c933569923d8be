/** A device that hangs: its engine is ended, whatever it was asked, and whoever waits is told. */
import { describe, expect, onTestFinished, test, vi } from "vitest";

import { fragmentTable } from "@cotrain/sdk/protocol";

import { fragmentLayouts } from "../../../offchain/src/diloco/index.ts";
import {
  buildPrograms,
  defaultOptimizer,
  type Device,
  type Engine,
  EngineClosedError,
  presets,
  readSignature,
  tensorSpecs,
} from "../../../offchain/src/engine/index.ts";
import { devices } from "../../../offchain/src/engine/runtime/node/index.ts";
import { ENGINE_LIMITS } from "../../../offchain/src/engine/index.ts";
import { trainerOn, type TrainerInput } from "../../../offchain/src/worker/index.ts";

const { model, microBatch } = presets["0.1m"];
const { step } = buildPrograms(model, { microBatch });
const batch = microBatch * (model.sequence + 1);
const table = fragmentTable(tensorSpecs(model), 1);
const layouts = fragmentLayouts(table);

const definitionWith = (entries: typeof table) => ({
  model: { ...model },
  innerOptimizer: defaultOptimizer,
  sequence: model.sequence,
  table: entries,
});

const input = (signal: AbortSignal): TrainerInput =>
  ({
    description: { definition: definitionWith(table), layouts },
    build: { digest: "0x1", document: { microBatch } },
    program: step.bytes,
    threads: 1,
    signal,
  }) as unknown as TrainerInput;

/** Inner steps. */
const steps = (count: number) => ({
  tokens: new Uint16Array(count * batch),
  learningRates: Array.from({ length: count }, () => 1e-3),
});
const forever = new AbortController().signal;
const signals = { signal: forever, enough: forever };

const silent = () => new Promise<never>(() => undefined);

/** A device that answers these calls alone, and ends by no signal. */
const answering = (answers: Partial<Engine>): Device => ({
  ...devices.cpu,
  open: async () => {
    const calls = ["train", "setParameters", "stateDigest", "parameters", "resetOptimizer", "close"] as const;
    const shapes = { step: { batch: microBatch, tokensPerSequence: model.sequence + 1, vocabulary: model.vocabulary } };
    return {
      ...Object.fromEntries(calls.map((call) => [call, silent])),
      shapes,
      tensors: tensorSpecs(model),
      ...answers,
    } as unknown as Engine;
  },
});

const LIMITS = { silence: 50, answer: 50, close: 50, stop: 50, conformance: 60_000 };
const closed = { name: "EngineClosedError", message: "The engine gave no answer within 0.05 s." };

test("training gives way to what it shares the machine with; its conformance value, which is waited for, does not", async () => {
  const ways: (boolean | undefined)[] = [];
  const device: Device = {
    ...devices.cpu,
    open: (options) => {
      ways.push(options.givesWay);
      return devices.cpu.open(options);
    },
  };
  const trainer = await trainerOn(device)(input(forever));
  await trainer.conformance();
  await trainer.close();
  expect(ways).toEqual([true, undefined]);
});

test("threads are as many as were asked for, and no more than keep the program exact", async () => {
  const taken: number[] = [];
  const device: Device = {
    ...answering({}),
    threads: () => 5,
    open: (options) => {
      taken.push(options.threads);
      return answering({}).open(options);
    },
  };
  const { maxThreads } = readSignature(step.bytes, device.availableMemory()).signature;
  expect(maxThreads).toBeGreaterThan(5);
  for (const threads of [undefined, 3, maxThreads! + 1])
    await trainerOn(device, LIMITS)({ ...input(forever), threads });
  expect(taken).toEqual([5, 3, maxThreads]);
});

const unopenable = () => Promise.reject(new RangeError("It was opened."));

test.each([
  ["another name", () => table.with(0, { ...table[0]!, name: "another" })],
  ["another shape", () => table.with(0, { ...table[0]!, shape: table[0]!.shape.toReversed() })],
  ["another order", () => table.toReversed()],
  ["one more", () => [...table, table[0]!]],
])("a program whose parameters the definition has by %s is refused before a process starts", async (_, other) => {
  const given = { ...input(forever), description: { definition: definitionWith(other()), layouts } };
  await expect(trainerOn({ ...devices.cpu, open: unopenable })(given as unknown as TrainerInput)).rejects.toMatchObject(
    {
      code: "PROGRAM_UNFIT",
    },
  );
});

test("a program that takes fewer sequences than its build says is refused before a process starts", async () => {
  const document = { microBatch, accumulation: 1_024 };
  const given = { ...input(forever), build: { digest: "0x1", document } } as unknown as TrainerInput;
  await expect(trainerOn({ ...devices.cpu, open: unopenable })(given)).rejects.toMatchObject({
    code: "PROGRAM_UNFIT",
    message: expect.stringContaining("takes 4 sequences of 65 tokens where 4096 of 65 are due"),
  });
});

describe("an engine that is silent", () => {
  test.each(["train", "digest", "load", "parameters", "reset"] as const)("in %s is ended", async (call) => {
    // What takes no step is not given a training's time, nor a training that of others.
    const own = call === "train" ? { answer: 60_000 } : { silence: 60_000 };
    const trainer = await trainerOn(answering({}), { ...LIMITS, ...own })(input(forever));
    const calls = {
      train: () => trainer.train(steps(2), () => undefined, signals),
      digest: () => trainer.digest(layouts.map(({ elements }) => new Float32Array(elements))),
      load: () => trainer.load(layouts.map(({ elements }) => new Float32Array(elements))),
      parameters: () => trainer.parameters([]),
      reset: () => trainer.reset(),
    };
    await expect(calls[call]()).rejects.toMatchObject(closed);
    await expect(trainer.reset()).rejects.toMatchObject(closed);
    await trainer.close();
  });

  test("while it closes is ended, and is closed", async () => {
    const dead = answering({ close: () => Promise.reject(new EngineClosedError()) });
    for (const device of [answering({}), dead]) {
      const trainer = await trainerOn(device, LIMITS)(input(forever));
      await expect(trainer.close()).resolves.toBeUndefined();
    }
  });

  test("is ended while a conformance value is due, and at once where the worker is to stop", async () => {
    const trainer = await trainerOn(answering({}), { ...LIMITS, conformance: 50 })(input(forever));
    await expect(trainer.conformance()).rejects.toMatchObject(closed);
    // Or within what is left for opening and proving, where that is less.
    const late = await trainerOn(answering({}), { ...LIMITS, conformance: 2_000 })({ ...input(forever), patience: 50 });
    await expect(late.conformance()).rejects.toMatchObject({
      message: expect.stringMatching(/^The engine gave no answer within 0\.0\d+ s\.$/),
    });
    const stop = new AbortController();
    const patient = await trainerOn(answering({}), LIMITS)(input(stop.signal));
    const value = patient.conformance();
    stop.abort();
    await expect(value).rejects.toBeInstanceOf(EngineClosedError);
    const opening: Device = { ...devices.cpu, open: silent };
    await expect(trainerOn(opening, LIMITS)(input(stop.signal))).rejects.toBeInstanceOf(EngineClosedError);
  });

  test("is not one that tells of steps, however long a call takes", async () => {
    const result = { loss: 1, gradientNorm: 1 };
    const train: Engine["train"] = async ({ learningRate }, { progress } = {}) => {
      const results = (learningRate as number[]).map(() => result);
      for (let done = 1; done <= results.length; done++) {
        await new Promise((resolve) => setTimeout(resolve, 5));
        progress?.(done, [result]);
      }
      return results;
    };
    const trainer = await trainerOn(answering({ train }), LIMITS)(input(forever));
    // The first step is a call of its own, all others are the next.
    expect(await trainer.train(steps(30), () => undefined, signals)).toBe(30);
  });
});

describe("an engine that takes no steps, though nothing stops it", () => {
  const result = { loss: 1, gradientNorm: 1 };

  test.each([0, 3])("answering %s in place of one, fails, and is not asked again", async (length) => {
    let calls = 0;
    const train: Engine["train"] = async () => {
      calls += 1;
      if (calls > 100) throw new RangeError("It is asked for ever.");
      return Array.from({ length }, () => result);
    };
    const trainer = await trainerOn(answering({ train }), LIMITS)(input(forever));
    await expect(trainer.train(steps(2), () => undefined, signals)).rejects.toMatchObject({
      name: "RuntimeError",
      code: "ENGINE_ANSWER",
    });
    expect([calls, trainer.step]).toEqual([1, 0]);
  });

  test("and answers none because it is to stop, has done what it should", async () => {
    const enough = new AbortController();
    const train: Engine["train"] = async () => {
      enough.abort();
      return [];
    };
    const trainer = await trainerOn(answering({ train }), LIMITS)(input(forever));
    expect(await trainer.train(steps(2), () => undefined, { signal: forever, enough: enough.signal })).toBe(0);
  });

  test.each([
    ["the same one again and again", 1, 1, 1],
    ["none again and again", 0, 0, 0],
    ["more than it was asked for", 99, 99, 0],
    ["more results than steps", 1, 2, 0],
  ])("but tells of %s, is silent", async (_, done, results, heard) => {
    let telling: NodeJS.Timeout | undefined;
    const newest = Array.from({ length: results }, () => result);
    const train: Engine["train"] = (_input, { progress } = {}) => {
      telling = setInterval(() => progress?.(done, newest), 5);
      return silent();
    };
    const trainer = await trainerOn(answering({ train }), LIMITS)(input(forever));
    let told = 0;
    await expect(trainer.train(steps(2), () => (told += 1), signals)).rejects.toMatchObject(closed);
    clearInterval(telling);
    expect(told).toBe(heard);
  });
});

const nothing = async () => undefined;

/** What takes so long for each step, in simulated time, and tells of none before all are done. */
function stepsTaking(ms: number): Device {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const train: Engine["train"] = async ({ tokens }) => {
    const results = Array.from({ length: tokens.length / batch }, () => ({ loss: 1, gradientNorm: 1 }));
    await new Promise((resolve) => setTimeout(resolve, ms * results.length));
    return results;
  };
  return answering({ train, setParameters: nothing, close: nothing, stateDigest: async () => "0x" });
}
/** What a call answers once so much time has passed. */
const passing = async <T>(call: Promise<T>): Promise<T> => {
  const [answer] = await Promise.all([call, vi.advanceTimersByTimeAsync(10_000)]);
  return answer;
};

describe("an engine whose steps are slow is not lost", () => {
  test("once its conformance value has shown what one takes", async () => {
    const trainer = await trainerOn(stepsTaking(60), LIMITS)(input(forever));
    await passing(trainer.conformance());
    expect(await passing(trainer.train(steps(1), () => undefined, signals))).toBe(1);
  });

  test("once a step has shown it", async () => {
    const trainer = await trainerOn(stepsTaking(40), LIMITS)(input(forever));
    // All but the first in one call, which is silent for 400 ms.
    expect(await passing(trainer.train(steps(11), () => undefined, signals))).toBe(11);
  });
});

const having = (machine: number, own: number): Device => ({
  ...answering({}),
  availableMemory: () => machine,
  programMemory: async () => own,
});

test("a program is held against the memory where its tensors lie", async () => {
  await expect(trainerOn(having(1_000, 2 ** 34), LIMITS)(input(forever))).resolves.toBeDefined();
  await expect(trainerOn(having(2 ** 34, 1_000), LIMITS)(input(forever))).rejects.toMatchObject({
    code: "PROGRAM_TOO_LARGE",
  });
});

test("steps that nothing stops take a small part of the time that the round still waits", async () => {
  const counts: number[] = [];
  const train: Engine["train"] = async ({ learningRate }) => {
    counts.push((learningRate as number[]).length);
    return (learningRate as number[]).map(() => ({ loss: 1, gradientNorm: 1 }));
  };
  const device = { ...answering({ train }), blockMs: 60_000 };
  const trainer = await trainerOn(device, ENGINE_LIMITS)(input(forever));
  expect(await trainer.train(steps(30), () => undefined, signals)).toBe(30);
  expect(await trainer.train(steps(3), () => undefined, { ...signals, dueIn: () => 0 })).toBe(3);
  // The first step alone, since nobody knows what one takes; then all; then one by one.
  expect(counts).toEqual([1, 29, 1, 1, 1]);
});

test.each([
  ["webgpu", [1, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 4]],
  // Its state crosses with every call: 32 or more.
  ["cuda", [1, 50, 9]],
] as const)("on %s as many steps of 100 ms are handed over at once as are computed in one call", async (name, due) => {
  vi.useFakeTimers({ toFake: ["performance"] });
  onTestFinished(() => void vi.useRealTimers());
  const counts: number[] = [];
  const train: Engine["train"] = async ({ learningRate }) => {
    const rates = learningRate as number[];
    counts.push(rates.length);
    vi.advanceTimersByTime(100 * rates.length);
    return rates.map(() => ({ loss: 1, gradientNorm: 1 }));
  };
  const { blockMs }: Device = devices[name];
  const trainer = await trainerOn({ ...answering({ train }), blockMs }, ENGINE_LIMITS)(input(forever));
  expect(await trainer.train(steps(60), () => undefined, signals)).toBe(60);
  expect(counts).toEqual(due);
});

test.skipIf(process.platform === "win32")(
  "a process that stands still is killed: where it trains, and where it is to stop",
  async () => {
    for (const stops of [false, true]) {
      let pid = 0;
      const device: Device = {
        ...devices.cpu,
        open: async (options) => {
          const engine = await devices.cpu.open(options);
          pid = engine.pid ?? 0;
          return engine;
        },
      };
      const limits = { ...ENGINE_LIMITS };
      const trainer = await trainerOn(device, limits)(input(forever));
      await trainer.load(layouts.map(({ elements }) => new Float32Array(elements)));
      const stop = new AbortController();
      limits[stops ? "stop" : "silence"] = 100;
      process.kill(pid, "SIGSTOP");
      const training = trainer.train(steps(9), () => undefined, { signal: stop.signal, enough: forever });
      if (stops) stop.abort();
      await expect(training).rejects.toBeInstanceOf(EngineClosedError);
      await trainer.close();
      await expect.poll(() => isThere(pid)).toBe(false);
    }
  },
);

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
