/** Under Node: hashes in native code (1–2 GB/s of SHA-256), which blobs of any size want. */
import { createHash } from "node:crypto";
import { setImmediate } from "node:timers/promises";

import blake from "@napi-rs/blake-hash";

import type { HashState, Platform } from "./port.ts";

export const platform: Platform = {
  sha256: () => createHash("sha256"),
  blake3: (): HashState => {
    const hasher = new blake.Blake3Hasher();
    return { update: (bytes) => hasher.update(bytes), digest: () => hasher.digestBuffer() };
  },
  turn: () => setImmediate(),
};
