/** Hashes of files. */
import { createReadStream } from "node:fs";

import type { Digest } from "@cotrain/sdk/protocol";

import { createSha256 } from "../hash.ts";

/** SHA-256 of a file's content, streamed. Rejects with the operating system's error. */
export async function sha256File(path: string): Promise<Digest> {
  const hash = createSha256();
  const chunks: AsyncIterable<Uint8Array> = createReadStream(path, { highWaterMark: 1 << 20 });
  for await (const chunk of chunks) hash.update(chunk);
  return hash.digest();
}
