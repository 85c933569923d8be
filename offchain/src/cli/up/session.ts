/** One session of training, from the first round after a start to the pause. */
import type { RunView } from "@cotrain/sdk/protocol";

import type { Claim, Decision } from "./owners.ts";

/** What a session of training left behind for the summary. */
export interface Session {
  readonly first: RunView;
  readonly milliseconds: number;
  readonly tokens: bigint;
  readonly claims: ReadonlyMap<string, Claim>;
  readonly decision: Decision | undefined;
  /** First round that ran under the decision. */
  readonly appliedInRound: number | undefined;
}
