/** From text to a data set: token shards in a blob store and the manifest that names them. */
import {
  asDigest,
  DataManifest,
  type DataShard,
  type Digest,
  MAX_MANIFEST_BYTES,
  parseDocument,
} from "@cotrain/sdk/protocol";

import { bytesOf, parseCanonicalJson, turn } from "../base/index.ts";
import { type BlobStore, putDocument } from "../storage/index.ts";
import { type Corpus, heldOutBy } from "./corpus.ts";
import { DataError } from "./errors.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** Seed of the held-out split, which the committed tokenizer was trained without. */
export const DEFAULT_DATA_SEED = "cotrain";
/** Tokens in every shard but a split's last: 512 KiB. */
export const SHARD_TOKENS = 262_144;

/** One split while it is written. */
interface SplitWriter {
  add(ids: readonly number[]): Promise<void>;
  finish(): Promise<DataManifest["train"]>;
}

function createSplitWriter(store: BlobStore, tokenizer: Tokenizer, shardTokens: number): SplitWriter {
  const shards: DataShard[] = [];
  const buffer = new Uint16Array(shardTokens);
  let filled = 0;
  let bytes = 0;
  const flush = async (): Promise<void> => {
    const { digest } = await store.put(bytesOf(buffer.slice(0, filled)));
    shards.push({ digest, tokens: filled, bytes });
    filled = 0;
    bytes = 0;
  };
  return {
    add: async (ids) => {
      for (const id of ids) {
        buffer[filled++] = id;
        bytes += tokenizer.bytesOf(id);
        if (filled === shardTokens) await flush();
      }
    },
    finish: async () => {
      if (filled > 0) await flush();
      const sum = (of: "tokens" | "bytes"): number => shards.reduce((total, shard) => total + shard[of], 0);
      return { tokens: sum("tokens"), bytes: sum("bytes"), shards };
    },
  };
}

/**
 * Tokenizes a corpus into shards of uint16 little-endian token ids and stores them, the tokenizer and the manifest.
 * Equal corpus, tokenizer and seed give an equal digest. Memory is one document and two shards.
 * @param options.seed of the held-out split, about 1/20 of the documents
 * @returns the manifest and its digest, which the run's definition names
 * @throws DataError `DATA_TOO_SHORT` when a split stays empty; errors of the corpus
 */
export async function prepareData(
  store: BlobStore,
  corpus: Corpus,
  tokenizer: Tokenizer,
  options: { readonly seed?: string; readonly shardTokens?: number } = {},
): Promise<{ digest: Digest; manifest: DataManifest }> {
  const shardTokens = options.shardTokens ?? SHARD_TOKENS;
  const train = createSplitWriter(store, tokenizer, shardTokens);
  const heldOut = createSplitWriter(store, tokenizer, shardTokens);
  const isHeldOut = heldOutBy(options.seed ?? DEFAULT_DATA_SEED);
  let index = 0;
  for await (const document of corpus.documents()) {
    await (isHeldOut(index++) ? heldOut : train).add(tokenizer.encode(document));
    // Tokenizing keeps the thread busy; other work of the process gets its turn between documents.
    await turn();
  }
  const manifest: DataManifest = {
    version: 1,
    source: corpus.source,
    tokenizer: tokenizer.digest,
    vocabulary: tokenizer.vocabulary,
    train: await train.finish(),
    heldOut: await heldOut.finish(),
  };
  if (manifest.train.tokens === 0 || manifest.heldOut.tokens === 0) {
    throw new DataError("DATA_TOO_SHORT", `The text (${corpus.source}) is too short to hold a part of it out.`);
  }
  await store.put(tokenizer.bytes);
  const document = parseDocument("data manifest", DataManifest, manifest);
  return { digest: await putDocument(store, document, { maxBytes: MAX_MANIFEST_BYTES }), manifest };
}

/**
 * Reads and checks a data manifest; whoever opens its sequences reads it by this, since it comes from who registered the run.
 * @throws BlobError; ProtocolError for the form; DataError `DATA_INVALID` when its sums do not add up
 */
export async function readDataManifest(
  reader: { get(digest: Digest, maxBytes: number): Promise<Uint8Array> },
  digest: Digest,
): Promise<DataManifest> {
  const bytes = await reader.get(digest, MAX_MANIFEST_BYTES);
  const manifest = parseDocument(
    "data manifest",
    DataManifest,
    parseCanonicalJson(bytes, MAX_MANIFEST_BYTES, "The data manifest"),
  );
  for (const [name, { tokens, bytes: length, shards }] of Object.entries({
    train: manifest.train,
    "held-out": manifest.heldOut,
  })) {
    const size = shards[0]?.tokens ?? 0;
    const regular = shards.every(
      (shard, i) => shard.tokens > 0 && (i === shards.length - 1 ? shard.tokens <= size : shard.tokens === size),
    );
    const sum = (of: "tokens" | "bytes"): number => shards.reduce((total, shard) => total + shard[of], 0);
    if (!regular || tokens === 0 || sum("tokens") !== tokens || sum("bytes") !== length) {
      throw new DataError("DATA_INVALID", `The ${name} split of data manifest ${asDigest(digest)} does not add up.`);
    }
  }
  return manifest;
}

/**
 * Bits per byte of text from nats per token: nats ÷ ln 2 × tokens ÷ bytes. Comparable between tokenizers.
 * @param text that the loss was measured on, a split of a manifest or what one token comes to
 */
export function bitsPerByte(natsPerToken: number, text: { readonly tokens: number; readonly bytes: number }): number {
  return ((natsPerToken / Math.LN2) * text.tokens) / text.bytes;
}
