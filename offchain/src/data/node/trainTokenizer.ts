/**
 * Trains the committed tokenizer on the training split of the Brown corpus and writes tokenizer.json of the data room.
 * The result is the same on every machine; test/offchain/data/tokenizer.test.ts checks that the committed file is it.
 *
 *     node --conditions=cotrain-source offchain/src/data/node/trainTokenizer.ts
 */
import { fileURLToPath } from "node:url";

import { writeFileDurable } from "../../base/node/index.ts";
import { splitWords, tokenizerJson, trainBytePairs } from "../bpe.ts";
import { heldOutBy } from "../corpus.ts";
import { DEFAULT_DATA_SEED } from "../prepare.ts";
import { brownCorpus } from "./corpus.ts";

/** Tokens in the committed tokenizer: small, so that embeddings do not dominate models of a million parameters. */
const VOCABULARY = 1024;

/**
 * The content of tokenizer.json.
 * @param vocabulary number of tokens
 */
export async function trainBrownTokenizer(vocabulary = VOCABULARY): Promise<string> {
  const heldOut = heldOutBy(DEFAULT_DATA_SEED);
  const counts = new Map<string, number>();
  let index = 0;
  for await (const document of (await brownCorpus()).documents()) {
    if (heldOut(index++)) continue;
    for (const word of splitWords(document)) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return tokenizerJson(trainBytePairs(counts, vocabulary));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeFileDurable(fileURLToPath(new URL("../tokenizer.json", import.meta.url)), await trainBrownTokenizer());
}
