/** Runs to work on in tests: one without any engine, whose trainer is plain arithmetic, and one that the engine trains. */
import {
  defaultScreening,
  type ContractAddresses,
  type RunContracts,
  type DataManifest,
  type Definition,
  type Digest,
  digestOfJson,
  fragmentTable,
  type Hex,
  type ModelId,
  type Build,
  type RunId,
  type TensorEntry,
  type WireRunParams,
  defaultRunParams,
  runParamsToWire,
} from "@cotrain/sdk/protocol";

import { bytesOf, createRandom, sha256Bytes, systemClock } from "../../../offchain/src/base/index.ts";
import { fragmentLayouts, gatherFragment, scatterFragment } from "../../../offchain/src/diloco/index.ts";
import {
  buildPrograms,
  conformance,
  initialParameters,
  type PresetName,
  presetOf,
  tensorSpecs,
} from "../../../offchain/src/engine/index.ts";
import { defaultOptimizer } from "../../../offchain/src/engine/optimizer.ts";
import { devices } from "../../../offchain/src/engine/runtime/node/index.ts";
import type { Recipe } from "../../../offchain/src/run/index.ts";
import { type BlobStore, type FragmentState, putDocument } from "../../../offchain/src/storage/index.ts";
import type { Residual, StepsOf, Trainer } from "../../../offchain/src/worker/index.ts";
import { contracts, modelContracts } from "../contracts.ts";

export interface RunFixture {
  readonly runId: RunId;
  readonly modelId: ModelId;
  readonly chainId: number;
  readonly contracts: ContractAddresses;
  readonly modelContracts: Pick<RunContracts, "shares" | "governor" | "timelock">;
  readonly params: WireRunParams;
  readonly definition: Definition;
  readonly definitionDigest: Digest;
  readonly build: Build;
  readonly buildDigest: Digest;
  readonly initial: FragmentState[];
}

const hash = (byte: string): Hex => `0x${byte.repeat(32)}`;

const params: WireRunParams = {
  ...runParamsToWire(defaultRunParams),
  innerSteps: 8,
  rampInnerSteps: 8,
  rampRounds: 0,
  innerLrPpb: 2_000_000,
  outerLrPpm: 1_000_000,
  outerMomentumPpm: 0,
  minWorkers: 1,
  maxWorkers: 16,
  roundDeadline: 60,
  codec: 1,
  aggregatorBps: 0,
};

/** How inner steps are taken, where not as usual. */
interface Taken extends Partial<Recipe> {
  /** Cosine from which on a payload is a copy. */
  readonly copyBps?: number;
}

/** What a fixture is made of beyond what all have in common. */
interface RunParts extends Taken {
  readonly model: Definition["model"];
  readonly table: readonly TensorEntry[];
  readonly sequence: number;
  readonly microBatch: number;
  readonly conformance: Hex;
  readonly programs: { readonly step: Uint8Array; readonly eval: Uint8Array; readonly logits: Uint8Array };
  readonly initial: FragmentState[];
  readonly data: DataManifest;
}

/** Publishes a run's documents and programs. */
async function publishRun(store: BlobStore, parts: RunParts): Promise<RunFixture> {
  const definition: Definition = {
    version: 1,
    model: parts.model,
    tokenizer: parts.data.tokenizer,
    data: await putDocument(store, parts.data),
    innerOptimizer: parts.optimizer ?? defaultOptimizer,
    schedule: parts.schedule ?? { kind: "warmup-constant", warmupSteps: 4, freshWarmupSteps: 2 },
    sequence: parts.sequence,
    table: parts.table.map((entry) => ({ ...entry, shape: [...entry.shape] })),
    initialParameters: digestOfJson(parts.initial.map((state) => sha256Bytes(bytesOf(state.params)))),
    screening: { ...defaultScreening, ...(parts.copyBps !== undefined && { copyBps: parts.copyBps }) },
  };
  const definitionDigest = await putDocument(store, definition);
  const put = async (bytes: Uint8Array): Promise<Digest> => (await store.put(bytes)).digest;
  const build: Build = {
    version: 1,
    definition: definitionDigest,
    graphs: {
      step: await put(parts.programs.step),
      eval: await put(parts.programs.eval),
      logits: await put(parts.programs.logits),
    },
    microBatch: parts.microBatch,
    ...(parts.accumulation !== undefined && parts.accumulation > 1 && { accumulation: parts.accumulation }),
    precision: "fp32",
    runtime: "test",
    deviceClass: "test",
    segmentSteps: 32,
    conformance: parts.conformance,
  };
  return {
    runId: hash("b1") as RunId,
    modelId: hash("b2") as ModelId,
    chainId: 31_337,
    contracts,
    modelContracts,
    params,
    definition,
    definitionDigest,
    build,
    buildDigest: await putDocument(store, build),
    initial: parts.initial,
  };
}

const plainTable: TensorEntry[] = [
  { name: "embedding", shape: [40, 10], fragment: 0 },
  { name: "hidden", shape: [300], fragment: 1 },
  { name: "norm", shape: [7], fragment: 0 },
];
const PLAIN_CONFORMANCE: Hex = hash("cc");

/**
 * A run of 707 parameters in 2 fragments.
 * @param tokens how many its data manifest says that its shard of 64 holds
 */
export async function publishPlainRun(store: BlobStore, tokens = 64): Promise<RunFixture> {
  const initial = fragmentLayouts(plainTable).map(({ elements, index }) => ({
    params: Float32Array.from({ length: elements }, (_, i) => Math.sin(i + index)),
    outer: new Float32Array(elements),
  }));
  const split = { tokens, bytes: 64, shards: [{ digest: hash("ee"), tokens: 64, bytes: 64 }] };
  return publishRun(store, {
    model: { kind: "plain" },
    table: plainTable,
    sequence: 16,
    microBatch: 2,
    conformance: PLAIN_CONFORMANCE,
    programs: { step: Uint8Array.of(1), eval: Uint8Array.of(2), logits: Uint8Array.of(3) },
    initial,
    data: { version: 1, source: "none", tokenizer: hash("dd"), vocabulary: 64, train: split, heldOut: split },
  });
}

export interface PlainTrainer extends Trainer {
  /** Milliseconds per step; a test may change it. */
  pace: number;
  /** Makes the next step's loss NaN. */
  diverge: boolean;
  resets: number;
  /** What states were hashed with. */
  readonly residuals: Residual[];
}

/** Every step takes a little from every parameter. */
export function createPlainTrainer(pace = 1): PlainTrainer {
  const layouts = fragmentLayouts(plainTable);
  const parameters = new Map(
    plainTable.map(({ name, shape }) => [name, new Float32Array(shape.reduce((a, b) => a * b))]),
  );
  const residuals: Residual[] = [];
  let step = 0;
  const trainer: PlainTrainer = {
    pace,
    diverge: false,
    resets: 0,
    residuals,
    get step() {
      return step;
    },
    conformance: () => Promise.resolve(PLAIN_CONFORMANCE),
    load: (fragments) => {
      for (const layout of layouts) scatterFragment(fragments[layout.index]!, layout, parameters);
      return Promise.resolve();
    },
    train: async (steps, onSteps, { signal, enough }) => {
      let done = 0;
      for (const rate of steps.learningRates) {
        signal.throwIfAborted();
        if (enough.aborted) break;
        await systemClock.sleep(trainer.pace);
        step += 1;
        for (const values of parameters.values()) {
          for (let i = 0; i < values.length; i++) values[i] = values[i]! - rate * Math.sin(i * step);
        }
        done += 1;
        onSteps([{ loss: trainer.diverge ? Number.NaN : 4 - step / 100 }]);
      }
      signal.throwIfAborted();
      return done;
    },
    digest: (residual) => {
      residuals.push(residual);
      return Promise.resolve(sha256Bytes(Uint8Array.of(step)));
    },
    parameters: () => Promise.resolve(parameters),
    reset: () => {
      trainer.resets += 1;
      step = 0;
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
  return trainer;
}

/** Steps of zeros at the assignment's rate. */
export const plainSteps: StepsOf = ({ steps, batch, sequence, innerLrPpb }) =>
  Promise.resolve({
    tokens: new Uint16Array(steps * batch * (sequence + 1)),
    learningRates: Array.from({ length: steps }, () => innerLrPpb / 1e9),
  });

/** A run of one of the engine's presets in 4 fragments, on random text that has something to be learned in it. */
export async function publishEngineRun(store: BlobStore, name: PresetName, taken: Taken = {}): Promise<RunFixture> {
  const { model, microBatch } = presetOf(name);
  const random = createRandom("text");
  const ids = new Uint16Array(20_000);
  for (let i = 1; i < ids.length; i++) ids[i] = random.below(4) ? (ids[i - 1]! * 7 + 3) % 97 : random.below(97);
  const shard = await store.put(bytesOf(ids));
  const split = { tokens: ids.length, bytes: ids.length * 2, shards: [{ ...shard, tokens: ids.length }] };
  const programs = buildPrograms(model, { microBatch, ...taken });
  const table = fragmentTable(tensorSpecs(model), 4);
  const parameters = new Map(initialParameters(model, "test").map((tensor) => [tensor.name, tensor.data]));
  return publishRun(store, {
    model: { ...model, ...(taken.recompute && { recompute: true }) },
    table,
    sequence: model.sequence,
    microBatch,
    ...taken,
    conformance: await conformance(devices.cpu.open, programs.step.bytes),
    programs: { step: programs.step.bytes, eval: programs.eval.bytes, logits: programs.logits.bytes },
    initial: fragmentLayouts(table).map((layout) => ({
      params: gatherFragment(parameters, layout),
      outer: new Float32Array(layout.elements),
    })),
    data: {
      version: 1,
      source: "test",
      tokenizer: hash("dd"),
      vocabulary: model.vocabulary,
      train: split,
      heldOut: split,
    },
  });
}
