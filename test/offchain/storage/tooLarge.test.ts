/** Whether a blob is larger than allowed say its bytes, not what became of a file, nor what a node says of it. */
import { appendFile, readFile, truncate, writeFile } from "node:fs/promises";

import { expect, it } from "vitest";

import { createRandom, sha256Bytes } from "../../../offchain/src/base/index.ts";
import { createReadThrough } from "../../../offchain/src/storage/index.ts";
import { openKuboStore } from "../../../offchain/src/storage/node/kuboStore.ts";
import { startFakeKubo } from "./fakeKubo.ts";
import { fileOf, temporaryStore } from "./fixtures.ts";

const random = createRandom("too large");
const bytes = random.bytes((2 << 20) + 5);
const digest = sha256Bytes(bytes);
const tooLarge = { code: "BLOB_TOO_LARGE" };
const corrupted = { code: "BLOB_CORRUPTED", details: { digest } };

it("a file that somebody appended to is corrupted, and one that is larger than allowed is too large", async () => {
  const { root, store } = await temporaryStore();
  await store.put(bytes);
  const path = fileOf(root, digest);
  const sound = await readFile(path);
  await expect(store.get(digest, bytes.length - 1)).rejects.toMatchObject(tooLarge);
  await appendFile(path, "x");
  for (const limit of [bytes.length - 1, bytes.length])
    await expect(store.get(digest, limit)).rejects.toMatchObject(corrupted);
  await writeFile(path, sound);
  await expect(store.get(digest, bytes.length - 1)).rejects.toMatchObject(tooLarge);
  expect(sound.equals(await store.get(digest, bytes.length))).toBe(true);
});

it("a file that is longer than any blob is corrupted, and not read", async () => {
  const { root, store } = await temporaryStore();
  await store.put(bytes);
  // Takes no room on the disk, and hours to read.
  await truncate(fileOf(root, digest), 2 ** 36);
  for (const read of [() => store.get(digest, 1_000), () => store.open(digest)])
    await expect(read()).rejects.toMatchObject(corrupted);
});

it("a reader fetches again what somebody appended to here, whatever its limit", async () => {
  const { root, store } = await temporaryStore();
  await store.put(bytes);
  let asked = 0;
  const fetch = async (): Promise<Uint8Array> => {
    asked += 1;
    return bytes;
  };
  const reader = createReadThrough(store, [{ name: "peer", fetch }], 1 << 30);
  for (const limit of [bytes.length, undefined]) {
    await appendFile(fileOf(root, digest), "x");
    expect(Buffer.from(bytes).equals(await reader.get(digest, limit))).toBe(true);
  }
  expect(asked).toBe(2);
});

it("a node that has a blob which is larger than allowed is asked for it once, and then for none of it", async () => {
  const node = await startFakeKubo();
  const store = await openKuboStore(node.location("store"));
  await store.put(bytes);
  for (const asked of [["files/stat", "cat"], ["files/stat"]]) {
    node.asked.length = 0;
    await expect(store.get(digest, 1000)).rejects.toMatchObject(tooLarge);
    expect(new Set(node.asked)).toEqual(new Set(asked));
  }
});

it.each([false, true])(
  "a blob of which a node says that it is larger is corrupted, verified before: %s",
  async (known) => {
    const node = await startFakeKubo();
    const store = await openKuboStore(node.location("store"));
    await store.put(bytes);
    if (known) await (await store.open(digest)).close();
    const [Hash] = node.blocks.keys();
    node.misbehave = (command, response) => {
      if (command === "files/stat") response.end(JSON.stringify({ Hash, Size: bytes.length + 1 }));
      return command === "files/stat";
    };
    await expect(store.get(digest, bytes.length)).rejects.toMatchObject(corrupted);
    node.misbehave = () => false;
    expect(Buffer.from(bytes).equals(await store.get(digest, bytes.length))).toBe(true);
  },
);
