/**
 * The differentiable operations: each one is a short function that builds its forward nodes and says how a gradient
 * goes back through them. `rules` is the table of all; a model is written in these words alone, and a test runs every
 * entry against finite differences.
 *
 * T tokens of a batch (sequences × length), d model width, B sequences, S length, H heads, K key-value heads,
 * G = H / K query heads per key-value head, D head width, V vocabulary.
 */
import { GraphError } from "./errors.ts";
import { constant, describe, once, sameShape, scalar, type Shape, type Tensor } from "./graph.ts";
import * as op from "./ops.ts";

/** The result of one operation and the way back: dOutput → a gradient per input, undefined where none flows. */
interface Built {
  readonly output: Tensor;
  readonly backward: (gradient: Tensor) => readonly (Tensor | undefined)[];
}

type Differentiable<Arguments extends readonly unknown[]> = (...given: Arguments) => Tensor;

/** Wraps an operation so that every use of it is on its graph's tape. */
function rule<Arguments extends readonly unknown[]>(
  name: string,
  build: (...given: Arguments) => Built,
): Differentiable<Arguments> {
  return (...given) => {
    const inputs = given.filter(isTensor);
    const { output, backward } = build(...given);
    if (inputs.includes(output)) return output; // nothing was done, and going back through it would count twice
    output.graph.tape.push({ rule: name, inputs, output, backward });
    return output;
  };
}

const isTensor = (value: unknown): value is Tensor => typeof value === "object" && value !== null && "graph" in value;

/** Sums a gradient over the axes along which its operand was broadcast. */
function unbroadcast(gradient: Tensor, shape: Shape): Tensor {
  let sum = gradient;
  for (let axis = 0; axis < gradient.shape.length; axis++) {
    const size = shape[axis - gradient.shape.length + shape.length] ?? 1;
    if (size === 1 && gradient.shape[axis] !== 1) sum = op.reduceSum(sum, axis);
  }
  return op.reshape(sum, shape);
}

/** a + b, with broadcasting. */
const add = rule("add", (a: Tensor, b: Tensor) => ({
  output: op.add(a, b),
  backward: (g) => [unbroadcast(g, a.shape), unbroadcast(g, b.shape)],
}));

/** a ⊙ b, with broadcasting. */
const mul = rule("mul", (a: Tensor, b: Tensor) => ({
  output: op.mul(a, b),
  backward: (g) => [unbroadcast(op.mul(g, b), a.shape), unbroadcast(op.mul(g, a), b.shape)],
}));

/** The same elements in another shape. */
const reshape = rule("reshape", (x: Tensor, shape: Shape) => ({
  output: op.reshape(x, shape),
  backward: (g) => [op.reshape(g, x.shape)],
}));

/** Axis i of the result is axis permutation[i] of x. */
const transpose = rule("transpose", (x: Tensor, permutation: readonly number[]) => ({
  output: op.transpose(x, permutation),
  backward: (g) => [
    op.transpose(
      g,
      permutation.map((_, axis) => permutation.indexOf(axis)),
    ),
  ],
}));

/** x·Wᵀ (+ residual): x [T, in], W [out, in], residual [T, out] → [T, out]. The residual costs no pass of its own. */
const linear = rule("linear", (x: Tensor, weight: Tensor, residual?: Tensor) => ({
  output: op.modelGemm(x, weight, { transB: true, plus: residual }),
  backward: (g) => [
    op.modelGemm(g, weight), //                  dx [T, in]   = g·W
    op.modelGemm(g, x, { transA: true }), //     dW [out, in] = gᵀ·x
    ...(residual ? [g] : []),
  ],
}));

/**
 * Rows of table [V, d] by tokens [T] → [T, d]. Its gradient adds rows at equal tokens: on a processor one after the other. GPUs add them
 * as their threads come, and a step would have other bits every time; so in their programs, those with products in fp16, a product of
 * one-hot rows [T, V] adds them, in fp32, which has an order.
 */
const embedding = rule("embedding", (table: Tensor, tokens: Tensor) => ({
  output: op.gatherRows(table, tokens),
  backward: (g) => {
    if (table.graph.precision === "fp16") return [op.gemm(op.oneHot(tokens, table), g, { transA: true }), undefined];
    const rows = op.expand(op.reshape(tokens, [...tokens.shape, 1]), g.shape);
    return [op.scatterAdd(op.full(table, table.shape, 0), rows, g, 0), undefined];
  },
}));

/** x / √(mean x² + ε) ⊙ weight: x [T, d], weight [d] → [T, d]. https://arxiv.org/abs/1910.07467 */
const rmsNorm = rule("rmsNorm", (x: Tensor, weight: Tensor, epsilon: number) => {
  const meanSquare = op.reduceMean(op.mul(x, x), -1); //                                 [T, 1]
  const scale = op.reciprocal(op.sqrt(op.add(meanSquare, scalar(x.graph, epsilon)))); // [T, 1]
  const unit = op.mul(x, scale); //                                                      [T, d]
  return {
    output: op.mul(unit, weight),
    backward: (g) => {
      const along = op.mul(g, unit); //                                                  [T, d]
      const ofUnit = op.mul(g, weight); //                                               [T, d]
      const mean = op.reduceMean(op.mul(along, weight), -1); //                          [T, 1]
      return [op.mul(op.sub(ofUnit, op.mul(unit, mean)), scale), unbroadcast(along, weight.shape)];
    },
  };
});

export interface RotaryTables {
  /** cos and sin of position × frequency, [S, D], times the scale that the result shall have. */
  readonly cos: Tensor;
  readonly sin: Tensor;
}

/**
 * Rotary positions, x ⊙ cos + rotateHalf(x) ⊙ sin: x [.., S, D]. The halves are swapped by a product with a signed
 * permutation: exact, and cheaper than slicing and joining. https://arxiv.org/abs/2104.09864
 */
const rotary = rule("rotary", (x: Tensor, { cos, sin }: RotaryTables) => {
  const width = x.shape.at(-1) ?? 0;
  const half = width / 2;
  const turn = (sign: 1 | -1): Tensor =>
    once(x.graph, `turn ${width} ${sign}`, () => {
      const matrix = new Float32Array(width * width);
      for (let i = 0; i < half; i++) {
        matrix[(i + half) * width + i] = -sign; // result i        = −x[i + half]
        matrix[i * width + i + half] = sign; //    result i + half =  x[i]
      }
      return constant(x.graph, matrix, [width, width]);
    });
  return {
    output: op.add(op.mul(x, cos), op.mul(op.matMul(x, turn(1)), sin)),
    backward: (g) => [op.add(op.mul(g, cos), op.matMul(op.mul(g, sin), turn(-1)))],
  };
});

/** 0 where a query at row i may look at column j ≤ i, −10⁹ elsewhere: [S, S], folded into a constant when loaded. */
function causalMask(like: Tensor, length: number): Tensor {
  const positions = (...shape: Shape): Tensor =>
    once(like.graph, `positions ${shape.join()}`, () =>
      constant(
        like.graph,
        Float32Array.from({ length }, (_, i) => i),
        shape,
      ),
    );
  return op.mul(op.less(positions(length, 1), positions(1, length)), scalar(like.graph, -1e9));
}

/** exp(scores − their row's maximum) under the causal mask: scores [B, K, G·S, S] of S positions, of its shape. */
function attentionWeights(scores: Tensor): Tensor {
  const [batch = 0, heads = 0, rows = 0, length = 0] = scores.shape;
  const grouped = op.reshape(scores, [batch, heads, rows / length, length, length]);
  const masked = op.add(grouped, causalMask(scores, length));
  const shifted = op.sub(masked, op.reduceMax(masked, -1)); // a shift that softmax does not feel: no gradient
  return op.reshape(op.exp(shifted), scores.shape);
}

const product = (a: Tensor, b: Tensor): Tensor => op.widened(op.matMul(a, b));

/**
 * Attention with products in fp16. The softmax, in fp32, is normalised before the product with v, and its row sums go back in fp32:
 * both ways as `attention` has them, numbers would come near what fp16 has no more digits for.
 */
function halfAttention(q: Tensor, k: Tensor, v: Tensor): Built {
  const [q16, k16, v16] = [op.rounded(q), op.rounded(k), op.rounded(v)];
  const weights = attentionWeights(product(q16, op.swapLast(k16))); //                   [B, K, G·S, S]
  const softmax = op.mul(weights, op.reciprocal(op.reduceSum(weights, -1)));
  const output = product(op.rounded(softmax), v16); //                                   [B, K, G·S, D]
  return {
    output,
    backward: (g) => {
      const g16 = op.rounded(g);
      const mean = op.reduceSum(op.mul(g, output), -1); //                               [B, K, G·S, 1]
      const dScores = op.rounded(op.mul(op.sub(product(g16, op.swapLast(v16)), mean), softmax));
      return [
        product(dScores, k16), //                                                        [B, K, G·S, D]
        product(op.swapLast(dScores), q16), //                                           [B, K, S, D]
        product(op.swapLast(op.rounded(softmax)), g16), //                               [B, K, S, D]
      ];
    },
  };
}

/**
 * Causal grouped-query attention of scaled queries: q [B, K, G·S, D], k and v [B, K, S, D] → [B, K, G·S, D].
 * The softmax is decomposed, and normalised after the product with v, which is narrower than the scores by S / D;
 * its row sums go back through the product with v as one more column.
 */
const attention = rule("attention", (q: Tensor, k: Tensor, v: Tensor) => {
  if (q.graph.precision === "fp16") return halfAttention(q, k, v);
  const [batch = 0, heads = 0] = q.shape;
  const length = k.shape[2] ?? 0;
  const weights = attentionWeights(op.matMul(q, op.swapLast(k))); //                     [B, K, G·S, S]
  const share = op.reciprocal(op.reduceSum(weights, -1)); //                             [B, K, G·S, 1]
  const output = op.mul(op.matMul(weights, v), share);
  return {
    output,
    backward: (g) => {
      const dMixed = op.mul(g, share); //                                                [B, K, G·S, D]
      const dTotal = op.neg(op.reduceSum(op.mul(dMixed, output), -1)); //                [B, K, G·S, 1]
      const ones = op.full(v, [batch, heads, length, 1], 1);
      const dWeights = op.matMul(op.concat([dMixed, dTotal], -1), op.swapLast(op.concat([v, ones], -1)));
      const dScores = op.mul(dWeights, weights); //                                      [B, K, G·S, S]
      return [
        op.matMul(dScores, k), //                                                        [B, K, G·S, D]
        op.matMul(op.swapLast(dScores), q), //                                           [B, K, S, D]
        op.matMul(op.swapLast(weights), dMixed), //                                      [B, K, S, D]
      ];
    },
  };
});

/** gate ⊙ σ(gate) ⊙ up, of equal shapes. https://arxiv.org/abs/2002.05202 */
const swiglu = rule("swiglu", (gate: Tensor, up: Tensor) => {
  if (!sameShape(gate.shape, up.shape)) throw new GraphError(`swiglu needs equal shapes: ${describe([gate, up])}.`);
  const open = op.sigmoid(gate);
  const gated = op.mul(up, open); //           u·σ
  const output = op.mul(gate, gated); //   h = g·u·σ
  return {
    output,
    backward: (dh) => {
      const shut = op.sub(scalar(gate.graph, 1), open);
      const dGate = op.mul(dh, op.add(gated, op.mul(output, shut))); // dh·(u·σ + h·(1 − σ))
      const dUp = op.mul(dh, op.mul(gate, open)); //                    dh·g·σ
      return [dGate, dUp];
    },
  };
});

/** Mean of −log softmax(logits)[target], in nats: logits [T, V], targets [T] → a scalar. */
const crossEntropy = rule("crossEntropy", (logits: Tensor, targets: Tensor) => {
  const [tokens = 0] = logits.shape;
  const column = op.reshape(targets, [tokens, 1]);
  const shifted = op.sub(logits, op.reduceMax(logits, -1)); //                           [T, V]
  const weights = op.exp(shifted); //                                                    [T, V]
  const total = op.reduceSum(weights, -1); //                                            [T, 1]
  const losses = op.sub(op.log(total), op.gatherLast(shifted, column)); //               [T, 1]
  return {
    output: op.mul(op.sumAll(losses), scalar(logits.graph, 1 / tokens)),
    backward: (g) => {
      const share = op.mul(g, scalar(logits.graph, 1 / tokens)); //                      []
      const softmax = op.mul(weights, op.div(share, total)); //                          [T, V]
      const hits = op.expand(op.neg(share), [tokens, 1]);
      return [op.scatterAdd(softmax, column, hits, 1), undefined];
    },
  };
});

/** Σ x ⊙ weights, a scalar; turns any tensor into something whose gradient can be asked for. */
const dot = rule("dot", (x: Tensor, weights: Tensor) => ({
  output: op.sumAll(op.mul(x, weights)),
  backward: (g) => [op.mul(weights, g), op.mul(x, g)],
}));

/** Every differentiable operation by name. */
export const rules = {
  add,
  mul,
  reshape,
  transpose,
  linear,
  embedding,
  rmsNorm,
  rotary,
  attention,
  swiglu,
  crossEntropy,
  dot,
};
