/**
 * storage: content addressing. Blob stores that verify what they read, read-through from untrusted peers, safetensors,
 * checkpoints (shards and manifest), models that travel as CAR files. Runs in a browser too; the door to stores, which has files
 * behind it, is entered by node/index.ts. May import base and @cotrain/sdk/protocol. Start at blobStore.ts, then checkpoint.ts.
 */
export type { BlobReader, BlobStore, OpenBlob } from "./blobStore.ts";
export {
  checkBlobs,
  type CheckpointFacts,
  fragmentOf,
  type FragmentState,
  parseFragment,
  parseManifest,
  readCheckpoint,
  readFragment,
  readManifest,
  writeFragment,
  writeManifest,
} from "./checkpoint.ts";
export { type DocumentStore, parseBuild, parseDefinition, parseScreening, putDocument } from "./documents.ts";
export { BlobError, FormatError } from "./errors.ts";
export {
  bundleModel,
  exportModel,
  importModel,
  type Model,
  type ProgramRole,
  readModel,
  verifyBlobs,
} from "./model.ts";
export { type BlobOrigin, createReadThrough, type ReadThrough } from "./readThrough.ts";
