/** What a worker signs and what it is answered: payload header, receipt, and the check of the poster's acknowledgement. */
import { CotrainError } from "@cotrain/sdk/errors";
import {
  type Ack,
  type Address,
  type Assignment,
  type Digest,
  digestOfJson,
  type Domain,
  fromWire,
  hashReceipt,
  type Hex,
  type PayloadHeader,
  type Receipt,
  type ReceiptReply,
  recoverSigner,
  type StructName,
  type Struct,
  toWire,
  type WireStruct,
  typedDataOf,
  type SigningAccount,
} from "@cotrain/sdk/protocol";

import { roundNumber, UserError } from "../base/index.ts";

/** Signs a struct; the signature is lower-case hex of 65 bytes. */
export async function signStruct<N extends StructName>(
  account: SigningAccount,
  domain: Domain,
  name: N,
  struct: Struct<N>,
): Promise<Hex> {
  return (await account.signTypedData(typedDataOf(domain, name, struct))).toLowerCase() as Hex;
}

/** An answer to a receipt that is no acknowledgement of it: work that it stands for could not be proven. */
export class AcknowledgementError extends UserError {
  override readonly name = "AcknowledgementError";
}

/** One fragment in the header. */
type HeaderFragment = PayloadHeader["fragments"][number];

export interface HeaderInput {
  readonly assignment: Assignment;
  /** sha256 of the fragment table's canonical JSON. */
  readonly table: Digest;
  readonly fragments: readonly HeaderFragment[];
}

/** The payload's header; `payloadDigest` is sha256 of its canonical JSON. */
export function payloadHeader({ assignment, table, fragments }: HeaderInput): {
  header: PayloadHeader;
  payloadDigest: Digest;
} {
  const { runId, round, worker, codec } = assignment;
  const header: PayloadHeader = { version: 1, runId, round, worker, codec, table, fragments: [...fragments] };
  return { header, payloadDigest: digestOfJson(header) };
}

export interface ReceiptInput {
  readonly assignment: Assignment;
  /** Steps of it that are done, from its first on. */
  readonly steps: number;
  readonly beneficiary: Address;
  readonly build: Digest;
  readonly commitment: Hex;
  readonly leaves: number;
  readonly payloadDigest: Digest;
}

/** The receipt of an assignment, or of its first steps. */
export function receiptOf(input: ReceiptInput): Receipt {
  const { assignment } = input;
  return {
    runId: assignment.runId,
    round: BigInt(assignment.round),
    worker: assignment.worker,
    beneficiary: input.beneficiary,
    assignmentId: BigInt(assignment.assignmentId),
    attempt: assignment.attempt,
    assignment: digestOfJson(assignment),
    steps: input.steps,
    paramsVersion: assignment.paramsVersion,
    build: input.build,
    baseDigest: assignment.base,
    commitment: input.commitment,
    leaves: input.leaves,
    payloadDigest: input.payloadDigest,
  };
}

/** A receipt with its signature, in the form in which it is sent and kept. */
export interface SignedReceipt {
  readonly receipt: WireStruct<"Receipt">;
  readonly signature: Hex;
  readonly receiptHash: Hex;
}

export async function signReceipt(account: SigningAccount, domain: Domain, receipt: Receipt): Promise<SignedReceipt> {
  const signature = await signStruct(account, domain, "Receipt", receipt);
  return { receipt: toWire("Receipt", receipt), signature, receiptHash: hashReceipt(receipt) };
}

/** Tokens that work stands for: steps × batch × sequence. */
export const tokensOf = ({ steps, batch, sequence }: Pick<Assignment, "steps" | "batch" | "sequence">): number =>
  steps * batch * sequence;

/** What a receipt's acknowledgement has to name. */
export interface AckDue {
  readonly runId: string;
  readonly worker: string;
  readonly receiptHash: Hex;
  readonly round: number;
  readonly tokens: number;
}

/**
 * Checks that an answer is the poster's signed acknowledgement of this very receipt, for all its tokens.
 * @param poster whose key must have signed
 * @throws AcknowledgementError `ACK_WRONG` or `ACK_SIGNER`
 */
export async function verifyAck(domain: Domain, poster: Address, due: AckDue, reply: ReceiptReply): Promise<Ack> {
  const ack = fromWire("Ack", reply.ack);
  const wrong = (what: string, given: unknown, expected: unknown): never => {
    throw new AcknowledgementError(
      "ACK_WRONG",
      `The coordinator acknowledged round ${roundNumber(due.round)} with ${what} ${String(given)} where ${String(expected)} is due.`,
    );
  };
  if (ack.receiptHash !== due.receiptHash) wrong("receipt", ack.receiptHash, due.receiptHash);
  if (ack.runId !== due.runId) wrong("run", ack.runId, due.runId);
  if (ack.round !== BigInt(due.round)) wrong("round", roundNumber(Number(ack.round)), roundNumber(due.round));
  if (ack.worker !== due.worker) wrong("worker", ack.worker, due.worker);
  if (ack.tokens !== BigInt(due.tokens)) wrong("tokens", ack.tokens, due.tokens);
  let signer: Address;
  try {
    signer = await recoverSigner(domain, "Ack", ack, reply.signature);
  } catch (cause) {
    if (!(cause instanceof CotrainError)) throw cause;
    throw new AcknowledgementError(
      "ACK_SIGNER",
      `The acknowledgement of round ${roundNumber(due.round)} has no valid signature.`,
      {
        cause,
      },
    );
  }
  if (signer !== poster) {
    throw new AcknowledgementError(
      "ACK_SIGNER",
      `The acknowledgement of round ${roundNumber(due.round)} is signed by ${signer}, not by the run's poster ${poster}.`,
    );
  }
  return ack;
}
