/** How far a walk along a run's heads got, so that whoever walks again and again looks at each head once. */
import type { CheckpointManifest } from "@cotrain/sdk/protocol";

import type { PostedHead } from "../chain/index.ts";
import type { JudgedRoots } from "./paidRoots.ts";
import type { Positions } from "./positions.ts";
import { rolledBackHeads } from "./standingHeads.ts";

/** What a walk carries from one head to the next. */
export interface Carried {
  /** Of the checkpoint before: its manifest, and norms by fragment, as far as they are to be had. */
  readonly before: CheckpointManifest | undefined;
  readonly theta: ReadonlyMap<number, number>;
  /** Positions of the data that the rounds so far were trained on. */
  readonly trained: Positions;
}

const atFirst: Carried = { before: undefined, theta: new Map(), trained: [] };

/** How far walks of a run got, for whoever walks again and again: the next one goes on from there, while the chain still has it. */
export class WalkMemory {
  /** What was found of active roots, which never change. */
  readonly judged: JudgedRoots = new Map();
  /** Those of this head, the last that was looked at. */
  #through: { readonly head: string; readonly sequence: number; readonly carried: Carried } | undefined;

  /** @returns how many heads are left out, and what the next is held against */
  from(heads: readonly PostedHead[]): { readonly skipped: number; readonly carried: Carried } {
    const through = this.#through;
    const at = through && heads[through.sequence];
    // What a run went back behind is in what was carried to there.
    if (!through || at?.head !== through.head || rolledBackHeads(heads).has(at))
      return { skipped: 0, carried: atFirst };
    return { skipped: through.sequence + 1, carried: through.carried };
  }

  keep({ head, sequence }: PostedHead, carried: Carried): void {
    this.#through = { head, sequence, carried };
  }
}
