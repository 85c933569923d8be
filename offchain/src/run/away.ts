/**
 * What is away, chain, coordinator or store, while a run is verified. It has said nothing about what is there, and must hide neither
 * what was found nor itself: who stays away for one blob may have something to hide in it.
 */
import { CotrainError } from "@cotrain/sdk/errors";

import { RetryableError, saysRetryable } from "../base/index.ts";
import type { BlobSource } from "./ports.ts";
import { isItsWord } from "./published.ts";

/** What a coordinator says of a blob. By any other word, its own or that of what stands before it, it lets nobody see one. */
const ofBlobs: ReadonlySet<string> = new Set(["NOT_FOUND", "BLOB_NOT_FOUND", "BLOB_MISMATCH", "ANSWER_TOO_LARGE"]);
/** Words of other sources for that they let nobody see anything. */
const ofSources: ReadonlySet<string> = new Set(["BLOB_STORE_REFUSED", "CHAIN_NOT_RPC", "WRONG_CHAIN", "NODE_REFUSED"]);

/** Whether an error says nothing about what was asked for: who was asked is away, too busy, or lets us see nothing. */
export const isAway = (error: unknown): boolean =>
  saysRetryable(error) ||
  (error instanceof CotrainError && (isItsWord(error) ? !ofBlobs.has(error.code) : ofSources.has(error.code)));

/** For `catch`: another value in place of what is not there, or is not what it should be. @throws who is away; what says nothing */
export const unlessAway =
  <T>(value: T): ((error: unknown) => T) =>
  (error) => {
    // What is no error of ours says nothing either: a disk that cannot be read, too many open files.
    if (!(error instanceof CotrainError) || isAway(error)) throw error;
    return value;
  };

type Looked<T> =
  | { readonly done: true; readonly result: T; readonly away?: undefined }
  | { readonly done: false; readonly result?: undefined; readonly away: CotrainError };

/** Works until something is away. @returns the work's result, or what is away */
export async function untilAway<T>(work: () => Promise<T>): Promise<Looked<T>> {
  try {
    return { done: true, result: await work() };
  } catch (error) {
    if (!isAway(error)) throw error;
    return { done: false, away: error as CotrainError };
  }
}

/** A source that names, where it is away, the blob that was asked for; that passes, or is to be seen to. */
export const naming = (blobs: BlobSource): BlobSource => ({
  async blob(runId, digest, limit) {
    try {
      return await blobs.blob(runId, digest, limit);
    } catch (error) {
      if (!isAway(error)) throw error;
      const { code, message } = error as CotrainError;
      throw new RetryableError(code, `the blob ${digest} cannot be had now: ${message}`, { cause: error });
    }
  },
});

/** @param where a walk ended, e.g. at which checkpoint */
export const endedBy = (away: CotrainError, where: string): RetryableError =>
  new RetryableError(away.code, `The walk ended ${where}, and what comes after was not looked at: ${away.message}`, {
    cause: away,
  });
