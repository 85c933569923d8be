/** SHA-256 and BLAKE3 for bytes of any size; the SDK's own is for small things. */
import { platform } from "#platform";
import type { Digest, Hex } from "@cotrain/sdk/protocol";

import { hexOf } from "./bytes.ts";

/** SHA-256 of bytes as 0x-prefixed hex. */
export function sha256Bytes(bytes: Uint8Array): Digest {
  return createSha256().update(bytes).digest();
}

/** SHA-256 of bytes one after another, as bytes. */
export function sha256Parts(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = platform.sha256();
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** A hash that is fed piece by piece. */
export interface Hasher<Value extends Hex = Hex> {
  /** Adds bytes; returns itself. */
  update(bytes: Uint8Array): Hasher<Value>;
  /** The hash of all bytes so far; call it once, at the end. */
  digest(): Value;
}

/** Makes a streaming SHA-256. */
export function createSha256(): Hasher<Digest> {
  return hasherOf<Digest>(platform.sha256());
}

/** Makes a streaming BLAKE3. */
export function createBlake3(): Hasher {
  return hasherOf(platform.blake3());
}

function hasherOf<Value extends Hex>(state: ReturnType<typeof platform.sha256>): Hasher<Value> {
  const self: Hasher<Value> = {
    update: (bytes) => {
      state.update(bytes);
      return self;
    },
    digest: () => hexOf(state.digest()) as Value,
  };
  return self;
}
