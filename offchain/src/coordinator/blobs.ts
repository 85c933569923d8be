/**
 * Blobs over HTTP: verified before the first byte is sent, once for each file and not for each request, whole or by one range,
 * cacheable for ever. What is not read in time is cut off.
 */
import { Readable } from "node:stream";

import { asDigest, cidOf, type Digest } from "@cotrain/sdk/protocol";
import type { FastifyReply, FastifyRequest } from "fastify";
import pLimit from "p-limit";

import {
  type Asker,
  createReaderLimit,
  type Logger,
  type Reader,
  type ReaderLimits,
  REPLY_CHUNK,
} from "../service/index.ts";
import { BlobError, type BlobStore, type OpenBlob } from "../storage/index.ts";
import { RefusedError } from "./errors.ts";

/** Open files kept for the next request. */
const KEPT_OPEN = 16;
/** Files that are hashed at the same time, when they are asked for the first time. */
const VERIFIED_AT_ONCE = 2;

interface Entry {
  readonly blob: Promise<OpenBlob>;
  users: number;
}

export interface BlobServer {
  /** @param asker whom the download is counted for; default the request's address */
  send(request: FastifyRequest, reply: FastifyReply, digest: Digest, asker?: Asker): Promise<FastifyReply>;
  close(): Promise<void>;
}

/** Files that are open, each once, for whoever reads them at the same time or soon after. */
function createOpenFiles(store: BlobStore) {
  const verifying = pLimit(VERIFIED_AT_ONCE);
  /** Least recently used first. */
  const entries = new Map<Digest, Entry>();

  function acquire(digest: Digest): Entry {
    const entry = entries.get(digest) ?? { blob: verifying(() => store.open(digest, { again: false })), users: 0 };
    entries.delete(digest);
    entries.set(digest, entry);
    entry.users += 1;
    entry.blob.catch(() => {
      if (entries.get(digest) === entry) entries.delete(digest);
    });
    return entry;
  }

  async function release(entry: Entry): Promise<void> {
    entry.users -= 1;
    const idle = [...entries].filter(([, { users }]) => users === 0);
    const gone = idle.slice(0, Math.max(0, entries.size - KEPT_OPEN));
    // All at once, before anything is waited for: nobody takes what is about to be closed.
    for (const [digest] of gone) entries.delete(digest);
    for (const [, { blob }] of gone) await (await blob).close();
  }

  async function close(): Promise<void> {
    for (const { blob } of entries.values()) await (await blob).close();
    entries.clear();
  }
  return { acquire, release, close };
}

const notFound = (digest: Digest, options: { cause?: unknown } = {}): RefusedError =>
  new RefusedError("BLOB_NOT_FOUND", `There is no blob ${cidOf(digest)} here (any more).`, options);

/** A blob that is gone, or broken where it is kept, is not to be had; where that is stands in the log alone. */
export function toldToStrangers(error: unknown, log: Pick<Logger, "error">): unknown {
  if (!(error instanceof BlobError) || (error.code !== "BLOB_MISSING" && error.code !== "BLOB_CORRUPTED")) return error;
  if (error.code === "BLOB_CORRUPTED") log.error({ err: error }, "a blob is broken where it is kept");
  return notFound(asDigest(String(error.details?.["digest"])), { cause: error });
}

interface Part {
  readonly digest: Digest;
  readonly size: number;
  /** Where a part was asked for. */
  readonly range: readonly [start: number, end: number] | undefined;
}

const boundsOf = ({ range, size }: Part): readonly [start: number, end: number] => range ?? [0, size];

function describe(reply: FastifyReply, part: Part): void {
  const [start, end] = boundsOf(part);
  void reply.headers({
    "content-type": "application/octet-stream",
    "cache-control": "public, max-age=31536000, immutable",
    "accept-ranges": "bytes",
    "content-length": end - start,
    etag: etagOf(part.digest),
  });
  if (part.range) void reply.status(206).header("content-range", `bytes ${start}-${end - 1}/${part.size}`);
}

const etagOf = (digest: Digest): string => `"${cidOf(digest)}"`;

/** @param onSent told how many bytes go out */
export function createBlobServer(
  store: BlobStore,
  onSent: (bytes: number) => void,
  limits: ReaderLimits = {},
): BlobServer {
  const readers = createReaderLimit(limits);
  const files = createOpenFiles(store);

  async function* chunks(blob: OpenBlob, part: Part, reader: Reader): AsyncGenerator<Uint8Array> {
    const [start, end] = boundsOf(part);
    for (let at = start; at < end; at += REPLY_CHUNK) {
      const length = Math.min(REPLY_CHUNK, end - at);
      yield await blob.read(at, length);
      reader.progress();
      onSent(length);
    }
  }

  /** Streams a part; file and place are free again when the reply is over, however it ends. */
  async function stream(reply: FastifyReply, part: Part, asker: Asker): Promise<FastifyReply> {
    const entry = files.acquire(part.digest);
    let blob: OpenBlob;
    try {
      blob = await entry.blob;
    } catch (error) {
      throw toldToStrangers(error, reply.log);
    }
    // Who went meanwhile is told to nobody again.
    if (reply.raw.destroyed) {
      await files.release(entry);
      return reply;
    }
    try {
      const reader = readers.begin(asker, () => reply.raw.destroy());
      describe(reply, part);
      reply.raw.once("close", () => {
        reader.end();
        void files.release(entry);
      });
      const source = Readable.from(chunks(blob, part, reader), { objectMode: false, highWaterMark: REPLY_CHUNK });
      return reply.send(source);
    } catch (error) {
      await files.release(entry);
      throw error;
    }
  }

  return {
    send: async (request, reply, digest, asker = { address: request.ip }) => {
      if (request.headers["if-none-match"] === etagOf(digest)) return reply.status(304).send();
      const size = await store.size(digest).catch((error: unknown) => {
        throw toldToStrangers(error, reply.log);
      });
      if (size === undefined) throw notFound(digest);
      const part: Part = { digest, size, range: rangeOf(request.headers.range, size) };
      if (request.method !== "HEAD") return stream(reply, part, asker);
      describe(reply, part);
      return reply.send("");
    },
    close: () => files.close(),
  };
}

/** [start, end) of a single byte range, undefined without one. @throws RefusedError RANGE_INVALID */
function rangeOf(header: string | undefined, size: number): [start: number, end: number] | undefined {
  if (header === undefined) return undefined;
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header.trim());
  const [from, to] = [match?.[1] ?? "", match?.[2] ?? ""];
  const invalid = new RefusedError(
    "RANGE_INVALID",
    `The range "${header.slice(0, 80)}" does not lie in the blob's ${size} bytes.`,
  );
  if (!match || (from === "" && to === "")) throw invalid;
  const start = from === "" ? Math.max(0, size - Number(to)) : Number(from);
  const end = from === "" || to === "" ? size : Math.min(size, Number(to) + 1);
  if (start >= end) throw invalid;
  return [start, end];
}
