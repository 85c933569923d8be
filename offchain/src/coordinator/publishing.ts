/**
 * Documents that the coordinator makes. Members who are all of a round can foretell one and send it as a fragment, before it is
 * there or so that it arrives just then: it is noted before it is put, as shards are, and does not go with their upload.
 */
import { sha256Bytes } from "../base/index.ts";
import type { DocumentStore } from "../storage/index.ts";
import type { Run } from "./run.ts";

/** Where the documents of a run's effects are put. */
export const documentsOf = ({ arriving, projections, modules: { blobs } }: Run): DocumentStore => ({
  put: async (bytes, expected) => {
    const digest = sha256Bytes(bytes);
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
