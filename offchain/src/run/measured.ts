/**
 * Payloads as a round's record measured them: read and measured again by whoever doubts it. One fragment of each is what a
 * validator draws; where somebody's pay hangs on a measure, all of them are looked at, since any could be the invented one.
 */
import { asDigest, outcomeCode, type ReceiptsFile, type ScreeningFile } from "@cotrain/sdk/protocol";

import { measureFragment, sourceOf } from "../diloco/index.ts";
import { DocumentError } from "./published.ts";
import type { BlobSource } from "./ports.ts";
import { type PayloadPlace, readPart } from "./unreadable.ts";

type Receipts = ReceiptsFile["receipts"];

/** Outcomes that take pay from somebody by what was measured of payloads, in whichever fragment. */
const byMeasure: ReadonlySet<number> = new Set([outcomeCode.normTooLarge, outcomeCode.empty, outcomeCode.copy]);
export const blamesByMeasure = (receipts: Receipts): boolean => receipts.some(({ outcome }) => byMeasure.has(outcome));

/** Outcomes that take it by held-out losses. */
const byLoss: ReadonlySet<number> = new Set([outcomeCode.lossHarm, outcomeCode.roundDiscarded]);
export const blamesByLoss = (outcomes: readonly { readonly outcome: number }[]): boolean =>
  outcomes.some(({ outcome }) => byLoss.has(outcome));

/**
 * One fragment of a payload.
 * @throws DocumentError when it is not what the record measured; PayloadError; what `blobs` throws
 */
export async function readMeasured(
  blobs: BlobSource,
  place: PayloadPlace,
  receipt: Receipts[number]["receipt"],
  entry: ScreeningFile["workers"][number]["fragments"][number],
  fragment: number,
): Promise<Uint8Array> {
  const part = await readPart(blobs, place, receipt, fragment);
  const payload = await blobs.blob(place.head.runId, asDigest(part.digest), part.bytes);
  const { norm, sketch } = await measureFragment(place.params.codec, sourceOf(payload), part.elements, fragment);
  if (entry.digest !== part.digest || entry.norm !== norm || entry.sketch !== sketch)
    throw new DocumentError(
      "DOCUMENT_SCREENING",
      `The payload of ${receipt.worker} was measured as something else than it is, in fragment ${fragment}.`,
    );
  return payload;
}

/**
 * Every fragment but one of each payload that a record measured.
 * @throws DocumentError for the first that the record measured as something else; what `blobs` throws
 */
export async function requireMeasures(
  blobs: BlobSource,
  place: PayloadPlace,
  receipts: Receipts,
  entries: ScreeningFile["workers"],
  but?: number,
): Promise<void> {
  for (const { index } of place.parent.fragments) {
    if (index === but) continue;
    for (const [i, { receipt }] of receipts.entries()) {
      const entry = entries[i]?.fragments[index];
      if (entry) await readMeasured(blobs, place, receipt, entry, index);
    }
  }
}
