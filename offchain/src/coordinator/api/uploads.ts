/** One fragment of a payload on its way into the blob store. */
import type { Address, Digest, FragmentReply } from "@cotrain/sdk/protocol";
import { CotrainError } from "@cotrain/sdk/errors";
import type { FastifyRequest } from "fastify";

import { RetryableError } from "../../base/index.ts";
import { readUpload } from "../../service/index.ts";
import { BlobError } from "../../storage/index.ts";
import { RefusedError } from "../errors.ts";
import { fragmentRefusal, workRefusal } from "../machine/rules.ts";
import { fragmentCount } from "../machine/state.ts";
import type { CoordinatorMetrics } from "../metrics.ts";
import { fragmentBytes } from "../receipts.ts";
import type { Run } from "../run.ts";
import { paramOf } from "./routing.ts";

/** Streams a fragment into the blob store, hashing on the way; nothing is kept of one that is not what it should be. */
export async function acceptFragment(
  run: Run,
  request: FastifyRequest,
  upload: { readonly worker: Address; readonly digest: Digest },
  metrics: CoordinatorMetrics,
): Promise<FragmentReply> {
  const { worker } = upload;
  const place = {
    worker,
    assignmentId: Number(paramOf(request, "assignmentId")),
    attempt: Number(paramOf(request, "attempt")),
    index: Number(paramOf(request, "index")),
  };
  const { driver } = run;
  const fragment = { ...place, digest: upload.digest };
  // One of them at a time: the others count as any upload does.
  const again = isGivenUp(run, fragment) && !run.arriving.has(fragment.digest);
  const refusal = again ? null : fragmentRefusal(driver.state, place, run.arriving.of(worker));
  if (refusal) throw new RefusedError(refusal.code, refusal.message);
  if (place.index >= fragmentCount(driver.state)) {
    throw new RefusedError(
      "WRONG_SHAPE",
      `There is no fragment ${place.index}; the run has ${fragmentCount(driver.state)}.`,
    );
  }
  const over = run.arriving.begin(worker, fragment.digest);
  try {
    return await storeFragment(run, request, fragment, metrics);
  } finally {
    over();
  }
}

interface Fragment {
  readonly worker: Address;
  readonly assignmentId: number;
  readonly attempt: number;
  readonly index: number;
  readonly digest: Digest;
}

/** What stands in the log and was given up here: sent once more it takes its place again, and is no upload more. */
function isGivenUp({ driver: { state }, lost }: Run, { index, digest, ...place }: Fragment): boolean {
  if (!lost.has(digest) || workRefusal(state, { ...place, round: null })) return false;
  return state.current?.work[place.worker]?.uploads[index]?.digest === digest;
}

async function storeFragment(
  run: Run,
  request: FastifyRequest,
  fragment: Fragment,
  metrics: CoordinatorMetrics,
): Promise<FragmentReply> {
  const { digest, index } = fragment;
  const { driver } = run;
  const { blobs } = run.modules;
  const bytes = fragmentBytes(driver.state, index);
  await run.arriving.removed([digest]);
  const known = await blobs.has(digest);
  const stays = known && !(await run.projections.hasPayload(digest)) && !(await run.projections.hasShard(digest));
  // What a closed round's record calls missing stays missing: else whoever sends it later makes a forgery of the record.
  if (!known && (await run.projections.hasEarlierPayload(digest, driver.state.round)))
    throw new RefusedError("STALE_ROUND", `Fragment ${index} is of a payload whose round is over.`);
  // What the log cannot note would take the room in which it could.
  if (driver.paused !== undefined) throw new RetryableError("DISK_FULL", driver.paused);
  const over = run.transfers.begin(fragment.worker, "up");
  try {
    const stored = await blobs.put(readUpload(request, bytes), { digest, bytes });
    metrics.received(stored.bytes);
    over(stored.bytes);
  } catch (error) {
    driver.blobDisk.report(error);
    throw uploadError(error, index, bytes);
  } finally {
    over(0);
  }
  if (isGivenUp(run, fragment)) {
    run.lost.delete(digest);
    return { digest, bytes };
  }
  try {
    await driver.submit({ type: "FragmentAccepted", ...fragment, bytes, ...(stays && { stays }) });
  } catch (error) {
    if (!known) await drop(run, digest);
    throw error;
  }
  run.lost.delete(digest);
  return { digest, bytes };
}

/** Deletes an upload that does not count, unless something else needs the same bytes. */
async function drop({ arriving, builds, lost, projections, modules }: Run, digest: Digest): Promise<void> {
  const named = (!lost.has(digest) && (await projections.hasPayload(digest))) || (await projections.hasShard(digest));
  if (named || arriving.isHeld(digest) || builds.needs(digest)) return;
  await arriving.remove(digest, () => modules.blobs.delete(digest));
}

/** What is wrong with the bytes that were sent, in the API's words. */
function uploadError(error: unknown, index: number, bytes: number): unknown {
  if (error instanceof BlobError && error.code === "BLOB_MISMATCH") {
    const short = error.details?.["end"] !== undefined;
    return new RefusedError(
      short ? "WRONG_SHAPE" : "WRONG_DIGEST",
      short
        ? `Fragment ${index} has ${bytes} bytes; fewer arrived.`
        : `The bytes of fragment ${index} do not hash to the digest announced.`,
      { cause: error },
    );
  }
  const tooLarge =
    error instanceof CotrainError && (error.code === "BODY_TOO_LARGE" || error.code === "BLOB_TOO_LARGE");
  if (tooLarge)
    return new RefusedError("BODY_TOO_LARGE", `Fragment ${index} has ${bytes} bytes; more arrived.`, { cause: error });
  return error;
}
