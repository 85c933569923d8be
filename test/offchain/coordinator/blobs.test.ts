/** Files that blobs are served from are closed when nobody reads them, and never under somebody who does. */
import type { Digest } from "@cotrain/sdk/protocol";
import { expect, it, onTestFinished } from "vitest";

import { sha256Bytes } from "../../../offchain/src/base/index.ts";
import { createBlobServer } from "../../../offchain/src/coordinator/blobs.ts";
import { createHttpServer, silentLogger } from "../../../offchain/src/service/index.ts";
import type { BlobStore, OpenBlob } from "../../../offchain/src/storage/index.ts";

const bytes = (i: number): Uint8Array<ArrayBuffer> => new TextEncoder().encode(`blob ${i}`);
const digestOf = (i: number): Digest => sha256Bytes(bytes(i));

/** Blobs whose reading or closing waits for what a test says; reading a closed one fails, as a file's does. */
async function serve() {
  const contents = new Map(Array.from({ length: 40 }, (_, i) => [digestOf(i), bytes(i)]));
  const held = new Map<string, { reached: () => void; until: Promise<void> }>();
  const hold = (what: "open" | "read" | "close", i: number): { reached: Promise<void>; go: () => void } => {
    const reached = Promise.withResolvers<void>();
    const going = Promise.withResolvers<void>();
    held.set(`${what} ${digestOf(i)}`, { reached: reached.resolve, until: going.promise });
    return { reached: reached.promise, go: going.resolve };
  };
  const wait = async (key: string): Promise<void> => {
    const found = held.get(key);
    held.delete(key);
    found?.reached();
    await found?.until;
  };
  const open = new Set<OpenBlob>();
  const store = {
    size: async (digest: Digest) => contents.get(digest)?.length,
    open: async (digest: Digest) => {
      const content = contents.get(digest)!;
      await wait(`open ${digest}`);
      const blob: OpenBlob = {
        digest,
        length: content.length,
        read: async (offset, length) => {
          await wait(`read ${digest}`);
          if (!open.has(blob)) throw new RangeError("read after it was closed");
          return content.slice(offset, offset + length);
        },
        readInto: async () => undefined,
        close: async () => {
          await wait(`close ${digest}`);
          open.delete(blob);
        },
        [Symbol.asyncDispose]: async () => undefined,
      };
      open.add(blob);
      return blob;
    },
  } as unknown as BlobStore;
  const blobs = createBlobServer(store, () => undefined);
  const app = await createHttpServer({ logger: silentLogger(), title: "Test", version: "1" });
  app.get<{ Params: { digest: string } }>("/:digest", (request, reply) =>
    blobs.send(request, reply, request.params.digest as Digest),
  );
  onTestFinished(async () => {
    await app.close();
    await blobs.close();
  });
  const get = async (i: number): Promise<string> => (await app.inject({ url: `/${digestOf(i)}` })).body;
  return { get, hold, open, app };
}

it("stays open for who takes it while others are being closed", async () => {
  const { get, hold } = await serve();
  // As many as are kept, then two more at once: when these are done, the two that were used longest ago have to go.
  for (let i = 0; i < 16; i++) expect(await get(i)).toBe(`blob ${i}`);
  const [one, other] = [hold("read", 16), hold("read", 17)];
  const pair = [get(16), get(17)];
  await Promise.all([one.reached, other.reached]);
  const closing = hold("close", 0);
  one.go();
  await closing.reached;
  // The first is being closed; the second would be next, but somebody reads it again.
  const reading = hold("read", 1);
  const again = get(1);
  await reading.reached;
  closing.go();
  expect(await pair[0]).toBe("blob 16");
  other.go();
  expect(await pair[1]).toBe("blob 17");
  for (let i = 2; i < 16; i++) await get(i);
  reading.go();
  expect(await again).toBe("blob 1");
});

it("stays open for who reads it, whoever else has read it and however many others are asked for meanwhile", async () => {
  const { get, hold } = await serve();
  const reading = hold("read", 0);
  const slow = get(0);
  await reading.reached;
  for (let i = 0; i <= 20; i++) expect(await get(i)).toBe(`blob ${i}`);
  reading.go();
  expect(await slow).toBe("blob 0");
});

it("is free again when who asked for it went before it was open", async () => {
  const { get, hold, open, app } = await serve();
  const opening = hold("open", 0);
  const gone = Promise.withResolvers<void>();
  app.addHook("onRequest", async (request, reply) => {
    if (request.url.endsWith(digestOf(0))) reply.raw.once("close", () => gone.resolve());
  });
  const leaving = new AbortController();
  const asked = app.inject({ url: `/${digestOf(0)}`, signal: leaving.signal }).catch(() => undefined);
  await opening.reached;
  leaving.abort();
  await gone.promise;
  opening.go();
  await asked;
  for (let i = 1; i <= 20; i++) await get(i);
  expect([...open].map(({ digest }) => digest)).not.toContain(digestOf(0));
});
