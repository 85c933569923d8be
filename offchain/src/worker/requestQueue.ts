/**
 * Requests of a session leave one at a time, so that their counters, which must rise, arrive in order although a
 * heartbeat, uploads and a long poll are under way together. Only leaving is in line: answers are not waited for.
 */
import { sessionHeaders } from "@cotrain/sdk/protocol";

export interface RequestQueue {
  /** For the client; tells when a session's request is on its way. */
  readonly fetch: typeof fetch;
  /** Starts a call of a session once the one before has left. */
  enter<T>(call: () => Promise<T>): Promise<T>;
}

export function createRequestQueue(fetcher: typeof fetch = fetch): RequestQueue {
  let tail: Promise<void> = Promise.resolve();
  let left: (() => void) | undefined;
  return {
    fetch: (input, init) => {
      const response = fetcher(input, init);
      if (new Headers(init?.headers).has(sessionHeaders.counter)) left?.();
      return response;
    },
    enter: async (call) => {
      const before = tail;
      const { promise, resolve } = Promise.withResolvers<void>();
      tail = promise;
      await before;
      left = resolve;
      try {
        return await call();
      } finally {
        // A call that ended without a request must not keep the others waiting.
        resolve();
      }
    },
  };
}
