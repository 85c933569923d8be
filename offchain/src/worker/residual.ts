/**
 * Error feedback between rounds. What the codec lost of a pseudo-gradient is added to the next one, but only if that
 * pseudo-gradient reached the aggregate: the coordinator tells the outcome with the next work. Until then both
 * residuals are kept (training.md, "Codecs").
 */
import type { Hex } from "@cotrain/sdk/protocol";

import { bytesOf, createBlake3, turn } from "../base/index.ts";
import type { FragmentLayout } from "../diloco/index.ts";

/** One flat array per fragment, in the fragment's element order. */
export type Residual = readonly Float32Array[];

/** What became of a receipt, as the coordinator tells it with the next work. */
interface ReportedOutcome {
  readonly receiptHash: Hex;
  readonly outcome: number;
}

export interface ResidualLedger {
  /** What the next pseudo-gradient is encoded with. */
  readonly current: Residual;
  /** Notes, before the receipt is sent, the residual that its encoding left behind. */
  submitted(receiptHash: Hex, next: Residual): void;
  /** The receipt whose fate is not known. */
  readonly pending: Hex | undefined;
  /**
   * Decides what was submitted last.
   * @param told the coordinator's last outcome for this worker, null when it has none
   * @returns what happened to the residual: nothing was pending, it advanced, or it went back
   */
  settle(told: ReportedOutcome | null): "none" | "advanced" | "reverted";
  /** Starts again from zeros. */
  reset(): void;
}

/** A ledger that starts with zeros, as after every start of a worker. */
export function createResidualLedger(layouts: readonly FragmentLayout[]): ResidualLedger {
  const zeros = (): Residual => layouts.map(({ elements }) => new Float32Array(elements));
  let current = zeros();
  let pending: { receiptHash: Hex; next: Residual } | undefined;
  return {
    get current() {
      return current;
    },
    get pending() {
      return pending?.receiptHash;
    },
    submitted: (receiptHash, next) => {
      pending = { receiptHash, next };
    },
    settle: (told) => {
      if (!pending) return "none";
      const { receiptHash, next } = pending;
      pending = undefined;
      if (told?.receiptHash !== receiptHash || told.outcome !== 0) return "reverted";
      current = next;
      return "advanced";
    },
    reset: () => {
      current = zeros();
      pending = undefined;
    },
  };
}

/** Bytes hashed between two turns of the event loop: about 2 ms of BLAKE3. */
const HASH_CHUNK_BYTES = 16 << 20;

/** BLAKE3 of tensors one after another, fp32 little-endian. */
export async function blake3Of(tensors: readonly Float32Array[]): Promise<Hex> {
  const hasher = createBlake3();
  let since = 0;
  for (const tensor of tensors) {
    const bytes = bytesOf(tensor);
    for (let start = 0; start < bytes.length; start += HASH_CHUNK_BYTES) {
      const chunk = bytes.subarray(start, start + HASH_CHUNK_BYTES);
      hasher.update(chunk);
      since += chunk.length;
      if (since < HASH_CHUNK_BYTES) continue;
      since = 0;
      await turn();
    }
  }
  return hasher.digest();
}
