/** What a walk finds wrong. */
import { CotrainError } from "@cotrain/sdk/errors";

import { isAway } from "./away.ts";
import { isGone } from "./unreadable.ts";

/**
 * ok: all of it holds; pruned: so do link, manifest and receipts, but not all of its shards are kept any more, as is allowed;
 * missing: something that must be there is not to be had; mismatch: something is not what the chain says; rolledBack: the run went back
 * behind it, and nothing but its link is looked at.
 */
export type HeadCondition = "ok" | "pruned" | "missing" | "mismatch" | "rolledBack";

/** What is asked has no such blob, or knows nothing of such things. */
const isMissing = (error: CotrainError): boolean => error.code === "NOT_FOUND" || isGone(error);

export class Problems {
  readonly sentences: string[] = [];
  condition: HeadCondition = "ok";

  add(condition: "missing" | "mismatch", sentence: string): void {
    this.sentences.push(sentence);
    if (this.condition !== "mismatch") this.condition = condition;
  }

  /**
   * Runs a check; what it throws is what it found. Who is away, chain, coordinator or store, has said nothing about what is
   * there: that ends the walk, and what was found before it stays.
   */
  async attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof CotrainError) || isAway(error)) throw error;
      this.add(isMissing(error) ? "missing" : "mismatch", error.message);
      return undefined;
    }
  }
}
