/** One request to a coordinator and its answer: bounds, schemas, and what each failure is called. */
import type { Static, TSchema } from "typebox";
import { Check } from "typebox/schema";
import { CoordinatorError, type CotrainError } from "../baseErrors.ts";
import { parseDocument } from "./documents.ts";
import { hasLongNames, hasTooManyValues, MAX_JSON_NAME_BYTES, MAX_JSON_VALUES } from "./jsonBounds.ts";
import * as messages from "./messages.ts";

export interface CoordinatorClientOptions {
  /** Milliseconds until a request without an answer fails; long polls add their own wait. Default 15,000. */
  readonly timeout?: number;
  readonly fetch?: typeof fetch;
}

export interface RequestOptions {
  readonly method?: "GET" | "POST" | "PUT";
  readonly json?: unknown;
  readonly body?: Uint8Array<ArrayBuffer> | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeout?: number;
  readonly signal?: AbortSignal | undefined;
}

/** Answers above this many bytes are refused, blobs excepted (they carry their own limit). */
export const MAX_ANSWER_BYTES = 64 << 20;

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

/** How long it may take to find out whether something speaks TLS, ms. */
const TLS_PROBE_MS = 5_000;

/** Whether a connection ended before anything like an HTTP answer came: Node's codes, some of them llhttp's. */
const brokeOff = (code: string): boolean =>
  code === "UND_ERR_SOCKET" || code === "ECONNRESET" || code.startsWith("HPE_");

/**
 * Whether what answers at an http:// address speaks TLS. Many servers just close where plain HTTP comes, which those do that are
 * being stopped, too: only a TLS handshake there tells, even one that ends at a certificate.
 */
async function speaksTls(base: string, fetcher: typeof fetch): Promise<boolean> {
  const signal = AbortSignal.timeout(TLS_PROBE_MS);
  try {
    const answer = await fetcher(base.replace(/^http:/, "https:"), { signal, redirect: "manual" });
    await answer.body?.cancel();
    return true;
  } catch (error) {
    const code = codeOf(error) ?? "";
    return UNTRUSTED.has(code) || code === "CERT_HAS_EXPIRED" || code === "ERR_TLS_CERT_ALTNAME_INVALID";
  }
}

/** Why nothing came, after a second look at who ends connections of plain HTTP. */
async function whyUnanswered(
  base: string,
  cause: unknown,
  answered: boolean,
  fetcher: typeof fetch,
): Promise<CoordinatorError> {
  // Where no port is named, another program answers https:.
  const plain = base.startsWith("http:") && new URL(base).port !== "" && brokeOff(codeOf(cause) ?? "");
  if (answered || !plain || !(await speaksTls(base, fetcher))) return unanswered(base, cause, answered);
  return new CoordinatorError(
    0,
    "SPEAKS_TLS",
    `What answers at ${new URL(base).host} speaks TLS: write https:// in place of http://, or on its own machine the URL that its status names.`,
    { cause },
  );
}

/** Characters of what a coordinator says of an error: it is shown, and logged, as one sentence. */
const MAX_SENTENCE = 1_000;

/** What passes: a request that came too late, too early or too often. */
const LATER: ReadonlySet<number> = new Set([408, 425, 429]);

function errorOf(status: number, text: string, url: string): CotrainError {
  const retryable = status >= 500 || LATER.has(status);
  try {
    const parsed: unknown = JSON.parse(text);
    if (Check(messages.ErrorBody, parsed)) {
      const { code, message, details } = parsed.error;
      const options = { retryable, ...(details ? { details } : {}) };
      return new CoordinatorError(status, code.slice(0, 100), message.slice(0, MAX_SENTENCE), options);
    }
  } catch {
    // Not JSON: some proxy answered; said below.
  }
  return new CoordinatorError(
    status,
    "NOT_A_COORDINATOR",
    `What answers at ${url} is no coordinator: it says ${status} without an error that a coordinator gives.`,
    { retryable },
  );
}

export function parseJson(status: number, bytes: Uint8Array, url: string): unknown {
  if (hasTooManyValues(bytes))
    throw new CoordinatorError(
      status,
      "ANSWER_TOO_LARGE",
      `The answer of ${url} has more than ${MAX_JSON_VALUES} values.`,
    );
  if (hasLongNames(bytes))
    throw new CoordinatorError(
      status,
      "ANSWER_TOO_LARGE",
      `The answer of ${url} has a field whose name is longer than ${MAX_JSON_NAME_BYTES} bytes.`,
    );
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

export interface Requests {
  /** The coordinator's address, without a slash at its end. */
  readonly base: string;
  /** The answer as a document of a form. @throws as `bytes`; ProtocolError MALFORMED_DOCUMENT */
  readonly json: <T extends TSchema>(path: string, schema: T, init?: RequestOptions) => Promise<Static<T>>;
  /** The answer's status and its bytes, of which there are `limit` at most. @throws CoordinatorError, the caller's own abort */
  bytes(path: string, limit: number, init: RequestOptions): Promise<{ status: number; bytes: Uint8Array<ArrayBuffer> }>;
}

/** Makes the requests to the coordinator at `url`; sends none yet. */
export function createRequests(url: string, options: CoordinatorClientOptions): Requests {
  const base = url.replace(/\/+$/, "");
  const fetcher = options.fetch ?? fetch;
  let answered = false;

  async function send(path: string, init: RequestOptions): Promise<Response> {
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
      throw await whyUnanswered(base, cause, answered, fetcher);
    }
    answered = true;
    if (!response.ok) {
      const text = new TextDecoder().decode(await readBounded(response, 1 << 20, base + path));
      throw errorOf(response.status, text, base + path);
    }
    return response;
  }

  async function bytes(path: string, limit: number, init: RequestOptions) {
    const response = await send(path, init);
    return { status: response.status, bytes: await readBounded(response, limit, base + path, init.signal) };
  }

  async function json<T extends TSchema>(path: string, schema: T, init: RequestOptions = {}): Promise<Static<T>> {
    const answer = await bytes(path, MAX_ANSWER_BYTES, init);
    return parseDocument(`Answer of ${path}`, schema, parseJson(answer.status, answer.bytes, base + path));
  }

  return { base, bytes, json };
}
