/** A worker's home in a state directory, which its caller has open and locked. */
import { join } from "node:path";

import { availableMemory } from "../../engine/runtime/node/index.ts";
import { openBlobStore } from "../../storage/node/index.ts";
import type { WorkerHome } from "../options.ts";
import type { Surroundings } from "../resources.ts";
import { openReceiptJournal } from "./receiptJournal.ts";

/**
 * @param surroundings default this machine, and where artefacts are kept
 * @param blobs where that is, a path or a URL; default in the directory
 */
export const directoryHome = (
  directory: string,
  surroundings?: Surroundings,
  blobs = join(directory, "blobs"),
): WorkerHome => ({
  place: directory,
  surroundings: surroundings ?? { availableMemory, freeDisk: async () => (await openBlobStore(blobs)).free() },
  openBlobs: () => openBlobStore(blobs),
  openReceipts: (clock) => openReceiptJournal(join(directory, "receipts.sqlite"), clock),
});
