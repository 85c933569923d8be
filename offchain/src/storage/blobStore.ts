/**
 * What a store of content-addressed blobs does. A blob's name is its SHA-256; whatever is read is verified against it,
 * so a store need not be trusted. The door to the engines is blobEngines.ts.
 */
import type { Digest } from "@cotrain/sdk/protocol";

import type { ByteChunks } from "../base/index.ts";

/** A blob opened for random reads. Its content was verified as a whole when it was opened. */
export interface OpenBlob extends AsyncDisposable {
  readonly digest: Digest;
  /** Bytes. */
  readonly length: number;
  /** Exactly `length` bytes from `offset`, in memory of their own. */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Fills `target` with the bytes from `offset`. */
  readInto(target: Uint8Array, offset: number): Promise<void>;
  close(): Promise<void>;
}

/** Reading by digest. */
export interface BlobReader {
  /**
   * The whole blob, verified.
   * @param maxBytes larger ones are not given: hashed as they are read, since a file that somebody appended to is not larger but
   *   corrupted
   * @throws BlobError `BLOB_MISSING`, `BLOB_CORRUPTED` or `BLOB_TOO_LARGE`
   */
  get(digest: Digest, maxBytes?: number): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Opens for random reads after one pass that verifies.
   * @param options.again false: a file that this store has verified before, and that is the same file since (size, time of
   *   change, place on the disk), is not read once more; for bytes whose receiver verifies them himself
   * @throws BlobError like `get`
   */
  open(digest: Digest, options?: { readonly again?: boolean }): Promise<OpenBlob>;
  /** The content in order; a wrong hash is thrown in place of the last chunk. @throws BlobError like `get` */
  stream(digest: Digest): AsyncIterable<Uint8Array>;
  /** Whether the blob is there; its content is not looked at. */
  has(digest: Digest): Promise<boolean>;
}

/** What was stored. */
export interface Stored {
  readonly digest: Digest;
  readonly bytes: number;
}

/** What is expected of bytes that come from elsewhere. */
export interface Expected {
  readonly digest?: Digest;
  /** Exact length. */
  readonly bytes?: number;
  /** Upper limit of the length. */
  readonly maxBytes?: number;
}

/** For whom a store is that several can name: whoever claims it first, until it is cleared. */
export interface StoreClaims {
  /** Whether anybody has claimed it. */
  isMade(): Promise<boolean>;
  /**
   * Claims it, unless somebody has.
   * @param mark of who does
   * @returns whether it is this one's, now or since before
   */
  make(mark: string): Promise<boolean>;
}

export interface BlobStore extends BlobReader {
  /** Undefined for an engine that keeps none. */
  readonly claims?: StoreClaims;
  /**
   * Stores bytes durably; when it resolves they survive a power cut. Storing again is harmless and repairs a corrupted
   * copy. On any failure nothing is left behind.
   * @throws BlobError `BLOB_MISMATCH` or `BLOB_TOO_LARGE` when the bytes are not those expected; errors of the stream
   */
  put(data: Uint8Array | ByteChunks, expected?: Expected): Promise<Stored>;
  /** Length in bytes, undefined when it is not there. */
  size(digest: Digest): Promise<number | undefined>;
  /** Removes a blob; removing what is not there is no error. */
  delete(digest: Digest): Promise<void>;
  /** All digests, in no particular order. */
  list(): AsyncIterable<Digest>;
  /** Removes all that is in it. */
  clear(): Promise<void>;
  /** Bytes that it has room for. */
  free(): Promise<number>;
  /** Number of the file system that it is on, as `stat` says; undefined where that is not this machine's. */
  device(): Promise<number | undefined>;
}
