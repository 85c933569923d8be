/** Refusals of the coordinator: a code per failure, and the HTTP status of each. */
import { UserError, type ErrorOptions, RetryableError } from "../base/index.ts";
import type { RefusalCode } from "./machine/rules.ts";

export type ApiCode =
  | RefusalCode
  | "RUN_UNKNOWN"
  | "WRONG_RUN"
  | "PROTOCOL_VERSION"
  | "BUILD_UNKNOWN"
  | "LEASE_UNKNOWN"
  | "RENTER_UNKNOWN"
  | "FOREIGN_PASS"
  | "SOFTWARE_NONE"
  | "MACHINE_UNKNOWN"
  | "MACHINE_TAKEN"
  | "PASSES_MANY"
  | "MACHINE_FOREIGN"
  | "MACHINE_OFFER_EXPIRED"
  | "STAKE_MISSING"
  | "STAKE_UNKNOWN"
  | "CLOCK_SKEW"
  | "ZERO_BENEFICIARY"
  | "BAD_SIGNATURE"
  | "SESSION_UNKNOWN"
  | "BAD_MAC"
  | "STALE_COUNTER"
  | "FOREIGN_WALLET"
  | "WRONG_DIGEST"
  | "WRONG_SHAPE"
  | "WRONG_BASE"
  | "WRONG_PARAMS"
  | "NON_FINITE"
  | "TOO_MANY_FAILURES"
  | "TOO_MANY_RECEIPTS"
  | "WRONG_COMMITMENT"
  | "WORK_UNDONE"
  | "BODY_TOO_LARGE"
  | "BLOB_NOT_FOUND"
  | "PAYLOAD_SEALED"
  | "RANGE_INVALID"
  | "NOT_A_VALIDATOR"
  | "WRONG_VERDICT"
  | "NOT_DRAWN"
  | "OUT_OF_TURN"
  | "SORTITION_PENDING"
  | "ACCOUNT_UNKNOWN"
  | "OPERATOR_TOKEN";

/** Something that was asked of the coordinator and refused; nothing changed. */
export class RefusedError extends UserError {
  override readonly name = "RefusedError";
  declare readonly code: ApiCode;

  constructor(code: ApiCode, message: string, options: ErrorOptions = {}) {
    super(code, message, options);
  }
}

/** The coordinator ends; whoever asks comes back to its successor. */
export const stopping = (): RetryableError =>
  new RetryableError("STOPPING", "The coordinator is shutting down; try again soon.");

/** Of the forms that the protocol fixes, and of a coordinator that is busy or ends. */
type OtherCode =
  | "MACHINES_FULL"
  | "MALFORMED_CID"
  | "MALFORMED_ID"
  | "MALFORMED_PASS"
  | "MALFORMED_SIGNATURE"
  | "MALFORMED_STRUCT"
  | "NOT_JSON"
  | "REWARDS_BUSY"
  | "SIGNATURES_BUSY"
  | "STOPPING";

/**
 * For createHttpServer: what may be told to whoever asks. It is told of no other error, wherever it is thrown, more than that it
 * failed here, for now or for good: the messages of stores, databases and chains say where those are.
 */
export const statusByCode: Readonly<Record<ApiCode | OtherCode, number>> = {
  RUN_UNKNOWN: 404,
  BLOB_NOT_FOUND: 404,
  ACCOUNT_UNKNOWN: 404,
  SOFTWARE_NONE: 404,
  MACHINE_UNKNOWN: 404,
  MACHINE_TAKEN: 409,
  PASSES_MANY: 409,
  MACHINE_FOREIGN: 403,
  MACHINE_OFFER_EXPIRED: 410,
  MACHINES_FULL: 503,
  HEAD_UNKNOWN: 404,
  EPOCH_UNKNOWN: 404,
  // The member joins again and goes on.
  SESSION_UNKNOWN: 401,
  NOT_A_MEMBER: 401,
  OPERATOR_TOKEN: 401,
  BAD_SIGNATURE: 403,
  BAD_MAC: 401,
  STALE_COUNTER: 409,
  FOREIGN_WALLET: 403,
  PAYLOAD_SEALED: 403,
  NOT_A_VALIDATOR: 403,
  RUN_FINISHED: 410,
  RUN_FULL: 503,
  // Whoever shows the pass is not the one it is for, or comes too late.
  LEASE_TAKEN: 409,
  LEASE_ENDED: 410,
  LEASE_OVER: 410,
  LEASES_FULL: 503,
  RENTER_UNKNOWN: 403,
  FOREIGN_PASS: 403,
  // Its owner deposits, or the chain answers.
  STAKE_MISSING: 403,
  STAKE_UNKNOWN: 503,
  STALE_JOIN: 409,
  STALE_ROUND: 409,
  STALE_ATTEMPT: 409,
  ALREADY_SUBMITTED: 409,
  EQUIVOCATION: 409,
  DUPLICATE: 409,
  NOT_DRAWN: 409,
  OUT_OF_TURN: 409,
  WORK_UNDONE: 409,
  SORTITION_PENDING: 503,
  TOO_MANY_UPLOADS: 429,
  TOO_MANY_FAILURES: 429,
  TOO_MANY_RECEIPTS: 429,
  BODY_TOO_LARGE: 413,
  RANGE_INVALID: 416,
  WRONG_RUN: 400,
  PROTOCOL_VERSION: 400,
  BUILD_UNKNOWN: 400,
  LEASE_UNKNOWN: 400,
  CLOCK_SKEW: 400,
  ZERO_BENEFICIARY: 400,
  WRONG_DIGEST: 400,
  WRONG_SHAPE: 400,
  WRONG_BASE: 400,
  WRONG_PARAMS: 400,
  NON_FINITE: 400,
  WRONG_COMMITMENT: 400,
  WRONG_VERDICT: 400,
  FRAGMENT_MISSING: 400,
  OBSOLETE: 400,
  MALFORMED_CID: 400,
  MALFORMED_ID: 400,
  MALFORMED_PASS: 400,
  MALFORMED_SIGNATURE: 400,
  MALFORMED_STRUCT: 400,
  NOT_JSON: 400,
  STOPPING: 503,
  SIGNATURES_BUSY: 503,
  REWARDS_BUSY: 503,
};
