/** Payloads of a closing round: read from the blob store, left out where they are lost, weighed as the screening says. */
import { type Address, asDigest, type Digest, outcomeCode, MAX_DOCUMENT_BYTES } from "@cotrain/sdk/protocol";

import { InternalError, parseJsonBounded, roundNumber } from "../base/index.ts";
import type { FragmentPayload, ScreeningEntry, SliceMemory } from "../diloco/index.ts";
import { BlobError, type BlobStore, type OpenBlob } from "../storage/index.ts";
import type { EffectContext } from "./effectRunner.ts";
import { isCollecting, receiptsOf } from "./machine/dealing.ts";
import type { AcceptedReceipt, OpenRound, RunState } from "./machine/state.ts";
import { sourceOfBlob } from "./payloadSource.ts";
import type { Run } from "./run.ts";
import { namedBy } from "./unnamed.ts";

/** Lost fragments that are remembered; the oldest goes. */
const MOST_LOST = 8_192;

export function closing(context: EffectContext, round: number): OpenRound {
  const { current } = context.state;
  if (current?.round !== round)
    throw new InternalError("ROUND_GONE", `Round ${roundNumber(round)} is not the one that is closing.`);
  return current;
}

/** Receipts of a round by ascending worker. */
export const acceptedOf = (round: OpenRound): { worker: Address; accepted: AcceptedReceipt }[] =>
  receiptsOf(round)
    .flatMap(({ assignment, receipt }) => (receipt ? [{ worker: assignment.worker, accepted: receipt }] : []))
    .toSorted((a, b) => (a.worker < b.worker ? -1 : 1));

/** Whether a blob is part of a payload that another member could still send as its own. */
export function isSealed({ current }: Pick<RunState, "current">, digest: Digest): boolean {
  if (!current || !isCollecting(current)) return false;
  return Object.values(current.work).some(
    ({ uploads, receipt }) =>
      receipt?.receipt.payloadDigest === digest || Object.values(uploads).some((upload) => upload.digest === digest),
  );
}

/** What the open round's uploads and receipts name and the store lacks: a process before this one found it lost, or gave it up. */
export async function lostBefore(blobs: BlobStore, { current }: Pick<RunState, "current">): Promise<Set<Digest>> {
  const lost = new Set<Digest>();
  for (const digest of Object.values(current?.work ?? {}).flatMap(namedBy))
    if (!(await blobs.has(digest))) noteLost({ lost }, digest);
  return lost;
}

/** Remembers that a fragment is gone. */
export function noteLost({ lost }: Pick<Run, "lost">, digest: Digest): void {
  lost.add(digest);
  const [oldest] = lost;
  if (lost.size > MOST_LOST && oldest !== undefined) lost.delete(oldest);
}

/**
 * Opens an accepted payload's fragment.
 * @returns undefined where it is lost. What is left of it goes too: nothing is served that the record calls missing.
 */
export async function openPayload(run: Run, digest: Digest): Promise<OpenBlob | undefined> {
  try {
    return await run.modules.blobs.open(digest);
  } catch (error) {
    if (!(error instanceof BlobError)) throw error;
    noteLost(run, digest);
    await run.modules.blobs.delete(digest);
    return undefined;
  }
}

/** The entries that `screenRound` left, with what was found since. */
export async function entriesOf(blobs: BlobStore, round: OpenRound): Promise<ScreeningEntry[]> {
  if (!round.record) throw new InternalError("ROUND_UNSCREENED", `Round ${roundNumber(round.round)} was not screened.`);
  const bytes = await blobs.get(round.record, MAX_DOCUMENT_BYTES);
  const entries = parseJsonBounded(bytes, MAX_DOCUMENT_BYTES, "the entries") as ScreeningEntry[];
  return entries.map((entry) => ({ ...entry, outcome: round.excluded[entry.worker] ?? 0 }));
}

/**
 * What of one fragment is aggregated, from the payloads of these entries. Blobs that it opens are closed with `opened`.
 * @returns also the outcomes of those that are not to be had
 */
export async function fragmentPayloads(
  run: Run,
  round: OpenRound,
  fragment: number,
  entries: readonly ScreeningEntry[],
  opened: AsyncDisposableStack,
): Promise<{ payloads: FragmentPayload[]; outcomes: Record<Address, number> }> {
  const payloads: FragmentPayload[] = [];
  const outcomes: Record<Address, number> = {};
  const memory: SliceMemory = [];
  for (const entry of entries) {
    const { worker } = entry;
    const accepted = round.work[worker]?.receipt;
    if (!accepted) throw new InternalError("ENTRY_FOREIGN", `The screening judges ${worker}, who sent no receipt.`);
    const { clipPpm = 0 } = entry.fragments[fragment] ?? {};
    const blob = await openPayload(run, asDigest(accepted.header.fragments[fragment]?.digest ?? ""));
    if (!blob) {
      outcomes[worker] = outcomeCode.payloadMissing;
      continue;
    }
    opened.defer(() => blob.close());
    const { steps } = accepted.receipt;
    payloads.push({ worker, tokens: accepted.tokens, steps, source: sourceOfBlob(blob, memory), clipPpm });
  }
  return { payloads, outcomes };
}
