/** Payloads as diloco reads them. */
import { setImmediate as nextTurn } from "node:timers/promises";

import type { ChunkSource, SliceMemory } from "../diloco/index.ts";
import type { OpenBlob } from "../storage/index.ts";

/**
 * Payload bytes; the event loop gets a turn before each slice, so that the API answers while tensors are reduced. One buffer
 * serves all slices, since fresh ones for every worker's payload would come faster than they are collected.
 * @param memory shared by sources that are read in turn
 */
export function sourceOfBlob(blob: OpenBlob, memory: SliceMemory = []): ChunkSource {
  return {
    length: blob.length,
    read: async (offset, length) => {
      await nextTurn();
      if ((memory[0]?.length ?? 0) < length) memory[0] = new Uint8Array(length);
      const target = memory[0]!.subarray(0, length);
      await blob.readInto(target, offset);
      return target;
    },
  };
}
