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

/** The SDK does not know where the contracts are on this chain. */
export class DeploymentUnknownError extends CotrainError {
  override readonly name = "DeploymentUnknownError";

  constructor(chainId: number | undefined) {
    super(
      "DEPLOYMENT_UNKNOWN",
      chainId === undefined
        ? "The client names no chain; give it one, or pass `addresses`."
        : `Cotrain has no published deployment on chain ${chainId}; pass \`addresses\`.`,
      chainId === undefined ? {} : { details: { chainId } },
    );
  }
}

/** A wallet is needed and none is there. */
export class AccountMissingError extends CotrainError {
  override readonly name = "AccountMissingError";

  constructor() {
    super("ACCOUNT_MISSING", "This call needs an account; give one to the client, or pass `account`.");
  }
}

/** A receipt does not hold the event that was looked for. */
export class EventMissingError extends CotrainError {
  override readonly name = "EventMissingError";

  constructor(eventName: string) {
    super("EVENT_MISSING", `The transaction has no ${eventName} event; it is not the one that was meant.`, {
      details: { eventName },
    });
  }
}

/** A transaction was mined and reverted; `cause` is the contract's error where it could be found again. */
export class TransactionRevertedError extends CotrainError {
  override readonly name = "TransactionRevertedError";

  constructor(transaction: string, cause?: unknown) {
    const reason = cause instanceof CotrainError ? ` ${cause.message}` : "";
    super("TRANSACTION_REVERTED", `Transaction ${transaction} reverted.${reason}`, {
      details: { transaction },
      ...(cause === undefined ? {} : { cause }),
    });
  }
}

/** The chain no longer holds a block that a cursor stands on. */
export class ChainReorganisedError extends CotrainError {
  override readonly name = "ChainReorganisedError";

  /** Whether the node's newest block comes before it: it may merely lag behind the one that told of the block. */
  readonly mayLag: boolean;

  constructor(block: bigint, tip = block) {
    super("CHAIN_REORGANISED", `Block ${block} is not the one it was; read again from an earlier block.`, {
      retryable: true,
      details: { block: block.toString() },
    });
    this.mayLag = tip < block;
  }
}
