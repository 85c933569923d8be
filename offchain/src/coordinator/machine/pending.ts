/** Pending effects: added by decisions, ended by events, tried again after failures. */
import type { Draft } from "immer";

import { type Effect, type EffectFields, type EffectIdentity, type EffectKind, keyOf } from "./effects.ts";
import type { RunState } from "./state.ts";

export type StateDraft = Draft<RunState>;

/** Makes an effect pending. */
export function issue<K extends EffectKind>(
  draft: StateDraft,
  kind: K,
  identity: EffectIdentity<K>,
  fields: EffectFields<K>,
  notBefore = 0,
): void {
  const key = keyOf(kind, ...identity);
  begin(draft, { kind, key, ...fields } as unknown as Effect, notBefore);
}

/** Makes an effect due, again if it was pending. */
export function begin(draft: StateDraft, effect: Effect, notBefore = 0): void {
  draft.pending[effect.key] = { effect, attempt: 1, notBefore };
}

export function end<K extends EffectKind>(draft: StateDraft, kind: K, ...identity: EffectIdentity<K>): void {
  endKey(draft, keyOf(kind, ...identity));
}

/** Ends the effect that an event names. */
export function endKey(draft: StateDraft, key: string): void {
  delete draft.pending[key];
}

/** Ends all effects of a kind. */
export function endAll(draft: StateDraft, kind: EffectKind): void {
  for (const [key, { effect }] of Object.entries(draft.pending)) if (effect.kind === kind) delete draft.pending[key];
}

export function isPending(state: Pick<RunState, "pending">, kind: EffectKind): boolean {
  return Object.values(state.pending).some((pending) => pending.effect.kind === kind);
}
