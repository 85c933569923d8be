/** Realisations that may join a run: admitted by the registry, their documents in the blob store. Holders admit and withdraw. */
import { CotrainError } from "@cotrain/sdk/errors";
import { type Digest, parseDocument, Realisation, type RunId } from "@cotrain/sdk/protocol";

import { type Clock, parseJsonBounded } from "../base/index.ts";
import type { ChainPort } from "../chain/index.ts";
import { BlobError, type BlobStore } from "../storage/index.ts";

const MAX_REALISATION_BYTES = 1 << 20;
/** The registry is asked again after this long, ms. */
const MAX_AGE = 10_000;
/** Answers kept, so that nobody fills memory by naming realisations. */
const KEPT = 256;

export interface Realisations {
  /** Those found admitted so far. */
  readonly known: readonly Digest[];
  /** @returns undefined for one that is not admitted, is of another definition or has no document here */
  find(digest: Digest): Promise<Realisation | undefined>;
}

interface Answer {
  readonly at: number;
  readonly realisation: Realisation | undefined;
}

export function createRealisations(
  runId: RunId,
  definition: Digest,
  modules: { readonly chain: ChainPort; readonly blobs: BlobStore; readonly clock: Clock },
): Realisations {
  const { chain, blobs, clock } = modules;
  const answers = new Map<Digest, Answer>();

  async function ask(digest: Digest): Promise<Realisation | undefined> {
    if (!(await chain.isAdmitted(runId, digest))) return undefined;
    try {
      const bytes = await blobs.get(digest, MAX_REALISATION_BYTES);
      const value = parseJsonBounded(bytes, MAX_REALISATION_BYTES, "A realisation");
      const realisation = parseDocument("A realisation", Realisation, value);
      return realisation.definition === definition ? realisation : undefined;
    } catch (error) {
      if (error instanceof BlobError && error.code === "BLOB_MISSING") return undefined;
      throw error;
    }
  }

  return {
    get known() {
      return [...answers].flatMap(([digest, { realisation }]) => (realisation ? [digest] : []));
    },
    find: async (digest) => {
      const answer = answers.get(digest);
      if (answer && clock.monotonic() - answer.at < MAX_AGE) return answer.realisation;
      let realisation: Realisation | undefined;
      try {
        realisation = await ask(digest);
      } catch (error) {
        // While the chain is away, who was admitted still is.
        if (answer?.realisation && error instanceof CotrainError && error.retryable) return answer.realisation;
        throw error;
      }
      answers.set(digest, { at: clock.monotonic(), realisation });
      for (const [oldest, { realisation: admitted }] of answers) {
        if (answers.size <= KEPT) break;
        if (!admitted) answers.delete(oldest);
      }
      return realisation;
    },
  };
}
