/**
 * Receipts: every check of form before one enters the log. Signature, wallet, assignment, digests, sizes, finite numbers;
 * a code for each failure, and nothing changed by any of them.
 */
import {
  type Address,
  asDigest,
  canonicalJson,
  commitmentLeaves,
  fromWire,
  hashReceipt,
  MAX_PAYLOAD_HEADER_BYTES,
  type PayloadHeader,
  type ReceiptReply,
  type ReceiptRequest,
  type WireStruct,
  zeroHash,
} from "@cotrain/sdk/protocol";

import { roundNumber, sha256Bytes } from "../base/index.ts";
import { codecOf } from "../diloco/index.ts";
import { putDocument } from "../storage/index.ts";
import { ackOf } from "./acks.ts";
import { RefusedError } from "./errors.ts";
import { placeOf, refusalOf, workRefusal } from "./machine/rules.ts";
import { fragmentCount, type Member, type RunState, type Work } from "./machine/state.ts";
import type { Run } from "./run.ts";

/** Throws what a refusal says. */
function orThrow(refusal: ReturnType<typeof refusalOf>): void {
  if (refusal) throw new RefusedError(refusal.code, refusal.message);
}

/** Of one assignment; each is hashed, and its signature looked at. A worker whose store or network fails needs a few. */
const TRIES = 32;
const MOST_MEMBERS = 1_024;

interface Acknowledgement {
  readonly reply: ReceiptReply;
  /** Whether it was not there before. */
  readonly fresh: boolean;
}

/**
 * Accepts a receipt, or one that was accepted before. Whether the work is waited for comes first, since that costs nothing; nothing
 * is hashed of the header, and no signature looked at, unless it is.
 * @param session the member whose session the request came under
 * @throws RefusedError with a code per failure
 */
export async function acceptReceipt(run: Run, session: Address, request: ReceiptRequest): Promise<Acknowledgement> {
  const { receipt } = request;
  if (receipt.runId !== run.runId) {
    throw new RefusedError("WRONG_RUN", `The receipt is of run ${receipt.runId}; this is run ${run.runId}.`);
  }
  if (receipt.worker !== session) {
    throw new RefusedError("FOREIGN_WALLET", `The receipt is of ${receipt.worker}, but ${session} sent it.`);
  }
  const { state } = run.driver;
  const refusal = workRefusal(state, placeOf(receipt));
  if (refusal) {
    // Whoever did not hear that it was accepted asks again. Of a round to come none was.
    const earlier = Number(receipt.round) <= state.round ? await earlierAck(run, receipt) : undefined;
    if (earlier) return { reply: earlier, fresh: false };
    orThrow(refusal);
  }
  const work = checkPlace(state, receipt);
  checkClaims(receipt, work, memberOf(state, receipt));
  checkSteps(run, receipt, work);
  checkHeader(run, request, work);
  const stop = tries(run, receipt, work);
  try {
    return await acceptWork(run, request);
  } catch (error) {
    // What fails here is no fault of the worker's.
    if (!(error instanceof RefusedError)) stop();
    throw error;
  }
}

/** Counts a receipt that is looked at closely. @returns takes the count back */
function tries({ receiptTries }: Run, { worker }: WireStruct<"Receipt">, { digest }: Work): () => void {
  const known = receiptTries.get(worker);
  const tried = known?.assignment === digest ? known : { assignment: digest, count: 0 };
  if (tried.count >= TRIES) {
    throw new RefusedError(
      "TOO_MANY_RECEIPTS",
      `${TRIES} receipts of assignment ${digest} were looked at; that is enough.`,
    );
  }
  tried.count += 1;
  receiptTries.delete(worker);
  receiptTries.set(worker, tried);
  const [oldest] = receiptTries.keys();
  if (receiptTries.size > MOST_MEMBERS && oldest !== undefined) receiptTries.delete(oldest);
  return () => {
    tried.count -= 1;
  };
}

/** A receipt of work that is waited for. */
async function acceptWork(run: Run, { receipt, signature, header }: ReceiptRequest): Promise<Acknowledgement> {
  const { driver } = run;
  checkDigest(receipt, header);
  const struct = fromWire("Receipt", receipt);
  const signed = { domain: run.domain, name: "Receipt", struct, signature, signer: receipt.worker } as const;
  await run.modules.signatures.require(signed);
  const receiptHash = hashReceipt(struct);
  orThrow(refusalOf(driver.state, { type: "ReceiptAccepted", receipt, signature, receiptHash, header }));
  const payload = asDigest(receipt.payloadDigest);
  const named = [payload, ...header.fragments.map(({ digest }) => asDigest(digest))];
  const over = run.arriving.hold(named);
  try {
    await run.arriving.removed(named);
    await run.scans.check(header);
    await putDocument(run.modules.blobs, header, { digest: payload });
    await driver.submit({ type: "ReceiptAccepted", receipt, signature, receiptHash, header });
  } catch (error) {
    // The same receipt sent twice at once: one of the two came first, both get its acknowledgement.
    const first = error instanceof RefusedError ? await earlierAck(run, receipt) : undefined;
    if (first) return { reply: first, fresh: false };
    throw error;
  } finally {
    over();
  }
  const reply = await earlierAck(run, receipt);
  if (reply) return { reply, fresh: true };
  throw new RefusedError("STALE_ROUND", `Round ${roundNumber(Number(receipt.round))} is over.`);
}

/** The acknowledgement of a receipt that is in the log already, of the open round or an earlier one: one row is looked up. */
async function earlierAck(run: Run, receipt: WireStruct<"Receipt">): Promise<ReceiptReply | undefined> {
  const receiptHash = hashReceipt(fromWire("Receipt", receipt));
  const accepted = await run.projections.accepted(receiptHash);
  return accepted && ackOf(run, { receipt, receiptHash, ...accepted });
}

/** The member that a receipt is of, paid as it joined. */
function memberOf(state: RunState, receipt: WireStruct<"Receipt">): Member {
  const member = state.members[receipt.worker];
  if (!member) throw new RefusedError("NOT_A_MEMBER", `${receipt.worker} is not a member of this run: join first.`);
  if (member.beneficiary !== receipt.beneficiary) {
    throw new RefusedError(
      "FOREIGN_WALLET",
      `The receipt pays ${receipt.beneficiary}; ${receipt.worker} joined for ${member.beneficiary}.`,
    );
  }
  if (member.build !== receipt.build) {
    throw new RefusedError(
      "BUILD_UNKNOWN",
      `The receipt names build ${receipt.build}; ${receipt.worker} joined with ${member.build}.`,
    );
  }
  return member;
}

function checkPlace(state: RunState, receipt: WireStruct<"Receipt">): Work {
  orThrow(workRefusal(state, placeOf(receipt)));
  const work = state.current?.work[receipt.worker];
  if (!work) throw new RefusedError("STALE_ATTEMPT", `Nothing is expected of ${receipt.worker}.`);
  return work;
}

/** What the receipt says of its assignment. */
function checkClaims(receipt: WireStruct<"Receipt">, { assignment, digest }: Work, { segmentSteps }: Member): void {
  if (receipt.baseDigest !== assignment.base) {
    throw new RefusedError(
      "WRONG_BASE",
      `The work started from ${receipt.baseDigest}; round ${roundNumber(Number(receipt.round))} starts from ${assignment.base}.`,
    );
  }
  if (receipt.paramsVersion !== assignment.paramsVersion) {
    throw new RefusedError(
      "WRONG_PARAMS",
      `The receipt is under parameters ${receipt.paramsVersion}; the round is under ${assignment.paramsVersion}.`,
    );
  }
  if (receipt.assignment !== digest) {
    throw new RefusedError("WRONG_DIGEST", `The receipt names assignment ${receipt.assignment}; ${digest} was given.`);
  }
  if (receipt.steps < 1 || receipt.steps > assignment.steps) {
    throw new RefusedError(
      "WRONG_SHAPE",
      `The receipt claims ${receipt.steps} steps; the assignment has ${assignment.steps}.`,
    );
  }
  const leaves = commitmentLeaves(receipt.steps, segmentSteps);
  if (receipt.leaves !== leaves) {
    throw new RefusedError(
      "WRONG_COMMITMENT",
      `The commitment to ${receipt.steps} steps has ${leaves} leaves, not ${receipt.leaves}.`,
    );
  }
  if (receipt.commitment === zeroHash) {
    throw new RefusedError("WRONG_COMMITMENT", "The receipt has no commitment: its root is zero.");
  }
}

/**
 * That the work is done, or that it would not have been done in time. A part of it counts from half of its time on, and from as many
 * steps as payloads are compared by: nobody hands in a copy as a few steps of its own, or keeps a place by a step a round.
 */
function checkSteps(run: Run, { steps }: WireStruct<"Receipt">, { assignment, partFrom }: Work): void {
  if (steps === assignment.steps) return;
  const least = Math.min(run.definition.screening.copySteps, assignment.steps);
  if (run.driver.now() >= partFrom && steps >= least) return;
  throw new RefusedError(
    "WORK_UNDONE",
    `The receipt claims ${steps} of ${assignment.steps} steps. A part counts from ${least} steps on, once half of the work's time is over.`,
  );
}

/** Exact bytes of each fragment under the round's codec. */
export const fragmentBytes = (state: RunState, index: number): number =>
  codecOf(state.current?.params.codec ?? state.params.codec).encodedLength(state.facts.elements[index] ?? 0);

function checkDigest({ payloadDigest }: WireStruct<"Receipt">, header: PayloadHeader): void {
  const bytes = new TextEncoder().encode(canonicalJson(header));
  if (bytes.length > MAX_PAYLOAD_HEADER_BYTES) {
    throw new RefusedError("BODY_TOO_LARGE", `A payload's header has ${MAX_PAYLOAD_HEADER_BYTES} bytes at most.`);
  }
  const digest = sha256Bytes(bytes);
  if (digest === payloadDigest) return;
  throw new RefusedError("WRONG_DIGEST", `The payload header hashes to ${digest}; the receipt names ${payloadDigest}.`);
}

/** That the header is of this work and has its fragments; what it costs is bounded by their number. */
function checkHeader(run: Run, { receipt, header }: ReceiptRequest, work: Work): void {
  const { state } = run.driver;
  if (header.runId !== run.runId || header.round !== work.assignment.round || header.worker !== receipt.worker) {
    throw new RefusedError(
      "STALE_ROUND",
      `The payload is of ${header.worker} in round ${roundNumber(header.round)} of run ${header.runId}.`,
    );
  }
  if (header.codec !== work.assignment.codec || header.table !== run.facts.table) {
    throw new RefusedError(
      "WRONG_SHAPE",
      `The payload has codec ${header.codec} and table ${header.table}; due are ${work.assignment.codec} and ${run.facts.table}.`,
    );
  }
  const fragments = fragmentCount(state);
  if (header.fragments.length !== fragments) {
    throw new RefusedError(
      "WRONG_SHAPE",
      `The payload lists ${header.fragments.length} fragments; the run has ${fragments}.`,
    );
  }
  for (const [index, fragment] of header.fragments.entries()) {
    const elements = run.facts.elements[index];
    const bytes = fragmentBytes(state, index);
    if (fragment.index !== index || fragment.elements !== elements || fragment.bytes !== bytes) {
      throw new RefusedError(
        "WRONG_SHAPE",
        `Place ${index} of the payload has fragment ${fragment.index} with ${fragment.elements} elements in ${fragment.bytes} bytes; due are fragment ${index}, ${elements} and ${bytes}.`,
      );
    }
    const base = state.checkpoint.fragments[index]?.digest;
    if (fragment.base !== base) {
      throw new RefusedError(
        "WRONG_BASE",
        `Fragment ${index} was taken against ${fragment.base}; the round starts from ${base}.`,
      );
    }
  }
}
