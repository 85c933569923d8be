/** What a worker's duties share while it works: this object alone, which one duty hands to the next. */
import type { Assignment } from "@cotrain/sdk/protocol";

import { type Clock, UserError } from "../base/index.ts";
import type { FragmentLayout } from "../diloco/index.ts";
import { createResidualLedger, type ResidualLedger } from "./residual.ts";
import { createSendingTimes, type SendingTimes } from "./sendingTimes.ts";
import type { StepLoss } from "./trainingLoss.ts";

/** What heartbeats tell of a round under way. */
export interface RoundProgress {
  round: number | null;
  step: number;
  /** Newest inner steps, of earlier rounds too: the training loss is their mean. */
  newest: readonly StepLoss[];
  tokensPerSecond: number | null;
  uploading: boolean;
}

/** A round that ended without this worker: the attempt is stale, nothing of it is sent any more. */
export class RoundClosed extends UserError {
  override readonly name = "RoundClosed";
}

/** The assignment that is being worked on, and how that ends early. */
interface UnderWay {
  readonly assignment: Assignment;
  readonly closed: (reason: RoundClosed) => void;
  /** Until when the round waits for it, and from when on a part of it counts, ms of the monotonic clock; undefined while unknown. */
  times: { readonly dueAt: number; readonly partAt: number } | undefined;
}

export interface WorkState {
  /** Written by the round, told by heartbeats. */
  readonly progress: RoundProgress;
  /** Error feedback: noted by the round, settled by the reported outcome. */
  readonly residuals: ResidualLedger;
  /** The last round that is in the optimizer's state and in the residual; undefined while none is. */
  carried: number | undefined;
  /** Acknowledged rounds and their tokens. */
  readonly tally: { rounds: number; tokens: number };
  /** Set while there is work; a heartbeat's answer may end it. */
  current: UnderWay | undefined;
  /** What was worked on last: it is not taken up twice. */
  last: Assignment | undefined;
  /** Refused assignments in a row. */
  refusals: number;
  /** What rounds took from their last step to the acknowledgement. */
  readonly sendings: SendingTimes;
  /** When the worker became idle, ms of its monotonic clock. */
  idleSince: number;
}

export function createWorkState({
  clock,
  layouts,
}: {
  readonly clock: Clock;
  readonly layouts: readonly FragmentLayout[];
}): WorkState {
  return {
    progress: { round: null, step: 0, newest: [], tokensPerSecond: null, uploading: false },
    residuals: createResidualLedger(layouts),
    carried: undefined,
    tally: { rounds: 0, tokens: 0 },
    current: undefined,
    last: undefined,
    refusals: 0,
    sendings: createSendingTimes(),
    idleSince: clock.monotonic(),
  };
}
