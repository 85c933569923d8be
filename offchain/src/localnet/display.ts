/** What a session tells while it goes on, for whoever shows it. */
import type { RunView } from "@cotrain/sdk/protocol";

export interface Stage {
  /** What is going on, e.g. "Training" or "Settling". */
  readonly activity: string;
  readonly model: string;
  readonly parameters: number;
  readonly chainId: number;
  /** The chain's RPC as it may be shown. */
  readonly rpc: string;
  /** How long the activity is to take, ms, where that is known. */
  readonly goal: number | undefined;
  /** What the activity waits for, at most as long as its goal. */
  readonly waitsFor: readonly string[];
  readonly bytesPerToken: number;
  /** Tokens of a sequence. */
  readonly sequence: number;
  readonly view: RunView | undefined;
  /** The command line with which others join, and the one that shows it where there is no room for it. */
  readonly joinCommand: string;
  readonly statusCommand: string;
  /** The command that lists every checkpoint with its transaction. */
  readonly listCommand: string;
  /** Restarts and the like. */
  readonly warning: string | undefined;
}

export interface SessionDisplay {
  /** The time of an activity counts from its first mention. */
  readonly update: (change: Partial<Stage>) => void;
  /** On a terminal a notice of a named kind takes the place of the one before it. */
  readonly announce: (notice: string, kind?: string) => void;
  /** Takes the notice of a kind away, once it is no longer so. */
  readonly withdraw: (kind: string) => void;
  /** Lines that stay. */
  readonly say: (lines: readonly string[]) => void;
}
