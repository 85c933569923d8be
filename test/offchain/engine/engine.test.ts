/** The engine as its callers see it: it trains, repeats itself bit by bit, refuses what does not fit. */
import ort from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";

import {
  buildPrograms,
  conformance,
  EngineClosedError,
  EngineError,
  generate,
  initialParameters,
  presets,
  type Engine,
  type OpenEngine,
} from "../../../offchain/src/engine/index.ts";
import { openEngineHost } from "../../../offchain/src/engine/runtime/node/index.ts";
import { openEngine } from "../../../offchain/src/engine/openEngine.ts";
import { openCpuEngine, sessionOptions } from "../../../offchain/src/engine/runtime/node/cpu.ts";
import { onnxRuntime } from "../../../offchain/src/engine/runtime/onnxRuntime.ts";

const { model, microBatch } = presets["0.1m"];
const programs = buildPrograms(model, { microBatch });
const bytes = { step: programs.step.bytes, eval: programs.eval.bytes, logits: programs.logits.bytes };
const rows = microBatch * (model.sequence + 1);

/** Tokens with something to learn: each follows from the one before it. */
const sequence = (length: number, start = 3): Int32Array => {
  const tokens = new Int32Array(length);
  let token = start;
  for (let i = 0; i < length; i++) {
    tokens[i] = token;
    token = (token * 5 + 17) % 97;
  }
  return tokens;
};

const values = initialParameters(model, 7).map(({ data }) => data);

async function trained(open: OpenEngine, threads: number, steps = 4): Promise<{ digest: string; losses: number[] }> {
  const engine = await open({ programs: bytes, threads });
  await engine.setParameters(values);
  const results = await engine.train({ tokens: sequence(steps * rows), learningRate: 3e-3 });
  const digest = await engine.stateDigest();
  await engine.close();
  return { digest, losses: results.map(({ loss }) => loss) };
}

describe("training", () => {
  test("the first loss is that of a uniform guess, and it falls", async () => {
    const { losses } = await trained(openCpuEngine, 1, 60);
    expect(Math.abs((losses[0] ?? 0) - Math.log(model.vocabulary))).toBeLessThan(0.1);
    expect(losses.at(-1)).toBeLessThan(2.5);
  });

  test("repeats, threads and the host's process give the same bits", async () => {
    const { digest } = await trained(openCpuEngine, 1);
    expect((await trained(openCpuEngine, 1)).digest).toBe(digest);
    expect((await trained(openCpuEngine, 2)).digest).toBe(digest);
    expect((await trained(openCpuEngine, 7)).digest).toBe(digest);
    expect((await trained(openEngineHost, 2)).digest).toBe(digest);
  });

  test("parameters are handed out by name, so that nobody has to hold all of them", async () => {
    const engine = await openEngineHost({ programs: bytes, threads: 1 });
    await engine.setParameters(values);
    const wanted = ["model.norm.weight", "model.layers.1.mlp.up_proj.weight", "nothing"];
    const all = await engine.parameters();
    expect(await engine.parameters(wanted)).toEqual(all.filter(({ name }) => wanted.includes(name)));
    await engine.close();
    const first = (name: string): boolean => name === wanted[1];
    expect(initialParameters(model, 7, first)).toEqual(initialParameters(model, 7).filter(({ name }) => first(name)));
  });

  test("a saved state goes on as the original does", async () => {
    const engine = await openCpuEngine({ programs: bytes, threads: 1 });
    await engine.setParameters(values);
    await engine.train({ tokens: sequence(2 * rows), learningRate: 1e-3 });
    const saved = await engine.save();
    const digest = await engine.stateDigest();
    const next = { tokens: sequence(rows, 5), learningRate: 1e-3 };
    const after = await engine.step(next);
    const end = await engine.stateDigest();
    expect(end).not.toBe(digest);

    const other = await openCpuEngine({ programs: { step: bytes.step }, threads: 1 });
    await other.restore(saved);
    expect(await other.stateDigest()).toBe(digest);
    expect(await other.step(next)).toEqual(after);
    expect(await other.stateDigest()).toBe(end);
    expect(await other.stateDigest([new Float32Array(3)])).not.toBe(end);
    await engine.close();
    await other.close();
  });

  test("a reset optimizer is a fresh one", async () => {
    const engine = await openCpuEngine({ programs: bytes, threads: 1 });
    await engine.setParameters(values);
    const fresh = await engine.stateDigest();
    await engine.step({ tokens: sequence(rows), learningRate: 1e-3 });
    expect((await engine.optimizerState()).step).toBe(1);
    await engine.resetOptimizer();
    await engine.setParameters(values);
    expect(await engine.stateDigest()).toBe(fresh);
    await engine.close();
  });

  test("conformance depends on the program alone, not on threads", async () => {
    const one = await conformance(openEngineHost, bytes.step, 1);
    expect(await conformance(openEngineHost, bytes.step, 2)).toBe(one);
    const other = buildPrograms(model, { microBatch: 2 });
    expect(await conformance(openEngineHost, other.step.bytes)).not.toBe(one);
  });
});

describe("evaluation and sampling", () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await openCpuEngine({ programs: bytes, threads: 1 });
    await engine.setParameters(values);
    await engine.train({ tokens: sequence(120 * rows), learningRate: 3e-3 });
  });
  afterAll(() => engine.close());

  test("evaluate gives the loss that a step begins with, for any parameters", async () => {
    const tokens = sequence(rows, 11);
    const before = await engine.evaluate({ tokens });
    expect(before.tokens).toBe(microBatch * model.sequence);
    const fresh = await engine.evaluate({ tokens, parameters: values });
    expect(fresh.loss).toBeGreaterThan(before.loss + 3);
    const saved = await engine.save();
    expect((await engine.step({ tokens, learningRate: 1e-3 })).loss).toBeCloseTo(before.loss, 5);
    await engine.restore(saved);
  });

  test("logits at a position do not depend on what follows", async () => {
    const long = await engine.logits(sequence(20));
    const short = await engine.logits(sequence(10));
    expect(long.subarray(0, 10 * model.vocabulary)).toEqual(short.subarray(0, 10 * model.vocabulary));
  });

  test("generate continues what was learnt, the same for the same seed", async () => {
    const continuation = async (temperature: number, seed: number): Promise<number[]> => {
      const tokens: number[] = [];
      const options = { engine, prompt: [...sequence(12)], maxTokens: 6, temperature, topK: 5, seed };
      for await (const token of generate(options)) tokens.push(token);
      return tokens;
    };
    expect(await continuation(0, 1)).toEqual([...sequence(18).subarray(12)]);
    expect(await continuation(1, 1)).toEqual(await continuation(1, 1));
  });
});

const code = async (call: Promise<unknown>): Promise<string> => {
  const error: unknown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return error instanceof EngineError ? error.code : String(error);
};

describe("refusals", () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await openEngineHost({ programs: bytes, threads: 1 });
    await engine.setParameters(values);
  });
  afterAll(() => engine.close());

  test("inputs that do not fit leave the state as it was", async () => {
    const digest = await engine.stateDigest();
    const tokens = sequence(rows);
    expect(await code(engine.step({ tokens: tokens.subarray(1), learningRate: 1e-3 }))).toBe("TOKENS_INVALID");
    expect(await code(engine.step({ tokens: tokens.map(() => 1024), learningRate: 1e-3 }))).toBe("TOKENS_INVALID");
    expect(await code(engine.step({ tokens: tokens.map(() => -1), learningRate: 1e-3 }))).toBe("TOKENS_INVALID");
    expect(await code(engine.step({ tokens, learningRate: Number.NaN }))).toBe("LEARNING_RATE_INVALID");
    expect(await code(engine.train({ tokens, learningRate: [1, 1] }))).toBe("LEARNING_RATE_INVALID");
    expect(await code(engine.setParameters(values.slice(1)))).toBe("STATE_INVALID");
    expect(await code(engine.setOptimizerState({ step: -1, tensors: [] }))).toBe("STATE_INVALID");
    const saved = await engine.save();
    const broken = { ...saved, optimizer: { step: 3, tensors: [] } };
    expect(await code(engine.restore(broken))).toBe("STATE_INVALID");
    const lacking = { parameters: saved.parameters.slice(1), optimizer: { ...saved.optimizer, step: 3 } };
    expect(await code(engine.restore(lacking))).toBe("STATE_INVALID");
    expect(await engine.stateDigest()).toBe(digest);
  });

  test("programs that are none, or do not belong together", async () => {
    const small = buildPrograms({ ...model, layers: 1 }, { microBatch });
    expect(await code(openCpuEngine({ programs: { step: new Uint8Array([1, 2]) }, threads: 1 }))).toBe(
      "PROGRAM_UNREADABLE",
    );
    expect(await code(openEngineHost({ programs: { step: bytes.eval }, threads: 1 }))).toBe("PROGRAMS_DIFFER");
    expect(await code(openCpuEngine({ programs: { ...bytes, eval: small.eval.bytes }, threads: 1 }))).toBe(
      "PROGRAMS_DIFFER",
    );
    expect(await code(openCpuEngine({ programs: bytes, threads: 0 }))).toBe("THREADS_INVALID");
    expect(await code(openCpuEngine({ programs: bytes, threads: 999 }))).toBe("THREADS_INVALID");
    expect(await code(openCpuEngine({ programs: {}, threads: 1 }))).toBe("PROGRAM_MISSING");
  });

  test("the host reports steps, stops when asked, leaves the event loop free, and ends", async () => {
    const host = await openEngineHost({ programs: bytes, threads: 1 });
    await host.setParameters(values);
    const controller = new AbortController();
    const seen: number[] = [];
    const results = await host.train(
      { tokens: sequence(1_000 * rows), learningRate: 1e-3 },
      {
        signal: controller.signal,
        progress: (done, newest) => {
          seen.push(...newest.map((_, i) => done - newest.length + i + 1));
          if (done >= 3) controller.abort();
        },
      },
    );
    expect(results.length).toBeGreaterThanOrEqual(3);
    expect(results.length).toBeLessThan(1_000);
    expect(seen).toEqual(results.map((_, i) => i + 1));
    await host.close();
    await host.close();
    await expect(host.parameters()).rejects.toBeInstanceOf(EngineClosedError);
  });
});

/** The CPU in this very process, as a page has its devices, and how many programs are open on it. */
function openHere() {
  const place = { ort, availableMemory: () => 2 ** 40, cpuTime: () => 0, writesInPlace: true, sessionOptions };
  const runtime = onnxRuntime(place);
  const here = { programs: 0, opened: 0 };
  const counting: typeof runtime = {
    ...runtime,
    open: async (...given) => {
      const executable = await runtime.open(...given);
      here.programs++;
      here.opened++;
      const release = (): Promise<void> => executable.release().finally(() => here.programs--);
      return { ...executable, release };
    },
  };
  return { here, open: (signal: AbortSignal) => openEngine({ programs: bytes, threads: 1, signal }, counting) };
}

describe("an engine without a process of its own", () => {
  test("ends by its signal: no step begins, calls reject, its programs are released", async () => {
    const { here, open } = openHere();
    const ending = new AbortController();
    const engine = await open(ending.signal);
    expect(here.programs).toBe(3);
    let done = 0;
    const training = engine.train(
      { tokens: sequence(1_000 * rows), learningRate: 1e-3 },
      { progress: (steps) => void ((done = steps) === 2 && ending.abort(new EngineClosedError("Enough."))) },
    );
    const digest = engine.stateDigest();
    await expect(training).rejects.toThrow("Enough.");
    await expect(digest).rejects.toBeInstanceOf(EngineClosedError);
    await expect(engine.parameters()).rejects.toBeInstanceOf(EngineClosedError);
    await engine.close();
    await vi.waitFor(() => expect(here.programs).toBe(0), { timeout: 30_000 });
    expect(done).toBe(2);
    await expect(open(ending.signal)).rejects.toThrow("Enough.");
  });

  test("what opens after the signal is released", async () => {
    const { here, open } = openHere();
    const ending = new AbortController();
    const opening = open(ending.signal);
    ending.abort();
    await expect(opening).rejects.toBeInstanceOf(EngineClosedError);
    await vi.waitFor(() => expect(here).toEqual({ programs: 0, opened: 3 }), { timeout: 30_000 });
  });
});
