/**
 * What became of the receipts that were sent. An answer may be lost: a heartbeat names the next round while it is under way,
 * or the coordinator dies right after accepting. The receipt stays in the journal; the next work tells the hash and the
 * outcome of the last one that was accepted, by which the residual advances or not, and the acknowledgement is asked for again;
 * where no work follows, before the worker leaves.
 */
import { CotrainError } from "@cotrain/sdk/errors";
import type { Address, Digest, Domain, WorkReply } from "@cotrain/sdk/protocol";

import { InternalError, roundNumber, UserError } from "../base/index.ts";
import type { WorkerEvent } from "./events.ts";
import type { ReceiptJournal, ReceiptRow } from "./receiptJournal.ts";
import { AcknowledgementError, type AckDue, tokensOf, verifyAck } from "./receipt.ts";
import type { ResidualLedger } from "./residual.ts";
import type { SessionKeeper } from "./session.ts";

export interface SettlingContext {
  readonly runId: string;
  readonly domain: Domain;
  /** Tokens per sequence. */
  readonly sequence: number;
  /** Sequences per inner step of a build, which may be another than the one that is trained now. */
  readonly batchOf: (build: Digest) => Promise<number>;
  readonly session: SessionKeeper;
  readonly receipts: ReceiptJournal;
  readonly onEvent: (event: WorkerEvent) => void;
  readonly poster: (refresh: boolean) => Promise<Address>;
}

/** Checks an acknowledgement against the poster that is known, and against a new one where that one did not sign it. */
export async function verifyAnyPoster(
  due: AckDue,
  { domain, poster }: Pick<SettlingContext, "domain" | "poster">,
  reply: Parameters<typeof verifyAck>[3],
): Promise<void> {
  try {
    await verifyAck(domain, await poster(false), due, reply);
  } catch (error) {
    if (!(error instanceof UserError) || error.code !== "ACK_SIGNER") throw error;
    await verifyAck(domain, await poster(true), due, reply);
  }
}

/**
 * Settles by what the coordinator tells with the next work.
 * @returns what happened to the residual, and the tokens of acknowledgements that arrived only now
 * @throws AcknowledgementError when one of them is no acknowledgement
 */
export async function settle(
  { lastOutcome }: Extract<WorkReply, { kind: "train" }>,
  residuals: ResidualLedger,
  context: SettlingContext,
  signal: AbortSignal,
): Promise<{ residual: "none" | "advanced" | "reverted"; late: readonly number[] }> {
  const residual = residuals.settle(lastOutcome);
  if (!lastOutcome) return { residual, late: [] };
  const { receipts, onEvent } = context;
  if (await receipts.ended(lastOutcome.receiptHash, lastOutcome.outcome)) onEvent({ type: "outcome", ...lastOutcome });
  return { residual, late: await askUnanswered(context, signal, { untold: false }) };
}

/**
 * Asks for the acknowledgements that are missing, once each.
 * @param untold also for that of the newest receipt, where nobody told what became of it and no further work will
 * @returns the tokens of those that arrived
 * @throws AcknowledgementError when one of them is no acknowledgement
 */
export async function askUnanswered(
  context: SettlingContext,
  signal: AbortSignal,
  { untold }: { readonly untold: boolean },
): Promise<readonly number[]> {
  const late: number[] = [];
  for (const row of await context.receipts.unanswered(context.runId, untold)) {
    const tokens = await askAgain(row, context, signal, untold ? "asked for a last time" : "asked for again");
    if (tokens !== undefined) late.push(tokens);
  }
  return late;
}

/** Tokens that a receipt stands for: as it was sent, else by the build that it names. */
async function tokensOfRow({ receipt, tokens }: ReceiptRow, { batchOf, sequence }: SettlingContext): Promise<number> {
  if (tokens !== null) return tokens;
  return tokensOf({ steps: receipt.steps, batch: await batchOf(receipt.build as Digest), sequence });
}

/**
 * Sends a receipt once more: if it was accepted, it is answered with the acknowledgement of then.
 * @param how it is asked for, in the words of an event
 */
async function askAgain(
  row: ReceiptRow,
  context: SettlingContext,
  signal: AbortSignal,
  how: string,
): Promise<number | undefined> {
  const { receipt, signature, receiptHash, header } = row;
  const round = Number(receipt.round);
  let tokens: number;
  try {
    tokens = await tokensOfRow(row, context);
    const due = { runId: receipt.runId, worker: receipt.worker, receiptHash, round, tokens };
    const reply = await context.session.once(
      (current) => current.submitReceipt({ receipt, signature, header }),
      signal,
    );
    await verifyAnyPoster(due, context, reply);
    await context.receipts.acknowledged(receiptHash, reply);
  } catch (error) {
    // What it proves against the poster is told also where the worker was asked to stop meanwhile.
    if (error instanceof AcknowledgementError) throw error;
    if (signal.aborted) return undefined;
    if (!(error instanceof CotrainError) || error instanceof InternalError) throw error;
    // Where work follows, it is asked for with that again: training does not wait for it.
    const { code, message } = error;
    context.onEvent({
      type: "retrying",
      what: `acknowledgement of round ${roundNumber(round)}, ${how}`,
      code,
      reason: message,
      waitMs: 0,
      withinMs: 0,
    });
    return undefined;
  }
  context.onEvent({ type: "acknowledgedLate", round, receiptHash, tokens });
  return tokens;
}
