/**
 * data: text to tokens to shards to batches, and the ledger of who trains on what. May import base, storage and
 * @cotrain/sdk/protocol. Start at prepare.ts (text to data set), then sequences.ts (data set to batches) and ledger.ts.
 * Runs in a browser too; texts in files and the committed tokenizer, tokenizer.json, are entered by node/index.ts.
 */
export { splitWords, tokenizerJson, trainBytePairs } from "./bpe.ts";
export { type Corpus, heldOutBy } from "./corpus.ts";
export { detokenizeBrown } from "./detokenize.ts";
export { DataError } from "./errors.ts";
export {
  balanceOf,
  checkSubmission,
  consumeAssignment,
  createLedger,
  type DataLedger,
  giveBack,
  issueAssignment,
  type LedgerAssignment,
  LedgerError,
  reissueAssignment,
  returnAssignment,
  splitRanges,
  tokensOf,
} from "./ledger.ts";
export { createDataOrder, permutationOf } from "./permutation.ts";
export { bitsPerByte, prepareData, readDataManifest, SHARD_TOKENS } from "./prepare.ts";
export { batchesOf, isCountable, openSequences, positionsOf, sequenceCount, type Sequences } from "./sequences.ts";
export { parseTokenizer, type Tokenizer } from "./tokenizer.ts";
