/**
 * Creating a run: everything that is content-addressed is made first (data, programs, checkpoint 0, definition,
 * build), then the model and the run are registered on-chain. Each step can be repeated after a crash: ids follow from
 * salts that are kept, blobs from their content.
 */
import {
  createModel,
  type ModelConfig,
  modelTermsHash,
  type RunConfig,
  registerRun,
  runOf,
  sharesOf,
} from "@cotrain/sdk/actions";
import { RunRegistryUnknownRunError } from "@cotrain/sdk/errors";
import {
  type ContractAddresses,
  type DataManifest,
  defaultRunBounds,
  defaultRunParams,
  defaultScreening,
  type CheckpointFragment,
  type Definition,
  type Digest,
  digestOfJson,
  type Hex,
  modelIdOf,
  type ModelId,
  type Build,
  runIdOf,
  type RunId,
  type RunParams,
  type ScreeningRules,
  type TensorEntry,
} from "@cotrain/sdk/protocol";
import type { Address, Client } from "viem";

import { UserError } from "../base/index.ts";
import { prepareData, sequenceCount, type Tokenizer } from "../data/index.ts";
import { brownCorpus, loadTokenizer, textCorpus } from "../data/node/index.ts";
import { fragmentLayouts, gatherFragment, outerOptimizerOf } from "../diloco/index.ts";
import { initialParameters, type NamedTensor, presetNames, presetOf } from "../engine/core.ts";
import type { Computed } from "./builds.ts";
import type { FirstBuildOptions } from "./firstBuilds.ts";
import { fragmentsIn, tableOf } from "./fragments.ts";
import { peakOf, type Recipe, recipeOf, usualSteps } from "./recipe.ts";
import { type BlobStore, type CheckpointFacts, putDocument, writeFragment, writeManifest } from "../storage/index.ts";

/** What a run is made of, before any chain knows of it. */
export interface RunMaterial {
  readonly definition: Definition;
  readonly definitionDigest: Digest;
  readonly build: Build;
  readonly buildDigest: Digest;
  /** All that this machine can make and prove, the CPU's first. */
  readonly builds: readonly Digest[];
  readonly table: readonly TensorEntry[];
  /** Checkpoint 0's stored shards; its manifest follows when the run's id is known. Outer buffers of zeros. */
  readonly shards: readonly CheckpointFragment[];
  readonly data: DataManifest;
  readonly tokenizer: Tokenizer;
}

export interface MaterialOptions extends FirstBuildOptions {
  readonly preset: string;
  /** The user's own text instead of the Brown corpus. */
  readonly dataFile: string | undefined;
  /** Seed of the initial parameters. */
  readonly seed: string;
  /** Default: the one that is shipped. */
  readonly tokenizer?: Tokenizer;
  /** Sequences of one inner step; default the preset's. */
  readonly microBatch?: number;
  /** Default: what suits the preset. */
  readonly recipe?: Recipe;
}

/**
 * Tokenizes the text, builds the programs and checkpoint 0, and stores all of it by digest.
 * @throws UserError for an unknown preset or a text that cannot be used
 */
export async function prepareRun(store: BlobStore, options: MaterialOptions): Promise<RunMaterial> {
  const preset = presetOf(options.preset);
  const tokenizer = options.tokenizer ?? (await loadTokenizer());
  if (preset.model.vocabulary !== tokenizer.vocabulary) {
    throw new UserError(
      "PRESET_TOKENIZER",
      `The preset ${options.preset} needs a tokenizer of ${preset.model.vocabulary} tokens, but the one that is shipped has ${tokenizer.vocabulary}: choose one of ${presetNames.filter((name) => presetOf(name).local).join(", ")}.`,
    );
  }
  const corpus = options.dataFile === undefined ? await brownCorpus() : await textCorpus(options.dataFile);
  const { digest: dataDigest, manifest: data } = await prepareData(store, corpus, tokenizer);
  await store.put(tokenizer.bytes);
  // The loss gate of every round measures on it.
  if (sequenceCount(data.heldOut.tokens, preset.model.sequence) === 0) {
    throw new UserError(
      "DATA_TOO_SHORT",
      `The part of the text that is held out has ${data.heldOut.tokens} tokens; the preset ${options.preset} needs ${preset.model.sequence + 1}: give a longer text.`,
    );
  }

  const { accumulation, optimizer, schedule, recompute } = options.recipe ?? recipeOf(options.preset);
  // A model whose steps keep all activations is what it is without the word.
  const model = { ...preset.model, ...((recompute || preset.model.recompute) && { recompute }) };
  const { microBatch = preset.microBatch } = options;
  const { buildPrograms, halfStep } = await import("../engine/index.ts");
  const programs = buildPrograms(model, { microBatch, accumulation, optimizer });
  // The step with products in fp16 is there also where no device here has a build of it, for who proposes one (builds.ts).
  const half = halfStep(model, { microBatch, accumulation, optimizer });
  for (const program of [...Object.values(programs), half]) await store.put(program.bytes, { digest: program.digest });

  const table = tableOf(preset.model);
  const shards = await writeInitial(store, table, (wanted) => initialParameters(preset.model, options.seed, wanted));
  const definition: Definition = {
    version: 1,
    model: { ...model },
    tokenizer: tokenizer.digest,
    data: dataDigest,
    innerOptimizer: { ...optimizer },
    schedule: { ...schedule },
    sequence: preset.model.sequence,
    table: table.map(({ name, shape, fragment }) => ({ name, shape: [...shape], fragment })),
    initialParameters: digestOfJson(shards.map(({ digest }) => digest)),
    screening: screeningOf(options.preset, optimizer.kind),
  };
  const definitionDigest = await putDocument(store, definition);
  const computed: Computed = {
    version: 1,
    definition: definitionDigest,
    graphs: { step: programs.step.digest, eval: programs.eval.digest, logits: programs.logits.digest },
    microBatch,
    ...(accumulation > 1 && { accumulation }),
    precision: "fp32",
  };
  const { firstBuilds } = await import("./firstBuilds.ts");
  const made = await firstBuilds(computed, { step: programs.step.bytes, half }, options);
  const [build, ...others] = made;
  const buildDigest = await putDocument(store, build);
  const builds = [buildDigest, ...(await Promise.all(others.map((each) => putDocument(store, each))))];
  return { definition, definitionDigest, build, buildDigest, builds, table, shards, data, tokenizer };
}

/** One shard after another: neither the checkpoint nor the parameters are ever there as a whole. */
async function writeInitial(
  store: BlobStore,
  table: readonly TensorEntry[],
  initial: (wanted: (name: string) => boolean) => readonly NamedTensor[],
): Promise<CheckpointFragment[]> {
  const shards: CheckpointFragment[] = [];
  for (const layout of fragmentLayouts(table)) {
    const names = new Set(layout.tensors.map(({ name }) => name));
    const parameters = new Map(initial((name) => names.has(name)).map(({ name, data }) => [name, data]));
    const params = gatherFragment(parameters, layout);
    const outer = outerOptimizerOf(defaultRunParams.outerOptimizer).init(params.length);
    shards.push(await writeFragment(store, table, layout.index, { params, outer }));
  }
  return shards;
}

/** What a run's first checkpoint says beside its parameters. */
export const checkpointZero = (runId: RunId): CheckpointFacts => ({
  runId,
  round: 0,
  step: 0,
  tokens: "0",
  paramsVersion: 1,
  parent: null,
  receipts: null,
  screening: null,
});

/**
 * By plain SGD all members go nearly the same way: honest work on different data has cosines up to 0.994 (`npm run bench -- likeness`;
 * AdamW and Muon 0.95), and more with larger batches, so only what is equal counts as a copy there. By Muon a text of few sentences,
 * said again and again, brought it to 0.996.
 */
const copyBpsOf: Partial<Record<Recipe["optimizer"]["kind"], number>> = { muon: 9_990, sgd: 10_000 };

/** The rules of {@link defaultScreening} with a gate that suits the preset, and what a copy is by this optimizer. */
export function screeningOf(preset: string, optimizer: Recipe["optimizer"]["kind"]): ScreeningRules {
  const { gateSequences = defaultScreening.gateSequences } = presetOf(preset).local ?? {};
  return { ...defaultScreening, gateSequences, copyBps: copyBpsOf[optimizer] ?? defaultScreening.copyBps };
}

/** {@link defaultRunParams} with rounds of a length and a learning rate that suit the preset and its recipe. */
export function demoParamsOf(preset: string, recipe = recipeOf(preset)): RunParams {
  const { local, model } = presetOf(preset);
  const { deadline = defaultRunParams.roundDeadline } = local ?? {};
  const longer = (recipe.roundSteps * recipe.accumulation) / usualSteps(preset);
  const fragments = fragmentsIn(tableOf(model));
  const whole = (steps: number): number => Math.ceil(steps / fragments) * fragments;
  return {
    ...defaultRunParams,
    innerSteps: whole(recipe.roundSteps),
    rampInnerSteps: whole(defaultRunParams.rampInnerSteps),
    innerLrPpb: peakOf(recipe) ?? defaultRunParams.innerLrPpb,
    // A longer round takes longer; afterwards it is measured.
    roundDeadline: Math.min(defaultRunBounds.max.roundDeadline, Math.ceil(deadline * Math.max(1, longer))),
  };
}

export interface RegisterOptions {
  /** A client with the organiser's account. */
  readonly client: Client & { readonly account: { readonly address: Address } };
  readonly chainId: number;
  readonly addresses: Readonly<ContractAddresses>;
  /** Kept by the caller before the first transaction, so that a second try finds what the first did. */
  readonly salt: Hex;
  readonly model: Omit<ModelConfig, "organiser">;
  readonly poster: Address;
  readonly params: RunParams;
}

export interface RegisteredRun {
  readonly modelId: ModelId;
  readonly runId: RunId;
  readonly initialCheckpoint: Digest;
}

/** Registers model and run with checkpoint 0; what is there already is left as it is. */
export async function registerRunOnChain(
  store: BlobStore,
  material: RunMaterial,
  { client, chainId, addresses, salt, model, poster, params }: RegisterOptions,
): Promise<RegisteredRun> {
  const organiser = client.account.address;
  const createdFrom = { ...model, organiser };
  const terms = modelTermsHash(createdFrom);
  const modelId = modelIdOf(BigInt(chainId), addresses.modelRegistry, organiser, salt, terms);
  const runId = runIdOf(BigInt(chainId), addresses.runRegistry, modelId, salt);
  const { digest: initialCheckpoint } = await writeManifest(
    store,
    material.table,
    material.shards,
    checkpointZero(runId),
  );
  const shares = await sharesOf(client, { addresses, modelId });
  if (BigInt(shares) === 0n) await createModel.sync(client, { addresses, config: createdFrom, salt });
  const config: RunConfig = {
    definition: material.definitionDigest,
    initialCheckpoint,
    fragments: material.shards.length,
    poster,
    builds: material.builds,
    params,
    ...defaultRunBounds,
  };
  const registered = await runOf(client, { addresses, runId }).catch((error: unknown) => {
    if (error instanceof RunRegistryUnknownRunError) return undefined;
    throw error;
  });
  if (!registered) await registerRun.sync(client, { addresses, modelId, salt, config });
  return { modelId, runId, initialCheckpoint };
}
