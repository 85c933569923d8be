/** Effects carried out: each by the function of its kind's name in the file that the table in machine/effects.ts names. */
import type { EffectContext, EffectHandler } from "./effectRunner.ts";
import { type EffectKind, effectKinds, type EffectOf, type ResultOf } from "./machine/effects.ts";
import type { Unstamped } from "./machine/events.ts";
import * as rounds from "./rounds.ts";
import type { Run } from "./run.ts";
import * as screening from "./screening.ts";
import * as settlement from "./settlement.ts";
import * as timers from "./timers.ts";

type CarryOut<K extends EffectKind> = (
  run: Run,
  effect: EffectOf<K>,
  context: EffectContext,
) => Promise<Unstamped<ResultOf<K>>>;

type Files = {
  readonly [F in (typeof effectKinds)[EffectKind]["by"]]: {
    readonly [K in EffectKind as (typeof effectKinds)[K]["by"] extends F ? K : never]: CarryOut<K>;
  };
};

const files: Files = { timers, rounds, screening, settlement };

/** Does an effect of a run; those that work on tensors one after the other. */
export const handlerOf =
  (run: Run): EffectHandler =>
  (effect, context) => {
    const { by, alone } = effectKinds[effect.kind];
    const carryOut = (files[by] as Partial<Record<EffectKind, unknown>>)[effect.kind] as CarryOut<EffectKind>;
    const work = () => carryOut(run, effect, context);
    return alone ? run.alone(work) : work();
  };
