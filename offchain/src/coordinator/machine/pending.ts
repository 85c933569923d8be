/** Pending effects: added by decisions, ended by events, tried again after failures. */
import type { Draft } from "immer";

import type { Effect, EffectKind } from "./effects.ts";
import type { RunState } from "./state.ts";

export type StateDraft = Draft<RunState>;

/** Makes an effect pending, or due anew under the same key. */
export function issue(draft: StateDraft, effect: Effect, notBefore = 0): void {
  draft.pending[effect.key] = { effect, attempt: 1, notBefore };
}

export function end(draft: StateDraft, key: string): void {
  delete draft.pending[key];
}

/** Ends all effects of a kind, those whose key begins with `prefix` where one is given. */
export function endAll(draft: StateDraft, kind: EffectKind, prefix = ""): void {
  for (const [key, { effect }] of Object.entries(draft.pending)) {
    if (effect.kind === kind && key.startsWith(prefix)) delete draft.pending[key];
  }
}

export function isPending(state: Pick<RunState, "pending">, kind: EffectKind): boolean {
  return Object.values(state.pending).some((pending) => pending.effect.kind === kind);
}

/** Keys of timers, by what they are for. */
export const timerKey = {
  deadline: (round: number, deadlines: number) => `setTimer/deadline/${round}/${deadlines}`,
  epoch: (epoch: number) => `setTimer/epoch/${epoch}`,
  attestation: (epoch: number, pass: number) => `setTimer/attestation/${epoch}/${pass}`,
} as const;

/** Whether a timer's key is that of a round's deadline. */
export const isDeadline = (key: string): boolean => key.startsWith("setTimer/deadline/");
