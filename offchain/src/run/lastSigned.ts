/** How far validators have signed: until then a head is the claim of who posted it. */
import type { RunId } from "@cotrain/sdk/protocol";

import type { ChainReader, PostedHead } from "../chain/index.ts";
import { epochManifestOf } from "./epochDocuments.ts";
import type { BlobSource } from "./ports.ts";
import type { Problems } from "./problems.ts";

/** Sequence of the last head that a posted attestation covers, −1 for none. */
export async function lastSigned(
  { reader, blobs }: { readonly reader: ChainReader; readonly blobs: BlobSource },
  runId: RunId,
  heads: readonly PostedHead[],
  whole: Pick<Problems, "attempt">,
): Promise<number> {
  const sequences = new Map(heads.map(({ head, sequence }) => [head as string, sequence]));
  const { modelId } = await reader.run(runId);
  let through = -1;
  for (const root of await reader.rootsOf(modelId)) {
    if (root.runId === runId) {
      through = Math.max(through, sequences.get(root.head) ?? -1);
      continue;
    }
    // An epoch signed for a later run covers what had not been signed of the runs before it.
    const manifest = await whole.attempt(() => epochManifestOf(blobs, root.runId, root.epochDigest));
    const finished = manifest?.finished.find((run) => run.runId === runId);
    if (finished) through = Math.max(through, sequences.get(finished.head) ?? -1);
  }
  return through;
}
