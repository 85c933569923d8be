/** Where a run's blobs are had from by whoever watches it: from any that has them, so that one who withholds them hides nothing. */
import { CotrainError } from "@cotrain/sdk/errors";
import type { Address, RunId } from "@cotrain/sdk/protocol";

import { RetryableError, UserError } from "../../base/index.ts";
import type { ChainReader } from "../../chain/index.ts";
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

/** Why what a run published need not be to be had of the sources that are known, in a few sentences; undefined where it must be. */
export type WhyUnnamed = (runId: RunId) => Promise<string | undefined>;

/**
 * Which runs' documents the sources that were named must have: those of the runs that were named with them, and of runs that one of
 * these runs' posters posts, since that is whose coordinator was named. The chain says of a run's coordinator no more than its poster.
 */
export function createNaming({ run }: Pick<ChainReader, "run">, named: readonly RunId[]): WhyUnnamed {
  /** Undefined for a run that is none, or that is still to be registered. */
  const posterOf = async (runId: RunId): Promise<Address | undefined> => {
    try {
      return (await run(runId)).poster;
    } catch (error) {
      if (error instanceof CotrainError && error.code === "RUN_UNKNOWN") return undefined;
      throw error;
    }
  };
  return async (runId) => {
    if (named.includes(runId)) return undefined;
    const poster = await posterOf(runId);
    if (poster === undefined || (await Promise.all(named.map(posterOf))).includes(poster)) return undefined;
    return `Not all of run ${runId} is to be had here. It is posted by ${poster}, and so by another coordinator than was named: find out where that publishes, and name it with --mirrors and the run with --next ${runId}. With --next alone what is not to be had of it counts as published nowhere.`;
  };
}

/** Blobs of which nothing follows where they are not to be had and are of a run whose coordinator was not named. */
export const ofNamedRuns = (blobs: BlobSource, whyUnnamed: WhyUnnamed): BlobSource => ({
  async blob(runId, digest, limit) {
    try {
      return await blobs.blob(runId, digest, limit);
    } catch (error) {
      if (!(error instanceof CotrainError)) throw error;
      const why = await whyUnnamed(runId);
      if (why === undefined) throw error;
      throw new RetryableError("RUN_UNNAMED", why, { cause: error, details: { runId } });
    }
  },
});

/** The run that was not named and of which something was not to be had; undefined for other errors. */
export const unnamedIn = (error: CotrainError): string | undefined => {
  const runId = error.code === "RUN_UNNAMED" && !isItsWord(error) ? error.details?.["runId"] : undefined;
  return typeof runId === "string" ? runId : undefined;
};

/** A source that says nothing any more once whoever asks is told to end: that says nothing about what is published. */
export const untilEnded = (blobs: BlobSource, signal: AbortSignal): BlobSource => ({
  async blob(...request) {
    signal.throwIfAborted();
    const { promise: ended, reject } = Promise.withResolvers<never>();
    const end = (): void => reject(signal.reason);
    signal.addEventListener("abort", end, { once: true });
    try {
      return await Promise.race([blobs.blob(...request), ended]);
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      signal.removeEventListener("abort", end);
    }
  },
});
