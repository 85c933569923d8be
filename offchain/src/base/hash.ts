/** SHA-256 by Node's OpenSSL (1–2 GB/s), for blobs of any size; the SDK's own is for browsers and small things. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";

import type { Digest } from "@cotrain/sdk/protocol";

const asHex = (digest: Buffer): Digest => `0x${digest.toString("hex")}` as Digest;

/** SHA-256 of bytes as 0x-prefixed hex. */
export function sha256Bytes(bytes: Uint8Array): Digest {
  return asHex(createHash("sha256").update(bytes).digest());
}

/** A hash that is fed piece by piece. */
export interface Sha256 {
  /** Adds bytes; returns itself. */
  update(bytes: Uint8Array): Sha256;
  /** The digest of all bytes so far; call it once, at the end. */
  digest(): Digest;
}

/** Makes a streaming SHA-256. */
export function createSha256(): Sha256 {
  const hash = createHash("sha256");
  const self: Sha256 = {
    update: (bytes) => {
      hash.update(bytes);
      return self;
    },
    digest: () => asHex(hash.digest()),
  };
  return self;
}

/** SHA-256 of a file's content, streamed. Rejects with the operating system's error. */
export async function sha256File(path: string): Promise<Digest> {
  const hash = createSha256();
  const chunks: AsyncIterable<Uint8Array> = createReadStream(path, { highWaterMark: 1 << 20 });
  for await (const chunk of chunks) hash.update(chunk);
  return hash.digest();
}
