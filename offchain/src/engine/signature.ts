/**
 * The documented signature of a program: how any ONNX graph tells the engine which input is what. It is JSON in the
 * model's metadata_props under `cotrain.signature`, so that a graph from elsewhere (exported from PyTorch, say) is
 * trained like one that the engine built. Shapes and types stand in the graph itself and are static.
 *
 * - `step`: parameters, optimizer state, tokens and scalars in; parameters, state, loss and gradient norm out.
 *   The inputs of parameters and state keep their order in `parameters` and `state`; that order is the order in which
 *   state is hashed. Tokens are int64 [B, S + 1]: sequences with the token that follows. All else is float32.
 * - `eval`: parameters and tokens [B, S + 1] in; the mean loss in nats per token out.
 * - `logits`: parameters and tokens [B, S] in; logits [B·S, V] or [B, S, V] out.
 */
import { type Static, Type } from "typebox";
import { Check, Errors } from "typebox/schema";

import { EngineError } from "./errors.ts";
import { readModel, type ModelOutline, type ValueOutline } from "./onnx.ts";

export const SIGNATURE_KEY = "cotrain.signature";

const closed = { additionalProperties: false };
const Name = Type.String({ minLength: 1, maxLength: 256 });

/** A tensor that a step reads as `input` and writes as `output`; `name` is what checkpoints call it. */
const Carried = Type.Object({ name: Name, input: Name, output: Name }, closed);
/** A float32 scalar input and what the runtime shall feed. */
const Scalar = Type.Union([
  Type.Object({ input: Name, feed: Type.Literal("learningRate") }, closed),
  /** The optimizer's own step, from 1. */
  Type.Object({ input: Name, feed: Type.Literal("optimizerStep") }, closed),
  /** 1 − beta^(optimizer's own step). */
  Type.Object(
    { input: Name, feed: Type.Literal("biasCorrection"), beta: Type.Number({ minimum: 0, exclusiveMaximum: 1 }) },
    closed,
  ),
]);

export const Signature = Type.Object(
  {
    version: Type.Literal(1),
    kind: Type.Union([Type.Literal("step"), Type.Literal("eval"), Type.Literal("logits")]),
    /** Tokens that the program knows: ids are below. */
    vocabulary: Type.Integer({ minimum: 2 }),
    tokens: Name,
    /** In eval and logits `output` equals `input`, and is not an output. */
    parameters: Type.Array(Carried, { minItems: 1 }),
    state: Type.Array(Carried),
    scalars: Type.Array(Scalar),
    /** step and eval: mean loss in nats per token. */
    loss: Type.Optional(Name),
    /** step: norm of the gradient before clipping. */
    gradientNorm: Type.Optional(Name),
    logits: Type.Optional(Name),
    /** Threads up to which the program's products are bit-exact; absent means nobody checked. */
    maxThreads: Type.Optional(Type.Integer({ minimum: 1 })),
  },
  closed,
);
export type Signature = Static<typeof Signature>;
export type ProgramKind = Signature["kind"];

/** A program's signature with the shapes of its graph. */
export interface ProgramOutline {
  readonly signature: Signature;
  /** Sequences and tokens of one call: shape of the tokens input. */
  readonly batch: number;
  readonly tokensPerSequence: number;
  readonly parameters: readonly { readonly name: string; readonly shape: readonly number[] }[];
  readonly state: readonly { readonly name: string; readonly shape: readonly number[] }[];
  readonly model: ModelOutline;
}

/**
 * Inspects a program and checks its signature against its graph: every entrance of programs leads through here.
 * @param memory bytes that the program may take
 * @throws EngineError PROGRAM_UNREADABLE, PROGRAM_FORBIDDEN, PROGRAM_TOO_LARGE, SIGNATURE_MISSING or SIGNATURE_INVALID
 */
export function readSignature(bytes: Uint8Array, memory: number): ProgramOutline {
  const model = readModel(bytes, memory);
  const text = model.metadata.get(SIGNATURE_KEY);
  if (text === undefined) {
    throw new EngineError("SIGNATURE_MISSING", `The program has no ${SIGNATURE_KEY} among its metadata.`);
  }
  const signature = parse(text);
  const { shape } = fixed(model.inputs, "input", signature.tokens, "int64");
  const [batch, tokensPerSequence] = shape;
  if (shape.length !== 2 || batch === undefined || tokensPerSequence === undefined)
    return refuse(`tokens must have two dimensions, not [${shape.join(", ")}]`);
  const parameters = carriedShapes(model, signature.kind, signature.parameters);
  const state = carriedShapes(model, signature.kind, signature.state);
  requireInputs(model, signature);
  requireOutputs(model, signature);
  return { signature, batch, tokensPerSequence, parameters, state, model };
}

/** Shapes of tensors that a step reads and writes: it changes none. */
function carriedShapes(model: ModelOutline, kind: ProgramKind, list: Signature["parameters"]) {
  return list.map(({ name, input, output }) => {
    const { shape } = fixed(model.inputs, "input", input, "float32");
    if (kind === "step" && fetched(model, output).shape.join() !== shape.join())
      refuse(`${name} changes its shape from input ${input} to output ${output}`);
    return { name, shape };
  });
}

/** Refuses a scalar that is none, and inputs of the graph that are described twice or not at all. */
function requireInputs(model: ModelOutline, { tokens, parameters, state, scalars }: Signature): void {
  for (const { input } of scalars)
    if (fixed(model.inputs, "input", input, "float32").elements !== 1) refuse(`${input} must be a scalar`);
  const known = [tokens, ...[...parameters, ...state, ...scalars].map((x) => x.input)];
  const described = new Set(known);
  for (const name of model.inputs.keys()) if (!described.has(name)) refuse(`input ${name} is not described`);
  if (described.size !== known.length) refuse("an input is described twice");
}

/** Where a signature names what a program computes. */
const RESULT = { step: "loss", eval: "loss", logits: "logits" } as const;

/** Refuses a program whose result is not there, and outputs of the graph that are not described. */
function requireOutputs(model: ModelOutline, signature: Signature): void {
  const { kind, parameters, state, gradientNorm } = signature;
  const result = signature[RESULT[kind]];
  if (result === undefined) refuse(`a ${kind} program must name its ${RESULT[kind]}`);
  else fetched(model, result);
  if (gradientNorm !== undefined) fetched(model, gradientNorm);
  const written = kind === "step" ? [...parameters, ...state].map((x) => x.output) : [];
  const described = new Set([...written, result, gradientNorm]);
  for (const name of model.outputs.keys()) if (!described.has(name)) refuse(`output ${name} is not described`);
}

const fetched = (model: ModelOutline, name: string): ValueOutline => fixed(model.outputs, "output", name, "float32");

function refuse(what: string): never {
  throw new EngineError("SIGNATURE_INVALID", `The program's signature does not fit: ${what}.`);
}

function parse(text: string): Signature {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new EngineError("SIGNATURE_INVALID", "The program's signature is no JSON.", { cause });
  }
  if (Check(Signature, value)) return value;
  const [, [first]] = Errors(Signature, value);
  return refuse(`${first?.instancePath || "it"} ${first?.message ?? "has another form"}`);
}

function fixed(
  values: ReadonlyMap<string, ValueOutline>,
  side: "input" | "output",
  name: string,
  type: "float32" | "int64",
): ValueOutline {
  const value = values.get(name);
  if (!value) return refuse(`the graph has no ${side} ${name}`);
  if (value.type !== type) refuse(`${side} ${name} must be ${type}`);
  if (value.shape.some((size) => size < 1)) refuse(`${side} ${name} must have a static shape`);
  return value;
}
