/**
 * Sockets held open, replies not read, one byte at a time, receipts that are bad again and again: whatever a stranger holds, an
 * honest request beside it is answered.
 */
import type { Socket } from "node:net";
import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";

import { type Digest, digestOfJson, routes } from "@cotrain/sdk/protocol";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";

import { sha256Bytes } from "../../offchain/src/base/index.ts";
import { createManualClock, type ManualClock } from "../offchain/manualClock.ts";
import { createBlobServer } from "../../offchain/src/coordinator/blobs.ts";
import {
  addressGroup,
  addressPrefixes,
  createHttpServer,
  type HttpApp,
  listen,
  parseProxy,
  readUpload,
  silentLogger,
} from "../../offchain/src/service/index.ts";
import { type BlobStore } from "../../offchain/src/storage/index.ts";
import { openBlobStore } from "../../offchain/src/storage/node/index.ts";
import { canRun } from "../needs.ts";
import { type Harness, openHarness, requestOf, runId, type TestWorker } from "../offchain/coordinator/harness.ts";
import { eventually, temporaryDirectory } from "../offchain/service/support.ts";
import { send } from "./node.ts";
import { getOf, greedyRequests, openSocket, spoiled } from "./sockets.ts";

const SHARD = 2 << 20;

interface Served {
  readonly app: HttpApp;
  readonly port: number;
  readonly url: string;
  readonly digests: readonly Digest[];
  /** How often the store was asked to open with and without reading all of it. */
  readonly store: BlobStore;
}

/** A server with blobs on a real port, with small limits. */
async function serve(limits: Parameters<typeof createBlobServer>[2] = {}, shards = 1): Promise<Served> {
  const store = await openBlobStore(await temporaryDirectory());
  const digests: Digest[] = [];
  for (let index = 0; index < shards; index++) digests.push((await store.put(randomBytes(SHARD))).digest);
  const app = await createHttpServer({
    logger: silentLogger(),
    title: "Test",
    version: "1",
    headersTimeout: 500,
    connections: { perAddress: 32, total: 64 },
    rateLimit: { loopback: 1_000_000 },
  });
  const blobs = createBlobServer(store, () => undefined, limits);
  app.route<{ Params: { cid: string } }>({
    method: ["GET", "HEAD"],
    url: "/blob/:cid",
    handler: (request, reply) => blobs.send(request, reply, request.params.cid as Digest),
  });
  const { port, url } = await listen(app, { port: 0, explicitPort: true });
  onTestFinished(async () => {
    await app.close();
    await blobs.close();
  });
  return { app, port, url, digests, store };
}

/** One that ends with the test. */
async function open(port: number, text = "", from?: string): Promise<Socket> {
  const socket = await openSocket({ port, from }, text);
  onTestFinished(() => void socket.destroy());
  return socket;
}

// foundation 6
describe("idle connections", () => {
  test("of one address, ten times as many as it may have, keep nobody out", async () => {
    const { port, url } = await serve();
    const idle: Socket[] = [];
    let answered = 0;
    for (let round = 0; round < 10; round++) {
      for (let index = 0; index < 32; index++) idle.push(await open(port));
      if ((await send(`${url}/health`, { method: "GET" })).status === 200) answered += 1;
    }
    expect(answered).toBe(10);
    await eventually(
      () => idle.filter((socket) => !socket.destroyed).length <= 32,
      "the end of those that are too many",
    );
  });

  test.runIf(canRun("many addresses of loopback", "linux"))(
    "of many addresses, more than there are places, keep nobody out",
    async () => {
      const { port, url } = await serve();
      for (let host = 2; host < 12; host++)
        for (let index = 0; index < 16; index++) await open(port, "", `127.0.0.${host}`);
      for (let tries = 0; tries < 10; tries++)
        expect((await send(`${url}/health`, { method: "GET" })).status).toBe(200);
    },
  );

  test("that began a request and do not end its headers are closed", async () => {
    const { port, url } = await serve();
    const slow = await Promise.all(
      Array.from({ length: 8 }, () => open(port, "GET /health HTTP/1.1\r\nhost: localhost\r\n")),
    );
    expect((await send(`${url}/health`, { method: "GET" })).status).toBe(200);
    for (const socket of slow) socket.resume();
    await eventually(() => slow.every((socket) => socket.closed), "the end of headers that do not come");
  });
});

/** A body that is longer than what comes of it. */
const HEAD =
  "POST /small HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 8000\r\n\r\n{";

interface Slow {
  readonly port: number;
  readonly clock: ManualClock;
  /** Requests that began, bytes that came in all, and those that were read of payloads. */
  readonly seen: { requests: number; readonly bytes: number; payload: number };
  readonly healthy: () => Promise<number>;
  /** The server's ends of the sockets, in the order in which they came. */
  readonly sockets: readonly Socket[];
  readonly begun: { readonly large: number };
}

/** A reply that no buffer of the kernel takes. */
const LARGE = "x".repeat(16 << 20);

function* endless(): Generator<Buffer> {
  for (;;) yield Buffer.alloc(1 << 16);
}

/** A server that counts what comes, whose clock the test turns. */
async function slowServer(perAddress: number, total: number): Promise<Slow> {
  const clock = createManualClock(0);
  const app = await createHttpServer({
    logger: silentLogger(),
    title: "Test",
    version: "1",
    connections: { perAddress, total, clock },
  });
  app.post("/small", { bodyLimit: 8_192 }, async () => ({}));
  app.get("/endless", async (_request, reply) => reply.send(Readable.from(endless(), { objectMode: false })));
  const begun = { large: 0 };
  app.get("/large", async () => {
    begun.large += 1;
    return LARGE;
  });
  app.post("/payload", async (request) => {
    for await (const chunk of readUpload(request, 1 << 20)) seen.payload += chunk.length;
    return {};
  });
  const sockets: Socket[] = [];
  app.server.on("connection", (socket: Socket) => sockets.push(socket));
  app.server.on("request", () => (seen.requests += 1));
  const seen = {
    requests: 0,
    payload: 0,
    get bytes() {
      return sockets.reduce((sum, { bytesRead }) => sum + bytesRead, 0);
    },
  };
  const { port, url } = await listen(app, { port: 0, explicitPort: true });
  onTestFinished(() => app.close());
  return {
    port,
    clock,
    seen,
    sockets,
    begun,
    healthy: async () => (await send(`${url}/health`, { method: "GET" }).catch(() => ({ status: 0 }))).status,
  };
}

// foundation 6
describe("requests that come in slowly", () => {
  test.runIf(canRun("many addresses of loopback", "linux")).each([
    ["not come on", 1],
    ["come on", 5_000],
  ])("and %s, from few addresses that fill all places with them, keep nobody out", async (_what, bytes) => {
    const { port, clock, seen, healthy } = await slowServer(8, 32);
    const slow: Socket[] = [];
    for (let host = 2; host < 6; host++)
      for (let index = 0; index < 8; index++) slow.push(await open(port, HEAD, `127.0.0.${host}`));
    await eventually(() => seen.requests === 32, "the requests");
    for (const socket of slow) socket.write(" ".repeat(bytes));
    await eventually(() => seen.bytes === 32 * (HEAD.length + bytes), "what comes of them");
    await clock.advance(2_000);
    for (let tries = 0; tries < 4; tries++) expect(await healthy()).toBe(200);
  });

  test("but come on are let through at 20 kB a second, also beside such of the same address", async () => {
    const { port, clock, seen, healthy } = await slowServer(8, 32);
    const [seconds, rate] = [12, 20_000];
    const length = `content-length: ${seconds * rate}`;
    const upload = await open(
      port,
      `POST /payload HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/octet-stream\r\n${length}\r\n\r\n`,
    );
    let said = "";
    upload.on("data", (chunk: Buffer) => (said += chunk.toString()));
    await eventually(() => seen.requests === 1, "the upload");
    for (let second = 1; second <= seconds; second++) {
      // They take all other places of the address, each time from those before.
      const before = seen.requests;
      for (let index = 0; index < 7; index++) await open(port, HEAD);
      upload.write(" ".repeat(rate));
      const sent = (): boolean => seen.requests === before + 7 && seen.payload === second * rate;
      await eventually(() => upload.closed || sent(), "what was sent");
      expect(upload.closed).toBe(false);
      await clock.advance(1_100);
      expect(await healthy()).toBe(200);
    }
    await eventually(() => upload.closed || said !== "", "the answer to the upload");
    expect(said).toMatch(/^HTTP\/1\.1 200 /);
  });
});

/** How many sockets have something of a reply that waits. */
const unread = (sockets: readonly Socket[]): number =>
  sockets.filter(({ destroyed, writableLength }) => !destroyed && writableLength > 0).length;

// foundation 6
describe("replies that are not read", () => {
  test.runIf(canRun("many addresses of loopback", "linux")).each([
    ["four addresses, each with more than a sixteenth of all places", 4, 8, 0],
    ["sixteen addresses, some seconds after they took the last of them", 16, 2, 12_000],
  ])("of %s, keep nobody out", async (_what, addresses, each, wait) => {
    const { port, clock, sockets, healthy } = await slowServer(each, addresses * each);
    for (let host = 2; host < 2 + addresses; host++)
      for (let index = 0; index < each; index++) (await open(port, getOf("/endless"), `127.0.0.${host}`)).pause();
    await eventually(() => unread(sockets) === addresses * each, "replies that wait");
    // Who is new is the first that looks.
    await healthy();
    await clock.advance(wait);
    for (let tries = 0; tries < 4; tries++) expect(await healthy()).toBe(200);
  });

  test("make room for others of the same address, while one that is read bit by bit goes on", async () => {
    const { port, clock, sockets, healthy } = await slowServer(4, 64);
    const reader = await open(port, getOf("/endless"));
    reader.pause();
    await eventually(() => unread(sockets) === 1, "the reply");
    reader.on("data", () => undefined).pause();
    const [end] = sockets as [Socket];
    /** Takes so much that the kernel makes room for more. */
    const readBit = async (): Promise<void> => {
      const before = end.bytesWritten;
      reader.resume();
      await eventually(() => end.destroyed || end.bytesWritten > before, "what is read");
      reader.pause();
    };
    for (let round = 0; round < 3; round++) {
      const before = sockets.length;
      for (let index = 0; index < 3; index++) (await open(port, getOf("/endless"))).pause();
      await eventually(() => unread(sockets.slice(before)) === 3, "replies that wait");
      await readBit();
      await clock.advance(1_000);
      expect(await healthy()).toBe(0);
      await clock.advance(12_000);
      await readBit();
      expect(await healthy()).toBe(200);
      expect(end.destroyed).toBe(false);
    }
  });

  test("are one for each socket: its requests begin one after another, and who sends many ahead loses it", async () => {
    const { port, sockets, begun } = await slowServer(8, 32);
    const patient = await open(port, getOf("/large").repeat(4));
    patient.pause();
    const greedy = await open(port, getOf("/large").repeat(5));
    greedy.resume();
    await eventually(() => greedy.closed, "the end of who sends many ahead");
    await eventually(() => unread(sockets) === 1, "the reply");
    expect(begun.large).toBe(2);
    let read = 0;
    patient.on("data", (chunk: Buffer) => (read += chunk.length));
    patient.resume();
    await eventually(() => read > 4 * LARGE.length, "the other replies");
    expect(begun.large).toBe(5);
  });

  test("that are long have so many places and no more, and lose them to who reads", async () => {
    const app = await createHttpServer({
      logger: silentLogger(),
      title: "Test",
      version: "1",
      readers: { perAddress: 2, stallTimeout: 600_000, writeTimeout: 600_000 },
    });
    let made = 0;
    app.get("/large", async () => {
      made += 1;
      return LARGE;
    });
    const { port, url } = await listen(app, { port: 0, explicitPort: true });
    onTestFinished(() => app.close());
    const readers = [await open(port, getOf("/large")), await open(port, getOf("/large"))];
    for (const reader of readers) reader.pause();
    await eventually(() => made === 2, "the replies");
    const refused = await send(`${url}/large`, { method: "GET" });
    expect([refused.status, refused.text]).toEqual([503, expect.stringContaining("READERS_BUSY")]);
    readers[0]!.destroy();
    let reply = refused;
    await eventually(async () => {
      reply = await send(`${url}/large`, { method: "GET" });
      return reply.status === 200;
    }, "a free place");
    expect([reply.headers["content-length"], reply.text === LARGE]).toEqual([String(LARGE.length), true]);
  });
});

const greedy = (digest: Digest): string => greedyRequests(`/blob/${digest}`);

// foundation 6
describe("slow readers", () => {
  test("are cut when they do not take a chunk in time", async () => {
    const { app, port, url, digests } = await serve({ writeTimeout: 200, perAddress: 512 });
    const [digest] = digests as [Digest];
    const readers = await Promise.all(Array.from({ length: 8 }, () => open(port, greedy(digest))));
    for (const reader of readers) reader.pause();
    const reply = await fetch(`${url}/blob/${digest}`);
    expect(sha256Bytes(new Uint8Array(await reply.arrayBuffer()))).toBe(digest);
    // They never read; the server lets go of them all. The honest one's connection may stay.
    const connections = (): Promise<number> =>
      new Promise((resolve) => {
        app.server.getConnections((_error, count) => resolve(count));
      });
    await eventually(async () => (await connections()) <= 1, "the end of those that read nothing");
  });

  test("have so many places and no more, and lose them to who reads", async () => {
    const { port, url, digests } = await serve({ perAddress: 4, stallTimeout: 0, writeTimeout: 600_000 });
    const [digest] = digests as [Digest];
    for (let index = 0; index < 20; index++) (await open(port, greedy(digest))).pause();
    let answered = 0;
    for (let tries = 0; tries < 5; tries++) {
      const reply = await fetch(`${url}/blob/${digest}`);
      if (reply.status === 200 && sha256Bytes(new Uint8Array(await reply.arrayBuffer())) === digest) answered += 1;
    }
    expect(answered).toBe(5);
  });

  test("that do read keep theirs; who is too many is told to come again", async () => {
    const { url, digests } = await serve({ perAddress: 1, stallTimeout: 600_000, writeTimeout: 600_000 });
    const [digest] = digests as [Digest];
    const { port } = new URL(url);
    const reader = await open(Number(port), greedy(digest));
    reader.pause();
    await eventually(async () => (await fetch(`${url}/blob/${digest}`)).status === 503, "a place that is taken");
    const refused = await fetch(`${url}/blob/${digest}`);
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
    reader.destroy();
    await eventually(async () => (await fetch(`${url}/blob/${digest}`)).status === 200, "a free place");
  });
});

// foundation 6, foundation 14
describe("ranges of one byte", () => {
  test("over more shards than are kept open read each shard once, and HEAD reads none", async () => {
    const { url, digests, store } = await serve({}, 24);
    const hashed = new Map<Digest, number>();
    const reallyOpen = store.open.bind(store);
    const reads: (boolean | undefined)[] = [];
    store.open = async (digest, options) => {
      reads.push(options?.again);
      const blob = await reallyOpen(digest, options);
      hashed.set(digest, (hashed.get(digest) ?? 0) + 1);
      return blob;
    };
    for (const digest of digests) {
      const head = await send(`${url}/blob/${digest}`, { method: "HEAD" });
      expect([head.status, head.headers["content-length"], head.text]).toEqual([200, String(SHARD), ""]);
    }
    expect(reads).toEqual([]);
    let answered = 0;
    for (let round = 0; round < 4; round++) {
      for (const digest of digests) {
        const reply = await fetch(`${url}/blob/${digest}`, { headers: { range: "bytes=7-7" } });
        if (reply.status === 206 && (await reply.arrayBuffer()).byteLength === 1) answered += 1;
      }
    }
    expect(answered).toBe(4 * digests.length);
    // Never asked to read it all again; that a second opening reads nothing is blobStore.test.ts's.
    expect(new Set(reads)).toEqual(new Set([false]));
  });
});

// foundation 6
describe("bad receipts", () => {
  let harness: Harness;
  let [bad, good]: TestWorker[] = [];
  beforeAll(async () => {
    harness = await openHarness();
    bad = harness.worker("a1");
    good = harness.worker("a2");
    await bad.join();
    await good.join();
  });
  afterAll(() => harness?.close());

  test("of a member cost one reading, do not wait for the run's lock, and end in a pause for that member alone", async () => {
    const { blobs } = harness;
    const opened = new Map<Digest, number>();
    const reallyOpen = blobs.open.bind(blobs);
    blobs.open = (digest, options) => {
      opened.set(digest, (opened.get(digest) ?? 0) + 1);
      return reallyOpen(digest, options);
    };
    // Something long holds the lock.
    const lock = Promise.withResolvers<void>();
    const held = harness.run.alone(() => lock.promise);
    onTestFinished(async () => {
      lock.resolve();
      await held;
    });
    const prepared = bad!.prepare(await bad!.assigned());
    const payloads = prepared.payloads.map((bytes, index) => (index === 1 ? spoiled(bytes) : bytes));
    const header = {
      ...prepared.header,
      fragments: prepared.header.fragments.map((fragment, index) => ({
        ...fragment,
        digest: sha256Bytes(payloads[index]!),
      })),
    };
    const receipt = { ...prepared.receipt, payloadDigest: digestOfJson(header) };
    await bad!.upload({ ...prepared, payloads });
    const codes: string[] = [];
    for (let tries = 0; tries < 40; tries++) {
      codes.push(
        await bad!.session.submitReceipt(await requestOf(receipt, header, bad!.account)).then(
          () => "accepted",
          (error: { code: string }) => error.code,
        ),
      );
    }
    expect(codes.slice(0, 8)).toEqual(Array.from({ length: 8 }, () => "NON_FINITE"));
    expect(codes.slice(8)).toEqual(Array.from({ length: 32 }, () => "TOO_MANY_FAILURES"));
    expect(opened.get(header.fragments[1]!.digest)).toBe(1);
    const { reply } = await good!.train();
    expect(reply.ack.worker).toBe(good!.address);
    expect(harness.run.driver.state.current?.work[good!.address]?.receipt).toBeTruthy();
  });
});

describe("who asks", () => {
  test("is told apart by IPv4 address and by /64 of IPv6", () => {
    expect(addressGroup("203.0.113.9")).toBe("203.0.113.9");
    expect(addressGroup("::ffff:203.0.113.9")).toBe("203.0.113.9");
    expect(addressGroup("2001:db8::1")).toBe(addressGroup("2001:0db8:0:0:ffff::2"));
    expect(addressGroup("2001:db8:0:1::1")).not.toBe(addressGroup("2001:db8::1"));
    expect(addressGroup("fe80::1%eth0")).toBe("fe80:0:0:0::/64");
    expect(addressPrefixes("::ffff:203.0.113.9")).toEqual(["203.0.113.0/24", "203.0.113.9"]);
    expect(addressPrefixes("2001:db8:7::9")).toEqual(["2001:db8::/32", "2001:db8:7::/48", "2001:db8:7:0::/64"]);
  });

  test("is who the proxy says, and nobody else is believed", async () => {
    const isProxy = parseProxy("10.1.0.0/16");
    expect(["10.1.2.3", "::ffff:10.1.2.3", "10.2.0.1", "::1", undefined].map((each) => isProxy(each))).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
    expect(parseProxy("2001:db8::/32")("2001:db8:7::1")).toBe(true);
    for (const text of ["", "true", "10.0.0.1/33", "10.0.0.1/", "example.org", "10.0.0.0/8/8"])
      expect(() => parseProxy(text)).toThrow(/--behind-proxy takes/);
  });

  test("floods joins from one address and leaves room for 64 workers behind another, and behind a NAT", async () => {
    const harness = await openHarness({ params: { maxWorkers: 64 }, behindProxy: "127.0.0.1" });
    onTestFinished(() => harness.close());
    const join = (from: string): Promise<number> =>
      harness.app
        .inject({
          method: "POST",
          url: routes.join(runId),
          headers: { "x-forwarded-for": `192.0.2.7, ${from}` },
          payload: { join: {}, signature: "0x" },
        })
        .then(({ statusCode }) => statusCode);
    const flood: number[] = [];
    // Another address of the same /64 each time.
    for (let index = 0; index < 400; index++) flood.push(await join(`2001:db8::${(index + 1).toString(16)}`));
    expect(flood.filter((status) => status === 429)).toHaveLength(400 - 256);
    const nat: number[] = [];
    for (let index = 0; index < 64 * 4; index++) nat.push(await join("203.0.113.9"));
    expect(nat.filter((status) => status === 429)).toHaveLength(0);
  });

  test("gets the chain asked for nothing without a signature that fits", async () => {
    const harness = await openHarness();
    onTestFinished(() => harness.close());
    let asked = 0;
    const isAdmitted = harness.chain.isAdmitted.bind(harness.chain);
    harness.chain.isAdmitted = (...args) => {
      asked += 1;
      return isAdmitted(...args);
    };
    const forger = harness.worker("a1");
    const other = harness.worker("a2");
    for (let index = 0; index < 16; index++) {
      const build = `0x${index.toString(16).padStart(64, "0")}` as Digest;
      await expect(forger.join({ build }, other.account)).rejects.toMatchObject({ code: "BAD_SIGNATURE" });
    }
    expect(asked).toBe(0);
    await expect(forger.join({ build: `0x${"9".repeat(64)}` as Digest })).rejects.toMatchObject({
      code: "BUILD_UNKNOWN",
    });
    expect(asked).toBe(1);
  });
});
