/** Receipts that nobody waits for: cheap to send, so they are cheap to answer, and few are read. */
import { asDigest, type ReceiptRequest } from "@cotrain/sdk/protocol";
import { afterEach, expect, it, vi } from "vitest";

import { RetryableError } from "../../offchain/src/base/index.ts";
import { OWN, SHARED } from "../../offchain/src/coordinator/idleReceipts.ts";
import { acceptReceipt } from "../../offchain/src/coordinator/receipts.ts";
import { type Harness, openHarness, requestOf, type TestWorker, until } from "../offchain/coordinator/harness.ts";

let harness: Harness | undefined;
afterEach(async () => {
  vi.restoreAllMocks();
  await harness?.close();
  harness = undefined;
});

it("receipts of an old round have no blob read, and the one that was accepted is acknowledged as before", async () => {
  const of = (harness = await openHarness());
  const workers = [of.worker("31"), of.worker("32")];
  for (const worker of workers) await worker.join();
  const [first] = workers;
  const { prepared, reply } = await first!.train();
  await workers[1]!.train();
  await until(() => of.run.driver.state.round === 1, "the round's end");
  for (const worker of workers) await worker.train();
  await until(() => of.run.driver.state.round === 2 && of.run.driver.state.current !== null, "the next round");

  const reads = [vi.spyOn(of.blobs, "get"), vi.spyOn(of.blobs, "open")];
  for (let i = 0; i < 5; i++) {
    const receipt = { ...prepared.receipt, commitment: `0x${"ab".repeat(31)}0${i}` as const };
    await expect(first!.submit({ ...prepared, receipt })).rejects.toMatchObject({ code: "STALE_ROUND" });
    expect(await first!.submit(prepared)).toEqual(reply);
  }
  for (const read of reads) expect(read).not.toHaveBeenCalled();
  // After a restart too, when nothing is remembered but what was written.
  await of.restart();
  await first!.join();
  expect(await first!.submit(prepared)).toEqual(reply);
});

/** A header of which nobody may look at anything. */
const untouched = (request: ReceiptRequest): ReceiptRequest => ({
  ...request,
  header: new Proxy(request.header, {
    get: (_, name) => {
      throw new TypeError(`${String(name)} of the header was looked at`);
    },
    ownKeys: () => {
      throw new TypeError("the header was canonicalised");
    },
  }),
});

it("of a receipt that is not waited for neither header nor signature is looked at, and one that was accepted is acknowledged all the same", async () => {
  const of = (harness = await openHarness());
  const workers = [of.worker("31"), of.worker("32")];
  for (const worker of workers) await worker.join();
  const [first, second] = workers as [TestWorker, TestWorker];
  const { prepared, reply } = await first.train();
  const accepted = await requestOf(prepared.receipt, prepared.header, first.account);
  const due = await second.assigned();
  const waited = second.prepare(due);
  const recoveries = vi.spyOn(of.run.modules.signatures, "require");
  const looks = vi.spyOn(of.run.projections, "accepted");
  const refused = async (worker: TestWorker, change: Partial<typeof waited.receipt>, code: string) => {
    const request = await requestOf(
      { ...waited.receipt, ...change, worker: worker.address },
      waited.header,
      worker.account,
    );
    await expect(acceptReceipt(of.run, worker.address, untouched(request))).rejects.toMatchObject({ code });
  };
  await refused(second, { round: 999n }, "STALE_ROUND");
  // Nor is a receipt of a round to come looked for.
  expect(looks).not.toHaveBeenCalled();
  await refused(second, { attempt: 9 }, "STALE_ATTEMPT");
  await refused(first, { assignmentId: prepared.receipt.assignmentId }, "ALREADY_SUBMITTED");
  await refused(second, { steps: 1 }, "WORK_UNDONE");
  const again = await acceptReceipt(of.run, first.address, untouched(accepted));
  expect(again).toEqual({ reply, fresh: false });
  await second.train();
  await until(() => of.run.driver.state.round === 1, "the round's end");
  expect(recoveries).toHaveBeenCalledTimes(1);
  await refused(second, { commitment: `0x${"ab".repeat(32)}` }, "STALE_ROUND");
  expect(await acceptReceipt(of.run, first.address, untouched(accepted))).toEqual({ reply, fresh: false });
  expect(recoveries).toHaveBeenCalledTimes(1);
});

/** The code that a receipt is refused with. */
const codeOf = (worker: TestWorker, request: ReceiptRequest): Promise<string> =>
  worker.session.submitReceipt(request).then(
    () => "acknowledged",
    (error: { code: string }) => error.code,
  );

it("members of one network share how many receipts without effect are read; none beside them loses its own, or a round", async () => {
  const of = (harness = await openHarness({ params: { maxWorkers: 64 } }));
  const bad = Array.from({ length: 6 }, (_, i) => of.worker((0x50 + i).toString(16), { from: `203.0.113.${i + 1}` }));
  const good = [of.worker("31", { from: "203.0.113.1" }), of.worker("32", { from: "203.0.113.9" })];
  for (const worker of bad) await worker.join();
  const codes: string[] = [];
  for (const worker of bad) {
    const { receipt, header } = worker.prepare(await worker.assigned());
    const request = await requestOf({ ...receipt, round: 999n }, header, worker.account);
    for (let n = 0; n < 100; n++) codes.push(await codeOf(worker, request));
    await worker.session.leave();
  }
  const read = codes.filter((code) => code === "STALE_ROUND").length;
  expect(read).toBe(6 * OWN + SHARED);
  expect(codes.filter((code) => code === "RATE_LIMITED")).toHaveLength(600 - read);
  for (const worker of good) await worker.join();
  // As many rounds in a minute as were more than it has: what has an effect is not counted.
  for (let round = 0; round <= OWN; round++) {
    for (const worker of good) await worker.train();
    await until(
      () => of.run.driver.state.round === round + 1 && of.run.driver.state.current !== null,
      "the next round",
    );
  }
  const { receipt, header } = good[0]!.prepare(await good[0]!.assigned());
  const late = await requestOf({ ...receipt, round: 1n }, header, good[0]!.account);
  const own: string[] = [];
  for (let n = 0; n <= OWN; n++) own.push(await codeOf(good[0]!, late));
  expect(own).toEqual([...Array.from({ length: OWN }, () => "STALE_ROUND"), "RATE_LIMITED"]);
  await of.clock.advance(60_000);
  expect(await codeOf(good[0]!, late)).not.toBe("RATE_LIMITED");
});

it("64 members behind one address that all come too late, twice, are told so", async () => {
  const of = (harness = await openHarness({ params: { maxWorkers: 64, minWorkers: 1 } }));
  const from = "203.0.113.9";
  const workers = Array.from({ length: 64 }, (_, i) => of.worker((0x40 + i).toString(16), { from }));
  for (const worker of workers) await worker.join();
  const codes = new Set<string>();
  const assignment = await workers[0]!.assigned();
  for (const worker of workers) {
    const { receipt, header } = worker.prepare(assignment);
    const request = await requestOf({ ...receipt, attempt: 9 }, header, worker.account);
    for (let times = 0; times < 2; times++) codes.add(await codeOf(worker, request));
  }
  expect([...codes]).toEqual(["STALE_ATTEMPT"]);
});

it("of one assignment so many receipts are looked at and no more; what fails here is not held against the worker", async () => {
  const of = (harness = await openHarness({ params: { minWorkers: 1 } }));
  const worker = of.worker("31");
  await worker.join();
  const prepared = worker.prepare(await worker.assigned());
  await worker.upload(prepared);
  const { signatures } = of.run.modules;
  const away = vi.spyOn(signatures, "require").mockRejectedValue(new RetryableError("STOPPING", "Not now."));
  const request = await requestOf(prepared.receipt, prepared.header, worker.account);
  for (let n = 0; n < 40; n++) expect(await codeOf(worker, request)).toBe("STOPPING");
  away.mockRestore();
  await of.blobs.delete(asDigest(prepared.header.fragments[0]!.digest));
  const codes: string[] = [];
  for (let n = 0; n < 34; n++) codes.push(await codeOf(worker, request));
  expect(codes).toEqual([
    ...Array.from({ length: 32 }, () => "FRAGMENT_MISSING"),
    ...Array.from({ length: 2 }, () => "TOO_MANY_RECEIPTS"),
  ]);
  // Another attempt has its own.
  await worker.join();
  const { reply } = await worker.train();
  expect(reply.ack.worker).toBe(worker.address);
});
