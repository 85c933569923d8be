/** Where a run's blobs are had from by whoever watches it: from any that has them, so that one who withholds them hides nothing. */
import { CotrainError } from "@cotrain/sdk/errors";

import { RetryableError, UserError } from "../../base/index.ts";
import { type BlobSource, isItsWord, isMalformed, isNotHad } from "../../run/index.ts";

/** Whether a source took too long, as measured here: a coordinator that calls an error so would put off every dispute. */
export const isSlow = (error: unknown): boolean =>
  error instanceof CotrainError && error.code === "SOURCE_SLOW" && !isItsWord(error);

/**
 * Asks one source after the other for each blob.
 * @throws UserError `BLOB_MISSING` where every source says that it does not have it; RetryableError `SOURCES_AWAY` where some do not
 *   answer, `SOURCE_SLOW` where one is merely slow, by the clock here; what says that a blob is too large to be what it should be
 */
export const anyOf = (sources: readonly BlobSource[]): BlobSource => ({
  async blob(runId, digest, limit) {
    const failed: CotrainError[] = [];
    for (const source of sources) {
      try {
        return await source.blob(runId, digest, limit);
      } catch (error) {
        if (!(error instanceof CotrainError)) throw error;
        failed.push(error);
      }
    }
    const malformed = failed.find(isMalformed);
    if (malformed) throw malformed;
    const slow = failed.find(isSlow);
    if (slow) throw slow;
    const away = failed.find((error: unknown): boolean => !isNotHad(error));
    if (!away)
      throw new UserError("BLOB_MISSING", `The blob ${digest} is not published: no source that is known has it.`);
    throw new RetryableError("SOURCES_AWAY", `The blob ${digest} cannot be had: ${away.message}`, { cause: away });
  },
});

/** Whether a blob is not to be had of any source, be it that they say so, or that they say nothing. */
export const isUnpublished = (error: unknown): boolean =>
  isNotHad(error) || (error instanceof CotrainError && error.code === "SOURCES_AWAY");
