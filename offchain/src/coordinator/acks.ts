/** Acknowledgements: what the poster signs for an accepted receipt, the same for the same receipt however often it is asked. */
import { fromWire, type Hex, type ReceiptReply } from "@cotrain/sdk/protocol";

import type { AcceptedReceipt } from "./machine/state.ts";
import { type Run, signAsPoster } from "./run.ts";

/** Signatures are deterministic (RFC 6979); keeping them only saves time. */
const known = new WeakMap<Run, Map<Hex, ReceiptReply>>();
const KEPT = 4_096;

/** @param accepted a receipt whose event is durable */
export async function ackOf(run: Run, accepted: AcceptedReceipt): Promise<ReceiptReply> {
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
