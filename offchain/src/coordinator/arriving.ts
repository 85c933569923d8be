/**
 * Uploads whose bodies are on their way: what they bring is counted before it is here, and not deleted while it comes; nor is what
 * a receipt names that is on its way.
 */
import type { Address, Digest } from "@cotrain/sdk/protocol";

export interface Arriving {
  /** @returns says that it is over, however it ended */
  begin(worker: Address, digest: Digest): () => void;
  /** The same for what a receipt names. */
  beginReceipt(digests: readonly Digest[]): () => void;
  /** Uploads of a member. */
  of(worker: Address): number;
  has(digest: Digest): boolean;
}

export function createArriving(): Arriving {
  const uploads = new Set<{ readonly worker: Address; readonly digest: Digest }>();
  const receipts = new Set<{ readonly digests: readonly Digest[] }>();
  return {
    begin: (worker, digest) => {
      const upload = { worker, digest };
      uploads.add(upload);
      return () => void uploads.delete(upload);
    },
    beginReceipt: (digests) => {
      const receipt = { digests };
      receipts.add(receipt);
      return () => void receipts.delete(receipt);
    },
    of: (worker) => [...uploads].filter((upload) => upload.worker === worker).length,
    has: (digest) =>
      [...uploads].some((upload) => upload.digest === digest) ||
      [...receipts].some(({ digests }) => digests.includes(digest)),
  };
}
