/** How long what a head's verdict needs has been said not to be there. */
import type { CotrainError } from "@cotrain/sdk/errors";

import type { Clock } from "../base/index.ts";
import type { ModelSchedule, PostedHead } from "../chain/index.ts";
import { isNotHad } from "../run/index.ts";

/** Ms for which a document that is not there may come back, where posting delays are shorter: a restart, a store that is late. */
const LEAST_ABSENCE = 60_000;
/** Of a document's absence one answer after another tells this part at most, however long after: it takes several. */
const GONE_PART = 1 / 4;

/** Ms after which what a coordinator says that it does not have is gone: a 0 for it cannot be taken back. */
export const absenceOf = ({ postingDelay }: Pick<ModelSchedule, "postingDelay">): number =>
  Math.max(postingDelay * 1_000, LEAST_ABSENCE);

type Named = Pick<PostedHead, "head">;

export interface Absences {
  /**
   * Whether what a head's verdict needs was said not to be there for as long as is waited. Answers that say nothing about it, such
   * as of a node or a coordinator that is away or busy, neither count nor begin it anew: who gives them now and then would never
   * be spoken against. Nor does it that something else of the head is there.
   * @param part of what a head's verdict needs: its documents alone, or with the payloads of a fragment
   */
  isGoneForGood(head: Named, part: string, error: unknown): error is CotrainError;
  /** It was there. */
  found(head: Named, part: string): void;
  /** Forgets all heads but these. */
  keep(heads: Pick<ReadonlySet<string>, "has">): void;
}

/** @param absence ms after which it is gone */
export function createAbsences(clock: Clock, absence: number): Absences {
  /** By head and part: ms in all, and when last, monotonic ms. */
  const gone = new Map<string, Map<string, { readonly total: number; readonly at: number }>>();
  return {
    isGoneForGood: ({ head }, part, error): error is CotrainError => {
      if (!isNotHad(error)) return false;
      const at = clock.monotonic();
      const parts = gone.get(head) ?? new Map<string, { readonly total: number; readonly at: number }>();
      const before = parts.get(part);
      const total = before ? before.total + Math.min(at - before.at, absence * GONE_PART) : 0;
      gone.set(head, parts.set(part, { total, at }));
      return total >= absence;
    },
    found: ({ head }, part) => void gone.get(head)?.delete(part),
    keep: (heads) => {
      for (const head of gone.keys()) if (!heads.has(head)) gone.delete(head);
    },
  };
}
