/** Programs of any table of parameters that fit a build and its definition, and compute next to nothing: for runs that no engine trains. */
import { batchOf, type Build, type Definition, type Digest } from "@cotrain/sdk/protocol";

import { SIGNATURE_KEY } from "../../offchain/src/engine/index.ts";
import { createGraph, emit, input, output, type Tensor } from "../../offchain/src/engine/graph.ts";
import { writeModel } from "../../offchain/src/engine/onnx.ts";
import type { ProgramKind } from "../../offchain/src/engine/signature.ts";
import type { BlobStore } from "../../offchain/src/storage/index.ts";

/** A program for AdamW's two moments of each parameter. @param tokens shape of its tokens */
function tinyProgram(
  kind: ProgramKind,
  { table }: Pick<Definition, "table">,
  tokens: readonly [number, number],
  vocabulary = 40,
): Uint8Array<ArrayBuffer> {
  const graph = createGraph(kind);
  const kept = (name: string, shape: readonly number[]): Tensor => input(graph, name, shape);
  const parameters = table.map(({ name, shape }) => kept(name, shape));
  const moments =
    kind === "step" ? table.flatMap(({ name, shape }) => ["m", "v"].map((m) => kept(`${m}.${name}`, shape))) : [];
  const ids = input(graph, "tokens", tokens, "int64");
  const flat = emit(graph, "Cast", [ids], tokens, { to: 1 });
  if (kind === "logits") output("logits", emit(graph, "Identity", [flat], tokens));
  else output("loss", emit(graph, "ReduceMean", [flat], [], { keepdims: 0 }));
  if (kind === "step")
    for (const tensor of [...parameters, ...moments])
      output(`next.${tensor.name}`, emit(graph, "Identity", [tensor], tensor.shape));
  const carried = ({ name }: Tensor) => ({ name, input: name, output: kind === "step" ? `next.${name}` : name });
  const signature = {
    version: 1,
    kind,
    vocabulary,
    tokens: "tokens",
    parameters: parameters.map(carried),
    state: moments.map(carried),
    scalars: [],
    [kind === "logits" ? "logits" : "loss"]: kind === "logits" ? "logits" : "loss",
  };
  return writeModel(graph, { [SIGNATURE_KEY]: JSON.stringify(signature) });
}

/** Puts those of a build. */
export async function putTinyPrograms(
  store: Pick<BlobStore, "put">,
  build: Pick<Build, "microBatch" | "accumulation">,
  definition: Pick<Definition, "table" | "sequence"> & { readonly vocabulary?: number },
): Promise<Build["graphs"]> {
  const { sequence, vocabulary } = definition;
  const put = async (kind: ProgramKind, tokens: readonly [number, number]): Promise<Digest> =>
    (await store.put(tinyProgram(kind, definition, tokens, vocabulary))).digest;
  return {
    step: await put("step", [batchOf(build), sequence + 1]),
    eval: await put("eval", [build.microBatch, sequence + 1]),
    logits: await put("logits", [1, sequence]),
  };
}
