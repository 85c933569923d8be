/**
 * Errors of the SDK. Every error that Cotrain throws has a stable `code`, one sentence for the user as `message`
 * (what, where, what is allowed) and says whether trying again can help.
 */

/** JSON-safe particulars of an error, for programs. */
export type ErrorDetails = Readonly<Record<string, string | number | boolean | null>>;

export interface CotrainErrorOptions {
  readonly retryable?: boolean;
  readonly details?: ErrorDetails;
  readonly cause?: unknown;
}

/** Base of all errors. `code` is UPPER_SNAKE_CASE and never changes its meaning. */
export class CotrainError extends Error {
  override readonly name: string = "CotrainError";
  readonly code: string;
  readonly retryable: boolean;
  readonly details: ErrorDetails | undefined;

  constructor(code: string, message: string, options: CotrainErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.details = options.details;
  }
}

/** A value does not have the form that the protocol fixes: an id, a document, a struct, a layout. */
export class ProtocolError extends CotrainError {
  override readonly name = "ProtocolError";
}

/** A coordinator answered with an error, or with something that is not an answer. */
export class CoordinatorError extends CotrainError {
  override readonly name = "CoordinatorError";
  readonly status: number;

  constructor(status: number, code: string, message: string, options: CotrainErrorOptions = {}) {
    super(code, message, options);
    this.status = status;
  }
}
