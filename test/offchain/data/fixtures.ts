import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { onTestFinished } from "vitest";

import type { Corpus } from "../../../offchain/src/data/index.ts";
import { type BlobStore } from "../../../offchain/src/storage/index.ts";
import { openBlobStore } from "../../../offchain/src/storage/node/index.ts";

/** A directory that goes when the test ends. */
async function temporaryDirectory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "cotrain-data-"));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

export async function temporaryStore(): Promise<BlobStore> {
  return openBlobStore(await temporaryDirectory());
}

/** A file with this content. */
export async function temporaryFile(content: string | Uint8Array): Promise<string> {
  const path = join(await temporaryDirectory(), "text.txt");
  await writeFile(path, content);
  return path;
}

export function corpusOf(documents: readonly string[]): Corpus {
  return {
    source: "test",
    documents: async function* () {
      yield* documents;
    },
  };
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const out: T[] = [];
  for await (const item of items) out.push(item);
  return out;
}
