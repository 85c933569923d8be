import { outcomeCode } from "@cotrain/sdk/protocol";

import { type ErrorOptions, UserError } from "../base/index.ts";

export type PayloadErrorCode = "PAYLOAD_LENGTH" | "PAYLOAD_SCALE" | "PAYLOAD_VALUE";

/** A payload that no honest encoder writes: wrong length, a bad scale, a value that is not allowed. */
export class PayloadError extends UserError {
  override readonly name = "PayloadError";
  declare readonly code: PayloadErrorCode;

  constructor(code: PayloadErrorCode, message: string, options: ErrorOptions = {}) {
    super(code, message, options);
  }

  /** What a receipt earns whose payload cannot be read for that: `outcomeCode`. */
  get outcome(): number {
    return this.code === "PAYLOAD_LENGTH" ? outcomeCode.payloadMalformed : outcomeCode.nonFinite;
  }
}

/** Refuses slices of another length than asked for. @throws PayloadError `PAYLOAD_LENGTH` */
export function requireLength(actual: number, expected: number): void {
  if (actual === expected) return;
  throw new PayloadError("PAYLOAD_LENGTH", `The payload has ${actual} bytes where ${expected} are due.`, {
    details: { actual, expected },
  });
}
