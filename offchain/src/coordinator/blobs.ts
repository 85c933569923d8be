/** Blobs over HTTP: verified before the first byte is sent, whole or by one range, cacheable for ever. */
import { Readable } from "node:stream";

import { cidOf, type Digest } from "@cotrain/sdk/protocol";
import type { FastifyReply, FastifyRequest } from "fastify";

import { BlobError, type BlobStore, type OpenBlob } from "../storage/index.ts";
import { RefusedError } from "./errors.ts";

/** One or two are in memory for each connection. */
const CHUNK_BYTES = 256 << 10;
/** Open files kept for the next request, so that ranges of one shard do not hash it again and again. */
const KEPT_OPEN = 16;

interface Entry {
  readonly blob: Promise<OpenBlob>;
  users: number;
}

export interface BlobServer {
  send(request: FastifyRequest, reply: FastifyReply, digest: Digest): Promise<FastifyReply>;
  close(): Promise<void>;
}

/** @param onSent told how many bytes go out */
export function createBlobServer(store: BlobStore, onSent: (bytes: number) => void): BlobServer {
  /** Least recently used first. */
  const entries = new Map<Digest, Entry>();

  function acquire(digest: Digest): Entry {
    const entry = entries.get(digest) ?? { blob: store.open(digest), users: 0 };
    entries.delete(digest);
    entries.set(digest, entry);
    entry.users += 1;
    entry.blob.catch(() => entries.delete(digest));
    return entry;
  }

  async function release(entry: Entry): Promise<void> {
    entry.users -= 1;
    const idle = [...entries].filter(([, { users }]) => users === 0);
    for (const [digest, { blob }] of idle.slice(0, Math.max(0, entries.size - KEPT_OPEN))) {
      entries.delete(digest);
      await (await blob).close();
    }
  }

  async function* chunks(entry: Entry, blob: OpenBlob, start: number, end: number): AsyncGenerator<Uint8Array> {
    try {
      for (let at = start; at < end; at += CHUNK_BYTES) {
        const length = Math.min(CHUNK_BYTES, end - at);
        yield await blob.read(at, length);
        onSent(length);
      }
    } finally {
      await release(entry);
    }
  }

  return {
    send: async (request, reply, digest) => {
      const etag = `"${cidOf(digest)}"`;
      if (request.headers["if-none-match"] === etag) return reply.status(304).send();
      const size = await store.size(digest);
      if (size === undefined)
        throw new RefusedError("BLOB_NOT_FOUND", `There is no blob ${cidOf(digest)} here (any more).`);
      const range = rangeOf(request.headers.range, size);
      const [start, end] = range ?? [0, size];
      const entry = acquire(digest);
      let blob: OpenBlob;
      try {
        blob = await entry.blob;
      } catch (error) {
        if (!(error instanceof BlobError) || error.code !== "BLOB_MISSING") throw error;
        throw new RefusedError("BLOB_NOT_FOUND", `There is no blob ${cidOf(digest)} here (any more).`, {
          cause: error,
        });
      }
      void reply
        .headers({
          "content-type": "application/octet-stream",
          "cache-control": "public, max-age=31536000, immutable",
          "accept-ranges": "bytes",
          etag,
        })
        .header("content-length", end - start);
      if (range) void reply.status(206).header("content-range", `bytes ${start}-${end - 1}/${size}`);
      // An iterator that was never begun runs no `finally`: without a body there is nothing to read.
      if (request.method === "HEAD" || end === start) {
        await release(entry);
        return reply.send("");
      }
      return reply.send(Readable.from(chunks(entry, blob, start, end), { objectMode: false }));
    },
    close: async () => {
      for (const { blob } of entries.values()) await (await blob).close();
      entries.clear();
    },
  };
}

/** [start, end) of a single byte range, undefined without one. @throws RefusedError RANGE_INVALID */
export function rangeOf(header: string | undefined, size: number): [start: number, end: number] | undefined {
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
