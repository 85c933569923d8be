/**
 * A coordinator that calls a payload unreadable which it acknowledged, and workers that would make an honest coordinator look like
 * one: what it records is held against what it serves, by the functions that validators and `cotrain verify` run.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

import {
  asDigest,
  type Digest,
  digestOfJson,
  outcomeCode,
  type ReceiptsFile,
  type ScreeningFile,
} from "@cotrain/sdk/protocol";
import { afterEach, describe, expect, it } from "vitest";

import { problemOfScreening, problemOfUnreadable } from "../../offchain/src/run/index.ts";
import { readManifest } from "../../offchain/src/storage/index.ts";
import {
  type Harness,
  openHarness,
  params,
  type Prepared,
  runId,
  type TestWorker,
  until,
} from "../offchain/coordinator/harness.ts";

let harness: Harness | undefined;
afterEach(async () => {
  await harness?.close();
  harness = undefined;
});

async function open(keys = ["31", "32"]): Promise<{ of: Harness; workers: TestWorker[] }> {
  const of = (harness = await openHarness());
  const workers = keys.map((key) => of.worker(key));
  for (const worker of workers) await worker.join();
  return { of, workers };
}
const roundIs = (of: Harness, round: number) => until(() => of.run.driver.state.round === round, `round ${round}`);
const inOrder = (workers: readonly TestWorker[]) => workers.toSorted((a, b) => (a.address < b.address ? -1 : 1));
const fragmentOf = ({ header }: Prepared, index: number): Digest => asDigest(header.fragments[index]!.digest);

/** What an auditor finds in the newest checkpoint, with what the coordinator serves. @returns outcomes, and what is wrong */
async function audited(of: Harness): Promise<{ outcomes: number[]; problems: string[] }> {
  const { definition, driver, projections } = of.run;
  const { round } = driver.state.checkpoint;
  const manifestOf = async (at: number) => readManifest(of.blobs, (await projections.checkpoint(at))!.digest);
  const read = async (digest: string | null) =>
    JSON.parse(new TextDecoder().decode(await of.client.blob(runId, asDigest(digest!), 1 << 24))) as unknown;
  const [parent, manifest] = [await manifestOf(round - 1), await manifestOf(round)];
  const receipts = (await read(manifest.receipts)) as ReceiptsFile;
  const file = (await read(manifest.screening)) as ScreeningFile;
  const past = parent.screening ? [(await read(parent.screening)) as ScreeningFile] : [];
  const place = { head: { runId, round }, parent, definition, params: { ...params, aggregatorBps: 0 } };
  const problems = [
    problemOfScreening({ definition, params: place.params, paramsVersion: 1, file, receipts, past }),
    await problemOfUnreadable(of.client, place, receipts.receipts, file.workers),
  ];
  return { outcomes: file.workers.map(({ outcome }) => outcome), problems: problems.filter((each) => each !== "") };
}

describe("an acknowledged payload", () => {
  it("that is served is found to be called missing", async () => {
    const { of, workers } = await open();
    const [a, b] = inOrder(workers) as [TestWorker, TestWorker];
    const { prepared } = await a.train();
    const [lost, bytes] = [fragmentOf(prepared, 2), prepared.payloads[2]!];
    await of.blobs.delete(lost);
    await b.train();
    await roundIs(of, 1);
    const { payloadMissing } = outcomeCode;
    expect(await audited(of)).toEqual({ outcomes: [payloadMissing, 0], problems: [] });
    await of.blobs.put(bytes);
    expect((await audited(of)).problems).toEqual([
      `Fragment 2 of the payload of ${a.address} is recorded as payloadMissing; it can be read.`,
    ]);
  });

  it("that is lost, or damaged, cannot be brought back in a later round to make a forgery of the record", async () => {
    const { of, workers } = await open();
    const [a, b] = inOrder(workers) as [TestWorker, TestWorker];
    const { prepared } = await a.train();
    const [lost, bytes] = [fragmentOf(prepared, 2), prepared.payloads[2]!];
    await writeFile(join(of.directory, "blobs", lost.slice(2, 4), lost.slice(2)), bytes.slice(1));
    await b.train();
    await roundIs(of, 1);
    const again = async (): Promise<unknown> => {
      const { assignmentId, attempt } = await a.assigned();
      return a.session.uploadFragment(assignmentId, attempt, 2, bytes, lost);
    };
    await expect(again()).rejects.toMatchObject({ code: "STALE_ROUND" });
    await of.restart();
    await a.join();
    await expect(again()).rejects.toMatchObject({ code: "STALE_ROUND" });
    expect(await audited(of)).toEqual({ outcomes: [outcomeCode.payloadMissing, 0], problems: [] });
  });

  it("that is lost is not brought back by an upload that began before the round closed", async () => {
    const { of, workers } = await open(["31", "32", "33"]);
    // The first round is of those two that were there first; the next one of all.
    for (const worker of workers.slice(0, 2)) await worker.train();
    await roundIs(of, 1);
    const [a, b, accomplice] = inOrder(workers) as [TestWorker, TestWorker, TestWorker];
    const prepared = a.prepare(await a.assigned());
    const [lost, bytes] = [fragmentOf(prepared, 2), prepared.payloads[2]!];
    const { assignmentId, attempt } = await accomplice.assigned();
    const put = of.blobs.put.bind(of.blobs);
    const begun = Promise.withResolvers<void>();
    const closed = Promise.withResolvers<void>();
    of.blobs.put = async (data, expected) => {
      of.blobs.put = put;
      begun.resolve();
      await closed.promise;
      return put(data, expected);
    };
    const late = accomplice.session.uploadFragment(assignmentId, attempt, 2, bytes, lost);
    late.catch(() => undefined);
    await begun.promise;
    await a.upload(prepared);
    await a.submit(prepared);
    await of.blobs.delete(lost);
    await b.train();
    await accomplice.session.leave();
    await roundIs(of, 2);
    closed.resolve();
    await expect(late).rejects.toMatchObject({ status: expect.any(Number) });
    expect(await audited(of)).toEqual({ outcomes: [outcomeCode.payloadMissing, 0], problems: [] });
  });

  it("that is lost after it was measured has no say in what becomes of the others'", async () => {
    const { of, workers } = await open();
    const [a, b] = inOrder(workers) as [TestWorker, TestWorker];
    const { prepared } = await a.train();
    const lost = fragmentOf(prepared, 2);
    const opened = of.blobs.open.bind(of.blobs);
    let reads = 0;
    of.blobs.open = async (digest, options) => {
      // Read to be measured, and then to be aggregated.
      if (digest === lost && (reads += 1) === 2) await of.blobs.delete(lost);
      return opened(digest, options);
    };
    // One fragment is the same, so that what was accepted later is a copy as long as the other counts.
    const own = b.prepare(await b.assigned());
    const payloads = own.payloads.with(0, prepared.payloads[0]!);
    const header = {
      ...own.header,
      fragments: own.header.fragments.with(0, { ...own.header.fragments[0]!, digest: fragmentOf(prepared, 0) }),
    };
    const copy = { ...own, payloads, header, receipt: { ...own.receipt, payloadDigest: digestOfJson(header) } };
    await b.upload(copy);
    await b.submit(copy);
    await roundIs(of, 1);
    expect(reads).toBeGreaterThanOrEqual(2);
    expect(await audited(of)).toEqual({ outcomes: [outcomeCode.payloadMissing, 0], problems: [] });
  });
});
