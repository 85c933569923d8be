/** A store that fetches what it lacks from peers that need not be trusted. */
import type { Digest } from "@cotrain/sdk/protocol";

import type { ByteChunks } from "../base/index.ts";
import type { BlobReader, BlobStore } from "./blobStore.ts";
import { BlobError, blobMissing } from "./errors.ts";

/** Where blobs come from: a coordinator, a peer, a gateway. */
export interface BlobOrigin {
  /** Names the source in errors. */
  readonly name: string;
  /**
   * The blob's bytes, or undefined when the source does not have it. The caller verifies them.
   * @param maxBytes the source may stop, and should refuse, beyond this
   */
  fetch(digest: Digest, maxBytes: number): Promise<ByteChunks | Uint8Array | undefined>;
}

/** A reader that fills its store. */
export interface ReadThrough extends BlobReader {
  /** Makes sure that the store has the blob, sound; fetches it at most once at a time. @throws like `get` */
  ensure(digest: Digest, maxBytes: number): Promise<void>;
}

/**
 * Reads from `store`; what is missing or corrupted there is fetched from the sources in order, verified, and stored.
 * A source that answers with wrong bytes or fails is passed over; its error is thrown if no other has the blob.
 * @param defaultMaxBytes limit where a call gives none
 */
export function createReadThrough(
  store: BlobStore,
  sources: readonly BlobOrigin[],
  defaultMaxBytes: number,
): ReadThrough {
  const fetching = new Map<Digest, Promise<void>>();

  const fetchFromAny = async (digest: Digest, maxBytes: number): Promise<void> => {
    let failure: unknown;
    for (const source of sources) {
      try {
        const data = await source.fetch(digest, maxBytes);
        if (data === undefined) continue;
        await store.put(data, { digest, maxBytes });
        return;
      } catch (error) {
        failure ??= error;
      }
    }
    throw failure ?? blobMissing(digest, ["the store", ...sources.map((source) => source.name)].join(", "));
  };

  const fetchOnce = (digest: Digest, maxBytes: number): Promise<void> => {
    const running = fetching.get(digest);
    if (running) return running;
    const started = fetchFromAny(digest, maxBytes).finally(() => fetching.delete(digest));
    fetching.set(digest, started);
    return started;
  };

  /** Runs a read; if the blob turns out to be missing or corrupted here, fetches it and runs the read again. */
  const reading = async <T>(digest: Digest, maxBytes: number, read: () => Promise<T>): Promise<T> => {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof BlobError) || !["BLOB_MISSING", "BLOB_CORRUPTED"].includes(error.code)) throw error;
      await fetchOnce(digest, maxBytes);
      return read();
    }
  };

  return {
    ensure: (digest, maxBytes) =>
      reading(digest, maxBytes, async () => {
        await using _ = await store.open(digest);
      }),
    get: (digest, maxBytes = defaultMaxBytes) => reading(digest, maxBytes, () => store.get(digest, maxBytes)),
    open: (digest) => reading(digest, defaultMaxBytes, () => store.open(digest)),
    stream: async function* (digest) {
      await using blob = await reading(digest, defaultMaxBytes, () => store.open(digest));
      for (let at = 0; at < blob.length; at += 1 << 20) yield await blob.read(at, Math.min(1 << 20, blob.length - at));
    },
    has: (digest) => store.has(digest),
  };
}
