/** Builds that may join a run: admitted by the registry, their documents in the blob store. Holders admit and withdraw. */
import { CotrainError } from "@cotrain/sdk/errors";
import { type Build, type Digest, MAX_BUILD_BYTES, type RunId } from "@cotrain/sdk/protocol";

import { type Clock, RetryableError } from "../base/index.ts";
import type { RunChain } from "../run/index.ts";
import type { Logger } from "../service/index.ts";
import { BlobError, type BlobStore, parseBuild } from "../storage/index.ts";

/** The registry is asked again after this long, ms. */
const MAX_AGE = 10_000;
/** Builds that are found without having been named. */
const MAX_FOUND = 16;
/** Answers kept, so that nobody fills memory by naming builds. */
const KEPT = 256;

export interface Builds {
  /** Those found admitted so far. */
  readonly known: readonly Digest[];
  /**
   * Looks at those that were ever admitted, oldest first, until as many are found as a run may be registered with. One that
   * cannot be read is left out: others can be trained.
   * @throws RetryableError while the chain is away, or where its RPC names none
   */
  findAdmitted(): Promise<void>;
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
  modules: { readonly chain: RunChain; readonly blobs: BlobStore; readonly clock: Clock; readonly logger: Logger },
): Builds {
  const { chain, blobs, clock, logger } = modules;
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

  const known = (): Digest[] => [...answers].flatMap(([digest, { build }]) => (build ? [digest] : []));

  async function findAdmitted(): Promise<void> {
    const admitted = await chain.buildsOf(runId);
    // No run is registered without one: who names none left it out.
    if (admitted.length === 0) throw new RetryableError("CHAIN_RPC", `The chain's RPC names no build of run ${runId}.`);
    for (const digest of admitted.slice(0, KEPT)) {
      if (known().length === MAX_FOUND) return;
      try {
        await find(digest);
      } catch (error) {
        if (!(error instanceof CotrainError) || error.retryable) throw error;
        logger.warn({ err: error, build: digest }, "a build that is admitted cannot be read, and is left out");
      }
    }
  }

  async function find(digest: Digest): Promise<Build | undefined> {
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
  }

  return {
    get known() {
      return known();
    },
    find,
    findAdmitted,
  };
}
