/** Where a directory of state keeps its blobs: decided once, and the same for every command that comes later. */
import { existsSync, mkdirSync, readdirSync, renameSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { describe, expect, it } from "vitest";

import {
  blobsLocation,
  clearBlobs,
  openBlobs,
  ownPlace,
  requirePlace,
} from "../../../../offchain/src/service/index.ts";
import { openBlobStore } from "../../../../offchain/src/storage/node/index.ts";
import { startFakeKubo } from "../../storage/fakeKubo.ts";
import { digestsIn } from "../../storage/fixtures.ts";
import { temporaryDirectory } from "../support.ts";

const node = "ipfs+http://127.0.0.1:5001";
const kept = { code: "SETTING_KEPT" };

describe("where blobs are", () => {
  it("is in the state, unless another place is asked for before there are any", async () => {
    const state = await temporaryDirectory();
    const inside = join(state, "blobs");
    expect(await blobsLocation(state)).toBe(inside);
    expect(await blobsLocation(state, pathToFileURL(inside).href)).toBe(inside);
    expect(readdirSync(state)).toEqual([]);
    await (await openBlobs(state)).put(new Uint8Array(1));
    await expect(blobsLocation(state, node)).rejects.toMatchObject(kept);
    await expect(blobsLocation(state, join(state, "other"))).rejects.toMatchObject(kept);
    expect(await blobsLocation(state)).toBe(inside);
    expect(existsSync(join(state, "blobs.json"))).toBe(false);
  });

  it("is a store of its own where a URL names none, and stays it", async () => {
    const [state, other] = [await temporaryDirectory(), await temporaryDirectory()];
    const place = await blobsLocation(state, `${node}/`);
    expect(place).toMatch(/^ipfs\+http:\/\/127\.0\.0\.1:5001\/[0-9a-f]{16}$/);
    expect(await blobsLocation(other, node)).not.toBe(place);
    for (const again of [undefined, node, `${node}/`, place]) expect(await blobsLocation(state, again)).toBe(place);
    expect(JSON.parse(readFileSync(join(state, "blobs.json"), "utf8"))).toMatchObject({ location: place });
    for (const another of [
      `${node}/another`,
      "ipfs+http://127.0.0.1:5002",
      "ipfs+http://127.0.0.1",
      join(state, "blobs"),
    ])
      await expect(blobsLocation(state, another)).rejects.toMatchObject(kept);
  });

  it("is a store of a node that is named, if nothing else uses it", async () => {
    const { location, ...other } = await startFakeKubo();
    const [state, next] = [await temporaryDirectory(), await temporaryDirectory()];
    const place = location("mine");
    expect(await blobsLocation(state, place)).toBe(place);
    await (await openBlobs(state)).put(new Uint8Array(5));
    expect(await blobsLocation(state, place)).toBe(place);
    await expect(blobsLocation(next, place)).rejects.toMatchObject(kept);
    expect(readdirSync(next)).toEqual([]);
    await (await openBlobs(state)).clear();
    expect(other.pins.size).toBe(0);
    expect(await blobsLocation(next, place)).toBe(place);
  });

  it("is a store that is one state's alone, also of two that begin at once", async () => {
    const { location, ...other } = await startFakeKubo();
    const states = await Promise.all([temporaryDirectory(), temporaryDirectory()]);
    const both = await Promise.allSettled(states.map((state) => blobsLocation(state, location("mine"))));
    expect(both.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    expect(both.find(({ status }) => status === "rejected")).toMatchObject({ reason: kept });
    const [first, second] = both[0]?.status === "fulfilled" ? states : states.toReversed();
    expect(readdirSync(second!)).toEqual([]);
    // Before it has any blob, too, and without a try to have it.
    await expect(requirePlace(second!, location("mine"))).rejects.toMatchObject(kept);
    await expect(blobsLocation(second!, location("mine"))).rejects.toMatchObject(kept);
    await (await openBlobStore(location("unmarked"))).put(new Uint8Array(5));
    await expect(blobsLocation(second!, location("unmarked"))).rejects.toMatchObject(kept);
    await (await openBlobStore(location("unmarked"))).clear();
    expect(await blobsLocation(first!, location("mine"))).toBe(location("mine"));
    await clearBlobs(first!, second!);
    expect(other.pins.size).toBe(0);
    // By now it is another's: the one before neither opens it nor clears it, whatever its node is called.
    expect(await blobsLocation(second!, location("mine"))).toBe(location("mine"));
    const { digest } = await (await openBlobs(second!)).put(new Uint8Array(5));
    await expect(openBlobs(first!)).rejects.toMatchObject(kept);
    const file = join(first!, "blobs.json");
    writeFileSync(file, readFileSync(file, "utf8").replace("127.0.0.1", "localhost"));
    await clearBlobs(first!, second!);
    expect(await digestsIn(await openBlobs(second!))).toEqual([digest]);
  });

  it("may be a directory that nothing else uses", async () => {
    const [state, other] = [await temporaryDirectory(), await temporaryDirectory()];
    const place = join(await temporaryDirectory(), "new");
    expect(await blobsLocation(state, place)).toBe(place);
    await (await openBlobs(state)).put(new Uint8Array(1));
    expect(existsSync(join(state, "blobs"))).toBe(false);
    await expect(blobsLocation(other, place)).rejects.toMatchObject(kept);
    expect(readdirSync(other)).toEqual([]);
    expect(await blobsLocation(state, place)).toBe(place);
  });

  it("is not an empty directory where the one in use was: its disk is not mounted", async () => {
    const [state, parent] = [await temporaryDirectory(), await temporaryDirectory()];
    const place = join(parent, "disk");
    expect(await blobsLocation(state, place)).toBe(place);
    const { digest } = await (await openBlobs(state)).put(new Uint8Array(1));
    renameSync(place, `${place}.unmounted`);
    mkdirSync(place);
    for (let again = 0; again < 2; again++) {
      await expect(openBlobs(state)).rejects.toMatchObject({ code: "BLOBS_AWAY" });
      await expect(blobsLocation(state, place)).rejects.toMatchObject({ code: "BLOBS_AWAY" });
    }
    expect(existsSync(join(place, "state"))).toBe(false);
    rmSync(place, { recursive: true });
    renameSync(`${place}.unmounted`, place);
    expect(await digestsIn(await openBlobs(state))).toEqual([digest]);
    // A start that ended before it had marked it, or a version before this note: marked, and noted.
    const file = join(state, "blobs.json");
    const { marked, ...before } = JSON.parse(readFileSync(file, "utf8")) as { marked: true };
    writeFileSync(file, JSON.stringify(before));
    rmSync(join(place, "state"));
    await openBlobs(state);
    expect(existsSync(join(place, "state"))).toBe(true);
    expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({ ...before, marked });
  });

  it("is cleared only where it is, and by whoever was cut short as well", async () => {
    const [state, parent] = [await temporaryDirectory(), await temporaryDirectory()];
    const place = join(parent, "disk");
    expect(await blobsLocation(state, place)).toBe(place);
    const { digest } = await (await openBlobs(state)).put(new Uint8Array(1));
    renameSync(place, `${place}.unmounted`);
    mkdirSync(place);
    await expect(clearBlobs(state, join(parent, "none"))).rejects.toMatchObject({ code: "BLOBS_AWAY" });
    expect(existsSync(join(place, "state"))).toBe(false);
    rmSync(place, { recursive: true });
    renameSync(`${place}.unmounted`, place);
    expect(await digestsIn(await openBlobs(state))).toEqual([digest]);
    await clearBlobs(state, join(parent, "none"));
    expect(await digestsIn(await openBlobStore(place))).toEqual([]);
    // Ended before the state itself was gone: the next time misses nothing.
    await clearBlobs(state, join(parent, "none"));
  });

  it("is a directory that is one state's alone, also of two that begin at once, or where another has made it anew", async () => {
    const place = join(await temporaryDirectory(), "new");
    const states = await Promise.all([temporaryDirectory(), temporaryDirectory()]);
    const both = await Promise.allSettled(states.map((state) => blobsLocation(state, place)));
    expect(both.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    expect(both.find(({ status }) => status === "rejected")).toMatchObject({ reason: kept });
    const [first, second] = both[0]?.status === "fulfilled" ? states : states.toReversed();
    expect(readdirSync(second!)).toEqual([]);
    await (await openBlobs(first!)).put(new Uint8Array(1));
    rmSync(place, { recursive: true });
    expect(await blobsLocation(second!, place)).toBe(place);
    const { digest } = await (await openBlobs(second!)).put(new Uint8Array(5));
    // Neither opened nor cleared by whose it was before.
    await expect(openBlobs(first!)).rejects.toMatchObject(kept);
    await clearBlobs(first!, join(place, "none"));
    expect(await digestsIn(await openBlobs(second!))).toEqual([digest]);
    await clearBlobs(second!, first!.concat("/none"));
    expect(readdirSync(place).filter((name) => !/^[0-9a-f]{2}$|^tmp$/.test(name))).toEqual([]);
  });

  it.each(["ipfs+http://me:secret@127.0.0.1:5001/mine", `${node}/two/names`, "s3://bucket"])(
    "is not remembered where it names no store: %s",
    async (place) => {
      const state = await temporaryDirectory();
      await expect(blobsLocation(state, place)).rejects.toMatchObject({ code: "LOCATION_INVALID" });
      expect(readdirSync(state)).toEqual([]);
    },
  );

  it("is looked at without anything being made or written there", async () => {
    expect(ownPlace("relative")).toBe(join(process.cwd(), "relative"));
    expect(ownPlace(`${node}/mine/`)).toBe(`${node}/mine`);
  });

  it("keeps the blobs of two states apart in one node", async () => {
    const { location } = await startFakeKubo();
    const base = location("").replace(/\/$/, "");
    const [state, other] = [await temporaryDirectory(), await temporaryDirectory()];
    const [one, two] = [await openBlobs(state, base), await openBlobs(other, base)];
    const { digest } = await one.put(new Uint8Array(5));
    await two.put(new Uint8Array(5));
    await two.clear();
    expect(await digestsIn(await openBlobs(state))).toEqual([digest]);
    expect(await digestsIn(await openBlobs(other))).toEqual([]);
    expect(await one.get(digest)).toEqual(new Uint8Array(5));
  });
});
