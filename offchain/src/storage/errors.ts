/** What can be wrong with a blob. Each names the digest, so that a user can fetch it again or a peer can be blamed. */
import { type Digest, cidOf } from "@cotrain/sdk/protocol";

import { type ErrorOptions, UserError } from "../base/index.ts";

export type BlobErrorCode = "BLOB_MISSING" | "BLOB_CORRUPTED" | "BLOB_MISMATCH" | "BLOB_TOO_LARGE";

/** A blob that is not there, not what its digest says, or larger than allowed. */
export class BlobError extends UserError {
  override readonly name = "BlobError";
  declare readonly code: BlobErrorCode;

  constructor(code: BlobErrorCode, message: string, options: ErrorOptions = {}) {
    super(code, message, options);
  }
}

/** The store has no such blob. */
export function blobMissing(digest: Digest, where: string): BlobError {
  return new BlobError("BLOB_MISSING", `Blob ${digest} (${cidOf(digest)}) is not in ${where}.`, {
    details: { digest },
  });
}

/** Bytes that were stored as good are no longer what the digest says. */
export function blobCorrupted(digest: Digest, file: string): BlobError {
  return new BlobError(
    "BLOB_CORRUPTED",
    `Blob ${digest} is corrupted: ${file} does not hash to it; delete that file and fetch the blob again.`,
    { details: { digest, file } },
  );
}

/** Bytes that arrived are not those that were expected. */
export function blobMismatch(expected: Digest, actual: Digest): BlobError {
  return new BlobError("BLOB_MISMATCH", `The bytes received hash to ${actual}, expected was ${expected}.`, {
    details: { expected, actual },
  });
}

/** More bytes than allowed. */
export function blobTooLarge(what: string, maxBytes: number): BlobError {
  return new BlobError("BLOB_TOO_LARGE", `${what} is larger than the ${maxBytes} bytes allowed.`, {
    details: { maxBytes },
  });
}

/** A file or document whose form is wrong: safetensors, CAR, checkpoint manifest, model. */
export class FormatError extends UserError {
  override readonly name = "FormatError";
  declare readonly code: "SAFETENSORS_INVALID" | "CAR_INVALID" | "CHECKPOINT_INVALID" | "MODEL_INVALID";

  constructor(
    code: "SAFETENSORS_INVALID" | "CAR_INVALID" | "CHECKPOINT_INVALID" | "MODEL_INVALID",
    message: string,
    options: ErrorOptions = {},
  ) {
    super(code, message, options);
  }
}
