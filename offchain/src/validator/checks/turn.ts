/** Which checkpoint this validator measures next, if any: a matter of sortition, of what others have measured, and of time. */
import {
  type Address,
  asHead,
  HELD_OUT_SEQUENCES,
  HELD_OUT_TURN_MS,
  measuringOrder,
  type RunView,
} from "@cotrain/sdk/protocol";

import type { Clock } from "../../base/index.ts";
import type { PostedHead } from "../../chain/index.ts";

/** Of the machine's processor time, what measuring may take while the run trains. */
export const LOSS_SHARE = 0.05;

/** Nothing else of the run needs the machine. */
export const isResting = ({ phase }: Pick<RunView, "phase">): boolean => phase === "Paused" || phase === "Finished";

export interface Measurement<Head> {
  readonly head: Head;
  readonly sequences: number;
  /** Of the machine's processor time; undefined where nothing else needs it. */
  readonly share: number | undefined;
  /** Of head and size of the sample. */
  readonly key: string;
}

type Measurable = Pick<PostedHead, "head" | "round">;

export interface Turns {
  /** @param measured keys of what this validator has measured or given up */
  next<Head extends Measurable>(
    heads: readonly Head[],
    view: Pick<RunView, "phase" | "loss">,
    validators: readonly Address[],
    measured: ReadonlySet<string>,
  ): Measurement<Head> | undefined;
}

export function createTurns(validator: Address, clock: Clock): Turns {
  /** When a measurement was first seen to be due. */
  const dueSince = new Map<string, number>();

  /** The head's order says who is first; the others step in, one after the other, while nothing comes. */
  function isTurn(head: Measurable, key: string, patience: number, validators: readonly Address[]): boolean {
    const since = dueSince.get(key) ?? clock.monotonic();
    dueSince.set(key, since);
    const place = measuringOrder(asHead(head.head), validators).indexOf(validator);
    return place >= 0 && clock.monotonic() - since >= place * patience;
  }

  return {
    next: (heads, { phase, loss: { heldOut, heldOutFirst } }, validators, measured) => {
      const [first] = heads;
      const newest = heads.at(-1);
      if (!first || !newest) return undefined;
      const mode = isResting({ phase }) ? "resting" : "running";
      const sequences = HELD_OUT_SEQUENCES[mode];
      // A split may hold fewer sequences than asked for: then one measurement stands for both.
      const done = ({ round }: Measurable): boolean =>
        [heldOut, heldOutFirst].some(
          (found) =>
            found?.round === round && (mode === "running" || (found.sequences ?? 0) > HELD_OUT_SEQUENCES.running),
        );
      // Checkpoint 0 tells where it began; after it always the newest, skipping what was missed. At rest what is new goes first.
      for (const head of mode === "resting" ? [newest, first] : [first, newest]) {
        const key = `${head.head}/${sequences}`;
        if (measured.has(key) || done(head) || !isTurn(head, key, HELD_OUT_TURN_MS[mode], validators)) continue;
        return { head, sequences, share: mode === "running" ? LOSS_SHARE : undefined, key };
      }
      return undefined;
    },
  };
}
