/** The calls of a member whose join was accepted: each carries a MAC under the session's key. */
import type { TSchema } from "typebox";
import { stringToBytes } from "viem";
import type { BlobRequests, Vouch } from "./blobRequests.ts";
import { sha256 } from "./digest.ts";
import type { Address, Digest, Hex, RunId } from "./ids.ts";
import * as messages from "./messages.ts";
import type { RequestOptions, Requests } from "./requests.ts";
import { routes } from "./routes.ts";
import { sessionHeaders, sessionMac } from "./session.ts";

/** sha256 of no bytes. */
const NO_BODY = sha256(new Uint8Array());

export interface MemberSession {
  readonly runId: RunId;
  readonly worker: Address;
  readonly key: Hex;
}

export function createMemberClient(requests: Requests, blobs: BlobRequests, session: MemberSession) {
  const { runId } = session;
  const headersFor = countedHeaders(session);
  async function signed<T extends TSchema>(path: string, schema: T, init: RequestOptions & { digest: Digest }) {
    const own = await headersFor(init.method ?? "POST", path, init.digest);
    // So that whose it is can be known before the body has come.
    const announced = { [messages.contentDigestHeader]: init.digest };
    return requests.json(path, schema, { ...init, headers: { ...init.headers, ...announced, ...own } });
  }
  const vouch: Vouch = (path) => headersFor("GET", path, NO_BODY);
  const post = <T extends TSchema>(path: string, schema: T, body: unknown, extra: RequestOptions = {}) => {
    const bytes = new Uint8Array(stringToBytes(JSON.stringify(body)));
    const headers = { "content-type": "application/json" };
    return signed(path, schema, { ...extra, method: "POST", body: bytes, headers, digest: sha256(bytes) });
  };
  return {
    /** As {@link BlobRequests.blob}, counted for the member and not for its address. */
    blob: (digest: Digest, limit: number) => blobs.blob(runId, digest, limit, vouch),
    /** As {@link BlobRequests.blobPart}, likewise. */
    blobPart: (digest: Digest, offset: number, length: number) => blobs.blobPart(runId, digest, offset, length, vouch),
    heartbeat: (body: messages.Heartbeat) => post(routes.heartbeat(runId), messages.HeartbeatReply, body),
    work: (body: messages.WorkRequest, signal?: AbortSignal) =>
      post(routes.work(runId), messages.WorkReply, body, { timeout: body.waitSeconds * 1_000 + 15_000, signal }),
    leave: () => post(routes.leave(runId), messages.Accepted, {}),
    submitReceipt: (body: messages.ReceiptRequest) => post(routes.receipts(runId), messages.ReceiptReply, body),
    /** @param digest sha256 of `bytes` */
    uploadFragment: (
      assignmentId: number,
      attempt: number,
      index: number,
      bytes: Uint8Array<ArrayBuffer>,
      digest: Digest,
    ) =>
      signed(routes.fragment(runId, assignmentId, attempt, index), messages.FragmentReply, {
        method: "PUT",
        body: bytes,
        headers: { "content-type": "application/octet-stream" },
        digest,
        timeout: 300_000,
      }),
  };
}

/** The headers that vouch for a session's requests, each with a counter of its own. */
function countedHeaders({ worker, key }: MemberSession) {
  let counter = 0;
  return async (method: string, path: string, body: Digest): Promise<Readonly<Record<string, string>>> => {
    // Taken before anything is awaited: requests of one session may overlap.
    counter += 1;
    const own = counter;
    const mac = await sessionMac(key, { method, path, body, counter: own });
    return {
      [sessionHeaders.worker]: worker.toLowerCase(),
      [sessionHeaders.counter]: String(own),
      [sessionHeaders.mac]: mac,
    };
  };
}
