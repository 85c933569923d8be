/**
 * Programs that somebody might register to read a machine's files, fill its memory, or run what is no training: each is a
 * good step program with one thing changed. `canary` files lie where the programs point.
 */
import { onnx } from "onnx-proto";

import { buildPrograms, presets, readSignature } from "../../offchain/src/engine/index.ts";
import { loopOf } from "../../offchain/src/engine/loop.ts";
type Model = onnx.ModelProto;
type NodeInit = onnx.INodeProto;
const { model, microBatch } = presets["0.1m"];
export const goodPrograms = buildPrograms(model, { microBatch });

/** What the canary files hold; it must never appear in anything that leaves the machine. */
export const CANARY = "canary: passphrase of the wallet, 7c1f2a90";
export const CANARY_FILE = "passphrase";

export interface HostileProgram {
  readonly name: string;
  /** What the refusal says: another reason would mean that the attack itself went unnoticed. */
  readonly why: RegExp;
  readonly bytes: Uint8Array;
}

const FLOAT = 1;
const INT64 = 7;
const text = (value: string): Uint8Array => new TextEncoder().encode(value);

function changed(change: (model: Model, graph: onnx.GraphProto) => void): Uint8Array {
  const decoded = onnx.ModelProto.decode(goodPrograms.step.bytes);
  const graph = (decoded.graph = onnx.GraphProto.create(decoded.graph ?? {}));
  change(decoded, graph);
  return onnx.ModelProto.encode(decoded).finish();
}

const node = (op: string, inputs: string[], outputs: string[], rest: NodeInit = {}) =>
  new onnx.NodeProto({ opType: op, input: inputs, output: outputs, ...rest });
const ints = (name: string, values: number[]) =>
  new onnx.TensorProto({ name, dims: [values.length], dataType: INT64, int64Data: values });
const narrow = (name: string, value: number) =>
  new onnx.TensorProto({ name, dims: [1], dataType: 6, int32Data: [value] });
const repeated = (length: number, value: number): number[] => Array.from({ length }, () => value);
const floats = (name: string, dims: number[], values: number[]) =>
  new onnx.TensorProto({ name, dims, dataType: FLOAT, floatData: values });
const attribute = (name: string, type: keyof typeof onnx.AttributeProto.AttributeType, rest: object) =>
  new onnx.AttributeProto({ name, type: onnx.AttributeProto.AttributeType[type], ...rest });
const filledWith = (value: number) => ({ attribute: [attribute("value", "TENSOR", { t: floats("", [1], [value]) })] });
const castTo = (type: number) => ({ attribute: [attribute("to", "INT", { i: type })] });
const info = (name: string, elemType: number, sizes: (number | string)[]) =>
  new onnx.ValueInfoProto({
    name,
    type: {
      tensorType: {
        elemType,
        shape: { dim: sizes.map((size) => (typeof size === "string" ? { dimParam: size } : { dimValue: size })) },
      },
    },
  });

/** A tensor whose elements are the bytes of a file. */
const external = (name: string, location: string, elements: number, entries: Record<string, string> = {}) =>
  new onnx.TensorProto({
    name,
    dims: [elements],
    dataType: FLOAT,
    dataLocation: onnx.TensorProto.DataLocation.EXTERNAL,
    externalData: Object.entries({ location, offset: "0", length: String(4 * elements), ...entries }).map(
      ([key, value]) => ({ key, value }),
    ),
  });

/** Adds a node whose result nobody needs; a runtime computes, or folds, it all the same. */
const added = (init: (graph: onnx.GraphProto) => void): Uint8Array => changed((_, graph) => init(graph));

/** The first parameter's norm scale (48 values) grows by what the tensor `leak` holds. */
function leaking(graph: onnx.GraphProto, leak: InstanceType<typeof onnx.TensorProto>): void {
  graph.initializer.push(leak);
  const out = "next.model.norm.weight";
  const last = graph.node.find(({ output }) => output?.includes(out));
  if (!last?.output) throw new RangeError("the good program has no norm");
  last.output = ["honest"];
  graph.node.push(node("Pad", [leak.name ?? "", "pads"], ["padded"]), node("Add", ["honest", "padded"], [out]));
  graph.initializer.push(ints("pads", [0, model.width - Number(leak.dims?.[0] ?? 0)]));
}

const externals = (canaryPath: string): [string, Uint8Array][] =>
  [
    CANARY_FILE,
    `./${CANARY_FILE}`,
    `keys/${CANARY_FILE}`,
    `../${CANARY_FILE}`,
    `../../../../../../${canaryPath}`,
    canaryPath,
    `/proc/self/cwd/${CANARY_FILE}`,
    "/proc/self/environ",
    "*/_ORT_MEM_ADDR_/*",
  ].map((location) => [
    `external data at ${location.replace(canaryPath, "CANARY")}`,
    added((graph) => leaking(graph, external("leak", location, 10))),
  ]);

const body = (nodes: InstanceType<typeof onnx.NodeProto>[], rest: object = {}) =>
  new onnx.GraphProto({ name: "body", node: nodes, output: [info("out", FLOAT, [10])], ...rest });
const graphAttribute = (name: string, g: InstanceType<typeof onnx.GraphProto>) => attribute(name, "GRAPH", { g });

const yes = new onnx.TensorProto({ name: "yes", dims: [], dataType: 9, int32Data: [1] });
const start = floats("start", [10], repeated(10, 1));

function controlFlow(canaryPath: string): [string, Uint8Array][] {
  const leak = external("leak", canaryPath, 10);
  const reading = body([node("Identity", ["leak"], ["out"])], { initializer: [leak] });
  const loopBody = new onnx.GraphProto({
    name: "loop",
    node: [node("Identity", ["going"], ["on"]), node("Add", ["carried", "carried"], ["twice"])],
    input: [info("i", INT64, []), info("going", 9, []), info("carried", FLOAT, [10])],
    output: [info("on", 9, []), info("twice", FLOAT, [10])],
  });
  const { bytes } = goodPrograms.step;
  const fourSteps = onnx.ModelProto.decode(loopOf(bytes, readSignature(bytes, 2 ** 40)).bytes);
  for (const { type } of [...(fourSteps.graph?.input ?? []), ...(fourSteps.graph?.output ?? [])])
    for (const size of type?.tensorType?.shape?.dim ?? [])
      if (size.dimParam) Object.assign(size, { dimParam: null, dimValue: 4 });
  return [
    [
      "If whose branch has external data",
      added((graph) => {
        graph.initializer.push(yes);
        graph.node.push(
          node("If", ["yes"], ["chosen"], {
            attribute: [graphAttribute("then_branch", reading), graphAttribute("else_branch", reading)],
          }),
        );
      }),
    ],
    [
      "Loop that never ends",
      added((graph) => {
        const times = new onnx.TensorProto({ name: "times", dims: [], dataType: INT64, int64Data: [2 ** 52] });
        graph.initializer.push(times, yes, start);
        graph.node.push(
          node("Loop", ["times", "yes", "start"], ["end"], { attribute: [graphAttribute("body", loopBody)] }),
        );
      }),
    ],
    ["Loop of four steps, as the engine makes one for itself", onnx.ModelProto.encode(fourSteps).finish()],
    [
      "Scan",
      added((graph) => {
        graph.initializer.push(start);
        graph.node.push(
          node("Scan", ["start"], ["scanned"], {
            attribute: [attribute("num_scan_inputs", "INT", { i: 1 }), graphAttribute("body", loopBody)],
          }),
        );
      }),
    ],
    [
      "SequenceMap",
      added((graph) =>
        graph.node.push(node("SequenceMap", ["tokens"], ["mapped"], { attribute: [graphAttribute("body", reading)] })),
      ),
    ],
    [
      "a body where none belongs",
      added((graph) =>
        graph.node.push(node("Exp", ["loss"], ["more"], { attribute: [graphAttribute("body", reading)] })),
      ),
    ],
    [
      "graphs inside graphs",
      added((graph) => {
        let inner = body([node("Identity", ["learning_rate"], ["out"])]);
        for (let depth = 0; depth < 40; depth++)
          inner = body([node("If", ["learning_rate"], ["out"], { attribute: [graphAttribute("then_branch", inner)] })]);
        graph.node.push(node("If", ["loss"], ["x"], { attribute: [graphAttribute("then_branch", inner)] }));
      }),
    ],
  ];
}

/** What is of a size that a slice of a list gives. */
const filledSlice = [node("Slice", ["list", "from", "end"], ["sizes"]), node("ConstantOfShape", ["sizes"], ["filled"])];

const bombs = (): [string, Uint8Array][] => [
  [
    "a size that wraps around in the runtime",
    added((graph) => {
      graph.initializer.push(ints("list", [1 << 20, 1 << 20]), ints("from", [0]), ints("wide", [2 - 2 ** 32]));
      graph.node.push(node("Cast", ["wide"], ["narrow"], castTo(6)), node("Cast", ["narrow"], ["end"], castTo(INT64)));
      graph.node.push(...filledSlice);
    }),
  ],
  [
    "a number of 32 bits that is longer",
    added((graph) => {
      graph.initializer.push(ints("list", [1 << 20, 1 << 20]), narrow("from", 0), narrow("end", 2 - 2 ** 32));
      graph.node.push(...filledSlice);
    }),
  ],
  [
    "ConstantOfShape of 4 TiB",
    added((graph) => {
      graph.initializer.push(ints("huge", [1024, 1024, 1024, 1024]));
      graph.node.push(node("ConstantOfShape", ["huge"], ["filled"]));
    }),
  ],
  [
    "a division of whole numbers, which ends the process",
    added((graph) => {
      graph.initializer.push(ints("minus_one", [-1]));
      graph.node.push(node("Div", ["tokens", "minus_one"], ["quotient"]));
    }),
  ],
  [
    "ConstantOfShape with a negative size",
    added((graph) => {
      graph.initializer.push(ints("huge", [-1]));
      graph.node.push(node("ConstantOfShape", ["huge"], ["filled"]));
    }),
  ],
  [
    "Expand to 1 TiB",
    added((graph) => {
      graph.initializer.push(ints("huge", [2 ** 19, 2 ** 19]));
      graph.node.push(node("Expand", ["loss", "huge"], ["filled"]));
    }),
  ],
  [
    "Tile by 2^40",
    added((graph) => {
      graph.initializer.push(ints("huge", [2 ** 40]), floats("one", [1], [1]));
      graph.node.push(node("Tile", ["one", "huge"], ["filled"]));
    }),
  ],
  [
    "Concat that doubles 50 times",
    added((graph) => {
      graph.initializer.push(floats("double_0", [1], [1]));
      for (let i = 0; i < 50; i++)
        graph.node.push(
          node("Concat", [`double_${i}`, `double_${i}`], [`double_${i + 1}`], {
            attribute: [attribute("axis", "INT", { i: 0 })],
          }),
        );
    }),
  ],
  [
    "MatMul whose result does not fit",
    added((graph) => {
      graph.initializer.push(ints("tall", [2 ** 20, 1]), ints("wide", [1, 2 ** 20]));
      graph.node.push(
        node("ConstantOfShape", ["tall"], ["column"]),
        node("ConstantOfShape", ["wide"], ["line"]),
        node("MatMul", ["column", "line"], ["product"]),
      );
    }),
  ],
  [
    "OneHot of 2^40 classes",
    added((graph) => {
      graph.initializer.push(ints("depth", [2 ** 40]), floats("off_on", [2], [0, 1]));
      graph.node.push(node("OneHot", ["tokens", "depth", "off_on"], ["hot"]));
    }),
  ],
  [
    "a shape that is computed from data",
    added((graph) => graph.node.push(node("ConstantOfShape", ["tokens"], ["filled"]))),
  ],
  [
    "an input of 2^62 elements",
    added((graph) => {
      const dims = graph.input[0]?.type?.tensorType?.shape?.dim;
      if (dims?.[0]) dims[0].dimValue = 2 ** 52;
    }),
  ],
  [
    "more live values than any machine holds",
    added((graph) => {
      graph.initializer.push(ints("large", [2 ** 30]));
      const names = Array.from({ length: 1000 }, (_, i) => `large_${i}`);
      // Of different values: a runtime keeps equal ones once.
      for (const [i, name] of names.entries())
        graph.node.push(node("ConstantOfShape", ["large"], [name], filledWith(i)));
      graph.node.push(node("Sum", names, ["sum"]));
    }),
  ],
  [
    "50,000 nodes",
    added((graph) => {
      for (let i = 0; i < 50_000; i++) graph.node.push(node("Neg", [i === 0 ? "loss" : `n${i - 1}`], [`n${i}`]));
    }),
  ],
  ["65 MiB", added((graph) => graph.initializer.push(floats("zeros", [17 << 20], repeated(17 << 20, 0))))],
];

/** Whoever looks each of them up among all others looks for minutes. */
const manyEnds = (): [string, Uint8Array][] => [
  [
    "30,000 inputs, and as many outputs",
    added((graph) => {
      for (let i = 0; i < 30_000; i++) {
        graph.input.push(info(`in${i}`, FLOAT, []));
        graph.node.push(node("Neg", [`in${i}`], [`out${i}`]));
        graph.output.push(info(`out${i}`, FLOAT, []));
      }
    }),
  ],
];

/** ONNX Runtime runs operators of its own domain that no program imports, such as Gelu, a name of the standard ones too. */
const notImported = (): [string, Uint8Array][] =>
  ["EPContext", "Gelu"].map((op) => [
    `${op} of another domain that is not imported`,
    added((graph) => graph.node.push(node(op, ["loss"], ["more"], { domain: "com.microsoft" }))),
  ]);

const manyBodies = (): [string, Uint8Array][] => [
  [
    "65 graphs in one attribute",
    added((graph) => {
      graph.initializer.push(start);
      const graphs = Array.from({ length: 65 }, () => body([node("Neg", ["start"], ["out"])]));
      graph.node.push(node("If", ["loss"], ["more"], { attribute: [attribute("branches", "GRAPHS", { graphs })] }));
    }),
  ],
];

const foreignCode = (): [string, Uint8Array][] => [
  [
    "a function of its own",
    changed((decoded) => {
      const call = new onnx.FunctionProto({ name: "Evil", domain: "evil", input: ["x"], output: ["y"] });
      call.node.push(node("Identity", ["x"], ["y"]));
      decoded.functions.push(call);
    }),
  ],
  [
    "training information",
    changed((decoded) => void decoded.trainingInfo.push(new onnx.TrainingInfoProto({ algorithm: { name: "x" } }))),
  ],
  [
    "an operator of another domain",
    changed((decoded, graph) => {
      decoded.opsetImport.push(new onnx.OperatorSetIdProto({ domain: "com.microsoft", version: 1 }));
      graph.node.push(node("Gelu", ["loss"], ["more"], { domain: "com.microsoft" }));
    }),
  ],
  [
    "an operator set of another domain",
    changed(
      (decoded) => void decoded.opsetImport.push(new onnx.OperatorSetIdProto({ domain: "ai.onnx.ml", version: 3 })),
    ),
  ],
  [
    "two standard operator sets",
    changed(
      (decoded) => void decoded.opsetImport.push(new onnx.OperatorSetIdProto({ domain: "ai.onnx", version: 18 })),
    ),
  ],
  [
    "an operator set too old",
    changed((decoded) => void (decoded.opsetImport = [new onnx.OperatorSetIdProto({ domain: "", version: 7 })])),
  ],
  [
    "an operator set too new",
    changed((decoded) => void (decoded.opsetImport = [new onnx.OperatorSetIdProto({ domain: "", version: 99 })])),
  ],
  ["no operator set", changed((decoded) => void (decoded.opsetImport = []))],
  ["an IR version too new", changed((decoded) => void (decoded.irVersion = 99))],
  [
    "settings of the runtime among its metadata",
    changed(
      (decoded) =>
        void decoded.metadataProps.push(
          new onnx.StringStringEntryProto({ key: "ort_config", value: '{"session_options":{"enable_profiling":1}}' }),
        ),
    ),
  ],
  ["its signature twice", changed((decoded) => void decoded.metadataProps.push(...decoded.metadataProps))],
  ...[
    "RandomNormal",
    "ImageDecoder",
    "StringNormalizer",
    "RegexFullMatch",
    "Einsum",
    "ATen",
    "Optional",
    "MemcpyToHost",
  ].map((op): [string, Uint8Array] => [
    `the operator ${op}`,
    added((graph) => graph.node.push(node(op, ["loss"], ["more"]))),
  ]),
];

const malformed = (): [string, Uint8Array][] => [
  [
    "a sparse initializer",
    added(
      (graph) =>
        void graph.sparseInitializer.push(
          new onnx.SparseTensorProto({ dims: [2], values: floats("s", [1], [1]), indices: ints("", [0]) }),
        ),
    ),
  ],
  [
    "a segmented tensor",
    added((graph) => {
      const [first] = graph.initializer;
      if (first) first.segment = new onnx.TensorProto.Segment({ begin: 0, end: 1 });
    }),
  ],
  [
    "quantisation annotations",
    added((graph) => void graph.quantizationAnnotation.push(new onnx.TensorAnnotation({ tensorName: "loss" }))),
  ],
  [
    "texts in a tensor",
    added(
      (graph) =>
        void graph.initializer.push(
          new onnx.TensorProto({ name: "t", dims: [1], dataType: 8, stringData: [text("x")] }),
        ),
    ),
  ],
  [
    "a tensor with more elements than data",
    added(
      (graph) =>
        void graph.initializer.push(
          new onnx.TensorProto({ name: "t", dims: [64], dataType: FLOAT, rawData: new Uint8Array(8) }),
        ),
    ),
  ],
  [
    "a tensor with its data twice",
    added(
      (graph) =>
        void graph.initializer.push(
          new onnx.TensorProto({ name: "t", dims: [1], dataType: FLOAT, rawData: new Uint8Array(4), floatData: [1] }),
        ),
    ),
  ],
  ["a tensor with a negative size", added((graph) => void graph.initializer.push(floats("t", [-4], [])))],
  ["a tensor of 12 axes", added((graph) => void graph.initializer.push(floats("t", repeated(12, 1), [1])))],
  ["a dimension without a size", added((graph) => void graph.input.push(info("free", FLOAT, ["batch"])))],
  ["an input that nobody describes", added((graph) => void graph.input.push(info("free", FLOAT, [4])))],
  [
    "an output that nobody describes",
    added((graph) => {
      graph.node.push(node("Neg", ["loss"], ["more"]));
      graph.output.push(info("more", FLOAT, []));
    }),
  ],
  [
    "an output that claims another type",
    added((graph) => {
      const type = graph.output.find(({ name }) => name === "loss")?.type?.tensorType;
      if (type) type.elemType = INT64;
    }),
  ],
  [
    "an output that claims a smaller shape",
    added((graph) => {
      const dims = graph.output[0]?.type?.tensorType?.shape?.dim;
      if (dims?.[0]) dims[0].dimValue = 1;
    }),
  ],
  [
    "an input that is an initializer too",
    added((graph) => void graph.initializer.push(floats("learning_rate", [], [1]))),
  ],
  ["a value that is computed twice", added((graph) => graph.node.push(node("Neg", ["loss"], ["gradient_norm"])))],
  ["a value that is read before it is computed", added((graph) => graph.node.unshift(node("Neg", ["loss"], ["more"])))],
  ["a value described and never computed", added((graph) => void graph.valueInfo.push(info("nowhere", FLOAT, [1])))],
  ["an operand of another type", added((graph) => graph.node.push(node("Add", ["loss", "tokens"], ["more"])))],
  [
    "operands that do not broadcast",
    added((graph) => graph.node.push(node("Add", ["model.norm.weight", "tokens"], ["more"]))),
  ],
  [
    "an attribute that the operator does not have",
    added((graph) =>
      graph.node.push(node("Exp", ["loss"], ["more"], { attribute: [attribute("alpha", "FLOAT", { f: 1 })] })),
    ),
  ],
  [
    "an attribute of another type",
    added((graph) =>
      graph.node.push(
        node("Softmax", ["model.norm.weight"], ["more"], { attribute: [attribute("axis", "FLOAT", { f: 1 })] }),
      ),
    ),
  ],
  [
    "an attribute twice",
    added((graph) =>
      graph.node.push(
        node("Softmax", ["model.norm.weight"], ["more"], {
          attribute: [attribute("axis", "INT", { i: 0 }), attribute("axis", "INT", { i: 0 })],
        }),
      ),
    ),
  ],
  [
    "an attribute by reference",
    added((graph) =>
      graph.node.push(
        node("Softmax", ["model.norm.weight"], ["more"], {
          attribute: [attribute("axis", "INT", { refAttrName: "x" })],
        }),
      ),
    ),
  ],
  [
    "a scatter beyond its data",
    added((graph) => {
      graph.initializer.push(ints("axis0", [9]));
      graph.node.push(node("Concat", ["axis0", "axis0"], ["at"], { attribute: [attribute("axis", "INT", { i: 7 })] }));
    }),
  ],
];

/** Field `number` with a length-delimited value, appended to a message's bytes. */
const field = (number: number, value: Uint8Array): Uint8Array => {
  const tag = (number << 3) | 2;
  const varint = (n: number): number[] => (n < 128 ? [n] : [(n & 127) | 128, ...varint(n >>> 7)]);
  return Uint8Array.from([...varint(tag), ...varint(value.length), ...value]);
};
const joined = (...parts: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

function broken(): [string, Uint8Array][] {
  const good = goodPrograms.step.bytes;
  const graph = changed((decoded) => void (decoded.producerName = "x"));
  return [
    ["no bytes", new Uint8Array()],
    ["an unknown field", joined(good, field(99, text("x")))],
    ["a field of another wire type", joined(good, Uint8Array.from([(7 << 3) | 0, 1]))],
    ["a second graph that is merged into the first", joined(good, field(7, field(5, field(8, text("x")))))],
    ["a group", joined(good, Uint8Array.from([(50 << 3) | 3, (50 << 3) | 4]))],
    ["a number written longer than it is", joined(good, Uint8Array.from([(5 << 3) | 0, 0x81, 0x80, 0x00]))],
    ["a number that never ends", joined(good, new Uint8Array(64).fill(0xff))],
    ["a length beyond the end", joined(good, Uint8Array.from([(6 << 3) | 2, 0xff, 0xff, 0xff, 0x7f]))],
    ["a name that is no UTF-8", joined(good, Uint8Array.from([(14 << 3) | 2, 3, 10, 1, 0xff]))],
    ...[1, 7, 100, 4096].map((cut): [string, Uint8Array] => [`cut off by ${cut} bytes`, graph.subarray(0, -cut)]),
    [
      "graphs inside graphs' attributes",
      Array.from({ length: 2000 }).reduce<Uint8Array>(
        (inner) => field(7, field(1, field(5, field(6, inner)))).slice(0, 60_000),
        new Uint8Array(),
      ),
    ],
  ];
}

/** All of them. @param canaryPath absolute path of a canary file */
export function hostilePrograms(canaryPath: string): HostileProgram[] {
  const groups: [RegExp, [string, Uint8Array][]][] = [
    [/external data/, externals(canaryPath)],
    [/external data|operators?\b|nests/, controlFlow(canaryPath)],
    [
      /MiB of memory|more than 40000 nodes|bytes; 67108864|larger than (the )?67108864|size -1|must be a list|must be a constant|does not fit|too large/,
      bombs(),
    ],
    [/has \d+ inputs and outputs; 8192 are accepted/, manyEnds()],
    [/more than 64 subgraphs/, manyBodies()],
    [/is of the domain "com\.microsoft", not the standard one/, notImported()],
    [/functions|training information|standard one|version is|operator set|metadata|is not among those/, foreignCode()],
    [
      /sparse|segments|quantization|texts|elements|twice|axes|axis|size|described|said to be|before it|types|attribute|one int|functions/,
      malformed(),
    ],
    [/no graph|unknown field|wire type|two values|cut off|longer than|more than 10 bytes|64 bits|no UTF-8/, broken()],
  ];
  return groups.flatMap(([why, programs]) => programs.map(([name, bytes]) => ({ name, why, bytes })));
}

/** The good program with an If beside it: branches that are harmless, that read a file, that draw random numbers. */
export function conditionals(): Record<"good" | "external" | "random", Uint8Array> {
  const branching = (branch: onnx.GraphProto): Uint8Array =>
    added((graph) => {
      graph.initializer.push(yes, start);
      const attributes = [graphAttribute("then_branch", branch), graphAttribute("else_branch", branch)];
      graph.node.push(node("If", ["yes"], ["chosen"], { attribute: attributes }));
    });
  return {
    good: branching(body([node("Neg", ["start"], ["out"])])),
    external: branching(body([node("Neg", ["leak"], ["out"])], { initializer: [external("leak", CANARY_FILE, 10)] })),
    random: branching(body([node("RandomNormal", [], ["out"])])),
  };
}
