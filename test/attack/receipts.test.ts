/** Receipts of rounds that are over: cheap to send, so they are cheap to answer. */
import { afterEach, expect, it, vi } from "vitest";

import { type Harness, openHarness, until } from "../offchain/coordinator/harness.ts";

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
