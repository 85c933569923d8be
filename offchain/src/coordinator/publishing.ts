/**
 * Documents that the coordinator makes. Members who are all of a round can foretell one and send it as a fragment, before it is
 * there or so that it arrives just then: it is noted before it is put, as shards are, and does not go with their upload.
 */
import type { Digest } from "@cotrain/sdk/protocol";

import { sha256Bytes } from "../base/index.ts";
import type { DocumentStore } from "../storage/index.ts";
import type { Projections } from "./projections.ts";
import type { Run } from "./run.ts";

export interface Publishing extends Pick<Run, "arriving"> {
  readonly projections: Pick<Projections, "noteDocument">;
  readonly modules: Pick<Run["modules"], "blobs">;
}

/** Puts blobs that are to stay, or looks for them: noted before, and once nothing of them is being deleted. */
export async function kept<T>(
  { arriving, projections }: Pick<Publishing, "arriving" | "projections">,
  digests: readonly Digest[],
  work: () => Promise<T>,
): Promise<T> {
  const over = arriving.hold(digests);
  try {
    for (const digest of digests) await projections.noteDocument(digest);
    await arriving.removed(digests);
    return await work();
  } finally {
    over();
  }
}

/** Where the documents of a run's effects are put. */
export const documentsOf = ({ arriving, projections, modules: { blobs } }: Publishing): DocumentStore => ({
  put: (bytes, expected) => {
    const digest = expected?.digest ?? sha256Bytes(bytes);
    return kept({ arriving, projections }, [digest], () => blobs.put(bytes, expected));
  },
});
