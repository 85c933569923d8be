/** What of a run its heads are judged by, read once for each run. */
import { CotrainError } from "@cotrain/sdk/errors";
import type { Definition } from "@cotrain/sdk/protocol";
import type { Digest, RunId } from "@cotrain/sdk/protocol";

import type { ChainReader, PostedHead, RunRecord } from "../chain/index.ts";
import { type BlobSource, fitDefinition, isUnfit, type Sortition, sortitionOf } from "../run/index.ts";

export interface Description {
  readonly fragments: number;
  readonly definition: Definition;
  readonly digest: Digest;
}

export interface Descriptions {
  /**
   * @param record of the run, where it is known
   * @throws DocumentError `DOCUMENT_FRAGMENTS`, `DOCUMENT_DEFINITION` for a run whose heads cannot be judged; what chain and blobs throw
   */
  of(runId: RunId, record?: RunRecord): Promise<Description>;
  /** Why nobody can judge the heads of a run; undefined where they can be, or where that cannot be said now. */
  whyUnfit(runId: RunId): Promise<string | undefined>;
  /** What everybody drew of a head; undefined while the block that decides it is still to come. */
  sortitionOf(head: PostedHead): Promise<Sortition | undefined>;
}

export function createDescriptions(reader: ChainReader, blobs: BlobSource): Descriptions {
  const known = new Map<RunId, Description>();
  const of: Descriptions["of"] = async (runId, record) => {
    const before = known.get(runId);
    if (before) return before;
    const found = record ?? (await reader.run(runId));
    const { fragments, definition: digest } = found;
    const definition = await fitDefinition({ reader, blobs }, runId, found);
    const description = { fragments, definition, digest };
    known.set(runId, description);
    return description;
  };
  return {
    of,
    whyUnfit: (runId) =>
      of(runId).then(
        () => undefined,
        (error: unknown) => {
          if (isUnfit(error)) return error.message;
          // What is away is told by whatever needs it.
          if (error instanceof CotrainError) return undefined;
          throw error;
        },
      ),
    sortitionOf: async (head) => {
      const { fragments, definition } = await of(head.runId);
      return sortitionOf(reader, head, { fragments, oneIn: definition.screening.auditOneIn });
    },
  };
}
