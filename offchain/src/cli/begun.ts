/** What a model's later run began with, for whoever verifies it: whether it goes on from the run before, and what validators rejected there. */
import { CotrainError } from "@cotrain/sdk/errors";
import type { RunId } from "@cotrain/sdk/protocol";

import { RetryableError, wrap } from "../base/index.ts";
import type { ChainReader } from "../chain/index.ts";
import {
  type BlobSource,
  isAway,
  rejectedBefore,
  type RejectedRun,
  type RunOrigin,
  runOriginOf,
  runOriginText,
} from "../run/index.ts";
import { columnsOf } from "./output.ts";

interface Subject {
  readonly reader: ChainReader;
  readonly blobs: BlobSource;
  readonly runId: RunId;
}

/** Which is no matter of right or wrong: the holders decide it. Null where that is not to be seen. */
export async function originFound({ reader, blobs, runId }: Subject): Promise<RunOrigin | null> {
  try {
    return (await runOriginOf({ reader, blobs }, await reader.run(runId))) ?? null;
  } catch (error) {
    // The walk tells what is missing of this run; of the one before it nothing is asked here.
    if (!(error instanceof CotrainError)) throw error;
    return null;
  }
}

export const originLines = (origin: RunOrigin | null): string[] =>
  origin === null ? [] : wrap(`The run began with ${runOriginText(origin)}.`, columnsOf(process.stdout));

interface Inherited {
  readonly rejected: readonly RejectedRun[];
  /** Why that was not seen. */
  readonly away: RetryableError | null;
}

/** What validators rejected of the runs that this one goes on from: it is in what this one trains, and wrong here as it is there. */
export async function inheritedFound({ reader, blobs, runId }: Subject): Promise<Inherited> {
  try {
    return { rejected: await rejectedBefore({ reader, blobs }, runId), away: null };
  } catch (error) {
    if (!(error instanceof CotrainError) || !isAway(error)) throw error;
    const sentence = `What validators rejected of the runs before was not seen: ${error.message}`;
    return { rejected: [], away: new RetryableError(error.code, sentence, { cause: error }) };
  }
}
