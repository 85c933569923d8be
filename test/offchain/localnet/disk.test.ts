/** A disk that is too small is told before a run begins, and one that becomes full is no defect: how much is free, and needed. */
import { readdirSync } from "node:fs";

import { expect, test } from "vitest";

import { RetryableError, UserError } from "../../../offchain/src/base/index.ts";
import { diskError, diskFor, freeUnder, requireDisk, requireRoom } from "../../../offchain/src/localnet/disk.ts";
import { temporaryDirectory } from "../cli/support.ts";
import { startFakeKubo } from "../storage/fakeKubo.ts";

test("a new run is refused where less is free than it needs, and makes nothing there", async () => {
  const needed = diskFor("1m");
  await expect(requireDisk("/d/state", needed, async () => needed)).resolves.toBeUndefined();
  const refused = requireDisk("/d/state", needed, async () => 1_000_000);
  await expect(refused).rejects.toBeInstanceOf(UserError);
  await expect(refused).rejects.toMatchObject({
    code: "DISK_SHORT",
    message: expect.stringMatching(
      /^A new run needs about \d{3} MB of disk under \/d\/state and 1\.00 MB are free: make room, or name another directory with --state\.$/,
    ),
  });
  // More parameters take more; how many checkpoints may be kept at most says nothing of how many there will be.
  expect(diskFor("20m")).toBeGreaterThan(1e9);
  expect(diskFor("1m", 1)).toBeLessThan(needed);
  expect(diskFor("1m", 10_000)).toBe(needed);
});

test("what is free is asked of where the directory will be", async () => {
  const directory = temporaryDirectory();
  expect(await freeUnder(`${directory}/not/there/yet`)).toBeGreaterThan(0);
});

test("room for blobs is asked of the place that was named for them, where nothing is made", async () => {
  const directory = temporaryDirectory();
  const { location, asked } = await startFakeKubo();
  await expect(requireRoom(directory, location("some"), 10_000_000_000)).resolves.toBeUndefined();
  expect(asked).toEqual(["repo/stat"]);
  await expect(requireRoom(directory, location("some"), 11_000_000_000)).rejects.toMatchObject({
    code: "DISK_SHORT",
    message: expect.stringMatching(/ are free: make room, or name another place with --blobs\.$/),
  });
  await expect(requireRoom(directory, `${directory}/not/there`, 200_000_000)).resolves.toBeUndefined();
  await expect(requireRoom(directory, "ipfs+http://127.0.0.1:9", 1)).rejects.toMatchObject({ code: "BLOB_STORE_AWAY" });
  await expect(requireRoom(directory, "s3://bucket", 1)).rejects.toMatchObject({ code: "LOCATION_INVALID" });
  expect(readdirSync(directory)).toEqual([]);
});

const free = async (): Promise<number> => 12_288;

test("a full disk is told as one, however deep it was found; anything else stays what it is", async () => {
  const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
  for (const error of [full, new Error("no", { cause: full }), new RetryableError("DISK_FULL", "x is full.")]) {
    const told = await diskError("/d/state", error, free);
    expect(told).toBeInstanceOf(RetryableError);
    expect(told).toMatchObject({
      code: "DISK_FULL",
      message:
        "The disk is full (12.3 KB are free under /d/state): make room and start again; the run goes on where it was.",
    });
  }
  const other = Object.assign(new Error("EIO"), { code: "EIO" });
  expect(await diskError("/d/state", other, free)).toBe(other);
});
