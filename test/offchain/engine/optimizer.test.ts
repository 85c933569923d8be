/** Optimizers in the graph against the same in twenty plain lines, and the schedules that feed them. */
import { readFileSync } from "node:fs";

import { describe, expect, test } from "vitest";

import {
  buildPrograms,
  conformance,
  EngineError,
  initialParameters,
  learningRateAt,
  readSignature,
  stateElements,
  tensorSpecs,
} from "../../../offchain/src/engine/index.ts";
import { defaultOptimizer, type OptimizerConfig } from "../../../offchain/src/engine/optimizer.ts";
import { openCpuEngine } from "../../../offchain/src/engine/runtime/node/cpu.ts";
import { type ProtocolVectors, vectorsPath } from "../../vectors/generate.ts";

const config = {
  vocabulary: 11,
  width: 8,
  layers: 1,
  heads: 2,
  keyValueHeads: 1,
  hidden: 12,
  sequence: 5,
  tiedEmbeddings: false,
  ropeTheta: 100,
  normEpsilon: 1e-5,
};
const tokens = Int32Array.from({ length: 2 * 6 }, (_, i) => (i * i) % 11);

/** What steps that clip nothing leave in their first moment, from zeros: gradients at given parameters. */
async function openGradients() {
  const { step } = buildPrograms(config, { microBatch: 2, optimizer: { ...defaultOptimizer, clipNorm: 1e9 } });
  const engine = await openCpuEngine({ programs: { step: step.bytes }, threads: 1 });
  return {
    close: () => engine.close(),
    at: async (parameters: readonly Float32Array[]): Promise<number[][]> => {
      await engine.setParameters(parameters);
      await engine.resetOptimizer();
      await engine.step({ tokens, learningRate: 0 });
      const { tensors } = await engine.optimizerState();
      return tensors
        .slice(0, parameters.length)
        .map(({ data }) => Array.from(data, (m) => m / (1 - defaultOptimizer.beta1)));
    },
  };
}

/** One step of one parameter by its clipped gradient, in doubles; `t` from 1. */
type Rule = (given: {
  name: string;
  shape: readonly number[];
  t: number;
  lr: number;
  theta: Float64Array;
  g: number[];
}) => void;

const zeros = (length: number): number[] => Array.from({ length }, () => 0);
const decayOf = (name: string, decay: number): number => (/norm|embed_tokens/.test(name) ? 0 : decay);
/** What a rule remembers of a parameter. */
function memory(): (name: string, length: number) => number[] {
  const kept = new Map<string, number[]>();
  return (name, length) => kept.get(name) ?? kept.set(name, zeros(length)).get(name)!;
}

/** Loshchilov and Hutter's Algorithm 2. */
function adamw({ beta1, beta2, epsilon, weightDecay }: Omit<typeof defaultOptimizer, "kind">): Rule {
  const [first, second] = [memory(), memory()];
  return ({ name, t, lr, theta, g }) => {
    const [m, v] = [first(name, g.length), second(name, g.length)];
    for (const [j, x] of g.entries()) {
      m[j] = beta1 * m[j]! + (1 - beta1) * x;
      v[j] = beta2 * v[j]! + (1 - beta2) * x * x;
      const corrected = m[j] / (1 - beta1 ** t) / (Math.sqrt(v[j] / (1 - beta2 ** t)) + epsilon);
      theta[j] = theta[j]! * (1 - lr * decayOf(name, weightDecay)) - lr * corrected;
    }
  };
}

/** torch.optim.SGD, its first step included: there is no buffer before it. */
function sgd({ momentum, nesterov, weightDecay }: { momentum: number; nesterov: boolean; weightDecay: number }): Rule {
  const buffers = new Map<string, number[]>();
  return ({ name, lr, theta, g }) => {
    const own = g.map((x, j) => x + decayOf(name, weightDecay) * theta[j]!);
    const before = buffers.get(name);
    const buffer = own.map((x, j) => (before ? momentum * before[j]! + x : x));
    buffers.set(name, buffer);
    for (const [j, x] of own.entries()) theta[j]! -= lr * (nesterov ? x + momentum * buffer[j]! : buffer[j]!);
  };
}

type Matrix = number[][];
const product = (a: Matrix, b: Matrix): Matrix =>
  a.map((row) => b[0]!.map((_, j) => row.reduce((sum, x, k) => sum + x * b[k]![j]!, 0)));
const turned = (a: Matrix): Matrix => a[0]!.map((_, j) => a.map((row) => row[j]!));
const combined = (...terms: [number, Matrix][]): Matrix =>
  terms[0]![1].map((row, i) => row.map((_, j) => terms.reduce((sum, [factor, x]) => sum + factor * x[i]![j]!, 0)));
const squares = (x: Matrix): number => x.flat().reduce((sum, y) => sum + y * y, 0);

/** Keller Jordan's zeropower_via_newtonschulz5: wide matrices as they are, tall ones transposed. */
function zeroPower(g: Matrix): Matrix {
  const tall = g.length > g[0]!.length;
  let x = combined([1 / (Math.sqrt(squares(g)) + 1e-7), tall ? turned(g) : g]);
  for (let i = 0; i < 5; i++) {
    const a = product(x, turned(x));
    x = combined([3.4445, x], [1, product(combined([-4.775, a], [2.0315, product(a, a)]), x)]);
  }
  return tall ? turned(x) : x;
}

/** His muon_update with Moonlight's scale; AdamW for what is no hidden matrix. */
function muon(config: { momentum: number } & Omit<typeof defaultOptimizer, "kind">): Rule {
  const [momenta, others] = [memory(), adamw(config)];
  return (given) => {
    const { name, shape, lr, theta, g } = given;
    if (/norm|embed_tokens|lm_head/.test(name)) return others(given);
    const buffer = momenta(name, g.length);
    for (const [j, x] of g.entries()) buffer[j] = config.momentum * buffer[j]! + (1 - config.momentum) * x;
    const ahead = g.map((x, j) => (1 - config.momentum) * x + config.momentum * buffer[j]!);
    const [rows = 0, columns = 0] = shape;
    const update = zeroPower(Array.from({ length: rows }, (_, i) => ahead.slice(i * columns, (i + 1) * columns)));
    for (const [j, x] of update.flat().entries())
      theta[j] = theta[j]! * (1 - lr * config.weightDecay) - lr * 0.2 * Math.sqrt(Math.max(rows, columns)) * x;
  };
}

/** Parameters after three steps of an optimizer that differ from what a rule makes of the same gradients. */
async function apart(optimizer: OptimizerConfig, rule: Rule): Promise<string[]> {
  const initial = initialParameters(config, 3).map((tensor) => ({ ...tensor, data: tensor.data.map((x) => x * 10) }));
  const source = await openGradients();
  const { step } = buildPrograms(config, { microBatch: 2, optimizer });
  const engine = await openCpuEngine({ programs: { step: step.bytes }, threads: 1 });
  await engine.setParameters(initial.map(({ data }) => data));
  const expected = initial.map(({ data }) => Float64Array.from(data));
  for (const [i, lr] of [1e-2, 3e-3, 1e-2].entries()) {
    const gradients = await source.at((await engine.parameters()).map(({ data }) => data));
    const norm = Math.sqrt(gradients.flat().reduce((sum, g) => sum + g * g, 0));
    const clip = Math.min(1, optimizer.clipNorm / (norm + 1e-6));
    for (const [j, { name, shape }] of initial.entries())
      rule({ name, shape, t: i + 1, lr, theta: expected[j]!, g: gradients[j]!.map((g) => g * clip) });
    await engine.step({ tokens, learningRate: lr });
  }
  const parameters = await engine.parameters();
  await engine.close();
  await source.close();
  return parameters
    .filter(({ data }, i) => data.some((x, j) => !(Math.abs(x - (expected[i]?.[j] ?? Number.NaN)) < 5e-5)))
    .map(({ name }) => name);
}

const { kind: _, ...adamConstants } = defaultOptimizer;
const sgdOf = (momentum: number, nesterov = false) =>
  ({ kind: "sgd", momentum, nesterov, weightDecay: 0.5, clipNorm: 1 }) as const;
const muonOptimizer = { kind: "muon", momentum: 0.95, ...adamConstants, epsilon: 1e-6, weightDecay: 0.5 } as const;

/** Names of the state that a step of the model has. */
const stateOf = (optimizer: OptimizerConfig): string[] =>
  readSignature(buildPrograms(config, { microBatch: 2, optimizer }).step.bytes, 2 ** 30).state.map(({ name }) => name);

describe("AdamW", () => {
  test.each([
    ["clipping always", 0.05],
    ["clipping never", 100],
  ])("%s", async (_, clipNorm) => {
    const optimizer = { ...defaultOptimizer, clipNorm, epsilon: 1e-6 };
    expect(await apart(optimizer, adamw(optimizer))).toEqual([]);
  });
});

describe("SGD", () => {
  test.each([
    ["with momentum", sgdOf(0.9)],
    ["with Nesterov's", sgdOf(0.9, true)],
    ["without", sgdOf(0)],
    ["clipping always", { ...sgdOf(0.9), clipNorm: 0.05 }],
  ])("%s", async (_, optimizer) => {
    expect(await apart(optimizer, sgd(optimizer))).toEqual([]);
  });
  test("holds one tensor for each parameter, and none without momentum", () => {
    expect(stateOf(sgdOf(0.9))).toEqual(tensorSpecs(config).map(({ name }) => `momentum.${name}`));
    expect(stateOf(sgdOf(0))).toEqual([]);
  });
});

describe("Muon", () => {
  test.each([
    ["clipping never", { ...muonOptimizer, clipNorm: 100 }],
    ["clipping always", { ...muonOptimizer, clipNorm: 0.05 }],
  ])("%s", async (_, optimizer) => {
    expect(await apart(optimizer, muon(optimizer))).toEqual([]);
  });
  test("holds one tensor for each hidden matrix, and AdamW's two for all else", () => {
    const names = tensorSpecs(config).map(({ name }) => name);
    const hidden = names.filter((name) => /layers.*_proj/.test(name));
    expect(hidden.length).toBe(7);
    const others = names.filter((name) => !hidden.includes(name));
    expect(stateOf(muonOptimizer)).toEqual([
      ...others.map((name) => `m.${name}`),
      ...others.map((name) => `v.${name}`),
      ...hidden.map((name) => `momentum.${name}`),
    ]);
  });
});

test.each([defaultOptimizer, sgdOf(0), sgdOf(0.9), muonOptimizer])("the state of $kind is counted", (optimizer) => {
  const { step } = buildPrograms(config, { microBatch: 2, optimizer });
  const { state } = readSignature(step.bytes, 2 ** 30);
  const numbers = state.reduce((sum, { shape }) => sum + shape.reduce((product, size) => product * size), 0);
  expect(stateElements(optimizer, tensorSpecs(config))).toBe(numbers);
});

test.each([sgdOf(0.9, true), muonOptimizer])("$kind has the same bits on 1, 2, 3 and 7 threads", async (optimizer) => {
  // Wide enough that matrices, tall, wide and square ones, have more than one block of K.
  const wide = { ...config, width: 160, heads: 2, hidden: 240, sequence: 32, vocabulary: 32 };
  const { step } = buildPrograms(wide, { microBatch: 2, optimizer });
  const digests = new Set<string>();
  for (const threads of [1, 2, 3, 7]) digests.add(await conformance(openCpuEngine, step.bytes, threads));
  expect(digests.size).toBe(1);
});

describe("the learning rate", () => {
  const schedule = { kind: "warmup-constant", warmupSteps: 100, freshWarmupSteps: 10 } as const;
  test("rises with the run's step, then stays", () => {
    const rates = [0, 49, 99, 5000].map((globalStep) =>
      learningRateAt(schedule, 1, { globalStep, optimizerStep: 1000 }),
    );
    expect(rates).toEqual([0.01, 0.5, 1, 1]);
  });
  test("rises again for a fresh optimizer in a run that is long past its own warm-up", () => {
    const rates = [0, 4, 9, 10].map((optimizerStep) => learningRateAt(schedule, 2, { globalStep: 900, optimizerStep }));
    expect(rates).toEqual([0.2, 1, 2, 2]);
  });
  test("follows half a cosine from the end of the warm-up, then stays at its floor", () => {
    const cosine = { kind: "cosine", warmupSteps: 100, freshWarmupSteps: 0, steps: 1100, floor: 0.1 } as const;
    const rateAt = (globalStep: number) => learningRateAt(cosine, 1, { globalStep, optimizerStep: globalStep });
    expect([49, 99, 100, 1100, 5000].map(rateAt)).toEqual([0.5, 1, 1, 0.1, 0.1]);
    for (let step = 100; step <= 1100; step += 25)
      expect(rateAt(step)).toBeCloseTo(0.1 + 0.9 * 0.5 * (1 + Math.cos((Math.PI * (step - 100)) / 1000)), 14);
    // What ends before its warm-up does is at its floor from then on.
    const short = { ...cosine, steps: 50 };
    expect(learningRateAt(short, 1, { globalStep: 49, optimizerStep: 0 })).toBe(0.5);
    expect(learningRateAt(short, 1, { globalStep: 99, optimizerStep: 0 })).toBe(0.1);
  });
  test("stays and falls in a straight line in its last steps", () => {
    const { freshWarmupSteps } = schedule;
    const fall = { kind: "warmup-stable-decay", warmupSteps: 4, freshWarmupSteps, steps: 1000, floor: 0 } as const;
    const rates = [0, 3, 799, 800, 900, 950, 999, 1000, 1001].map((globalStep) =>
      learningRateAt({ ...fall, decaySteps: 200 }, 1, { globalStep, optimizerStep: 1000 }),
    );
    expect(rates).toEqual([0.25, 1, 1, 1, 0.5, 0.25, 1 - 199 / 200, 0, 0]);
    // A fresh optimizer rises to where the run is.
    expect(learningRateAt({ ...fall, decaySteps: 200 }, 1, { globalStep: 900, optimizerStep: 4 })).toBe(0.25);
    // One that falls longer than it lasts has begun to fall before the run did.
    expect(learningRateAt({ ...fall, decaySteps: 2000 }, 1, { globalStep: 500, optimizerStep: 1000 })).toBe(0.25);
  });
  test("is what the protocol's vectors say", () => {
    const { schedules } = JSON.parse(readFileSync(vectorsPath, "utf8")) as ProtocolVectors;
    for (const { schedule: shape, innerLrPpb, cases } of schedules) {
      for (const { globalStep, optimizerStep, learningRate } of cases) {
        const clock = { globalStep: Number(globalStep), optimizerStep: Number(optimizerStep) };
        const rate = learningRateAt(shape, Number(innerLrPpb) / 1e9, clock);
        expect(Math.fround(rate), `${shape.kind} ${globalStep}`).toBe(Number(learningRate));
      }
    }
  });
  test("refuses what is no rate or step", () => {
    expect(() => learningRateAt(schedule, -1, { globalStep: 0, optimizerStep: 0 })).toThrow(EngineError);
    expect(() => learningRateAt(schedule, 1, { globalStep: Number.NaN, optimizerStep: 0 })).toThrow(/globalStep/);
  });
});
