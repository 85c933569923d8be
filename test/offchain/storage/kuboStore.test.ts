/** Blobs in a Kubo node that may be away, broken or hostile: a node of our own making; the real one is in test/e2e. */
import { readdir } from "node:fs/promises";
import type { ServerResponse } from "node:http";
import { pipeline } from "node:stream";
import { createGzip } from "node:zlib";

import { cidOf } from "@cotrain/sdk/protocol";
import { CID } from "multiformats/cid";
import { describe, expect, it } from "vitest";

import { createRandom, sha256Bytes } from "../../../offchain/src/base/index.ts";
import { createReadThrough } from "../../../offchain/src/storage/index.ts";
import { openBlobStore } from "../../../offchain/src/storage/node/index.ts";
import { openKuboStore } from "../../../offchain/src/storage/node/kuboStore.ts";
import { DAG_PB } from "../../../offchain/src/storage/unixfs.ts";
import { createManualClock } from "../manualClock.ts";
import { keepsTheContract } from "./contract.ts";
import { piecesOf, startFakeKubo } from "./fakeKubo.ts";
import { collect, digestsIn, temporaryDirectory } from "./fixtures.ts";

const random = createRandom("kubo");
const MIB = 1 << 20;
const small = random.bytes(1000);
const large = random.bytes(2 * MIB + 5);

async function storeWith(bytes: Uint8Array, patience?: number) {
  const node = await startFakeKubo();
  const patient = await openKuboStore(node.location("store"));
  const { digest } = await patient.put(bytes);
  const store = patience === undefined ? patient : await openKuboStore(node.location("store"), { patience });
  return { node, store, patient, digest };
}

describe("a store in a Kubo node", () => {
  keepsTheContract(async () => {
    const node = await startFakeKubo();
    return { open: () => openBlobStore(node.location("one")) };
  });

  it.each([
    ["nothing after the host", "ipfs+http://127.0.0.1:5001"],
    ["a path that leaves its directory", "ipfs+http://127.0.0.1:5001/a%2F..%2Fb"],
    ["two names", "ipfs+http://127.0.0.1:5001/a/b"],
    ["a password", "ipfs+http://me:secret@127.0.0.1:5001/a"],
    ["no host", "ipfs+http:///a"],
  ])("refuses a URL with %s, and says no password", async (_, location) => {
    const opening = openBlobStore(location);
    await expect(opening).rejects.toMatchObject({ code: "LOCATION_INVALID" });
    await expect(opening).rejects.not.toThrow(/secret/);
  });

  it("unpins what is deleted, unless another store of the node has it", async () => {
    const { node, store, digest } = await storeWith(small);
    const other = await openKuboStore(node.location("other"));
    await other.put(small);
    await store.delete(digest);
    expect(await store.has(digest)).toBe(false);
    expect(await other.get(digest)).toEqual(small);
    expect([...node.pins]).toEqual([cidOf(digest)]);
    await other.delete(digest);
    expect([...node.pins]).toEqual([]);
  });

  it("sends nothing to the node that is not what was expected, and leaves no file of it", async () => {
    const node = await startFakeKubo();
    const scratch = await temporaryDirectory();
    const store = await openKuboStore(node.location("store"), { scratch });
    const digest = sha256Bytes(small);
    async function* bytes(): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < 5; i++) yield large;
    }
    await expect(store.put(bytes(), { digest })).rejects.toMatchObject({ code: "BLOB_MISMATCH" });
    await expect(store.put(large, { digest })).rejects.toMatchObject({ code: "BLOB_MISMATCH" });
    expect(node.asked).toEqual([]);
    await store.put(bytes());
    expect(node.asked).toContain("add");
    expect(await readdir(scratch)).toEqual([]);
  });

  it("reads an open blob in pieces that are verified each, and those it has from memory", async () => {
    const { node, store, digest } = await storeWith(large);
    await using blob = await store.open(digest, { again: false });
    node.asked.length = 0;
    expect(await blob.read(MIB - 10, 20)).toEqual(large.slice(MIB - 10, MIB + 10));
    expect(node.asked).toEqual([]);
    // Another blob of 64 pieces takes their place in memory; then the node shows something else.
    await (await store.open((await store.put(new Uint8Array(64 * MIB).map((_, at) => at >> 20))).digest)).close();
    for (const [cid, content] of node.blocks) node.blocks.set(cid, content.with(MIB + 1, content[MIB + 1]! ^ 1));
    expect(await blob.read(0, 20)).toEqual(large.slice(0, 20));
    await expect(blob.read(MIB - 10, 20)).rejects.toMatchObject({ code: "BLOB_CORRUPTED", details: { digest } });
  });
});

/** More than what the sockets between hold, and any bound of an answer. */
const MUCH = 64 * MIB;

/** Sends for as long as somebody reads, up to a limit that shows that nobody stops. @param sent takes what goes, in bytes */
function sendEndlessly(response: ServerResponse, sent: number[], compressed = false): boolean {
  const spaces = Buffer.alloc(MIB, " ");
  const gzip = compressed ? createGzip() : undefined;
  if (gzip) pipeline(gzip, response, () => undefined);
  const out = gzip ?? response;
  const more = (): void => {
    if (response.destroyed || out.destroyed) return;
    if (total(sent) > 4 * MUCH) return void response.destroy();
    sent.push(MIB);
    out.write(spaces, more);
  };
  more();
  return true;
}

const total = (sent: readonly number[]): number => sent.reduce((sum, bytes) => sum + bytes, 0);

const linkTo = (Hash: string) => ({ Name: "", Hash, Type: 2 });

/** Ways to answer a request for content. */
const lies: readonly (readonly [string, string, (response: ServerResponse, content: Uint8Array) => unknown])[] = [
  ["other bytes", "BLOB_CORRUPTED", (response, content) => response.end(content.with(3, content[3]! ^ 1))],
  ["too few bytes", "BLOB_STORE_FAILED", (response, content) => response.end(content.subarray(1))],
  ["too many bytes", "BLOB_CORRUPTED", (response, content) => response.end(Buffer.concat([content, content]))],
  ["no bytes", "BLOB_STORE_FAILED", (response) => response.end()],
];

describe("a Kubo node that cannot be trusted", () => {
  it.each(lies)("gets nobody to take %s for a blob: %s", async (_, code, lie) => {
    for (const bytes of [small, large]) {
      const { node, store, digest } = await storeWith(bytes);
      node.misbehave = (command, response, query) => {
        if (command !== "cat") return false;
        const from = Number(query.get("offset"));
        lie(response, bytes.slice(from, from + Number(query.get("length"))));
        return true;
      };
      await expect(store.get(digest)).rejects.toMatchObject({ code });
      await expect(store.open(digest)).rejects.toMatchObject({ code });
      const received: Uint8Array[] = [];
      await expect(collect(store.stream(digest), received)).rejects.toMatchObject({ code });
      expect(Buffer.concat(received).length).toBeLessThan(bytes.length);
    }
  });

  it("is read no further than what was asked for", async () => {
    const { node, store, digest } = await storeWith(small);
    const sent: number[] = [];
    node.misbehave = (command, response) => command === "cat" && sendEndlessly(response, sent);
    await expect(store.get(digest)).rejects.toMatchObject({ code: "BLOB_CORRUPTED" });
    expect(total(sent)).toBeLessThan(MUCH);
  });

  it.each([
    ["an answer", 200, false],
    ["an error", 500, false],
    ["a compressed answer", 200, true],
  ])("is read no further in %s without an end", async (_, status, compressed) => {
    const { node, store, digest } = await storeWith(small);
    const asking: Record<string, () => Promise<unknown>> = {
      "files/stat": () => store.put(small),
      add: () => store.put(large),
      ls: () => digestsIn(store),
      "files/rm": () => store.delete(digest),
      "repo/stat": () => store.free(),
    };
    for (const [endless, ask] of Object.entries(asking)) {
      const sent: number[] = [];
      node.misbehave = (command, response) => {
        if (command !== endless) return false;
        response.writeHead(status, {
          "content-type": "application/json",
          ...(compressed ? { "content-encoding": "gzip" } : {}),
        });
        return sendEndlessly(response, sent, compressed);
      };
      await expect(ask()).rejects.toMatchObject({
        code: "BLOB_STORE_FAILED",
        message: expect.stringMatching(/it answers more than \d+ bytes/),
      });
      // The sockets between hold what unpacks to much more.
      expect(compressed || total(sent) < MUCH).toBe(true);
    }
  });

  it("sends nobody elsewhere", async () => {
    const { node, store, digest } = await storeWith(small);
    const other = await startFakeKubo();
    node.misbehave = (command, response) => {
      response.writeHead(307, { location: `${other.location("").slice("ipfs+".length)}api/v0/${command}` }).end();
      return true;
    };
    const refused = { code: "BLOB_STORE_REFUSED", message: expect.stringContaining("(307, which sends us elsewhere)") };
    await expect(store.get(digest)).rejects.toMatchObject(refused);
    await expect(store.put(large)).rejects.toMatchObject(refused);
    expect(other.asked).toEqual([]);
  });

  it.each([
    ["one block", small, 2 * MIB],
    ["several blocks", large, 2 ** 50],
    ["several blocks that are none", large, 5],
  ])("that says of %s another size than it can have is asked for none of it", async (_, bytes, Size) => {
    const { node, store, digest } = await storeWith(bytes);
    const [Hash] = node.blocks.keys();
    node.misbehave = (command, response) => {
      if (command === "files/stat")
        response.end(JSON.stringify({ Hash, Size, CumulativeSize: 0, Blocks: 0, Type: "file" }));
      return command === "files/stat";
    };
    node.asked.length = 0;
    const corrupted = { code: "BLOB_CORRUPTED", details: { digest } };
    await expect(store.get(digest)).rejects.toMatchObject(corrupted);
    await expect(store.open(digest)).rejects.toMatchObject(corrupted);
    await expect(collect(store.stream(digest))).rejects.toMatchObject(corrupted);
    expect([await store.size(digest), await store.has(digest)]).toEqual([undefined, false]);
    expect(new Set(node.asked)).toEqual(new Set(["files/stat"]));
  });

  it("that says how much will come makes no room for it", async () => {
    const { node, store, digest } = await storeWith(large);
    const [Hash] = node.blocks.keys();
    const before = process.memoryUsage().arrayBuffers;
    let taken = 0;
    node.misbehave = (command, response) => {
      if (command === "files/stat")
        response.end(JSON.stringify({ Hash, Size: 2 ** 31, CumulativeSize: 0, Blocks: 0, Type: "file" }));
      else {
        taken = process.memoryUsage().arrayBuffers - before;
        response.destroy();
      }
      return true;
    };
    await expect(store.get(digest)).rejects.toMatchObject({ code: "BLOB_STORE_AWAY" });
    expect(node.asked.at(-1)).toBe("cat");
    expect(taken).toBeLessThan(MUCH);
  });

  it("keeps nobody busy by giving piece after piece slowly, and is not blamed for whoever takes them slowly", async () => {
    const node = await startFakeKubo();
    const clock = createManualClock();
    const store = await openKuboStore(node.location("store"), { clock });
    const { digest } = await store.put(large);
    node.misbehave = (command) => {
      if (command === "cat") void clock.advance(20_000);
      return false;
    };
    const slow = { code: "BLOB_STORE_AWAY", retryable: true, message: expect.stringContaining("takes too long") };
    await expect(store.get(digest)).rejects.toMatchObject(slow);
    await expect(store.open(digest)).rejects.toMatchObject(slow);
    await expect(collect(store.stream(digest))).rejects.toMatchObject(slow);
    node.misbehave = () => false;
    for await (const _ of store.stream(digest)) await clock.advance(60_000);
  });

  it("buys no time by saying that much will come", async () => {
    const node = await startFakeKubo();
    const clock = createManualClock();
    const store = await openKuboStore(node.location("store"), { clock });
    const { digest } = await store.put(large);
    const [Hash] = node.blocks.keys();
    let given = 0;
    node.misbehave = (command, response, query) => {
      if (command === "files/stat")
        response.end(JSON.stringify({ Hash, Size: 2 ** 31, CumulativeSize: 0, Blocks: 0, Type: "file" }));
      if (command === "cat") {
        given += 1;
        void clock.advance(3_000);
        response.end(Buffer.alloc(Number(query.get("length"))));
      }
      return command === "files/stat" || command === "cat";
    };
    await expect(store.open(digest)).rejects.toMatchObject({ code: "BLOB_STORE_AWAY", retryable: true });
    // 30 s and 1 s for each MiB that came.
    expect(given).toBe(16);
  });

  it("that has something else under the blob's name after it was sent is not believed to keep it", async () => {
    const node = await startFakeKubo();
    const store = await openKuboStore(node.location("store"));
    const elsewhere = cidOf(sha256Bytes(random.bytes(1)));
    node.misbehave = (command, response) => {
      if (command !== "add") return false;
      response.end(JSON.stringify({ Name: "", Hash: elsewhere, Size: "1" }));
      return true;
    };
    await expect(store.put(small)).rejects.toMatchObject({ code: "BLOB_STORE_FAILED", retryable: true });
    await expect(store.put(large)).rejects.toMatchObject({ code: "BLOB_STORE_FAILED", retryable: true });
  });

  it("damaged a blob: it is repaired when it is stored again", async () => {
    for (const bytes of [small, large]) {
      const { node, store, digest } = await storeWith(bytes);
      for (const [cid, content] of node.blocks) node.blocks.set(cid, content.with(3, content[3]! ^ 1));
      await expect(store.get(digest)).rejects.toMatchObject({ code: "BLOB_CORRUPTED" });
      await store.put(bytes);
      expect(Buffer.from(await store.get(digest)).equals(bytes)).toBe(true);
    }
  });

  it.each([0, 1, 2])(
    "lost piece %i of a blob: it is corrupted, and repaired when it is stored again",
    async (piece) => {
      const { node, store, digest } = await storeWith(large);
      node.lost.add(piecesOf(large)[piece]!);
      await expect(store.get(digest)).rejects.toMatchObject({ code: "BLOB_CORRUPTED", details: { digest } });
      await store.put(large);
      expect(Buffer.from(await store.get(digest)).equals(large)).toBe(true);
    },
  );

  it.each([0, 1, 2])(
    "cannot read piece %i of a blob for now: nothing is lost, and it is asked again later",
    async (piece) => {
      const { node, store, digest } = await storeWith(large);
      node.unreadable.add(piecesOf(large)[piece]!);
      const failed = { code: "BLOB_STORE_FAILED", retryable: true };
      await expect(store.get(digest)).rejects.toMatchObject(failed);
      await expect(store.open(digest)).rejects.toMatchObject(failed);
      await expect(collect(store.stream(digest))).rejects.toMatchObject(failed);
      node.asked.length = 0;
      await expect(store.put(large)).rejects.toMatchObject(failed);
      for (const command of ["block/rm", "add"]) expect(node.asked).not.toContain(command);
      node.unreadable.clear();
      expect(Buffer.from(await store.get(digest)).equals(large)).toBe(true);
    },
  );

  it.each([
    ["that it can read again by now", true, 5, "BLOB_STORE_FAILED"],
    ["of which it has less", true, 4, "BLOB_CORRUPTED"],
    ["under a node that it lost", false, 5, "BLOB_CORRUPTED"],
  ])("does not give a piece %s, of a blob with nodes between", async (_, isThere, size, code) => {
    const { node, store, digest } = await storeWith(large);
    const [root = ""] = node.blocks.keys();
    const [between, last] = [cidOf(sha256Bytes(small)), cidOf(sha256Bytes(large))];
    const inner = CID.createV1(DAG_PB, CID.parse(between).multihash).toString();
    const answers: Record<string, object | string> = {
      [`files/stat ${digest.slice(2)}`]: { Hash: root, Size: 175 * MIB + 5 },
      [`ls ${root}`]: { Objects: [{ Hash: root, Links: [root, inner].map(linkTo) }] },
      [`ls ${inner}`]: isThere
        ? { Objects: [{ Hash: inner, Links: [between, last].map(linkTo) }] }
        : `ipld: could not find ${inner}`,
      [`block/stat ${last}`]: { Key: last, Size: size },
    };
    node.misbehave = (command, response, query) => {
      if (command === "cat" && query.get("offset") !== String(175 * MIB)) {
        response.end(Buffer.alloc(Number(query.get("length"))));
        return true;
      }
      const answer =
        command === "cat" ? "failed to fetch all nodes" : answers[`${command} ${query.get("arg")?.split("/").at(-1)}`];
      if (answer === undefined) return false;
      const said = typeof answer === "string" ? { Message: answer, Code: 0, Type: "error" } : answer;
      return says(typeof answer === "string" ? 500 : 200, JSON.stringify(said))(command, response);
    };
    await expect(store.get(digest)).rejects.toMatchObject({ code });
    expect(node.asked.at(-1)).toBe(isThere ? "block/stat" : "ls");
  });

  const words = [
    "block in storage has different hash than requested",
    "proto: invalid field number",
    "protobuf: (PBNode) invalid wireType, expected 2, got 7",
    "invalid Hash field found in link, expected CID (invalid cid: expected 1 as the cid version number, got: 5)",
    "unrecognized node type: 87",
    "expected protobuf dag node",
    "unexpected EOF",
    "read /ipfs/blocks/XY/block.data: input/output error",
  ];
  it.each(words)("says %s: the blob is corrupted", async (said) => {
    const { node, store, digest } = await storeWith(small);
    node.broken.set(cidOf(digest), said);
    await expect(store.get(digest)).rejects.toMatchObject({ code: "BLOB_CORRUPTED", details: { digest } });
    await store.put(small);
    expect(await store.get(digest)).toEqual(small);
  });

  it("broke a blob: it is corrupted, and repaired when it is stored again, or deleted", async () => {
    const said = words[0]!;
    for (const bytes of [small, large]) {
      const { node, store, digest } = await storeWith(bytes);
      const corrupted = { code: "BLOB_CORRUPTED", details: { digest } };
      const [root = ""] = node.blocks.keys();
      // The last where both are: only when the root is written anew the piece's state shows.
      for (const blocks of [[root], piecesOf(bytes).slice(-1), [root, ...piecesOf(bytes)]]) {
        for (const block of blocks) node.broken.set(block, said);
        await expect(store.get(digest)).rejects.toMatchObject(corrupted);
        await expect(store.open(digest)).rejects.toMatchObject(corrupted);
        await expect(collect(store.stream(digest))).rejects.toMatchObject(corrupted);
        await store.put(bytes);
        expect(Buffer.from(await store.get(digest)).equals(bytes)).toBe(true);
      }
      node.broken.set(root, said);
      expect([await store.has(digest), await store.size(digest)]).toEqual([false, undefined]);
      await store.delete(digest);
      expect([await digestsIn(store), node.pins.size]).toEqual([[], 0]);
    }
  });

  it("cannot remove a block while others that it has pinned are broken: their pins go until they are repaired", async () => {
    const { node, store, digest } = await storeWith(large);
    const other = large.slice(1);
    const { digest: second } = await store.put(other);
    const roots = [...node.blocks.keys()];
    for (const root of roots) node.broken.set(root, words[1]!);
    await store.put(large);
    expect(Buffer.from(await store.get(digest)).equals(large)).toBe(true);
    expect([...node.pins]).toEqual([roots[0]]);
    await store.put(other);
    expect(Buffer.from(await store.get(second)).equals(other)).toBe(true);
    expect(node.pins.size).toBe(2);
    // What others pinned is left to them.
    const foreign = CID.createV1(DAG_PB, CID.parse(cidOf(sha256Bytes(small))).multihash).toString();
    node.pins.add(foreign);
    for (const root of [foreign, roots[0]!]) node.broken.set(root, words[1]!);
    await expect(store.put(large)).rejects.toMatchObject({
      code: "BLOB_STORE_FAILED",
      message: expect.stringContaining("something else that it has pinned"),
    });
    expect(node.pins).toContain(foreign);
  });

  it.each([
    ["its root gone", true],
    ["nothing else of it", false],
  ])("has a broken piece of a blob, and %s: it is stored once it is whole", async (_, isGone) => {
    const { node, store, digest } = await storeWith(large);
    node.broken.set(piecesOf(large)[2]!, words[0]!);
    if (isGone) node.blocks.clear();
    else await store.delete(digest);
    await store.put(large);
    expect(Buffer.from(await store.get(digest)).equals(large)).toBe(true);
  });

  it("has a broken piece that another pin holds: the blob is not stored, and the pin is named", async () => {
    const { node, store, digest } = await storeWith(large);
    const foreign = CID.createV1(DAG_PB, CID.parse(cidOf(sha256Bytes(small))).multihash).toString();
    node.blocks.set(foreign, large);
    node.pins.add(foreign);
    node.broken.set(piecesOf(large)[2]!, words[0]!);
    node.asked.length = 0;
    await expect(store.put(large)).rejects.toMatchObject({
      code: "BLOB_STORE_FAILED",
      message: expect.stringContaining(`pinned via ${foreign}`),
    });
    expect(node.asked.filter((command) => command === "add")).toHaveLength(1);
    // A sound piece that another pin holds is in nobody's way.
    node.broken.clear();
    node.broken.set(piecesOf(large)[1]!, words[0]!);
    node.blocks.set(foreign, large.slice(2 * MIB));
    await store.put(large);
    expect(Buffer.from(await store.get(digest)).equals(large)).toBe(true);
  });

  it("cannot tell what is pinned: its blobs are looked at once in five minutes, however many are to be repaired", async () => {
    const node = await startFakeKubo();
    const clock = createManualClock();
    const store = await openKuboStore(node.location("store"), { clock });
    const blobs = [large, large.slice(1), large.slice(2)];
    for (const blob of blobs) await store.put(blob);
    const foreign = CID.createV1(DAG_PB, CID.parse(cidOf(sha256Bytes(small))).multihash).toString();
    node.pins.add(foreign);
    for (const root of [foreign, ...node.blocks.keys()]) node.broken.set(root, words[1]!);
    node.asked.length = 0;
    const repair = (): Promise<unknown> =>
      Promise.all(
        blobs.map((blob) =>
          expect(store.put(blob)).rejects.toMatchObject({
            code: "BLOB_STORE_FAILED",
            message: expect.stringContaining(`(pin check failed: ${words[1]})`),
          }),
        ),
      );
    // A name is looked up for each blob that is looked at, and once more where its root is broken and it is stored.
    const looked = (): number => node.asked.filter((command) => command === "dag/resolve").length;
    await repair();
    expect(looked()).toBe(6);
    await clock.advance(299_000);
    await repair();
    expect(looked()).toBe(9);
    await clock.advance(1_000);
    await repair();
    expect(looked()).toBe(15);
  });

  it("is sent a broken blob by several at once: what one has stored no other takes away", async () => {
    const { node, store, digest } = await storeWith(large);
    node.broken.set(piecesOf(large)[1]!, words[0]!);
    node.asked.length = 0;
    await Promise.all([store.put(large), store.put(large), store.put(large)]);
    expect(node.asked.filter((command) => command === "block/rm")).toHaveLength(1);
    expect(Buffer.from(await store.get(digest)).equals(large)).toBe(true);
  });

  it("lost a blob: it is missing, fetched from elsewhere, and kept again", async () => {
    const { node, store, digest } = await storeWith(large);
    node.blocks.clear();
    const peer = { name: "peer", fetch: async () => large };
    const reader = createReadThrough(store, [peer], 8 * MIB);
    expect(Buffer.from(await reader.get(digest)).equals(large)).toBe(true);
    expect(Buffer.from(await store.get(digest)).equals(large)).toBe(true);
  });
});

const silent = (): boolean => true;
const gone = (_: string, response: ServerResponse): boolean => {
  response.destroy();
  return true;
};
const midway = (command: string, response: ServerResponse): boolean => {
  if (command !== "cat") return false;
  response.write(new Uint8Array(10), () => response.destroy());
  return true;
};
const says =
  (status: number, body: string) =>
  (_: string, response: ServerResponse): boolean => {
    response.statusCode = status;
    if (body.startsWith("{")) response.setHeader("content-type", "application/json");
    response.end(body);
    return true;
  };

describe("a Kubo node that does not do it", () => {
  it.each([
    ["says nothing", silent, "BLOB_STORE_AWAY", true],
    ["hangs up", gone, "BLOB_STORE_AWAY", true],
    ["hangs up midway", midway, "BLOB_STORE_AWAY", true],
    ["is another server", says(404, "nothing here"), "BLOB_STORE_REFUSED", false],
    ["is not for us", says(403, "403 - Forbidden"), "BLOB_STORE_REFUSED", false],
    ["had no request in time", says(408, "later"), "BLOB_STORE_AWAY", true],
    ["answers nothing so early", says(425, "later"), "BLOB_STORE_AWAY", true],
    ["is asked too often", says(429, "later"), "BLOB_STORE_AWAY", true],
    ["fails", says(500, '{"Message":"leveldb: \\u001b[2J closed"}'), "BLOB_STORE_FAILED", true],
    ["has a full disk", says(500, '{"Message":"write: no space left on device"}'), "DISK_FULL", true],
    ["answers no JSON", says(200, "<html>"), "BLOB_STORE_FAILED", true],
  ])("because it %s is an error that says so", async (_, misbehave, code, retryable) => {
    // Only of silence is it sure that it lasts, however busy this machine is.
    const { node, store, patient, digest } = await storeWith(small, misbehave === silent ? 200 : undefined);
    node.misbehave = misbehave;
    const error = { code, retryable };
    await expect(store.get(digest)).rejects.toMatchObject(error);
    await expect(store.get(digest)).rejects.not.toThrow("\u001b");
    if (misbehave === midway) return;
    await expect(store.put(large)).rejects.toMatchObject(error);
    await expect(store.size(digest)).rejects.toMatchObject(error);
    await expect(store.delete(digest)).rejects.toMatchObject(error);
    await expect(digestsIn(store)).rejects.toMatchObject(error);
    await expect(collect(store.stream(digest))).rejects.toMatchObject(error);
    node.misbehave = () => false;
    expect(await patient.get(digest)).toEqual(small);
  });

  it("by words that are not Kubo's for it has lost nothing: it is asked again later", async () => {
    const { node, store, digest } = await storeWith(small);
    for (const words of [
      "there is no such file",
      "cannot lock: file does not exist",
      "not pinned or pinned indirectly",
    ]) {
      node.misbehave = says(500, JSON.stringify({ Message: words, Code: 0, Type: "error" }));
      node.asked.length = 0;
      const failed = { code: "BLOB_STORE_FAILED", retryable: true };
      await expect(store.get(digest)).rejects.toMatchObject(failed);
      await expect(store.has(digest)).rejects.toMatchObject(failed);
      await expect(store.put(small)).rejects.toMatchObject(failed);
      expect(new Set(node.asked)).toEqual(new Set(["files/stat"]));
    }
    // Nor do words decide whether a name is taken.
    const taken = says(500, JSON.stringify({ Message: "that name is taken", Code: 0, Type: "error" }));
    node.misbehave = (command, response, query) =>
      command === "files/cp" && query.get("force") !== "true" && taken(command, response);
    expect(await store.put(small)).toEqual({ digest, bytes: small.length });
  });

  it("because nobody listens is away, and nothing is needed of it to open a store", async () => {
    const store = await openBlobStore("ipfs+http://127.0.0.1:9/nobody");
    await expect(store.put(small)).rejects.toMatchObject({ code: "BLOB_STORE_AWAY", retryable: true });
    await expect(store.free()).rejects.toThrow(/^The IPFS node at http:\/\/127\.0\.0\.1:9 does not answer: start it/);
  });
});
