/** The sizes that bound documents and blobs. */

/** Fragments of a run at most; a table's rows at most. */
export const MAX_FRAGMENTS = 256;
export const MAX_TENSORS = 65_536;
/** A checkpoint's shard of one fragment, the largest of blobs: whoever reads it holds it whole. */
export const MAX_SHARD_BYTES = 1 << 30;
/** Manifests are raw blocks of this size at most; longer parts are blobs of their own. */
export const MAX_MANIFEST_BYTES = 1 << 20;
export const MAX_PAYLOAD_HEADER_BYTES = 64 << 10;
/** A definition names up to {@link MAX_TENSORS} tensors. */
export const MAX_DEFINITION_BYTES = 16 << 20;
export const MAX_BUILD_BYTES = 1 << 20;
export const MAX_TOKENIZER_BYTES = 32 << 20;
export const MAX_PROGRAM_BYTES = 64 << 20;
/** Receipts, screenings, verdicts, inputs and rewards. */
export const MAX_DOCUMENT_BYTES = 64 << 20;
