/** The one dial for size: models that have a name. */
import type { TransformerConfig } from "./config.ts";
import { EngineError } from "./errors.ts";
import { defaultOptimizer, type OptimizerConfig } from "./optimizer.ts";
import { defaultSchedule, type Schedule } from "./schedule.ts";

/** A model and what suits it. */
export interface Preset {
  readonly model: TransformerConfig;
  /** Sequences that are computed at once. */
  readonly microBatch: number;
  /** Micro-batches of one inner step, where one step shall take more sequences than fit into memory at once; default 1. */
  readonly accumulation?: number;
  /** What takes its inner steps, and the shape of their learning rate: they stand in the definition of its runs. */
  readonly optimizer: OptimizerConfig;
  readonly schedule: Schedule;
  /** Rounds of a run on one machine; only for models that can be trained there, with the tokenizer that is shipped. */
  readonly local?: LocalRounds;
}

interface LocalRounds {
  /**
   * Inner steps that make a round last some 5 s (0.1m) to two minutes (20m) with three workers on two cores: short
   * enough to see several in minutes, and long enough that what a round costs beside training, which grows with the model and
   * not with the steps, is a small part of it (test/bench/README.md). A multiple of 3 × the run's 4 fragments.
   */
  readonly innerSteps: number;
  /** Seconds, where a round would come too near to the usual deadline. */
  readonly deadline?: number;
  /** Held-out sequences of the loss gate, where with as many as usual its two losses took more than about 3% of a round. */
  readonly gateSequences?: number;
}

const family = { tiedEmbeddings: true, ropeTheta: 10_000, normEpsilon: 1e-5 } as const;
/** How the inner steps of a preset are taken. */
const usual = { optimizer: defaultOptimizer, schedule: defaultSchedule } as const;

/** One dial for size. Named by parameters; up to 20m for CPUs, the larger ones have the shapes of the papers' models. */
export const presets = {
  "0.1m": {
    model: { ...family, vocabulary: 1024, width: 48, layers: 2, heads: 3, keyValueHeads: 1, hidden: 144, sequence: 64 },
    microBatch: 4,
    ...usual,
    local: { innerSteps: 192 },
  },
  "1m": {
    model: {
      ...family,
      vocabulary: 1024,
      width: 128,
      layers: 4,
      heads: 4,
      keyValueHeads: 2,
      hidden: 384,
      sequence: 128,
    },
    microBatch: 8,
    ...usual,
    local: { innerSteps: 72 },
  },
  "3.5m": {
    model: {
      ...family,
      vocabulary: 1024,
      width: 256,
      layers: 4,
      heads: 4,
      keyValueHeads: 2,
      hidden: 768,
      sequence: 128,
    },
    microBatch: 8,
    ...usual,
    local: { innerSteps: 36 },
  },
  "20m": {
    model: {
      ...family,
      vocabulary: 1024,
      width: 512,
      layers: 6,
      heads: 8,
      keyValueHeads: 4,
      hidden: 1536,
      sequence: 256,
    },
    microBatch: 4,
    ...usual,
    local: { innerSteps: 48, deadline: 120, gateSequences: 8 },
  },
  /** DiLoCo's smallest, 60 M, https://arxiv.org/abs/2311.08105: its 150 M with 3 layers. */
  "60m": {
    model: {
      ...family,
      vocabulary: 32_000,
      width: 896,
      layers: 3,
      heads: 16,
      keyValueHeads: 16,
      hidden: 2432,
      sequence: 1024,
    },
    microBatch: 4,
    ...usual,
  },
  /** DiLoCo's 150 M, https://arxiv.org/abs/2311.08105: 12 layers of width 896, 16 heads, C4 with 32,000 tokens. */
  "150m": {
    model: {
      ...family,
      recompute: true,
      vocabulary: 32_000,
      width: 896,
      layers: 12,
      heads: 16,
      keyValueHeads: 16,
      hidden: 2432,
      sequence: 1024,
    },
    microBatch: 4,
    ...usual,
  },
  /** OpenDiLoCo's 1.1 B, https://arxiv.org/abs/2407.07852: TinyLlama's shape. */
  "1b": {
    model: {
      ...family,
      recompute: true,
      tiedEmbeddings: false,
      vocabulary: 32_000,
      width: 2048,
      layers: 22,
      heads: 32,
      keyValueHeads: 4,
      hidden: 5632,
      sequence: 1024,
    },
    microBatch: 4,
    ...usual,
  },
  /**
   * INTELLECT-1's width, https://arxiv.org/abs/2412.01152, which is Llama 3's shape, with Llama 2's vocabulary: Llama 3's 128,256 are
   * more than token ids of 16 bits, and more than a shard holds. Three layers more have the parameters that it lacks.
   */
  "10b": {
    model: {
      ...family,
      recompute: true,
      tiedEmbeddings: false,
      ropeTheta: 500_000,
      vocabulary: 32_000,
      width: 4096,
      layers: 45,
      heads: 32,
      keyValueHeads: 8,
      hidden: 14_336,
      sequence: 8192,
    },
    microBatch: 1,
    ...usual,
  },
} as const satisfies Record<string, Preset>;

export type PresetName = keyof typeof presets;

export const presetNames = Object.keys(presets).filter((name): name is PresetName => name in presets);

/** Those that a tokenizer of so many tokens suits. */
export const presetsFor = (vocabulary: number): PresetName[] =>
  presetNames.filter((name) => presets[name].model.vocabulary === vocabulary);

/**
 * The preset of a name.
 * @throws EngineError PRESET_UNKNOWN
 */
export function presetOf(name: string): Preset {
  const known = presetNames.find((candidate) => candidate === name);
  if (known) return presets[known];
  throw new EngineError("PRESET_UNKNOWN", `There is no model preset ${name}; choose one of ${presetNames.join(", ")}.`);
}
