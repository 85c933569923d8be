/** A worker's home in a state directory, which its caller has open and locked. */
import { statfs } from "node:fs/promises";
import { join } from "node:path";

import { availableMemory } from "../../engine/runtime/node/index.ts";
import { openBlobStore } from "../../storage/node/index.ts";
import type { WorkerHome } from "../options.ts";
import type { Surroundings } from "../resources.ts";
import { openReceiptJournal } from "./receiptJournal.ts";

const machine: Surroundings = {
  availableMemory,
  freeDisk: async (directory) => {
    const { bavail, bsize } = await statfs(directory);
    return bavail * bsize;
  },
};

/**
 * @param surroundings default this machine
 * @param blobs where artefacts are kept, a path or a URL; default in the directory
 */
export const directoryHome = (
  directory: string,
  surroundings: Surroundings = machine,
  blobs = join(directory, "blobs"),
): WorkerHome => ({
  place: directory,
  surroundings,
  openBlobs: () => openBlobStore(blobs),
  openReceipts: (clock) => openReceiptJournal(join(directory, "receipts.sqlite"), clock),
});
