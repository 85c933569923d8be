/**
 * Products in fp16 for a runtime that has none. ONNX Runtime's CPU computes such products in fp32 and leaves out the rounding between
 * casts that it put in itself, so it shows nothing of fp16. Here factors and results are rounded by casts of their own, which it keeps.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { AttributeProto_AttributeType as Kind, ModelProtoSchema, NodeProtoSchema } from "onnx-buf";

import type { OpenEngine } from "../../../offchain/src/engine/index.ts";

const [FLOAT, FLOAT16] = [1n, 10n] as const;
const cast = (from: string, to: string, type: bigint) =>
  create(NodeProtoSchema, {
    name: to,
    opType: "Cast",
    input: [from],
    output: [to],
    attribute: [{ name: "to", type: Kind.INT, i: type }],
  });

/** The program with its products in fp16 between explicit casts. */
function rounding(program: Uint8Array): Uint8Array<ArrayBuffer> {
  const model = fromBinary(ModelProtoSchema, program);
  const graph = model.graph!;
  const halves = new Set<string>();
  graph.node = graph.node.flatMap((node) => {
    const to = node.attribute.find(({ name }) => name === "to")?.i;
    const half = node.opType === "Cast" ? to === FLOAT16 : node.input.some((name) => halves.has(name));
    if (half) for (const name of node.output) halves.add(name);
    if (!half || !["Gemm", "MatMul"].includes(node.opType)) return [node];
    const [result = ""] = node.output;
    const factors = node.input.map((name, i) => cast(name, `${result}.factor${i}`, FLOAT));
    const wide = `${result}.wide`;
    const product = { ...node, name: wide, input: factors.map(({ output }) => output[0]!), output: [wide] };
    return [...factors, product, cast(wide, result, FLOAT16)];
  });
  return new Uint8Array(toBinary(ModelProtoSchema, model));
}

/** Opens engines whose products in fp16 are rounded as such. */
export const openRounding =
  (open: OpenEngine): OpenEngine =>
  ({ programs, ...options }) =>
    open({
      ...options,
      programs: Object.fromEntries(Object.entries(programs).map(([kind, bytes]) => [kind, rounding(bytes)])),
    });
