/**
 * What a worker keeps to prove its work: every receipt before it is sent and the poster's signed acknowledgement as soon
 * as it is verified, on the disk before training goes on. An acknowledged receipt that is missing under a round's
 * receipts root is proof against the poster.
 */
import type { Hex, PayloadHeader, ReceiptReply } from "@cotrain/sdk/protocol";

import type { SignedReceipt } from "./receipt.ts";

/** One receipt of this worker, with its acknowledgement where there is one. */
export interface ReceiptRow extends SignedReceipt {
  readonly header: PayloadHeader;
  /** That it stands for; null of one that was sent before this was kept. */
  readonly tokens: number | null;
  readonly ack: ReceiptReply | null;
  /** How the round ended for it, null while unknown. */
  readonly outcome: number | null;
}

export interface ReceiptJournal {
  /** Before the receipt is sent. The same receipt again changes nothing. @param tokens that it stands for */
  sent(receipt: SignedReceipt, header: PayloadHeader, tokens: number): Promise<void>;
  /** After its acknowledgement was verified. Durable when it resolves. */
  acknowledged(receiptHash: Hex, reply: ReceiptReply): Promise<void>;
  /** When the coordinator told how it ended. @returns whether that is news */
  ended(receiptHash: Hex, outcome: number): Promise<boolean>;
  /**
   * Receipts of a run that were accepted, since their outcome was told, but whose acknowledgement is missing; the newest few.
   * @param untold with the newest that was sent, whose outcome nobody told: it may have been accepted
   */
  unanswered(runId: string, untold: boolean): Promise<ReceiptRow[]>;
  /** All receipts of a run by round. */
  list(runId: string): Promise<ReceiptRow[]>;
  close(): Promise<void>;
}
