/** What of a run its heads are judged by, read once for each run. */
import type { Definition } from "@cotrain/sdk/protocol";
import { type Digest, type RunId, MAX_DEFINITION_BYTES } from "@cotrain/sdk/protocol";

import type { ChainReader, PostedHead, RunRecord } from "../chain/index.ts";
import { type BlobSource, type Sortition, sortitionOf } from "../run/index.ts";
import { parseDefinition } from "../storage/index.ts";

export interface Description {
  readonly fragments: number;
  readonly definition: Definition;
  readonly digest: Digest;
}

export interface Descriptions {
  /** @param record of the run, where it is known */
  of(runId: RunId, record?: RunRecord): Promise<Description>;
  /** What everybody drew of a head; undefined while the block that decides it is still to come. */
  sortitionOf(head: PostedHead): Promise<Sortition | undefined>;
}

export function createDescriptions(reader: ChainReader, blobs: BlobSource): Descriptions {
  const known = new Map<RunId, Description>();
  const of: Descriptions["of"] = async (runId, record) => {
    const before = known.get(runId);
    if (before) return before;
    const { fragments, definition: digest } = record ?? (await reader.run(runId));
    const definition = parseDefinition(await blobs.blob(runId, digest, MAX_DEFINITION_BYTES));
    const found = { fragments, definition, digest };
    known.set(runId, found);
    return found;
  };
  return {
    of,
    sortitionOf: async (head) => {
      const { fragments, definition } = await of(head.runId);
      return sortitionOf(reader, head, { fragments, oneIn: definition.screening.auditOneIn });
    },
  };
}
