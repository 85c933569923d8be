/** What a running worker tells its surroundings: plain data, safe to send over IPC. */
import { CotrainError } from "@cotrain/sdk/errors";
import type { Address, Digest, Hex, RunId } from "@cotrain/sdk/protocol";

/** Where an assignment's time went, milliseconds; phases overlap where work does. */
export interface RoundTimes {
  /** From the work reply to the first inner step: θ_r, tokens, the state's hash. */
  readonly prepare: number;
  /** Inner steps. */
  readonly train: number;
  /** Pseudo-gradient, encoding, hashing, upload. */
  readonly send: number;
  /** Receipt until its acknowledgement is on the disk. */
  readonly submit: number;
  /** From the last acknowledgement to this assignment: waiting for the others and for the coordinator. */
  readonly wait: number;
}

export type WorkerEvent =
  /** What the worker is busy with before it trains, as one line for people. */
  | { readonly type: "preparing"; readonly what: string }
  | {
      readonly type: "ready";
      readonly runId: RunId;
      readonly worker: Address;
      readonly beneficiary: Address;
      readonly build: Digest;
      readonly parameters: number;
      /** Whether the machine computed the build's conformance value, which exact replay needs. */
      readonly conforms: boolean;
    }
  | {
      readonly type: "joined";
      readonly again: boolean;
      readonly heartbeatSeconds: number;
      /** What it computes with. */
      readonly device?: string;
    }
  /** Asked to claim, the coordinator does from so many share wei on; null: it claims for nobody. */
  | { readonly type: "claims"; readonly from: string | null }
  | { readonly type: "waiting"; readonly reason: string }
  | {
      readonly type: "assigned";
      readonly round: number;
      readonly assignmentId: number;
      readonly attempt: number;
      readonly steps: number;
      readonly tokens: number;
      /** `reset`: the run was taken back behind what it stands for. */
      readonly residual: "none" | "advanced" | "reverted" | "reset";
    }
  | {
      readonly type: "progress";
      readonly round: number;
      readonly step: number;
      readonly steps: number;
      /** Nats per token, the mean of so many tokens. */
      readonly loss: number;
      readonly lossTokens: number;
      readonly tokensPerSecond: number;
    }
  /** A payload of so many bytes begins to be sent; also where it is sent again. */
  | { readonly type: "sending"; readonly round: number; readonly bytes: number }
  | { readonly type: "uploaded"; readonly round: number; readonly fragment: number; readonly bytes: number }
  | {
      readonly type: "acknowledged";
      readonly round: number;
      readonly receiptHash: Hex;
      readonly tokens: number;
      readonly loss: number;
      readonly lossTokens: number;
      readonly tokensPerSecond: number;
      readonly sentBytes: number;
      readonly times: RoundTimes;
    }
  /** The acknowledgement of a receipt whose first answer was lost. */
  | { readonly type: "acknowledgedLate"; readonly round: number; readonly receiptHash: Hex; readonly tokens: number }
  /** How a round that this worker had a receipt in ended for it; 0 = aggregated. */
  | { readonly type: "outcome"; readonly round: number; readonly receiptHash: Hex; readonly outcome: number }
  | {
      readonly type: "dropped";
      readonly round: number;
      readonly assignmentId: number;
      readonly code: string;
      readonly reason: string;
    }
  /** Something is away or was refused and is tried again; or was tried for the last time, which `what` says then. */
  | {
      readonly type: "retrying";
      readonly what: string;
      readonly code: string;
      readonly reason: string;
      readonly waitMs: number;
      /** What the wait is at most: it does not fall while the same fails on. */
      readonly withinMs: number;
      /** Of what is not tried for ever: after how long without success the worker gives up, ms. */
      readonly patienceMs?: number;
    }
  /** What it computes with, where nobody named one or one that was lost is tried again, and why. */
  | { readonly type: "device"; readonly device: string; readonly why: string }
  /** What it computed with, or should, failed; `next` takes its place, null: nothing does, and the worker ends. */
  | {
      readonly type: "deviceFailed";
      readonly device: string;
      readonly reason: string;
      /** What the runtime, or the process as its last words, said: for the log alone. */
      readonly raw?: string;
      readonly next: string | null;
      /** Accepted rounds until it is tried again, of one that was lost where another takes its place. */
      readonly againIn?: number;
    }
  | { readonly type: "left"; readonly reason: string };

/** A device that failed, in a sentence. */
export function deviceFailedText(event: WorkerEvent & { readonly type: "deviceFailed" }): string {
  const { device, reason, next, againIn } = event;
  const later = againIn === undefined ? "" : ` for ${againIn} rounds, then it is tried again`;
  const place = next === device ? "it is opened once again" : `${next ?? "nothing"} takes its place${later}`;
  return `The device ${device} failed (${reason.replace(/\.$/, "")}): ${place}.`;
}

/** The event of something that is tried again. */
export function retryEvent(
  what: string,
  error: unknown,
  waitMs: number,
  withinMs: number,
): WorkerEvent & { type: "retrying" } {
  const code = error instanceof CotrainError ? error.code : "UNKNOWN";
  const reason = error instanceof Error ? error.message : String(error);
  return { type: "retrying", what, code, reason, waitMs, withinMs };
}
