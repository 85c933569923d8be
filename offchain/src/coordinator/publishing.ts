/**
 * Documents that the coordinator makes. Members who are all of a round can foretell one and send it as a fragment, before it is
 * there or so that it arrives just then: it is noted before it is put, as shards are, and does not go with their upload.
 */
import { sha256Bytes } from "../base/index.ts";
import type { DocumentStore } from "../storage/index.ts";
import type { Projections } from "./projections.ts";
import type { Run } from "./run.ts";

export interface Publishing extends Pick<Run, "arriving"> {
  readonly projections: Pick<Projections, "noteDocument">;
  readonly modules: Pick<Run["modules"], "blobs">;
}

/** Where the documents of a run's effects are put, and those of its builds. */
export const documentsOf = ({ arriving, projections, modules: { blobs } }: Publishing): DocumentStore => ({
  put: async (bytes, expected) => {
    const digest = expected?.digest ?? sha256Bytes(bytes);
    const over = arriving.hold([digest]);
    try {
      await projections.noteDocument(digest);
      await arriving.removed([digest]);
      return await blobs.put(bytes, expected);
    } finally {
      over();
    }
  },
});
