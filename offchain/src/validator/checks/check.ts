/** A kind of verdict as its validator makes it. */
import type { VerdictForm } from "@cotrain/sdk/protocol";

import type { PostedHead } from "../../chain/index.ts";
import type { Look } from "../heads.ts";
import type { Content } from "../verdicts.ts";

/** What a validator owes of one head. */
interface Owed {
  readonly head: PostedHead;
}

export interface Check<Due extends Owed = Owed> {
  /** Of its verdicts. */
  readonly kind: number;
  /** What a verdict of this kind must look like; none is signed that does not. */
  readonly wellFormed: VerdictForm;
  /**
   * What this validator owes of the heads that it sees, by sortition or in its turn, in the order in which it is done. Each is
   * done before the next is asked for.
   */
  due(look: Look): AsyncIterable<Due>;
  /**
   * Recomputes what is owed and says what it finds, now or as soon as the engine has measured it. Where there is no finding
   * nothing is said, and it is owed again at a later look.
   */
  run(owed: Due, say: (content: Content) => Promise<void>): Promise<void>;
}
