/** Where a run's blobs are had from by whoever watches it: from any that has them, so that one who withholds them hides nothing. */
import { CotrainError } from "@cotrain/sdk/errors";
import type { Address, RunId } from "@cotrain/sdk/protocol";

import { RetryableError, UserError } from "../../base/index.ts";
import type { ChainReader } from "../../chain/index.ts";
import { type BlobSource, isItsWord, isMalformed, isNotHad } from "../../run/index.ts";
import type { WatchMemory } from "./memory.ts";

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

/** Undefined for a run that is none, or that is still to be registered. */
async function posterOf({ run }: Pick<ChainReader, "run">, runId: RunId): Promise<Address | undefined> {
  try {
    return (await run(runId)).poster;
  } catch (error) {
    if (error instanceof CotrainError && error.code === "RUN_UNKNOWN") return undefined;
    throw error;
  }
}

/** Runs that were named, each with who posted it when it was: whose coordinator was named. Filled up by who asks. */
type NamedRuns = Map<RunId, Address | undefined>;

/**
 * Who posted runs when they were named, over restarts with the same sources: a new one is named for whoever posts then.
 * @param named.next those that were named by themselves, as the watched one may be: whatever the sources are, they count
 */
export async function namedRuns(
  reader: Pick<ChainReader, "run">,
  memory: Pick<WatchMemory, "posterNamed">,
  {
    watched,
    next,
    sources,
  }: { readonly watched: RunId; readonly next: readonly RunId[]; readonly sources: readonly string[] },
): Promise<NamedRuns> {
  const named: NamedRuns = new Map();
  for (const runId of new Set([watched, ...next])) {
    const poster = await posterOf(reader, runId);
    const words = next.includes(runId) ? [...sources, runId] : sources;
    named.set(runId, poster && (await memory.posterNamed(runId, words, poster)));
  }
  return named;
}

/**
 * Which runs' documents the sources that were named must have: those of runs whose poster in force is one whose coordinator was named.
 * The chain says of a run's coordinator no more than its poster; the one of a poster that holders replaced has nothing of what its
 * successor publishes.
 * @param named a run that is still to be registered counts from when it is there
 */
export function createNaming(reader: Pick<ChainReader, "run">, named: NamedRuns): WhyUnnamed {
  return async (runId) => {
    for (const [each, before] of named) if (before === undefined) named.set(each, await posterOf(reader, each));
    const poster = await posterOf(reader, runId);
    if (poster === undefined || [...named.values()].includes(poster)) return undefined;
    const before = named.get(runId);
    const [since, where] =
      before === undefined
        ? ["", "with --mirrors and the run"]
        : [
            ` since it took the place of ${before}`,
            "in place of the one before (--coordinator, --mirrors), or the run",
          ];
    return `Not all of run ${runId} is to be had here. It is posted by ${poster}${since}, and so by another coordinator than was named: find out where that publishes, and name it ${where} with --next ${runId}. With --next alone what is not to be had of it counts as published nowhere.`;
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
