/** What a round works with: its surroundings, which are the same for all rounds, and what its parts share. */
import type { Address, Assignment, Digest, Domain, RunId, SigningAccount, TensorEntry } from "@cotrain/sdk/protocol";

import type { Clock } from "../base/index.ts";
import type { FragmentLayout } from "../diloco/index.ts";
import type { RunBlobs } from "./base.ts";
import type { WorkerEvent } from "./events.ts";
import type { ReceiptJournal } from "./receiptJournal.ts";
import type { Residual } from "./residual.ts";
import type { SendingTimes } from "./sendingTimes.ts";
import type { SessionKeeper } from "./session.ts";
import type { InnerSteps, Trainer } from "./trainer.ts";
import type { RoundProgress } from "./workState.ts";

/** The fixed surroundings of a worker's rounds. */
export interface RoundContext {
  readonly runId: RunId;
  readonly worker: Address;
  readonly beneficiary: Address;
  readonly build: Digest;
  /** Inner steps from which on a part of an assignment counts. */
  readonly leastSteps: number;
  /** Of the build: steps between two states that a commitment holds, at most; 0: the round's start and end alone. */
  readonly segmentSteps: number;
  /** Digest of the fragment table, and what it says of each fragment. */
  readonly table: Digest;
  readonly layouts: readonly FragmentLayout[];
  /** The fragment table itself: tensors in parameter order. */
  readonly tensors: readonly TensorEntry[];
  readonly domain: Domain;
  readonly account: SigningAccount;
  readonly trainer: Trainer;
  readonly session: SessionKeeper;
  readonly blobs: RunBlobs;
  readonly receipts: ReceiptJournal;
  readonly clock: Clock;
  readonly onEvent: (event: WorkerEvent) => void;
  /** The inner steps of an assignment: token ids and learning rate of each. */
  readonly stepsOf: (assignment: Assignment, firstStep: number) => Promise<InnerSteps>;
  /** Whose key acknowledges; asked again when an acknowledgement does not fit, since the holders may have changed it. */
  readonly poster: (refresh: boolean) => Promise<Address>;
}

/** What the parts of one round share. */
export interface RoundWork {
  readonly assignment: Assignment;
  readonly context: RoundContext;
  /** Error feedback that the round's pseudo-gradient is encoded with. */
  readonly residual: Residual;
  readonly progress: RoundProgress;
  /** Ms until the round waits no longer for this work; undefined while that is not known, or a part of it would not count yet. */
  readonly timeLeft: () => number | undefined;
  /** The same, whether a part would count already or not. */
  readonly dueIn: () => number | undefined;
  /** What sending takes, as far as this worker knows. */
  readonly sendings: SendingTimes;
  readonly signal: AbortSignal;
}
