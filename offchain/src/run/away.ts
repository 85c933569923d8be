/**
 * What is away, chain, coordinator or store, while a run is verified. It has said nothing about what is there, and must hide neither
 * what was found nor itself: who stays away for one blob may have something to hide in it.
 */
import type { CotrainError } from "@cotrain/sdk/errors";

import { RetryableError, saysRetryable } from "../base/index.ts";
import type { BlobSource } from "./ports.ts";

type Looked<T> =
  | { readonly done: true; readonly result: T; readonly away?: undefined }
  | { readonly done: false; readonly result?: undefined; readonly away: CotrainError };

/** Works until something is away. @returns the work's result, or what is away */
export async function untilAway<T>(work: () => Promise<T>): Promise<Looked<T>> {
  try {
    return { done: true, result: await work() };
  } catch (error) {
    if (!saysRetryable(error)) throw error;
    return { done: false, away: error as CotrainError };
  }
}

/** A source whose errors that pass name the blob that was asked for. */
export const naming = (blobs: BlobSource): BlobSource => ({
  async blob(runId, digest, limit) {
    try {
      return await blobs.blob(runId, digest, limit);
    } catch (error) {
      if (!saysRetryable(error)) throw error;
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
