/** data/node: texts and tokenizers that lie in files; trainTokenizer.ts makes tokenizer.json. */
export { brownCorpus, MAX_TEXT_BYTES, MIN_TEXT_BYTES, textCorpus } from "./corpus.ts";
export { loadTokenizer } from "./tokenizer.ts";
export { trainBrownTokenizer } from "./trainTokenizer.ts";
