/**
 * What describes a run and its rounds, out of bytes that have its digest: form and bounds, for whoever reads it (docs/protocol.md,
 * "Bounds"). Manifests are checkpoint.ts's, those of data `data`'s.
 */
import {
  Build,
  canonicalJson,
  type Digest,
  Definition,
  hasTooManyValues,
  MAX_BUILD_BYTES,
  MAX_DEFINITION_BYTES,
  MAX_DOCUMENT_BYTES,
  MAX_JSON_VALUES,
  parseDocument,
  ScreeningFile,
} from "@cotrain/sdk/protocol";

import { parseCanonicalJson } from "../base/index.ts";
import type { Expected, Stored } from "./blobStore.ts";
import { BlobError } from "./errors.ts";

/** Where documents are put: a {@link BlobStore}, or what does more on the way to one. */
export interface DocumentStore {
  put(document: Uint8Array, expected?: Expected): Promise<Stored>;
}

/**
 * Stores a document as canonical JSON, by which it has its digest. What readers would refuse as too large is not stored.
 * @throws BlobError `BLOB_TOO_LARGE`; as {@link BlobStore.put}
 */
export const putDocument = async (store: DocumentStore, document: unknown, expected?: Expected): Promise<Digest> => {
  const bytes = new TextEncoder().encode(canonicalJson(document));
  if (hasTooManyValues(bytes))
    throw new BlobError("BLOB_TOO_LARGE", `A document has more than the ${MAX_JSON_VALUES} values allowed.`);
  return (await store.put(bytes, { maxBytes: MAX_DOCUMENT_BYTES, ...expected })).digest;
};

/** @throws UserError JSON_TOO_LARGE, JSON_INVALID, JSON_NOT_CANONICAL; ProtocolError MALFORMED_DOCUMENT */
export const parseDefinition = (bytes: Uint8Array): Definition =>
  parseDocument("The definition", Definition, parseCanonicalJson(bytes, MAX_DEFINITION_BYTES, "the definition"));

/** @throws as {@link parseDefinition} */
export const parseBuild = (bytes: Uint8Array): Build =>
  parseDocument("The build", Build, parseCanonicalJson(bytes, MAX_BUILD_BYTES, "the build"));

/** @throws as {@link parseDefinition} */
export const parseScreening = (bytes: Uint8Array): ScreeningFile =>
  parseDocument("The screening", ScreeningFile, parseCanonicalJson(bytes, MAX_DOCUMENT_BYTES, "the screening"));
