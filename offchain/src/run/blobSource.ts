/** Published blobs out of a store, and out of a source that is busy at times. */
import { type OnRetry, RetryableError, type RetryOptions, retrying } from "../base/index.ts";
import type { CotrainError } from "@cotrain/sdk/errors";
import type { Digest } from "@cotrain/sdk/protocol";
import type { BlobReader } from "../storage/index.ts";
import type { BlobSource } from "./ports.ts";

/** A blob store as documents are read. */
export const blobSourceOf = (blobs: BlobReader): BlobSource => ({
  blob: (_run, digest, limit) => blobs.get(digest, limit),
});

/** Bytes that are remembered of a source. */
const REMEMBERED = 64 << 20;

/**
 * A source that is asked for each blob once, and at once by all who want it: commands read one document for several reasons, and
 * whoever serves it elsewhere takes its time for each request.
 * @param most bytes that are remembered, the newest
 */
export function rememberingBlobs(blobs: BlobSource, most = REMEMBERED): BlobSource {
  const known = new Map<Digest, Promise<Uint8Array>>();
  const sizes = new Map<Digest, number>();
  let held = 0;
  function hold(digest: Digest, size: number): void {
    sizes.set(digest, size);
    held += size;
    for (const [oldest, bytes] of sizes) {
      if (held <= most) return;
      sizes.delete(oldest);
      known.delete(oldest);
      held -= bytes;
    }
  }
  return {
    async blob(runId, digest, limit) {
      const earlier = known.get(digest);
      const before = earlier && (await earlier.catch(() => undefined));
      // The source says what is too long, and in which words.
      if (before && before.length <= limit) return before;
      const asked = blobs.blob(runId, digest, limit);
      if (!before) known.set(digest, asked);
      try {
        const found = await asked;
        if (!sizes.has(digest)) hold(digest, found.length);
        return found;
      } catch (error) {
        if (known.get(digest) === asked) known.delete(digest);
        throw error;
      }
    },
  };
}

/** How long one blob is asked for, ms: two of the minutes in which an address may ask so and so often. */
const PATIENCE_MS = 120_000;
/**
 * How long a source may take for all blobs together, ms: so much at first, and so much more for each byte that came and for each
 * blob, also one that it says is not there: shards may be pruned, and a walk goes on without them.
 * That is as slow as 1 Mbit/s; one that is slower, or delays each blob for nearly as long as it may, would hold a walk up for weeks.
 */
const ALL = { first: 600_000, blob: 1_000, byte: 8 / 1_000 } as const;
const BACKOFF = { base: 500, maximum: 10_000 };
/** The longest wait that a source may ask for, ms. */
const MAX_ASKED_MS = 60_000;

/** The wait that a source asks for, ms: a stranger's word, taken within a bound. */
function askedWait({ details }: CotrainError): number {
  const seconds = details?.["retryAfterSeconds"];
  return typeof seconds === "number" && seconds > 0 ? Math.min(seconds * 1_000, MAX_ASKED_MS) : 0;
}

const slow = (): RetryableError =>
  new RetryableError("SOURCE_SLOW", "What serves the run's blobs takes too long for what it gives.");

/**
 * A source that is asked again for a while where it is away or too busy, so that a long walk gets through its limits.
 * @param onRetry told of the first wait for each blob
 * @throws, by the source, RetryableError `SOURCE_SLOW` where it takes too long for all that it gave; from then on it is not asked
 */
export function patientBlobs(
  blobs: BlobSource,
  { onRetry, ...retry }: Pick<RetryOptions, "clock" | "random" | "signal"> & { readonly onRetry?: OnRetry },
): BlobSource {
  let left = ALL.first;
  const ask: BlobSource["blob"] = (runId, digest, limit) => {
    let told = false;
    return retrying(() => blobs.blob(runId, digest, limit), {
      ...retry,
      backoff: BACKOFF,
      atLeast: askedWait,
      within: Math.min(PATIENCE_MS, left),
      onRetry: (...tried) => {
        if (!told) onRetry?.(...tried);
        told = true;
      },
    });
  };
  return {
    async blob(runId, digest, limit) {
      // Where others have the blobs as well, one that was too slow would hold up each of them by one more request.
      if (left <= 0) throw slow();
      const began = retry.clock.monotonic();
      const [asked] = await Promise.allSettled([ask(runId, digest, limit)]);
      const came = asked.status === "fulfilled" ? asked.value.length : 0;
      left += ALL.blob + came * ALL.byte - (retry.clock.monotonic() - began);
      if (left <= 0) throw slow();
      if (asked.status === "rejected") throw asked.reason;
      return asked.value;
    },
  };
}
