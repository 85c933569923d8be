/**
 * Calls to a provider: over TLS alone (loopback excepted), to one host, no redirect followed, since the key would go along; an end
 * in time; a body of bounded size; the endpoint's rate; and another try for calls that may be repeated, for no other. Nothing that
 * is thrown has the key in it.
 */
import { setTimeout as later } from "node:timers";

import {
  type Clock,
  isLoopbackUrl,
  parseJsonBounded,
  readStreamBounded,
  redactUrl,
  retrying,
  UserError,
} from "../../base/index.ts";
import type { Account } from "./adapter.ts";
import { kindOf, providerError, type Refusal, type RefusalRow } from "./errors.ts";
import type { Limiter } from "./limiter.ts";

interface Call {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number>>;
  readonly json?: unknown;
  /** Row of the adapter's limits. */
  readonly endpoint: string;
  /** Whether it may be sent twice. Providers create by PUT and stop by GET, so that no method tells. */
  readonly repeatable: boolean;
  /** Where a refusal names a machine that exists all the same: its path in the body, e.g. `new_contract`. */
  readonly named?: string;
  /** Whether the answer is text that may go on for ever: what of it comes at once, the end of it where it is much. */
  readonly stream?: boolean;
}

/** @throws RetryableError or UserError as {@link providerError}; UserError `PROVIDER_ADDRESS` */
export type Api = (call: Call) => Promise<unknown>;

export interface ApiOptions {
  readonly title: string;
  readonly base: string;
  readonly account: Account;
  readonly refusals: readonly RefusalRow[];
  readonly limiter: Limiter;
  readonly clock: Clock;
  readonly random: () => number;
  readonly signal: AbortSignal;
  /** Until an answer has come whole, ms; default 20,000. */
  readonly timeout?: number;
}

const MAX_ANSWER_BYTES = 32 << 20;
/** Of a text that goes on: bytes that are kept, ms of silence that end it, and ms after which it ends although there is more. */
const [MAX_STREAM_BYTES, QUIET, LONGEST_STREAM] = [256 << 10, 1_500, 8_000] as const;
const MAX_REFUSAL_BYTES = 64 << 10;
const MAX_WORDS = 200;
const TRIES = 3;
/** What providers call machines by. */
const INSTANCE_ID = /^[\w.:-]{1,200}$/;
/** A provider that wants to be left alone for longer is asked another time. */
const LONGEST_WAIT = 60_000;

/** Text without a secret, wherever it stands, whole or as it stands in URLs. */
const without = (secret: string | undefined, text: string): string =>
  secret === undefined || secret === ""
    ? text
    : text.replaceAll(secret, "(key)").replaceAll(encodeURIComponent(secret), "(key)");

const inside = (value: unknown, key: string): unknown =>
  typeof value === "object" && value !== null && Object.hasOwn(value, key)
    ? (value as Readonly<Record<string, unknown>>)[key]
    : undefined;
const first = (...values: readonly unknown[]): string | undefined =>
  values.find((value): value is string => typeof value === "string" && value !== "");

/** Where providers put the code and the words of a refusal, the first that is there. */
function said(body: unknown): { code?: string; words: string } {
  const error = inside(body, "error");
  const code = first(inside(error, "code"), inside(body, "code"), error);
  const words = first(
    inside(error, "message"),
    inside(body, "detail"),
    inside(body, "msg"),
    inside(body, "message"),
    inside(body, "title"),
    error,
    body,
  );
  return { ...(code === undefined ? {} : { code }), words: words ?? "" };
}

/** Milliseconds of a Retry-After: seconds, or a date (RFC 9110, 10.2.3). */
function retryAfter(header: string | null, now: number): number | undefined {
  if (header === null) return undefined;
  if (/^\d{1,6}$/.test(header)) return Number(header) * 1_000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}

function addressOf(options: ApiOptions, { path, query = {} }: Call): URL {
  const base = options.base.replace(/\/$/, "");
  if (!URL.canParse(base) || (new URL(base).protocol !== "https:" && !isLoopbackUrl(base)))
    throw new UserError(
      "PROVIDER_ADDRESS",
      `${options.title} is asked over TLS alone: ${redactUrl(options.base)} does not begin with https://.`,
    );
  const url = new URL(`${base}${path}`);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, String(value));
  return url;
}

/** The id of a machine that a refusal names. */
function instanceIn(body: unknown, named: string | undefined): string | undefined {
  let found: unknown = named === undefined ? undefined : body;
  for (const key of named?.split(".") ?? []) found = inside(found, key);
  if (typeof found === "number" && Number.isSafeInteger(found)) return String(found);
  return typeof found === "string" && INSTANCE_ID.test(found) ? found : undefined;
}

async function refusalOf(response: Response, secret: string | undefined, named: string | undefined): Promise<Refusal> {
  const bytes = await readStreamBounded(response.body ?? [], MAX_REFUSAL_BYTES).catch(() => new Uint8Array());
  const text = new TextDecoder().decode(bytes);
  let body: unknown = text;
  try {
    body = JSON.parse(text);
  } catch {
    // Plain text: it is its own words. A page is nobody's words.
    if (text.trimStart().startsWith("<")) body = "";
  }
  const { code, words } = said(body);
  const instance = instanceIn(body, named);
  return {
    status: response.status,
    ...(instance === undefined ? {} : { instance }),
    ...(code === undefined ? {} : { code: code.slice(0, MAX_WORDS) }),
    words: without(secret, words).replaceAll(/\s+/g, " ").slice(0, MAX_WORDS),
  };
}

/** A signal that ends with another, or when the time is up; and what stops its timer. */
function within(ms: number, signal: AbortSignal): { signal: AbortSignal; done: () => void } {
  const ending = new AbortController();
  const timer = later(() => ending.abort(), ms);
  return { signal: AbortSignal.any([ending.signal, signal]), done: () => clearTimeout(timer) };
}

/** What a body says before it is silent for a while; the last of it. */
async function beginningOf(body: ReadableStream<Uint8Array> | null): Promise<string> {
  if (body === null) return "";
  const reader = body.getReader();
  const ends = performance.now() + LONGEST_STREAM;
  let kept = Buffer.alloc(0);
  try {
    while (performance.now() < ends) {
      const silence = Promise.withResolvers<undefined>();
      const timer = later(() => silence.resolve(undefined), QUIET);
      const read = await Promise.race([reader.read(), silence.promise]).finally(() => clearTimeout(timer));
      if (read?.value === undefined) break;
      kept = Buffer.concat([kept, read.value]);
      if (kept.length > 2 * MAX_STREAM_BYTES) kept = kept.subarray(-MAX_STREAM_BYTES);
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
  return kept.subarray(-MAX_STREAM_BYTES).toString();
}

const headersOf = ({ account }: ApiOptions, { json, stream }: Call): Record<string, string> => ({
  accept: stream === true ? "text/event-stream, text/plain" : "application/json",
  ...account.headers,
  ...(json === undefined ? {} : { "content-type": "application/json" }),
});

/** What is thrown for an answer that is none of success. @param lost what a provider's own failure means for this call */
async function refused(response: Response, options: ApiOptions, call: Call, lost: "away" | "ambiguous") {
  const { title, account, clock, limiter } = options;
  if (response.status >= 300 && response.status < 400)
    return providerError("validation", title, "it sends callers elsewhere, where the key does not go");
  const refusal = await refusalOf(response, account.secret, call.named);
  const { instance } = refusal;
  const kind = instance === undefined ? kindOf(options.refusals, refusal, call.endpoint) : "ambiguous";
  const waitMs = retryAfter(response.headers.get("retry-after"), clock.now());
  if (kind === "busy" && waitMs !== undefined) limiter.hold(call.endpoint, waitMs);
  return providerError(
    kind === "away" ? lost : kind,
    title,
    refusal.words === "" ? `status ${refusal.status}` : refusal.words,
    {
      status: refusal.status,
      ...(waitMs === undefined ? {} : { waitMs }),
      ...(instance === undefined ? {} : { instance }),
    },
  );
}

/** Sends a call once. */
async function sendOnce(options: ApiOptions, call: Call): Promise<unknown> {
  const url = addressOf(options, call);
  await options.limiter.turn(call.endpoint, options.signal);
  const time = within(options.timeout ?? 20_000, options.signal);
  /** After it was sent, nobody knows what became of a call that may not be repeated. */
  const lost = call.repeatable ? "away" : "ambiguous";
  try {
    const response = await fetch(url, {
      method: call.method,
      redirect: "manual",
      signal: time.signal,
      headers: headersOf(options, call),
      ...(call.json === undefined ? {} : { body: JSON.stringify(call.json) }),
    });
    if (!response.ok) throw await refused(response, options, call, lost);
    if (call.stream === true) return without(options.account.secret, await beginningOf(response.body));
    const bytes = await readStreamBounded(response.body ?? [], MAX_ANSWER_BYTES);
    return bytes.length === 0 ? undefined : parseJsonBounded(bytes, MAX_ANSWER_BYTES, `The answer of ${options.title}`);
  } catch (error) {
    options.signal.throwIfAborted();
    throw typed(error, options, call, lost);
  } finally {
    time.done();
  }
}

/** The error as it is told: ours as they are, those of the network and of bodies by what they mean. */
function typed(error: unknown, { title, account }: ApiOptions, call: Call, lost: "away" | "ambiguous"): unknown {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code.startsWith("PROVIDER_")) return error;
  if (code.startsWith("JSON_") || code === "STREAM_TOO_LARGE") {
    const words = error instanceof Error ? without(account.secret, error.message) : "";
    return providerError(call.repeatable ? "unreadable" : "ambiguous", title, words);
  }
  // No cause: the errors of fetch may quote headers.
  return providerError(
    lost,
    title,
    error instanceof Error && error.name === "AbortError" ? "the time was up" : "no connection",
  );
}

/** Calls as {@link Api}. */
export const createApi =
  (options: ApiOptions): Api =>
  (call) =>
    retrying(() => sendOnce(options, call), {
      clock: options.clock,
      random: options.random,
      signal: options.signal,
      tries: call.repeatable ? TRIES : 1,
      backoff: { base: 2_000, maximum: 20_000 },
      retryable: ({ code, details }) =>
        ["PROVIDER_BUSY", "PROVIDER_AWAY"].includes(code) && Number(details?.["waitMs"] ?? 0) <= LONGEST_WAIT,
      atLeast: ({ details }) => Number(details?.["waitMs"] ?? 0),
    });
