/** Acknowledgements: what the poster signs for an accepted receipt, the same for the same receipt however often it is asked. */
import { fromWire, type Hex, type ReceiptReply, type WireStruct } from "@cotrain/sdk/protocol";

import { type Run, signAsPoster } from "./run.ts";

/** Signatures are deterministic (RFC 6979); keeping them only saves time. */
const known = new WeakMap<Run, Map<Hex, ReceiptReply>>();
const KEPT = 4_096;

/** What is acknowledged: a receipt whose event is durable. */
export interface Acknowledged {
  readonly receipt: Pick<WireStruct<"Receipt">, "runId" | "round" | "worker">;
  readonly receiptHash: Hex;
  readonly tokens: number;
  readonly acceptedAt: number;
}

export async function ackOf(run: Run, accepted: Acknowledged): Promise<ReceiptReply> {
  const cache = known.get(run) ?? new Map<Hex, ReceiptReply>();
  known.set(run, cache);
  const found = cache.get(accepted.receiptHash);
  if (found) return found;
  const { receipt, receiptHash, tokens, acceptedAt } = accepted;
  const ack = {
    runId: receipt.runId,
    round: receipt.round,
    worker: receipt.worker,
    receiptHash,
    tokens: String(tokens),
    acceptedAt: String(acceptedAt),
  };
  const reply = { ack, signature: await signAsPoster(run, "Ack", fromWire("Ack", ack)) };
  cache.set(receiptHash, reply);
  const [oldest] = cache.keys();
  if (cache.size > KEPT && oldest !== undefined) cache.delete(oldest);
  return reply;
}
