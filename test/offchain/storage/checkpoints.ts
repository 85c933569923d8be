/** Whole checkpoints in memory; the product writes them fragment by fragment. */
import type { CheckpointFragment, CheckpointManifest, Digest, TensorEntry } from "@cotrain/sdk/protocol";

import {
  type BlobStore,
  type CheckpointFacts,
  type FragmentState,
  writeFragment,
  writeManifest,
} from "../../../offchain/src/storage/index.ts";

/**
 * Stores a whole checkpoint.
 * @param states by fragment index
 */
export async function writeCheckpoint(
  store: BlobStore,
  table: readonly TensorEntry[],
  states: readonly FragmentState[],
  facts: CheckpointFacts,
): Promise<{ digest: Digest; manifest: CheckpointManifest }> {
  const fragments: CheckpointFragment[] = [];
  for (const [index, state] of states.entries()) fragments.push(await writeFragment(store, table, index, state));
  return writeManifest(store, table, fragments, facts);
}
