import { type ErrorOptions, UserError } from "../base/index.ts";

export type DataErrorCode =
  | "DATA_UNREADABLE"
  | "DATA_NOT_TEXT"
  | "DATA_TOO_SHORT"
  | "DATA_TOO_LARGE"
  | "DATA_INVALID"
  | "TOKENIZER_INVALID";

/** A text, data set or tokenizer that cannot be trained on. */
export class DataError extends UserError {
  override readonly name = "DataError";
  declare readonly code: DataErrorCode;

  constructor(code: DataErrorCode, message: string, options: ErrorOptions = {}) {
    super(code, message, options);
  }
}
