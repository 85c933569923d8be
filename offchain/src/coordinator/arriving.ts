/**
 * Blobs on their way: what uploads bring is counted before it is here, and not deleted while it comes; nor is what a receipt names
 * that is on its way, or a document that is being made. What is being deleted is waited for.
 */
import type { Address, Digest } from "@cotrain/sdk/protocol";

export interface Arriving {
  /** @returns says that it is over, however it ended */
  begin(worker: Address, digest: Digest): () => void;
  /** The same for what a receipt names, and for a document. */
  hold(digests: readonly Digest[]): () => void;
  /** Uploads of a member. */
  of(worker: Address): number;
  has(digest: Digest): boolean;
  /** Whether a receipt or a document holds it. */
  isHeld(digest: Digest): boolean;
  /** Deletes a blob, which begins in the caller's turn: whether it is on its way is asked in the same. */
  remove(digest: Digest, remove: () => Promise<void>): Promise<void>;
  /** Resolves once what is being deleted of these is gone. Of what is on its way nothing more is deleted then. */
  removed(digests: readonly Digest[]): Promise<void>;
}

export function createArriving(): Arriving {
  const uploads = new Set<{ readonly worker: Address; readonly digest: Digest }>();
  const held = new Set<{ readonly digests: readonly Digest[] }>();
  const removals = new Set<{ readonly digest: Digest; readonly over: Promise<unknown> }>();
  const isHeld = (digest: Digest): boolean => [...held].some(({ digests }) => digests.includes(digest));
  return {
    begin: (worker, digest) => {
      const upload = { worker, digest };
      uploads.add(upload);
      return () => void uploads.delete(upload);
    },
    hold: (digests) => {
      const hold = { digests };
      held.add(hold);
      return () => void held.delete(hold);
    },
    of: (worker) => [...uploads].filter((upload) => upload.worker === worker).length,
    has: (digest) => [...uploads].some((upload) => upload.digest === digest) || isHeld(digest),
    isHeld,
    remove: async (digest, remove) => {
      const work = remove();
      const removal = { digest, over: work.catch(() => undefined) };
      removals.add(removal);
      try {
        await work;
      } finally {
        removals.delete(removal);
      }
    },
    removed: async (digests) => {
      const under = [...removals].filter(({ digest }) => digests.includes(digest));
      await Promise.all(under.map(({ over }) => over));
    },
  };
}
