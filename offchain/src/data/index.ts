/**
 * data: text to tokens to shards to batches, and the ledger of who trains on what. May import base, storage and
 * @cotrain/sdk/protocol. Start at prepare.ts (text to data set), then sequences.ts (data set to batches) and ledger.ts.
 * Runs in a browser too; texts in files and the committed tokenizer, tokenizer.json, are entered by node/index.ts.
 */
export { type BytePairs, splitWords, tokenizerJson, trainBytePairs } from "./bpe.ts";
export { type Corpus, HELD_OUT_EVERY, heldOutBy } from "./corpus.ts";
export { detokenizeBrown } from "./detokenize.ts";
export { DataError, type DataErrorCode } from "./errors.ts";
export {
  balanceOf,
  checkSubmission,
  consumeAssignment,
  createLedger,
  type DataLedger,
  issueAssignment,
  type LedgerAssignment,
  type LedgerBalance,
  LedgerError,
  reissueAssignment,
  returnAssignment,
  type Submission,
  tokensOf,
} from "./ledger.ts";
export { createDataOrder, type Permutation, permutationOf } from "./permutation.ts";
export { bitsPerByte, DEFAULT_DATA_SEED, prepareData, readDataManifest, SHARD_TOKENS } from "./prepare.ts";
export { type Batches, batchesOf, openSequences, positionsOf, sequenceCount, type Sequences } from "./sequences.ts";
export { MAX_TOKENIZER_BYTES, parseTokenizer, type Tokenizer } from "./tokenizer.ts";
