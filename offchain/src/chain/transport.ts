/**
 * HTTP to an RPC, as everything here asks it: answers have the form of answers, what a new block overtook is asked again, and what
 * got no answer a few times more. How long that takes is bounded here: whoever answers says neither for how long nothing is
 * asked, nor who is asked instead.
 */
import { BaseError, http, HttpRequestError, RpcRequestError, type Transport } from "viem";

import { type Backoff, backoffBound, systemClock } from "../base/index.ts";
import { checkAnswer } from "./answers.ts";

const OVERTAKEN_TRIES = 5;
/** Waits before the further tries, ms. */
const BACKOFF: Backoff = { base: 100, maximum: 2_000 };
/** What an RPC's Retry-After is worth at most, ms. */
const LONGEST_RETRY_AFTER = 2_000;

const SILENT_STATUSES: ReadonlySet<number> = new Set([403, 408, 413, 429, 500, 502, 503, 504]);
/** Codes of JSON-RPC by which providers say that it was not this question's fault. */
const PASSING_CODES: ReadonlySet<unknown> = new Set([-1, 429, -32_005, -32_007, -32_603]);
/** No node serves the method for being asked again, whatever the status. */
const UNSERVED_CODES: ReadonlySet<unknown> = new Set([-32_004, -32_601]);

/** The error that holds the status of the answer. */
const httpErrorIn = (error: BaseError): HttpRequestError | RpcRequestError | undefined => {
  const found = error.walk((inner) => inner instanceof HttpRequestError || inner instanceof RpcRequestError);
  return found instanceof HttpRequestError || found instanceof RpcRequestError ? found : undefined;
};

/**
 * A node that keeps no history (the embedded one) takes "latest" for a block's number and finds, when the next block is
 * mined before it reads, nothing left of it. The same question gets its answer at once.
 */
const isOvertaken = (error: unknown): boolean =>
  error instanceof BaseError &&
  error.walk((inner) => inner instanceof BaseError && inner.details?.includes("BlockOutOfRangeError")) !== null;

/** Whether an answer of this status sends whoever asked elsewhere. */
export const isRedirect = (error: unknown): boolean => {
  const status = error instanceof BaseError ? httpErrorIn(error)?.status : undefined;
  return status !== undefined && status >= 300 && status < 400;
};

/** Whether the same question may get an answer a moment later. */
function isPassing(error: BaseError): boolean {
  const code: unknown = "code" in error ? error.code : undefined;
  if (UNSERVED_CODES.has(code)) return false;
  if (PASSING_CODES.has(code)) return true;
  const status = httpErrorIn(error)?.status;
  return status === undefined ? typeof code !== "number" : SILENT_STATUSES.has(status);
}

/** Ms until the next try. @param retries further tries so far */
function waitAfter(error: BaseError, retries: number): number {
  const header = httpErrorIn(error)?.headers?.get("retry-after") ?? "";
  if (/^\d+$/.test(header)) return Math.min(Number(header) * 1_000, LONGEST_RETRY_AFTER);
  return backoffBound(retries, BACKOFF);
}

/** What sends a request. */
export type FetchFunction = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

/**
 * @param options.timeout ms until a request fails
 * @param options.retries further tries of a request that got no answer
 * @param options.fetch default: the platform's
 */
export function rpcTransport(
  url: string,
  { timeout, retries, fetch: fetchFn }: { timeout: number; retries: number; fetch?: FetchFunction | undefined },
): Transport {
  // viem's own tries wait for as long as the answer says. An answer that is elsewhere is none.
  const transport = http(url, { timeout, retryCount: 0, fetchOptions: { redirect: "manual" }, fetchFn });
  return (parameters) => {
    const opened = transport(parameters);
    const request = async (
      asked: { method: string; params?: unknown },
      settings?: { retryCount?: number },
    ): Promise<unknown> => {
      const mostRetries = settings?.retryCount ?? retries;
      for (let overtaken = 1, retried = 0; ;) {
        try {
          const answer: unknown = await opened.request(asked as never, { ...settings, retryCount: 0 });
          checkAnswer(url, asked.method, answer);
          return answer;
        } catch (error) {
          if (isOvertaken(error)) {
            if (overtaken++ === OVERTAKEN_TRIES) throw error;
            continue;
          }
          if (!(error instanceof BaseError) || retried === mostRetries || !isPassing(error)) throw error;
          await systemClock.sleep(waitAfter(error, retried++));
        }
      }
    };
    return { ...opened, request: request as typeof opened.request };
  };
}
