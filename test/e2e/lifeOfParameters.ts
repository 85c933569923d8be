/**
 * Takes the parameters of 20m, 78 MB, through what happens to them in a round: an engine's step, its state saved and restored, the
 * payload of what was trained, and the next parameters out of it. Prints bytes of the parameters and the limit of this process's heap.
 * Started by heap.test.ts, which says why.
 */
import { getHeapStatistics } from "node:v8";

import { aggregatorCode, codecCode, outerOptimizerCode, weightingCode } from "@cotrain/sdk/protocol";

import {
  codecOf,
  outerOptimizerOf,
  pseudoGradient,
  reduceFragment,
  sourceOf,
} from "../../offchain/src/diloco/index.ts";
import { encodeInto } from "../../offchain/src/diloco/payload.ts";
import { buildPrograms, presetOf } from "../../offchain/src/engine/index.ts";
import { openCpuEngine } from "../../offchain/src/engine/runtime/node/cpu.ts";

const { model } = presetOf("20m");
const { step } = buildPrograms(model, { microBatch: 1 });
const engine = await openCpuEngine({ programs: { step: step.bytes }, threads: 2 });
const flat = engine.tensors.map(({ shape }) => new Float32Array(shape.reduce((product, size) => product * size, 1)));
for (const values of flat) for (let i = 0; i < values.length; i++) values[i] = (((i * 7_919) % 1_009) - 504) / 10_000;
await engine.setParameters(flat);
const { batch, tokensPerSequence } = engine.shapes.step!;
await engine.train({ tokens: new Int32Array(batch * tokensPerSequence).fill(7), learningRate: 1e-3 });
await engine.restore(await engine.save());
await engine.stateDigest(flat);
const trained = await engine.parameters();
await engine.close();

const codec = codecOf(codecCode["int8-b256"]);
const rules = {
  codec: codecCode["int8-b256"],
  weighting: weightingCode.tokens,
  aggregator: aggregatorCode.mean,
  outerOptimizer: outerOptimizerCode.nesterov,
  outerLrPpm: 700_000,
  outerMomentumPpm: 900_000,
  rampRounds: 0,
};
const optimizer = outerOptimizerOf(rules.outerOptimizer);
for (const [i, { data }] of trained.entries()) {
  const params = flat[i]!;
  const elements = params.length;
  const payload = new Uint8Array(codec.encodedLength(elements));
  const delta = pseudoGradient(params, data);
  encodeInto(payload, codec, { elements, start: 0, delta, residual: undefined });
  await reduceFragment({
    state: { params, outer: optimizer.init(elements) },
    payloads: [{ worker: `0x${"11".repeat(20)}`, tokens: 1, steps: 1, source: sourceOf(payload) }],
    rules,
    round: 0,
  });
}
const parameters = flat.reduce((sum, { byteLength }) => sum + byteLength, 0);
process.stdout.write(JSON.stringify({ parameters, heap: getHeapStatistics().heap_size_limit }));
