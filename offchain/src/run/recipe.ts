/**
 * How the inner steps of a new run are taken: what its organiser asks for, over what suits the preset. Settled before anything is
 * made, for all but the steps of a round stands in the run's definition and its builds, which nobody changes later.
 */
import { defaultRunParams } from "@cotrain/sdk/protocol";

import { flagOf, UserError } from "../base/index.ts";
import { recipeChoices } from "../base/node/index.ts";
import { defaultOptimizer, type OptimizerConfig, presetOf, type Schedule } from "../engine/core.ts";
import type { ConfigOf } from "../service/index.ts";
import type { recipeOptions } from "./options.ts";

export interface Recipe {
  readonly optimizer: OptimizerConfig;
  readonly schedule: Schedule;
  /** Micro-batches of one inner step. */
  readonly accumulation: number;
  /** Whether activations are computed again on the way back: less memory, more time, the same bits. */
  readonly recompute: boolean;
  /** Inner steps of a round as the run begins: the only one of these that holders change later. */
  readonly roundSteps: number;
}

/** What was asked for; the rest follows from the preset. */
export type RecipeRequest = {
  readonly [K in keyof ConfigOf<typeof recipeOptions>]?: Exclude<ConfigOf<typeof recipeOptions>[K], undefined>;
};

/** Keys of what may be asked for, as in the options. */
export const recipeKeys = recipeChoices satisfies readonly (keyof typeof recipeOptions)[];

/** What was asked for, as the settings of a run keep it. */
export const requestOf = (settings: Readonly<Record<string, unknown>>): RecipeRequest =>
  Object.fromEntries(recipeKeys.flatMap((key) => (key in settings ? [[key, settings[key]]] : [])));

/** Without what another schedule would have been asked for. */
export const requestBeside = (schedule: RecipeRequest["schedule"], asked: RecipeRequest): RecipeRequest =>
  schedule === undefined || schedule === asked.schedule
    ? asked
    : Object.fromEntries(Object.entries(asked).filter(([key]) => !(key in needs)));

/** Rounds in which a schedule that ends comes to its end, where nobody says after how many steps. */
const ROUNDS = 100;
/** Part of all steps in which a rate that stays at first falls, and of the peak that is left of a cosine. */
const [DECAY, COSINE_FLOOR] = [0.1, 0.1] as const;
/** Rounds close in this many parts: fragments, each after a third of its steps at the soonest. */
const PARTS = 12;

/** Constants of each optimizer by its name; what is not said of Muon and SGD is as in AdamW. */
const { kind: _, ...adam } = defaultOptimizer;
const optimizers: Readonly<Record<OptimizerConfig["kind"], OptimizerConfig>> = {
  adamw: defaultOptimizer,
  muon: { kind: "muon", momentum: 0.95, ...adam },
  sgd: { kind: "sgd", momentum: 0.9, nesterov: true, weightDecay: 0, clipNorm: adam.clipNorm },
};

/** Peak rates, billionths, where the usual one, which suits AdamW and updates of its size, does not. */
const peaks: Partial<Record<OptimizerConfig["kind"], number>> = { sgd: 100_000_000 };
export const peakOf = ({ optimizer }: Recipe): number | undefined => peaks[optimizer.kind];

/** Inner steps of a round that suit minutes on one machine, where a step is one micro-batch. */
export const usualSteps = (preset: string): number => presetOf(preset).local?.innerSteps ?? defaultRunParams.innerSteps;

/** Inner steps of a round of as many sequences as the preset's has, whatever a step takes; whole for each fragment. */
const stepsOfRound = (usual: number, accumulation: number): number =>
  accumulation === 1 ? usual : PARTS * Math.max(1, Math.round(usual / accumulation / PARTS));

const refuse = (sentence: string): UserError => new UserError("CONFIG_INVALID", sentence);

/** What only some schedules have. */
const needs: Readonly<Partial<Record<keyof RecipeRequest, readonly string[]>>> = {
  totalSteps: ["cosine", "wsd"],
  lrFloor: ["cosine", "wsd"],
  decaySteps: ["wsd"],
};

function checkNeeds(asked: RecipeRequest, kind: string): void {
  for (const [key, kinds] of Object.entries(needs)) {
    if (asked[key as keyof RecipeRequest] === undefined || kinds.includes(kind)) continue;
    throw refuse(
      `${flagOf(key)} says nothing of --schedule ${kind}: leave it out, or name --schedule ${kinds.join(" or ")}.`,
    );
  }
}

/** A schedule that nobody asked to be another is the preset's. */
function scheduleOf(asked: RecipeRequest, usual: Schedule, roundSteps: number): Schedule {
  const { schedule: kind = "constant" } = asked;
  checkNeeds(asked, kind);
  const { freshWarmupSteps } = usual;
  if (kind === "constant") {
    const { warmupSteps = usual.warmupSteps } = asked;
    return asked.schedule === undefined
      ? { ...usual, warmupSteps }
      : { kind: "warmup-constant", warmupSteps, freshWarmupSteps };
  }
  const { totalSteps: steps = ROUNDS * roundSteps } = asked;
  const { warmupSteps = Math.min(usual.warmupSteps, Math.floor(steps / 10)) } = asked;
  const decaySteps = kind === "wsd" ? (asked.decaySteps ?? Math.ceil(DECAY * steps)) : 1;
  if (warmupSteps + decaySteps > steps)
    throw refuse(
      kind === "wsd"
        ? `A rate that rises in ${warmupSteps} steps (--warmup-steps) and falls in ${decaySteps} (--decay-steps) does not fit into ${steps} (--total-steps): name fewer, or more in all.`
        : `A rate that rises in ${warmupSteps} steps (--warmup-steps) has no step to fall in of ${steps} (--total-steps): name fewer, or more in all.`,
    );
  const rise = { warmupSteps, freshWarmupSteps, steps };
  return kind === "cosine"
    ? { kind, ...rise, floor: asked.lrFloor ?? COSINE_FLOOR }
    : { kind: "warmup-stable-decay", ...rise, floor: asked.lrFloor ?? 0, decaySteps };
}

/**
 * What a run of a preset is trained by.
 * @throws UserError `CONFIG_INVALID` for what does not go together; EngineError `PRESET_UNKNOWN`
 */
export function recipeOf(presetName: string, asked: RecipeRequest = {}): Recipe {
  const preset = presetOf(presetName);
  const { microBatches: accumulation = preset.accumulation ?? 1 } = asked;
  const roundSteps = asked.innerSteps ?? stepsOfRound(usualSteps(presetName), accumulation);
  const below = roundSteps - (roundSteps % PARTS);
  if (below !== roundSteps)
    throw refuse(
      `--inner-steps must be a multiple of ${PARTS}, so that each fragment has as many: ${below} or ${below + PARTS}, not ${roundSteps}.`,
    );
  return {
    optimizer: asked.optimizer === undefined ? preset.optimizer : optimizers[asked.optimizer],
    schedule: scheduleOf(asked, preset.schedule, roundSteps),
    accumulation,
    recompute: asked.recompute ?? preset.model.recompute ?? false,
    roundSteps,
  };
}
