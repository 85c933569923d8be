/**
 * The three kinds of failure, by who should do something: the user corrects it, anyone tries again later, or a
 * developer repairs the code. Commands turn them into exit codes; rooms subclass them and never throw bare errors.
 */
import { CotrainError, type ErrorDetails } from "@cotrain/sdk/base";

/** What an error may carry beside its code and sentence. */
export interface ErrorOptions {
  /** What was caught, for the developer. */
  readonly cause?: unknown;
  /** Particulars for programs; no secrets. */
  readonly details?: ErrorDetails;
}

/** Input, settings or surroundings that the user can correct. Exit code 1. */
export class UserError extends CotrainError {
  override readonly name: string = "UserError";
  constructor(code: string, message: string, options: ErrorOptions = {}) {
    super(code, message, { ...options, retryable: false });
  }
}

/** A mistake's sentence, and what can be done about it. */
export const remedied = (error: CotrainError, remedy: string): UserError =>
  new UserError(error.code, `${error.message.replace(/\.$/, "")}: ${remedy}.`, { cause: error });

/** For `catch`: adds to a mistake of these codes what can be done about it; any other error is thrown on as it is. */
export function withRemedy(remedy: string, ...codes: readonly string[]): (error: unknown) => never {
  return (error) => {
    if (!(error instanceof UserError) || !codes.includes(error.code)) throw error;
    throw remedied(error, remedy);
  };
}

/** Something that is away or busy; the same call may succeed later. Exit code 75. */
export class RetryableError extends CotrainError {
  override readonly name: string = "RetryableError";
  constructor(code: string, message: string, options: ErrorOptions = {}) {
    super(code, message, { ...options, retryable: true });
  }
}

/** A broken promise between parts of Cotrain: a defect. Exit code 70. */
export class InternalError extends CotrainError {
  override readonly name: string = "InternalError";
  constructor(code: string, message: string, options: ErrorOptions = {}) {
    super(code, message, { ...options, retryable: false });
  }
}

/** Exit code of a process that ends with `error`: 75 where trying again may help, 70 for defects, else 1. */
export function exitCodeOf(error: unknown): 1 | 70 | 75 {
  if (!(error instanceof CotrainError) || error instanceof InternalError) return 70;
  return error.retryable ? 75 : 1;
}

/** The operating system's error code (`ENOENT`, …) of what was caught, if it has one. */
export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error) || error instanceof CotrainError) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
