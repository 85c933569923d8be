/**
 * A step program as one that takes many inner steps in a call: an ONNX `Loop` whose body is the step's own graph. It is made here,
 * on the machine that runs it, out of a step that passed the inspection. So no second program is published, named by a build or
 * trusted, and the inspection goes on refusing whatever has a loop of its own.
 *
 * | in | out |
 * |---|---|
 * | how many steps, n | |
 * | parameters and state before the first step | the same after the last |
 * | tokens [n, B, S + 1], each scalar [n, …]: step i reads the i-th | loss and norm of the gradient [n, …] |
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  AttributeProto_AttributeType as Kind,
  type GraphProto,
  ModelProtoSchema,
  TensorProto_DataType as DataType,
} from "onnx-buf";

import type { Shape } from "./graph.ts";
import type { ProgramOutline, Signature } from "./signature.ts";

/** The most steps that one call takes, for which memory is counted. */
export const LOOP_STEPS = 128;

/** What the graph has beside the step's own names; none of which begins like these. */
export interface Loop {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** int64, one element: how many steps. */
  readonly steps: string;
  /** Input of a carried tensor, or of what each step is fed, by the step's name of it. */
  readonly inputOf: (name: string) => string;
  /** Output by the step's name of it. */
  readonly outputOf: (name: string) => string;
}

/** @param bytes of a step that was inspected, which read the same for every parser */
export function loopOf(bytes: Uint8Array, { signature, model }: ProgramOutline): Loop {
  const program = fromBinary(ModelProtoSchema, bytes);
  const step = program.graph!;
  const prefix = unlike(namesIn(step));
  const name = (part: string): string => `${prefix}${part}`;
  const [inputOf, outputOf] = [(of: string) => name(`in.${of}`), (of: string) => name(`out.${of}`)];
  const [steps, at, going, goesOn] = [name("steps"), name("at"), name("going"), name("goesOn")];
  const carried = [...signature.parameters, ...signature.state];
  const fed = fedTo(signature);
  const told = toldBy(signature);
  const shapeOf = (of: string): Shape => (model.inputs.get(of) ?? model.outputs.get(of))?.shape ?? [];
  const typeOf = (of: string): number => (of === signature.tokens ? DataType.INT64 : DataType.FLOAT);

  const body = {
    name: step.name,
    initializer: step.initializer,
    valueInfo: step.valueInfo,
    node: [
      ...fed.map((of) => ({
        name: name(`take.${of}`),
        opType: "Gather",
        input: [inputOf(of), at],
        output: [of],
        attribute: [{ name: "axis", type: Kind.INT, i: 0n }],
      })),
      ...step.node,
      { name: goesOn, opType: "Identity", input: [going], output: [goesOn] },
    ],
    input: [
      valueInfo(at, DataType.INT64, []),
      valueInfo(going, DataType.BOOL, []),
      ...carried.map(({ input }) => valueInfo(input, DataType.FLOAT, shapeOf(input))),
    ],
    output: [
      valueInfo(goesOn, DataType.BOOL, []),
      ...[...carried.map(({ output }) => output), ...told].map((of) => valueInfo(of, DataType.FLOAT, shapeOf(of))),
    ],
  };
  const graph = {
    name: "loop",
    node: [
      {
        name: name("loop"),
        opType: "Loop",
        // No condition of its own: it ends when all steps are taken.
        input: [steps, "", ...carried.map(({ input }) => inputOf(input))],
        output: [...carried.map(({ output }) => outputOf(output)), ...told.map(outputOf)],
        attribute: [{ name: "body", type: Kind.GRAPH, g: body }],
      },
    ],
    input: [
      valueInfo(steps, DataType.INT64, []),
      ...carried.map(({ input }) => valueInfo(inputOf(input), DataType.FLOAT, shapeOf(input))),
      ...fed.map((of) => valueInfo(inputOf(of), typeOf(of), [name("n"), ...shapeOf(of)])),
    ],
    output: [
      ...carried.map(({ output }) => valueInfo(outputOf(output), DataType.FLOAT, shapeOf(output))),
      ...told.map((of) => valueInfo(outputOf(of), DataType.FLOAT, [name("n"), ...shapeOf(of)])),
    ],
  };
  const { irVersion, opsetImport } = program;
  const loop = create(ModelProtoSchema, { irVersion, producerName: "cotrain", opsetImport, graph });
  return {
    bytes: new Uint8Array(toBinary(ModelProtoSchema, loop)),
    steps,
    inputOf,
    outputOf,
  };
}

/** Bytes that a call of {@link LOOP_STEPS} steps takes at the fullest moment. */
export function loopPeak({ signature, model }: ProgramOutline): number {
  const bytesOf = (names: readonly string[]): number =>
    names.reduce((sum, name) => {
      const { elements = 0, type } = model.inputs.get(name) ?? model.outputs.get(name) ?? {};
      return sum + elements * (type === "int64" ? 8 : 4);
    }, 0);
  const state = bytesOf([...signature.parameters, ...signature.state].map(({ input }) => input));
  // The step counts what it is given and what it hands out. Between the loop's own of these there are the state that the step before
  // left and that which the running one makes. What steps tell stays apart until the last, and is then there once more in one piece.
  return model.peak + 2 * state + LOOP_STEPS * (bytesOf(fedTo(signature)) + 2 * bytesOf(toldBy(signature)));
}

/** What each step is fed, beside what it has of the step before. */
const fedTo = ({ tokens, scalars }: Signature): string[] => [tokens, ...scalars.map(({ input }) => input)];

/** What each step tells of itself. */
export const toldBy = ({ loss, gradientNorm }: Signature): string[] => [
  ...new Set([loss, gradientNorm].filter((name) => name !== undefined)),
];

/** Every name of a value in a graph; an inspected one has no graphs inside. */
function namesIn({ node, input, initializer }: GraphProto): string[] {
  return [
    ...node.flatMap(({ input: reads, output }) => [...reads, ...output]),
    ...[...input, ...initializer].map((x) => x.name),
  ];
}

/** A beginning that none of these names has: in ONNX a body's names must differ from those around it. */
function unlike(names: readonly string[]): string {
  let prefix = "loop.";
  while (names.some((name) => name.startsWith(prefix))) prefix = `_${prefix}`;
  return prefix;
}

const valueInfo = (name: string, elemType: number, shape: readonly (number | string)[]) => ({
  name,
  type: {
    value: {
      case: "tensorType" as const,
      value: {
        elemType,
        shape: {
          dim: shape.map((size) => ({
            value:
              typeof size === "string"
                ? { case: "dimParam" as const, value: size }
                : { case: "dimValue" as const, value: BigInt(size) },
          })),
        },
      },
    },
  },
});
