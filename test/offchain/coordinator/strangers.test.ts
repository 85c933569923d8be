/** What members and strangers are told when the coordinator's blobs are in IPFS, and the node or what stands before it fails. */
import type { ServerResponse } from "node:http";

import { type Digest, routes } from "@cotrain/sdk/protocol";
import { expect, onTestFinished, test } from "vitest";

import { sha256Bytes } from "../../../offchain/src/base/index.ts";
import { BlobError, type BlobStore } from "../../../offchain/src/storage/index.ts";
import { openBlobStore } from "../../../offchain/src/storage/node/index.ts";
import { startFakeKubo } from "../storage/fakeKubo.ts";
import { openHarness, runId } from "./harness.ts";

const secret = "open /home/alice/.ipfs/blocks/XY/secret.data: input/output error";
const says =
  (status: number, body: string) =>
  (_: string, response: ServerResponse): boolean => {
    response.writeHead(status, { "content-type": "application/json" }).end(body);
    return true;
  };
const hangsUp = (_: string, response: ServerResponse): boolean => {
  response.destroy();
  return true;
};

test.each([
  ["fails", says(500, JSON.stringify({ Message: secret, Code: 0, Type: "error" })), 503, "UNAVAILABLE"],
  ["is away", hangsUp, 503, "UNAVAILABLE"],
  ["is behind a proxy that has enough", says(429, secret), 503, "UNAVAILABLE"],
  ["is behind a proxy that lets nobody through", says(403, secret), 500, "INTERNAL"],
  ["is behind a proxy that wants a password", says(401, secret), 500, "INTERNAL"],
])("that the IPFS node %s is told as something that passes, and not where it is", async (_, fails, status, code) => {
  const node = await startFakeKubo();
  const store = await openBlobStore(node.location("store"));
  const harness = await openHarness();
  onTestFinished(() => harness.close());
  const [a, b] = [harness.worker("a1"), harness.worker("a2")];
  await a.join();
  await b.join();
  const prepared = a.prepare(await a.assigned());
  const kept = sha256Bytes(new Uint8Array(3));
  const address = node.location("").slice("ipfs+http://".length, -1);
  const get = (digest: Digest) => harness.app.inject(routes.blob(runId, digest));
  const told = async (): Promise<void> => {
    const reply = await get(kept);
    expect([reply.statusCode, reply.json()]).toMatchObject([status, { error: { code } }]);
    for (const word of [secret, "alice", address, "IPFS", "ipfs"]) expect(reply.body).not.toContain(word);
  };

  node.misbehave = fails;
  // Which of the two asks the node first does not matter.
  Object.assign(harness.blobs, {
    size: (digest) => store.size(digest),
    open: (digest) => store.open(digest),
    put: (data, expected) => store.put(data, expected),
  } satisfies Partial<BlobStore>);
  await told();
  Object.assign(harness.blobs, { size: async () => 3 });
  await told();

  const refusal: unknown = await a.upload(prepared).catch((thrown: unknown) => thrown);
  expect(refusal).toMatchObject({ status, code, retryable: true });
  expect(JSON.stringify([refusal, (refusal as Error).message])).not.toMatch(/ipfs|alice|secret/i);
  expect((refusal as Error).message).not.toContain(address);
});

test("that a payload cannot be read is no mistake of its worker; one that is gone or broken is asked for again", async () => {
  const harness = await openHarness({ forgiven: 3 });
  onTestFinished(() => harness.close());
  const [a, b] = [harness.worker("a1"), harness.worker("a2")];
  await a.join();
  await b.join();
  const prepared = a.prepare(await a.assigned());
  await a.upload(prepared);
  const sound = { ...harness.blobs };
  const failing = (thrown: Error): void => {
    Object.assign(harness.blobs, { open: () => Promise.reject(thrown) });
  };
  failing(Object.assign(new Error(secret), { code: "EMFILE" }));
  for (let n = 0; n < 4; n++)
    await expect(a.submit(prepared)).rejects.toMatchObject({ status: 503, code: "UNAVAILABLE", retryable: true });
  const lost = (["BLOB_MISSING", "BLOB_CORRUPTED"] as const).map((code) => new BlobError(code, secret));
  for (const error of [...lost, ...lost, Object.assign(new Error(secret), { code: "EIO" })]) {
    failing(error);
    await expect(a.submit(prepared)).rejects.toMatchObject({ status: 400, code: "FRAGMENT_MISSING" });
  }
  Object.assign(harness.blobs, sound);
  await a.submit(prepared);
});
