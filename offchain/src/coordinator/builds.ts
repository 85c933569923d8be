/** Builds that may join a run: admitted by the registry, their documents in the blob store. Holders admit and withdraw. */
import { CotrainError } from "@cotrain/sdk/errors";
import { type Build, type Digest, MAX_BUILD_BYTES, type RunId } from "@cotrain/sdk/protocol";

import type { Clock } from "../base/index.ts";
import type { RunChain } from "../run/index.ts";
import { BlobError, type BlobStore, parseBuild } from "../storage/index.ts";

/** The registry is asked again after this long, ms. */
const MAX_AGE = 10_000;
/** Answers kept, so that nobody fills memory by naming builds. */
const KEPT = 256;

export interface Builds {
  /** Those found admitted so far. */
  readonly known: readonly Digest[];
  /** @returns undefined for one that is not admitted, is of another definition or has no document here */
  find(digest: Digest): Promise<Build | undefined>;
}

interface Answer {
  readonly at: number;
  readonly build: Build | undefined;
}

export function createBuilds(
  runId: RunId,
  definition: Digest,
  modules: { readonly chain: RunChain; readonly blobs: BlobStore; readonly clock: Clock },
): Builds {
  const { chain, blobs, clock } = modules;
  const answers = new Map<Digest, Answer>();

  async function ask(digest: Digest): Promise<Build | undefined> {
    if (!(await chain.isAdmitted(runId, digest))) return undefined;
    try {
      const build = parseBuild(await blobs.get(digest, MAX_BUILD_BYTES));
      return build.definition === definition ? build : undefined;
    } catch (error) {
      if (error instanceof BlobError && error.code === "BLOB_MISSING") return undefined;
      throw error;
    }
  }

  return {
    get known() {
      return [...answers].flatMap(([digest, { build }]) => (build ? [digest] : []));
    },
    find: async (digest) => {
      const answer = answers.get(digest);
      if (answer && clock.monotonic() - answer.at < MAX_AGE) return answer.build;
      let build: Build | undefined;
      try {
        build = await ask(digest);
      } catch (error) {
        // While the chain is away, who was admitted still is.
        if (answer?.build && error instanceof CotrainError && error.retryable) return answer.build;
        throw error;
      }
      answers.set(digest, { at: clock.monotonic(), build });
      for (const [oldest, { build: admitted }] of answers) {
        if (answers.size <= KEPT) break;
        if (!admitted) answers.delete(oldest);
      }
      return build;
    },
  };
}
