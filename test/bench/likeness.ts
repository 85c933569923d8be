/**
 * How alike honest work is: the largest cosine of two pseudo-gradients of members that trained on data of their own, within a
 * round and from one round to the next. From `copyBps` on the screening takes one of two for a copy; honest work must stay below.
 */
import { defaultRunParams } from "@cotrain/sdk/protocol";
import { brownCorpus, loadTokenizer } from "../../offchain/src/data/node/index.ts";
import { outerOptimizerOf, pseudoGradient } from "../../offchain/src/diloco/index.ts";
import { buildPrograms, initialParameters, learningRateAt, presetOf } from "../../offchain/src/engine/index.ts";
import { defaultOptimizer, type OptimizerConfig } from "../../offchain/src/engine/optimizer.ts";
import { openEngineHost } from "../../offchain/src/engine/runtime/node/index.ts";
import { type BenchOptions, type Row } from "./report.ts";

const WORKERS = 3;
const four = (value: number): string => value.toFixed(4);
const ROUNDS = 3;
const STEPS = 16;
const { epsilon: _, beta1: __, beta2: ___, kind: ____, ...decayAndClipping } = defaultOptimizer;
export const optimizers: Readonly<Record<OptimizerConfig["kind"], OptimizerConfig>> = {
  adamw: defaultOptimizer,
  sgd: { ...decayAndClipping, kind: "sgd", momentum: 0.9, nesterov: true },
  muon: { ...defaultOptimizer, kind: "muon", momentum: 0.95 },
};

function cosine(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  let [ab, aa, bb] = [0, 0, 0];
  for (const [f, x] of a.entries()) {
    const y = b[f]!;
    for (let i = 0; i < x.length; i++) {
      ab += x[i]! * y[i]!;
      aa += x[i]! * x[i]!;
      bb += y[i]! * y[i]!;
    }
  }
  return ab / Math.sqrt(aa * bb);
}

async function textTokens(): Promise<Int32Array> {
  const tokenizer = await loadTokenizer();
  const ids: number[] = [];
  for await (const text of (await brownCorpus()).documents()) ids.push(...tokenizer.encode(text));
  return Int32Array.from(ids);
}

interface Case {
  readonly preset: string;
  readonly kind: OptimizerConfig["kind"];
  readonly accumulation: number;
  readonly rounds: number;
}

/** Rounds as a run has them, each member with an optimizer of its own. */
async function likenessOf(text: Int32Array, { preset, kind, accumulation, rounds }: Case) {
  const { model, microBatch, schedule } = presetOf(preset);
  const programs = buildPrograms(model, { microBatch, accumulation, optimizer: optimizers[kind] });
  const rowsPerStep = microBatch * accumulation;
  const width = model.sequence + 1;
  let at = 0;
  const next = (): Int32Array => {
    const size = STEPS * rowsPerStep * width;
    if (at + size > text.length) at = 0;
    return text.subarray(at, (at += size));
  };
  const theta = initialParameters(model, "likeness").map(({ data }) => Float32Array.from(data));
  const outer = outerOptimizerOf(defaultRunParams.outerOptimizer);
  const buffers = theta.map(({ length }) => outer.init(length));
  const engine = await openEngineHost({ programs: { step: programs.step.bytes }, threads: 1 });
  const stateOf = async () => {
    const { step, tensors } = await engine.optimizerState();
    return { step, tensors: tensors.map(({ data }) => data) };
  };
  const fresh = await stateOf();
  const states = Array.from({ length: WORKERS }, () => fresh);
  let before: Float32Array[][] = [];
  const found = { within: -1, across: -1, atEnd: -1 };
  for (let round = 0; round < rounds; round++) {
    const work: Float32Array[][] = [];
    for (let w = 0; w < WORKERS; w++) {
      await engine.setParameters(theta);
      await engine.setOptimizerState(states[w]!);
      const learningRate = Array.from({ length: STEPS }, (_, i) =>
        learningRateAt(schedule, defaultRunParams.innerLrPpb / 1e9, {
          globalStep: round * STEPS + i,
          optimizerStep: round * STEPS + i,
        }),
      );
      await engine.train({ tokens: next(), learningRate });
      states[w] = await stateOf();
      const local = (await engine.parameters()).map(({ data }) => data);
      work.push(theta.map((values, f) => pseudoGradient(values, local[f]!)));
    }
    const pairs = work.flatMap((a, i) => work.slice(i + 1).map((b) => cosine(a, b)));
    found.atEnd = Math.max(...pairs);
    found.within = Math.max(found.within, found.atEnd);
    found.across = Math.max(found.across, ...work.flatMap((a) => before.map((b) => cosine(a, b))));
    before = work;
    for (const [f, values] of theta.entries()) {
      const mean = new Float32Array(values.length);
      for (const one of work) for (let i = 0; i < mean.length; i++) mean[i]! += one[f]![i]! / WORKERS;
      outer.update(values, buffers[f]!, mean, { lrPpm: 700_000, momentumPpm: 700_000 });
    }
  }
  await engine.close();
  return found;
}

export async function benchmarkLikeness({ quick, note }: BenchOptions): Promise<Row[]> {
  const text = await textTokens();
  const rows: Row[] = [];
  for (const preset of quick ? ["0.1m"] : ["0.1m", "1m"]) {
    for (const kind of ["adamw", "sgd", "muon"] as const) {
      for (const accumulation of preset === "0.1m" ? [1, 8, 32] : [1]) {
        const what = `${preset}, ${kind}, rounds of ${STEPS} steps, ${accumulation * presetOf(preset).microBatch} sequences a step`;
        const found = await likenessOf(text, { preset, kind, accumulation, rounds: quick ? 2 : ROUNDS });
        const result = `≤ ${four(found.within)} in a round (${four(found.atEnd)} in the last), ≤ ${four(found.across)} to the round before`;
        note(`${what}: ${result}`);
        rows.push({ what: `${what}: cosine of honest work on different data`, result });
      }
    }
  }
  return rows;
}
