import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import {
  asDigest,
  asModelId,
  asRunId,
  canonicalJson,
  defaultScreening,
  type Definition,
  type Digest,
  type Build,
  type TensorEntry,
} from "@cotrain/sdk/protocol";
import { onTestFinished } from "vitest";

import { createRandom } from "../../../offchain/src/base/index.ts";
import {
  type BlobStore,
  bundleModel,
  type CheckpointFacts,
  type FragmentState,
  type Model,
  type ProgramRole,
} from "../../../offchain/src/storage/index.ts";
import { writeCheckpoint } from "./checkpoints.ts";
import { openBlobStore } from "../../../offchain/src/storage/node/index.ts";
import { contracts } from "../contracts.ts";

/** A directory that goes when the test ends. */
export async function temporaryDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "cotrain-storage-"));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

export async function temporaryStore(): Promise<{ root: string; store: BlobStore }> {
  const root = join(await temporaryDirectory(), "blobs");
  return { root, store: await openBlobStore(root) };
}

/** Everything that a stream yields; `out` has it also where the stream fails. */
export async function collect<T>(items: AsyncIterable<T>, out: T[] = []): Promise<T[]> {
  for await (const item of items) out.push(item);
  return out;
}

export const fileOf = (root: string, digest: Digest): string => join(root, digest.slice(2, 4), digest.slice(2));

export async function digestsIn(store: BlobStore): Promise<Digest[]> {
  return (await collect(store.list())).sort();
}

export const table: TensorEntry[] = [
  { name: "embedding", shape: [7, 3], fragment: 1 },
  { name: "layer0.w", shape: [5, 5], fragment: 0 },
  { name: "layer0.b", shape: [5], fragment: 0 },
  { name: "layer1.w", shape: [2, 2, 3], fragment: 1 },
];

export const facts: CheckpointFacts = {
  runId: asRunId(`0x${"12".repeat(32)}`),
  round: 3,
  step: 192,
  tokens: "196608",
  paramsVersion: 1,
  parent: `0x${"34".repeat(32)}`,
  receipts: `0x${"56".repeat(32)}`,
  screening: `0x${"57".repeat(32)}`,
};

export function fragmentStates(seed: string): FragmentState[] {
  const random = createRandom(seed);
  return [30, 33].map((elements) => ({
    params: Float32Array.from({ length: elements }, () => random.normal()),
    outer: Float32Array.from({ length: elements }, () => random.normal()),
  }));
}

/** A definition with the table of {@link table}. */
export const definitionOf = (tokenizer: Digest): Definition => ({
  version: 1,
  model: { layers: 2 },
  tokenizer,
  data: `0x${"9a".repeat(32)}`,
  innerOptimizer: { kind: "adamw", beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, clipNorm: 1 },
  schedule: { kind: "warmup-constant", warmupSteps: 1, freshWarmupSteps: 1 },
  sequence: 8,
  table: table.map(({ name, shape, fragment }) => ({ name, shape: [...shape], fragment })),
  initialParameters: `0x${"bc".repeat(32)}`,
  screening: defaultScreening,
});

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Stores all parts of a model; `change` tampers with its build, programs and tokenizer are texts unless they are given. */
export async function storedModel(
  store: BlobStore,
  change: Partial<Build> = {},
  programs: Partial<Record<ProgramRole, Uint8Array>> = {},
  tokenizerBytes: Uint8Array = utf8("a tokenizer"),
): Promise<Model> {
  const { digest: checkpoint } = await writeCheckpoint(store, table, fragmentStates("checkpoint"), facts);
  const { digest: tokenizer } = await store.put(tokenizerBytes);
  const graph = async (role: ProgramRole): Promise<Digest> => (await store.put(programs[role] ?? utf8(role))).digest;
  const { digest: definition } = await store.put(utf8(canonicalJson(definitionOf(tokenizer))));
  const build: Build = {
    version: 1,
    definition,
    graphs: { step: await graph("step"), eval: await graph("eval"), logits: await graph("logits") },
    microBatch: 1,
    precision: "fp32",
    runtime: "none",
    deviceClass: "none",
    segmentSteps: 32,
    conformance: asDigest(`0x${"ab".repeat(32)}`),
    ...change,
  };
  const { digest } = await store.put(utf8(canonicalJson(build)));
  const modelId = asModelId(`0x${"78".repeat(32)}`);
  const where = { chainId: 31_337, contracts, modelId, runId: asRunId(facts.runId) };
  return bundleModel(store, { ...where, checkpoint, build: digest });
}
