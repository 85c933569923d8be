/**
 * Payloads that a round's record calls missing, malformed or not finite: read again by whoever doubts it. The record names the
 * fragment that could not be read, so that one fragment of each such payload tells, and nobody can be made to read more.
 */
import {
  asDigest,
  type CheckpointManifest,
  type Definition,
  MAX_PAYLOAD_HEADER_BYTES,
  nameOfCode,
  type Outcome,
  outcomeCode,
  parseDocument,
  PayloadHeader,
  type ReceiptsFile,
  type RunParams,
  type ScreeningFile,
  tableDigest,
} from "@cotrain/sdk/protocol";

import { CotrainError } from "@cotrain/sdk/errors";
import { parseCanonicalJson } from "../base/index.ts";
import { codecOf, fragmentLayouts, measureFragment, PayloadError, sourceOf } from "../diloco/index.ts";
import { DocumentError, isItsWord } from "./published.ts";
import type { PostedHead } from "../chain/index.ts";
import type { BlobSource } from "./ports.ts";

/** Outcomes of payloads that could not be read. */
export const unreadableOutcomes: ReadonlySet<number> = new Set([
  outcomeCode.payloadMissing,
  outcomeCode.payloadMalformed,
  outcomeCode.nonFinite,
]);

/** The source answers, and has no such blob: one that is merely away says nothing about what it keeps. */
export const isGone = (error: unknown): error is CotrainError =>
  error instanceof CotrainError && (error.code === "BLOB_MISSING" || error.code === "BLOB_NOT_FOUND");

const notItsBytes: ReadonlySet<string> = new Set(["ANSWER_TOO_LARGE", "BLOB_MISMATCH", "BLOB_CORRUPTED"]);

/**
 * The source has no such blob, or answers with something else: its bytes do not have the digest, be it on its own disk, or are too
 * many to be looked at. Whoever appends to an answer says nothing about the blob.
 */
export const isNotHad = (error: unknown): error is CotrainError =>
  isGone(error) || (error instanceof CotrainError && notItsBytes.has(error.code));

export interface PayloadPlace {
  readonly head: Pick<PostedHead, "runId" | "round">;
  /** Manifest of the checkpoint that the round started from. */
  readonly parent: CheckpointManifest;
  readonly definition: Pick<Definition, "table">;
  readonly params: Pick<RunParams, "codec">;
}

type PayloadPart = PayloadHeader["fragments"][number];

/**
 * One fragment of a payload as its header names it, which must have been made for this round.
 * @throws DocumentError DOCUMENT_PAYLOAD; what `blobs` throws
 */
export async function readPart(
  blobs: BlobSource,
  { head, parent, definition, params }: PayloadPlace,
  { worker, payloadDigest }: { readonly worker: string; readonly payloadDigest: string },
  fragment: number,
): Promise<PayloadPart> {
  const bytes = await blobs.blob(head.runId, asDigest(payloadDigest), MAX_PAYLOAD_HEADER_BYTES);
  const header = headerOf(bytes, worker);
  const fits =
    header.runId === head.runId &&
    header.round === head.round - 1 &&
    header.worker === worker &&
    header.codec === params.codec &&
    header.table === tableDigest(definition.table);
  if (!fits) throw new DocumentError("DOCUMENT_PAYLOAD", `The payload of ${worker} was made for something else.`);
  const part = header.fragments.find(({ index }) => index === fragment);
  const elements = fragmentLayouts(definition.table)[fragment]?.elements ?? 0;
  const length = codecOf(params.codec).encodedLength(elements);
  if (
    part?.elements !== elements ||
    part.bytes !== length ||
    part.base !== parent.fragments.find(({ index }) => index === fragment)?.digest
  )
    throw new DocumentError("DOCUMENT_PAYLOAD", `The payload of ${worker} has no such fragment ${fragment}.`);
  return part;
}

function headerOf(bytes: Uint8Array, worker: string): PayloadHeader {
  try {
    return parseDocument(
      "header",
      PayloadHeader,
      parseCanonicalJson(bytes, MAX_PAYLOAD_HEADER_BYTES, "the payload header"),
    );
  } catch (cause) {
    throw new DocumentError(
      "DOCUMENT_PAYLOAD",
      `The payload header of ${worker} is malformed: ${cause instanceof Error ? cause.message : "unreadable"}`,
    );
  }
}

/**
 * Whether the payloads that a record calls unreadable are. What is missing now may be said to be missing; what is there must
 * be what the record says. Records whose form does not hold are `problemOfScreening`'s.
 * @param mayBeGone whether the round's payloads need not be kept any more: then what is gone tells nothing
 * @returns one sentence, empty when the record holds
 * @throws DocumentError for a payload that no coordinator may take; what `blobs` throws for what is not to be had and is not
 *   said to be missing
 */
export async function problemOfUnreadable(
  blobs: BlobSource,
  place: PayloadPlace,
  receipts: ReceiptsFile["receipts"],
  entries: ScreeningFile["workers"],
  mayBeGone: () => Promise<boolean> = async () => false,
): Promise<string> {
  for (const [i, { receipt }] of receipts.entries()) {
    const { outcome = 0, unreadable } = entries[i] ?? {};
    if (!unreadableOutcomes.has(outcome) || unreadable === undefined) continue;
    const found = await outcomeOf(blobs, place, receipt, unreadable).catch(async (error: unknown) => {
      if (isGone(error) && (outcome === outcomeCode.payloadMissing || (await mayBeGone()))) return outcome;
      throw error;
    });
    if (found === outcome) continue;
    const said = nameOfCode(outcomeCode, outcome as Outcome);
    const is = found === 0 ? "it can be read" : `it is ${nameOfCode(outcomeCode, found as Outcome)}`;
    return `Fragment ${unreadable} of the payload of ${receipt.worker} is recorded as ${said}; ${is}.`;
  }
  return "";
}

/** What the parser says of one fragment, by the function that the coordinator measures with; 0 if it can be read. */
async function outcomeOf(
  blobs: BlobSource,
  place: PayloadPlace,
  receipt: ReceiptsFile["receipts"][number]["receipt"],
  fragment: number,
): Promise<number> {
  const part = await readPart(blobs, place, receipt, fragment);
  let payload: Uint8Array;
  try {
    payload = await blobs.blob(place.head.runId, asDigest(part.digest), part.bytes);
  } catch (error) {
    if (error instanceof CotrainError && error.code === "BLOB_TOO_LARGE" && !isItsWord(error))
      return outcomeCode.payloadMalformed;
    throw error;
  }
  try {
    await measureFragment(place.params.codec, sourceOf(payload), part.elements, fragment);
    return 0;
  } catch (error) {
    if (error instanceof PayloadError) return error.outcome;
    throw error;
  }
}
