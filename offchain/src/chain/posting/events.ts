/** What the posting machine is told, and what comes of it. */
import type { AnswerOf, Ask, AskName, Ending, Fault, PostingProgress } from "./asks.ts";

interface Timed {
  /** Monotonic ms. */
  readonly at: number;
  /** Ms since 1970. */
  readonly wall: number;
}
export type PostingEvent = Timed &
  (
    | {
        readonly type: "claimed";
        readonly job: number;
        readonly progress: PostingProgress | null;
        /** Whether it ends where it would be waited for, before anything of it was sent. */
        readonly yields?: boolean;
      }
    | { [N in AskName]: { readonly type: N } & AnswerOf<N> }[AskName]
    | { readonly type: "failed"; readonly fault: Fault }
  );

export type Notice =
  | { readonly what: "sent" | "replaced" | "nonceTaken"; readonly nonce: number }
  | { readonly what: "nonceLost"; readonly nonce: number; readonly next: number }
  | { readonly what: "away" }
  /** The chain asks for too much, or for more than the account has. */
  | { readonly what: "dear" | "poor"; readonly sentence: string };

export type PostingEffect =
  | Ask
  | ({ readonly type: "notify" } & Notice)
  /** The posting ended; the next one is claimed. */
  | { readonly type: "end"; readonly ending: Ending }
  /** It is claimed again in `ms`, after others that stand before it. */
  | { readonly type: "later"; readonly ms: number }
  /** It failed for a reason that nobody knows: the job table tries again. */
  | { readonly type: "fail" };
