/** A host whose engine is in a step that takes hours; it says the engine's process id and waits to be killed. */
import { openEngineHost } from "../../../offchain/src/engine/runtime/node/index.ts";
import { createGraph, input, output, scalar } from "../../../offchain/src/engine/graph.ts";
import { writeModel } from "../../../offchain/src/engine/onnx.ts";
import * as op from "../../../offchain/src/engine/ops.ts";
import { SIGNATURE_KEY } from "../../../offchain/src/engine/signature.ts";

const graph = createGraph("endless");
const weight = input(graph, "W", [1024, 1024]);
const tokens = input(graph, "tokens", [1, 2], "int64");
let product = weight;
for (let i = 0; i < 20_000; i++) product = op.matMul(product, weight);
const row = op.gatherRows(product, op.reshape(tokens, [2]));
output("loss", op.sumAll(row));
output("next", op.mul(weight, scalar(graph, 1)));
const signature = {
  version: 1,
  kind: "step",
  vocabulary: 2,
  tokens: "tokens",
  parameters: [{ name: "W", input: "W", output: "next" }],
  state: [],
  scalars: [],
  loss: "loss",
};
const program = writeModel(graph, { [SIGNATURE_KEY]: JSON.stringify(signature) });
const engine = await openEngineHost({ programs: { step: program }, threads: 1, memory: 2 ** 34 });
void engine.step({ tokens: Uint16Array.of(0, 1), learningRate: 0 }).catch(() => undefined);
process.stdout.write(`${engine.pid}\n`);
