/** A chain whose epochs are computed. */
import type { ChainReader } from "../chain/index.ts";
import { createHeadDocumentsCache } from "./documents.ts";
import { computeEpoch } from "./epoch.ts";
import type { EpochAccounts } from "./ports.ts";

/** A chain that computes epochs too; what stands behind a head is read and verified once. */
export function withEpochAccounts<T extends ChainReader>(chain: T): T & EpochAccounts {
  const documents = createHeadDocumentsCache(chain);
  return { ...chain, computeEpoch: (input, blobs) => computeEpoch({ reader: chain, blobs, documents }, input) };
}
