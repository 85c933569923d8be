/** AdamW in the graph against AdamW in twenty plain lines, and the schedule that feeds it. */
import { describe, expect, test } from "vitest";

import { buildPrograms, EngineError, initialParameters, learningRateAt } from "../../../offchain/src/engine/index.ts";
import { defaultOptimizer } from "../../../offchain/src/engine/optimizer.ts";
import { openCpuEngine } from "../../../offchain/src/engine/runtime/node/cpu.ts";

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

/** Gradients at given parameters, read out of the first moment of a step that clips nothing. */
async function gradientsAt(parameters: readonly Float32Array[]): Promise<Float64Array[]> {
  const { step } = buildPrograms(config, { microBatch: 2, optimizer: { ...defaultOptimizer, clipNorm: 1e9 } });
  const engine = await openCpuEngine({ programs: { step: step.bytes }, threads: 1 });
  await engine.setParameters(parameters);
  await engine.step({ tokens, learningRate: 0 });
  const { tensors } = await engine.optimizerState();
  await engine.close();
  return tensors
    .slice(0, parameters.length)
    .map(({ data }) => Float64Array.from(data, (m) => m / (1 - defaultOptimizer.beta1)));
}

/** Loshchilov and Hutter's Algorithm 2 in doubles, after clipping by global norm. */
function reference(optimizer: typeof defaultOptimizer, names: readonly string[]) {
  const { beta1, beta2, epsilon, weightDecay, clipNorm } = optimizer;
  const moments = new Map<string, { m: number; v: number }>();
  return (t: number, lr: number, parameters: Float64Array[], gradients: Float64Array[]): void => {
    const norm = Math.sqrt(gradients.flatMap((g) => [...g]).reduce((sum, g) => sum + g * g, 0));
    const clip = Math.min(1, clipNorm / (norm + 1e-6));
    for (const [i, theta] of parameters.entries()) {
      const decay = /norm|embed_tokens/.test(names[i] ?? "") ? 0 : weightDecay;
      for (let j = 0; j < theta.length; j++) {
        const g = (gradients[i]?.[j] ?? 0) * clip;
        const old = moments.get(`${i} ${j}`) ?? { m: 0, v: 0 };
        const m = beta1 * old.m + (1 - beta1) * g;
        const v = beta2 * old.v + (1 - beta2) * g * g;
        moments.set(`${i} ${j}`, { m, v });
        const corrected = m / (1 - beta1 ** t) / (Math.sqrt(v / (1 - beta2 ** t)) + epsilon);
        theta[j] = (theta[j] ?? 0) * (1 - lr * decay) - lr * corrected;
      }
    }
  };
}

describe("AdamW", () => {
  test.each([
    ["clipping always", 0.05],
    ["clipping never", 100],
  ])("%s", async (_, clipNorm) => {
    const optimizer = { ...defaultOptimizer, clipNorm, epsilon: 1e-6 };
    const initial = initialParameters(config, 3).map((tensor) => ({ ...tensor, data: tensor.data.map((x) => x * 10) }));
    const { step } = buildPrograms(config, { microBatch: 2, optimizer });
    const engine = await openCpuEngine({ programs: { step: step.bytes }, threads: 1 });
    await engine.setParameters(initial.map(({ data }) => data));
    const expected = initial.map(({ data }) => Float64Array.from(data));
    const plain = reference(
      optimizer,
      initial.map(({ name }) => name),
    );
    for (const [i, learningRate] of [1e-2, 3e-3, 1e-2].entries()) {
      const before = (await engine.parameters()).map(({ data }) => data);
      plain(i + 1, learningRate, expected, await gradientsAt(before));
      await engine.step({ tokens, learningRate });
    }
    const apart = (await engine.parameters()).filter(({ data }, i) =>
      data.some((x, j) => !(Math.abs(x - (expected[i]?.[j] ?? Number.NaN)) < 5e-5)),
    );
    expect(apart.map(({ name }) => name)).toEqual([]);
    await engine.close();
  });
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
  test("refuses what is no rate or step", () => {
    expect(() => learningRateAt(schedule, -1, { globalStep: 0, optimizerStep: 0 })).toThrow(EngineError);
    expect(() => learningRateAt(schedule, 1, { globalStep: Number.NaN, optimizerStep: 0 })).toThrow(/globalStep/);
  });
});
