/** Every differentiable operation, and whole models, against finite differences. */
import { describe, expect, test } from "vitest";

import { createRandom } from "../../../offchain/src/base/index.ts";
import { buildPrograms, GraphError, tensorSpecs, type TransformerConfig } from "../../../offchain/src/engine/index.ts";
import { openCpuEngine } from "../../../offchain/src/engine/runtime/node/cpu.ts";
import { gradients } from "../../../offchain/src/engine/gradients.ts";
import {
  createGraph,
  elements,
  input,
  output,
  scalar,
  type Shape,
  type Tensor,
} from "../../../offchain/src/engine/graph.ts";
import * as op from "../../../offchain/src/engine/ops.ts";
import { defaultOptimizer } from "../../../offchain/src/engine/optimizer.ts";
import { rules } from "../../../offchain/src/engine/rules.ts";
import { compile, inner, norm, normal, type Values } from "./run.ts";

/** An operation on small operands: float inputs are differentiated, index inputs are ids below a bound. */
interface Case {
  readonly floats: readonly Shape[];
  readonly indices?: { readonly shape: Shape; readonly below: number };
  readonly build: (floats: readonly Tensor[], indices: Tensor) => Tensor;
}

const at = (tensors: readonly Tensor[], i: number): Tensor => {
  const tensor = tensors[i];
  if (!tensor) throw new RangeError(`operand ${i}`);
  return tensor;
};
const binary =
  (rule: (a: Tensor, b: Tensor) => Tensor): Case["build"] =>
  (x) =>
    rule(at(x, 0), at(x, 1));

/** At least one case per rule. The type makes a rule without a case an error, the first test as well. */
const cases: Readonly<Record<keyof typeof rules, readonly Case[]>> = {
  add: [
    {
      floats: [
        [3, 4],
        [3, 4],
      ],
      build: binary(rules.add),
    },
    {
      floats: [
        [2, 3, 4],
        [3, 1],
      ],
      build: binary(rules.add),
    },
  ],
  mul: [
    {
      floats: [
        [3, 4],
        [3, 4],
      ],
      build: binary(rules.mul),
    },
    {
      floats: [
        [1, 4],
        [3, 1],
      ],
      build: binary(rules.mul),
    },
  ],
  reshape: [
    { floats: [[3, 4]], build: (x) => rules.reshape(at(x, 0), [2, 6]) },
    { floats: [[3, 4]], build: (x) => rules.reshape(at(x, 0), [3, 4]) }, // nothing to do
  ],
  transpose: [{ floats: [[2, 3, 4]], build: (x) => rules.transpose(at(x, 0), [2, 0, 1]) }],
  linear: [
    {
      floats: [
        [5, 3],
        [4, 3],
      ],
      build: binary(rules.linear),
    },
    {
      floats: [
        [5, 3],
        [4, 3],
        [5, 4],
      ],
      build: (x) => rules.linear(at(x, 0), at(x, 1), at(x, 2)),
    },
    {
      floats: [
        [2, 130],
        [3, 130],
      ],
      build: binary(rules.linear),
    }, // forward by transposition
    {
      floats: [
        [2, 3],
        [130, 3],
      ],
      build: binary(rules.linear),
    }, // backward by transposition
  ],
  embedding: [
    {
      floats: [[5, 3]],
      indices: { shape: [8], below: 5 }, // with duplicates
      build: (x, tokens) => rules.embedding(at(x, 0), tokens),
    },
  ],
  rmsNorm: [{ floats: [[4, 6], [6]], build: (x) => rules.rmsNorm(at(x, 0), at(x, 1), 1e-5) }],
  rotary: [
    {
      floats: [[2, 3, 4]],
      build: (x) => {
        const { graph } = at(x, 0);
        return rules.rotary(at(x, 0), { cos: input(graph, "cos", [3, 4]), sin: input(graph, "sin", [3, 4]) });
      },
    },
  ],
  attention: [
    {
      floats: [
        [2, 2, 4, 3],
        [2, 2, 4, 3],
        [2, 2, 4, 3],
      ],
      build: (x) => rules.attention(at(x, 0), at(x, 1), at(x, 2)),
    },
    {
      floats: [
        [1, 2, 8, 2],
        [1, 2, 4, 2],
        [1, 2, 4, 2],
      ], // two query heads per key-value head
      build: (x) => rules.attention(at(x, 0), at(x, 1), at(x, 2)),
    },
  ],
  swiglu: [
    {
      floats: [
        [3, 5],
        [3, 5],
      ],
      build: binary(rules.swiglu),
    },
  ],
  crossEntropy: [
    {
      floats: [[6, 5]],
      indices: { shape: [6], below: 5 },
      build: (x, targets) => rules.crossEntropy(at(x, 0), targets),
    },
  ],
  dot: [
    {
      floats: [
        [3, 4],
        [3, 4],
      ],
      build: binary(rules.dot),
    },
  ],
};

const STEP = 1e-2;

/** Elements whose gradient is not the central difference of Σ result ⊙ weights. */
async function wrong(name: string, { floats, indices, build }: Case): Promise<string[]> {
  const graph = createGraph(name);
  const operands = floats.map((shape, i) => input(graph, `x${i}`, shape));
  const ids = input(graph, "ids", indices?.shape ?? [1], "int64");
  const result = build(operands, ids);
  const weights = input(graph, "weights", result.shape);
  const loss = rules.dot(result, weights);
  const found = gradients(loss, operands);
  output("loss", loss);
  for (const [i, gradient] of found.entries()) output(`g${i}`, op.mul(gradient, scalar(graph, 1))); // two operands may share one gradient;

  const random = createRandom(`${name} ids`);
  const values: Record<string, Float32Array | BigInt64Array> = Object.fromEntries(
    graph.inputs.map(({ name: key, shape }) => [key, normal(`${name} ${key}`, shape)]),
  );
  values["ids"] = BigInt64Array.from({ length: elements(indices?.shape ?? [1]) }, () =>
    BigInt(random.below(indices?.below ?? 1)),
  );
  const run = await compile(graph);
  const lossOf = async (changed: Values): Promise<number> =>
    (await run({ ...values, ...changed })).get("loss")?.[0] ?? Number.NaN;
  const results = await run(values);
  const failures: string[] = [];
  for (const [i, shape] of floats.entries()) {
    const gradient = results.get(`g${i}`) ?? new Float32Array();
    const scale = Math.max(1, norm(gradient));
    for (let j = 0; j < Math.min(elements(shape), 60); j++) {
      const moved = async (by: number): Promise<number> => {
        const data = Float32Array.from(values[`x${i}`] as Float32Array);
        data[j] = (data[j] ?? 0) + by;
        return lossOf({ [`x${i}`]: data });
      };
      const difference = ((await moved(STEP)) - (await moved(-STEP))) / (2 * STEP);
      if (!(Math.abs((gradient[j] ?? Number.NaN) - difference) < 3e-3 * scale)) {
        failures.push(`operand ${i}, element ${j}: ${gradient[j]}, not ${difference}`);
      }
    }
  }
  return failures;
}

describe("rules", () => {
  test("each rule has a case", () => {
    expect(Object.keys(cases).toSorted()).toEqual(Object.keys(rules).toSorted());
    for (const list of Object.values(cases)) expect(list.length).toBeGreaterThan(0);
  });
  test.each(Object.entries(cases))("%s", async (name, list) => {
    for (const one of list) expect(await wrong(name, one)).toEqual([]);
  });
});

describe("gradients", () => {
  test("add up where a value is used more than once, whoever adds", async () => {
    expect(await wrong("twice", { floats: [[3, 3]], build: ([x]) => (x ? rules.add(x, x) : at([], 0)) })).toEqual([]);
    expect(
      await wrong("shared", {
        floats: [
          [4, 3],
          [3, 3],
          [3, 3],
        ],
        build: (x) => {
          const [a, b] = [rules.linear(at(x, 0), at(x, 1)), rules.linear(at(x, 0), at(x, 2))];
          return rules.mul(rules.add(a, at(x, 0)), rules.swiglu(b, a));
        },
      }),
    ).toEqual([]);
    expect(
      await wrong("tied", {
        floats: [[5, 3]],
        indices: { shape: [6], below: 5 },
        build: (x, ids) => rules.linear(rules.embedding(at(x, 0), ids), at(x, 0)),
      }),
    ).toEqual([]);
    expect(
      await wrong("read again", {
        // the gradient of one product is read by two consumers and must not be added into
        floats: [
          [3, 3],
          [3, 3],
        ],
        build: (x) => {
          const sum = rules.add(at(x, 0), at(x, 1));
          return rules.add(rules.mul(at(x, 0), at(x, 1)), rules.linear(sum, at(x, 1)));
        },
      }),
    ).toEqual([]);
  });

  test("a loss that is no scalar, or does not depend on a parameter, is refused", () => {
    const graph = createGraph("refused");
    const [x, y] = [input(graph, "x", [2]), input(graph, "y", [2])];
    expect(() => gradients(x, [x])).toThrow(GraphError);
    expect(() => gradients(rules.dot(x, x), [y])).toThrow(/does not depend on y/);
  });
});

describe("the whole model", () => {
  const small: TransformerConfig = {
    vocabulary: 13,
    width: 8,
    layers: 2,
    heads: 2,
    keyValueHeads: 1,
    hidden: 12,
    sequence: 6,
    tiedEmbeddings: true,
    ropeTheta: 100,
    normEpsilon: 1e-5,
  };
  test.each([
    ["tied, grouped queries", small],
    ["untied, a head each", { ...small, tiedEmbeddings: false, keyValueHeads: 2 }],
  ])("%s", async (_, config) => {
    const optimizer = { ...defaultOptimizer, clipNorm: 1e9, weightDecay: 0 };
    const programs = buildPrograms(config, { microBatch: 3, optimizer });
    const engine = await openCpuEngine({
      programs: { step: programs.step.bytes, eval: programs.eval.bytes },
      threads: 1,
    });
    const specs = tensorSpecs(config);
    const parameters = specs.map(({ name, shape }) =>
      normal(name, shape, 0.5).map((x) => (shape.length === 1 ? 1 + x : x)),
    );
    const random = createRandom("tokens");
    const tokens = Int32Array.from({ length: 3 * (config.sequence + 1) }, () => random.below(config.vocabulary));
    await engine.setParameters(parameters);
    const { gradientNorm } = await engine.step({ tokens, learningRate: 0 });
    const moments = (await engine.optimizerState()).tensors; // m = (1 − β₁)·g after the first step
    const step = 2e-3; // curvature is strong in a whole model
    let squares = 0;
    const failures: string[] = [];
    for (const [i, { name, shape }] of specs.entries()) {
      const gradient = (moments[i]?.data ?? new Float32Array()).map((m) => m / (1 - optimizer.beta1));
      squares += inner(gradient, gradient);
      const random = normal(`direction ${name}`, shape);
      for (const direction of [gradient.map((x) => x / norm(gradient)), random.map((x) => x / norm(random))]) {
        const lossAt = async (by: number): Promise<number> => {
          const moved = parameters.map((data, j) =>
            i === j ? data.map((x, k) => x + by * (direction[k] ?? 0)) : data,
          );
          return (await engine.evaluate({ tokens, parameters: moved })).loss;
        };
        const difference = ((await lossAt(step)) - (await lossAt(-step))) / (2 * step);
        if (!(Math.abs(inner(gradient, direction) - difference) < 2e-3 + 1e-2 * norm(gradient))) failures.push(name);
      }
    }
    expect(failures).toEqual([]);
    expect(gradientNorm).toBeCloseTo(Math.sqrt(squares), 4);
    await engine.close();
  });
});
