/** HTTP client of a coordinator, for browsers and Node alike. Everything that comes back is checked against its schema. */
import type { Static, TSchema } from "typebox";
import { Value } from "typebox/value";
import { bytesToHex, stringToBytes } from "viem";
import { CoordinatorError, type CotrainError } from "../baseErrors.ts";
import { digestOfJson, sha256 } from "./digest.ts";
import { type EpochManifest, parseDocument, type SignedVerdict } from "./documents.ts";
import type { Address, Digest, Hex, RunId } from "./ids.ts";
import * as messages from "./messages.ts";
import { routes } from "./routes.ts";
import { sessionHeaders, sessionMac } from "./session.ts";

export interface CoordinatorClientOptions {
  /** Milliseconds until a request without an answer fails; long polls add their own wait. Default 15,000. */
  readonly timeout?: number;
  readonly fetch?: typeof fetch;
}

interface RequestOptions {
  readonly method?: "GET" | "POST" | "PUT";
  readonly json?: unknown;
  readonly body?: Uint8Array<ArrayBuffer> | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeout?: number;
  readonly signal?: AbortSignal | undefined;
}

/** The headers by which a session vouches for a GET of a path. */
type Vouch = (path: string) => Promise<Readonly<Record<string, string>>>;

/** Answers above this many bytes are refused, blobs excepted (they carry their own limit). */
const MAX_ANSWER_BYTES = 64 << 20;

/** A list of more checkpoints is refused. */
const MAX_CHECKPOINTS = 100_000;

/** sha256 of no bytes. */
const NO_BODY = sha256(new Uint8Array());

/** The body, at most `limit` bytes of it. By a reader: not every browser can iterate a stream. */
async function readBounded(
  response: Response,
  limit: number,
  url: string,
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = response.body?.getReader();
  try {
    for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
      length += part.value.length;
      if (length > limit) break;
      chunks.push(part.value);
    }
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new CoordinatorError(response.status, "UNREACHABLE", `The answer of ${url} broke off.`, {
      retryable: true,
      cause,
    });
  }
  if (length > limit) {
    await reader?.cancel().catch(() => undefined);
    throw new CoordinatorError(
      response.status,
      "ANSWER_TOO_LARGE",
      `The answer of ${url} is larger than ${limit} bytes.`,
    );
  }
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}

/** What says that it is TLS that a connection broke at, and which half of it: Node's codes, OpenSSL's names. */
const NO_TLS = new Set(["ERR_SSL_WRONG_VERSION_NUMBER", "ERR_SSL_PACKET_LENGTH_TOO_LONG", "EPROTO"]);
const UNTRUSTED = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
]);

/** The code of what a connection failed by, wherever among the causes it stands; browsers tell none. */
function codeOf(error: unknown): string | undefined {
  for (let at: unknown = error, depth = 0; typeof at === "object" && at !== null && depth < 5; depth++) {
    if ("code" in at && typeof at.code === "string") return at.code;
    at = "cause" in at ? at.cause : undefined;
  }
  return undefined;
}

/**
 * Why nothing came from a coordinator. What is wrong with its address or certificate does not pass by itself.
 * @param answered it did answer before: then even that may pass
 */
function unanswered(base: string, cause: unknown, answered: boolean): CoordinatorError {
  const code = codeOf(cause) ?? "";
  const { host, hostname } = new URL(base);
  const fail = (name: string, message: string, retryable = answered): CoordinatorError =>
    new CoordinatorError(0, name, message, { retryable, cause });
  if (NO_TLS.has(code))
    return fail("NO_TLS", `What answers at ${host} speaks no TLS: write http:// in place of https://.`);
  if (UNTRUSTED.has(code))
    return fail(
      "CERTIFICATE_UNTRUSTED",
      `The certificate of ${base} is signed by nobody whom this machine trusts: where you know it, put NODE_EXTRA_CA_CERTS=cert.pem before the command.`,
    );
  if (code === "CERT_HAS_EXPIRED")
    return fail("CERTIFICATE_EXPIRED", `The certificate of ${base} has expired: who runs it must renew it.`);
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID")
    return fail(
      "CERTIFICATE_OTHER",
      `The certificate of ${base} is for another name than ${hostname}: use the name that it has.`,
    );
  if (code === "ENOTFOUND" || code === "EAI_AGAIN")
    return fail("HOST_UNKNOWN", `There is no host ${hostname}, or its name cannot be looked up now.`, true);
  return fail("UNREACHABLE", `The coordinator at ${base} does not answer.`, true);
}

/** Characters of what a coordinator says of an error: it is shown, and logged, as one sentence. */
const MAX_SENTENCE = 1_000;

function errorOf(status: number, text: string, url: string): CotrainError {
  try {
    const parsed: unknown = JSON.parse(text);
    if (Value.Check(messages.ErrorBody, parsed)) {
      const { code, message, details } = parsed.error;
      const options = { retryable: status >= 500 || status === 429, ...(details ? { details } : {}) };
      return new CoordinatorError(status, code.slice(0, 100), message.slice(0, MAX_SENTENCE), options);
    }
  } catch {
    // Not JSON: some proxy answered; said below.
  }
  return new CoordinatorError(
    status,
    "NOT_A_COORDINATOR",
    `What answers at ${url} is no coordinator: it says ${status} without an error that a coordinator gives.`,
    {
      retryable: status >= 500,
    },
  );
}

function parseJson(status: number, bytes: Uint8Array, url: string): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new CoordinatorError(
      status,
      "NOT_A_COORDINATOR",
      `What answers at ${url} is no coordinator: its answer is no JSON.`,
      { cause },
    );
  }
}

/** `sha256` for large bodies: native and off the main thread where the platform has it. */
export async function sha256Async(bytes: Uint8Array<ArrayBuffer>): Promise<Digest> {
  return bytesToHex(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))) as Digest;
}

export type CoordinatorClient = ReturnType<typeof createCoordinatorClient>;

/**
 * @param url base of the coordinator, e.g. http://127.0.0.1:7700
 * @throws CoordinatorError from every call: code UNREACHABLE and HOST_UNKNOWN (retryable), NO_TLS and CERTIFICATE_* (retryable once it has answered),
 * ANSWER_TOO_LARGE, the coordinator's own code, or
 * NOT_A_COORDINATOR; ProtocolError MALFORMED_DOCUMENT for an answer of another form. A caller's own abort passes through.
 */
export function createCoordinatorClient(url: string, options: CoordinatorClientOptions = {}) {
  const base = url.replace(/\/+$/, "");
  const fetcher = options.fetch ?? fetch;
  let answered = false;

  async function request(path: string, init: RequestOptions): Promise<Response> {
    const timeout = AbortSignal.timeout(init.timeout ?? options.timeout ?? 15_000);
    const body = init.json === undefined ? init.body : JSON.stringify(init.json);
    let response: Response;
    try {
      response = await fetcher(base + path, {
        method: init.method ?? (init.json === undefined ? "GET" : "POST"),
        headers: { ...(init.json === undefined ? {} : { "content-type": "application/json" }), ...init.headers },
        signal: init.signal ? AbortSignal.any([timeout, init.signal]) : timeout,
        redirect: "error",
        ...(body === undefined ? {} : { body }),
      });
    } catch (cause) {
      if (init.signal?.aborted) throw cause;
      throw unanswered(base, cause, answered);
    }
    answered = true;
    if (!response.ok) {
      const text = new TextDecoder().decode(await readBounded(response, 1 << 20, base + path));
      throw errorOf(response.status, text, base + path);
    }
    return response;
  }

  async function json<T extends TSchema>(path: string, schema: T, init: RequestOptions = {}): Promise<Static<T>> {
    const response = await request(path, init);
    const bytes = await readBounded(response, MAX_ANSWER_BYTES, base + path, init.signal);
    return parseDocument(`Answer of ${path}`, schema, parseJson(response.status, bytes, base + path));
  }

  /** A part of a blob, by byte range; the caller verifies it against a digest of its own. */
  async function blobPart(
    runId: RunId,
    digest: Digest,
    offset: number,
    length: number,
    vouch?: Vouch,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const path = routes.blob(runId, digest);
    const response = await request(path, {
      headers: { range: `bytes=${offset}-${offset + length - 1}`, ...(await vouch?.(path)) },
      timeout: 300_000,
    });
    const bytes = await readBounded(response, length, base + path);
    if (response.status !== 206 || bytes.length !== length)
      throw new CoordinatorError(
        response.status,
        "BLOB_MISMATCH",
        `${base}${path} did not answer the range asked for.`,
      );
    return bytes;
  }

  /** A whole blob of at most `limit` bytes, verified. @throws CoordinatorError BLOB_MISMATCH, BLOB_NOT_FOUND */
  async function blob(runId: RunId, digest: Digest, limit: number, vouch?: Vouch): Promise<Uint8Array<ArrayBuffer>> {
    const path = routes.blob(runId, digest);
    const response = await request(path, { headers: { ...(await vouch?.(path)) }, timeout: 300_000 });
    const bytes = await readBounded(response, limit, base + path);
    if ((await sha256Async(bytes)) !== digest)
      throw new CoordinatorError(
        response.status,
        "BLOB_MISMATCH",
        `${base}${path} answered bytes that do not have the digest asked for.`,
      );
    return bytes;
  }

  /** A published JSON document, verified by digest and by schema. */
  async function document<T extends TSchema>(
    runId: RunId,
    digest: Digest,
    what: string,
    schema: T,
    limit = MAX_ANSWER_BYTES,
  ) {
    const bytes = await blob(runId, digest, limit);
    return parseDocument(what, schema, parseJson(200, bytes, base + routes.blob(runId, digest)));
  }

  /** All checkpoints of a run by rising round, page by page. */
  async function checkpoints(runId: RunId): Promise<Pick<messages.CheckpointList, "checkpoints">> {
    const all: messages.CheckpointList["checkpoints"] = [];
    for (let from = 0; ;) {
      const path = `${routes.checkpoints(runId)}?from=${from}`;
      const { checkpoints: page, next } = await json(path, messages.CheckpointList);
      all.push(...page);
      if (next === null) return { checkpoints: all };
      if (next <= from || all.length > MAX_CHECKPOINTS)
        throw new CoordinatorError(200, "ANSWER_TOO_LARGE", `${base}${path} does not come to an end.`);
      from = next;
    }
  }

  return {
    url: base,
    runs: () => json(routes.runs(), messages.RunList),
    run: (runId: RunId) => json(routes.run(runId), messages.RunView),
    checkpoints,
    verdicts: (runId: RunId) => json(routes.verdicts(runId), messages.VerdictList),
    epochs: (runId: RunId) => json(routes.epochs(runId), messages.EpochList),
    reward: (runId: RunId, account: Address) =>
      json(routes.reward(runId, account.toLowerCase() as Address), messages.RewardView),
    blob: (runId: RunId, digest: Digest, limit: number) => blob(runId, digest, limit),
    blobPart: (runId: RunId, digest: Digest, offset: number, length: number) => blobPart(runId, digest, offset, length),
    document,
    join: (runId: RunId, body: messages.JoinRequest) => json(routes.join(runId), messages.JoinReply, { json: body }),
    submitVerdict: (runId: RunId, body: SignedVerdict) =>
      json(routes.verdicts(runId), messages.Accepted, { json: body }),
    submitAttestation: (runId: RunId, epoch: number, body: messages.AttestationRequest) =>
      json(routes.attestations(runId, epoch), messages.Accepted, { json: body }),
    control: (runId: RunId, token: string, body: messages.ControlRequest) =>
      json(routes.control(runId), messages.Accepted, { json: body, headers: { authorization: `Bearer ${token}` } }),
    /** The calls of a member whose join was accepted. */
    session(runId: RunId, worker: Address, sessionKey: Hex) {
      let counter = 0;
      async function headersFor(method: string, path: string, body: Digest) {
        // Taken before anything is awaited: requests of one session may overlap.
        counter += 1;
        const own = counter;
        const mac = await sessionMac(sessionKey, { method, path, body, counter: own });
        return {
          [sessionHeaders.worker]: worker.toLowerCase(),
          [sessionHeaders.counter]: String(own),
          [sessionHeaders.mac]: mac,
        };
      }
      async function signed<T extends TSchema>(path: string, schema: T, init: RequestOptions & { digest: Digest }) {
        const own = await headersFor(init.method ?? "POST", path, init.digest);
        // So that whose it is can be known before the body has come.
        const announced = { [messages.contentDigestHeader]: init.digest };
        return json(path, schema, { ...init, headers: { ...init.headers, ...announced, ...own } });
      }
      const vouch: Vouch = (path) => headersFor("GET", path, NO_BODY);
      const post = <T extends TSchema>(path: string, schema: T, body: unknown, extra: RequestOptions = {}) => {
        const text = JSON.stringify(body);
        const bytes = new Uint8Array(stringToBytes(text));
        const headers = { "content-type": "application/json" };
        return signed(path, schema, { ...extra, method: "POST", body: bytes, headers, digest: sha256(bytes) });
      };
      return {
        /** As {@link blob}, counted for the member and not for its address. */
        blob: (digest: Digest, limit: number) => blob(runId, digest, limit, vouch),
        /** As {@link blobPart}, likewise. */
        blobPart: (digest: Digest, offset: number, length: number) => blobPart(runId, digest, offset, length, vouch),
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
    },
  };
}

/** Digest under which an epoch manifest is attested. */
export const epochDigestOf = (manifest: EpochManifest): Digest => digestOfJson(manifest);
