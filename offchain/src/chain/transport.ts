/** HTTP to an RPC, as everything here asks it: answers have the form of answers, and what a new block overtook is asked again. */
import { BaseError, http, type Transport } from "viem";

import { checkAnswer } from "./answers.ts";

const OVERTAKEN_TRIES = 5;

/**
 * A node that keeps no history (the embedded one) takes "latest" for a block's number and finds, when the next block is
 * mined before it reads, nothing left of it. The same question gets its answer at once.
 */
const isOvertaken = (error: unknown): boolean =>
  error instanceof BaseError &&
  error.walk((inner) => inner instanceof BaseError && inner.details?.includes("BlockOutOfRangeError")) !== null;

/**
 * @param options.timeout ms until a request fails
 * @param options.retries further tries of a request that got no answer
 */
export function rpcTransport(url: string, { timeout, retries }: { timeout: number; retries: number }): Transport {
  const transport = http(url, { timeout, retryCount: retries, retryDelay: 100 });
  return (parameters) => {
    const opened = transport(parameters);
    const request = async (asked: { method: string; params?: unknown }, settings?: object): Promise<unknown> => {
      for (let tries = 1; ; tries++) {
        try {
          const answer: unknown = await opened.request(asked as never, settings);
          checkAnswer(url, asked.method, answer);
          return answer;
        } catch (error) {
          if (tries === OVERTAKEN_TRIES || !isOvertaken(error)) throw error;
        }
      }
    };
    return { ...opened, request: request as typeof opened.request };
  };
}
