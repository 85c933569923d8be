/**
 * What the state machine wants done. Each effect has a key under which it is idempotent, stays pending until an event ends
 * it, and is issued again after a restart.
 */
export type Effect =
  | {
      readonly kind: "setTimer";
      readonly key: string;
      /** Ms since 1970. */
      readonly due: number;
      /** What `due` means: a span that a step of the clock does not change (run), or a time that the chain set. */
      readonly clock: "run" | "chain";
    }
  /** Norms, copies and clip factors of the closing round's payloads. */
  | { readonly kind: "screenRound"; readonly key: string; readonly round: number }
  /** Aggregate and outer step of one fragment of the closing round. */
  | { readonly kind: "reduceSync"; readonly key: string; readonly round: number; readonly fragment: number }
  /** Held-out loss of the aggregate against that of the base. */
  | { readonly kind: "gateRound"; readonly key: string; readonly round: number }
  | { readonly kind: "storeCheckpoint"; readonly key: string; readonly round: number }
  | { readonly kind: "anchorHead"; readonly key: string; readonly sequence: number }
  | {
      readonly kind: "computeEpoch";
      readonly key: string;
      readonly epoch: number;
      /** Begun anew, since a verdict came while it was computed. */
      readonly again?: boolean;
    }
  | { readonly kind: "postRoot"; readonly key: string; readonly epoch: number }
  | {
      readonly kind: "activateRoot";
      readonly key: string;
      readonly epoch: number;
      /** Ms since 1970 at which the chain lets it happen. */
      readonly due: number;
    };

export type EffectKind = Effect["kind"];

export interface PendingEffect {
  readonly effect: Effect;
  /** The try that is due, 1 for the first. */
  readonly attempt: number;
  /** Not before this time, ms since 1970. */
  readonly notBefore: number;
}

/** Pause before try `attempt` + 1, ms: 0.5 s, doubled up to 30 s. */
export const retryDelay = (attempt: number): number => Math.min(30_000, 500 * 2 ** Math.min(attempt - 1, 10));
