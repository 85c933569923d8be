/** One RPC endpoint: a viem client with timeouts and bounded retries, errors with our types, and a check of the chain id. */
import { ContractError, CotrainError, decodeError } from "@cotrain/sdk/errors";
import { BaseError, createPublicClient, http, type PublicClient } from "viem";

import { redactUrl, InternalError, RetryableError, UserError } from "../base/index.ts";
import { unreachableChain, wrongChain } from "./anvil.ts";

export interface ConnectionOptions {
  readonly rpcUrl: string;
  /** The chain that is meant. */
  readonly chainId: number;
  /** Milliseconds until a request fails; default 10,000. */
  readonly timeout?: number;
  /** Further tries of a request that got no answer; default 2. */
  readonly retries?: number;
}

export interface ChainConnection {
  readonly url: string;
  readonly chainId: number;
  readonly client: PublicClient;
  /**
   * Awaits a call to the chain.
   * @throws ContractError for a revert; RetryableError `CHAIN_UNREACHABLE` or `CHAIN_RPC` for everything else the RPC does
   */
  readonly call: <T>(work: (client: PublicClient) => Promise<T>) => Promise<T>;
}

/** viem's names for "no answer": the machine is away, not the request wrong. */
const silent = new Set(["HttpRequestError", "TimeoutError", "WebSocketRequestError", "SocketClosedError"]);

const OVERTAKEN_TRIES = 5;

/**
 * A node that keeps no history (the embedded one) takes "latest" for a block's number and finds, when the next block is
 * mined before it reads, nothing left of it. The same question gets its answer at once.
 */
const isOvertaken = (error: unknown): boolean =>
  error instanceof BaseError &&
  error.walk((inner) => inner instanceof BaseError && inner.details?.includes("BlockOutOfRangeError")) !== null;

/** Whose transaction it was: viem writes it among the request's arguments and keeps it nowhere else. */
function senderOf(error: BaseError): string | undefined {
  let sender: string | undefined;
  error.walk((inner) => {
    const lines = inner instanceof BaseError ? (inner.metaMessages ?? []) : [];
    sender ??= /\bfrom:\s+(0x[0-9a-fA-F]{40})\b/.exec(lines.join("\n"))?.[1];
    return false;
  });
  return sender;
}

/**
 * What an RPC's failure is in our terms.
 * @param chainId of the chain behind `url`, where it is known
 */
export function chainError(url: string, error: unknown, chainId?: number): CotrainError {
  if (error instanceof CotrainError) return error;
  const revert = decodeError(error);
  if (revert) return revert;
  if (!(error instanceof BaseError))
    return new InternalError("CHAIN_CLIENT", "The chain's client failed.", { cause: error });
  const found = error.walk((inner) => inner instanceof Error && silent.has(inner.name));
  if (found) return unreachableChain(url, error);
  if (error.walk((inner) => inner instanceof Error && inner.name === "InsufficientFundsError")) {
    const sender = senderOf(error);
    const chain = chainId === undefined ? `the chain at ${redactUrl(url)}` : `chain ${chainId}`;
    return new RetryableError(
      "CHAIN_UNFUNDED",
      `The account${sender ? ` ${sender}` : " that sends the transaction"} has too few coins on ${chain} to pay its fees: send it some, then try again.`,
      { cause: error },
    );
  }
  return new RetryableError(
    "CHAIN_RPC",
    `The chain's RPC at ${redactUrl(url)} refused: ${error.shortMessage.split("\n")[0]}`,
    {
      cause: error,
    },
  );
}

/**
 * Connects, which asks for the chain id.
 * @throws UserError `RPC_URL_INVALID`, `WRONG_CHAIN`; RetryableError `CHAIN_UNREACHABLE`
 */
export async function connect(options: ConnectionOptions): Promise<ChainConnection> {
  const url = options.rpcUrl;
  if (!/^https?:\/\/./.test(url) || !URL.canParse(url))
    throw new UserError(
      "RPC_URL_INVALID",
      `"${url.slice(0, 100)}" is not the URL of an RPC: it must begin with http:// or https://.`,
    );
  const client = createPublicClient({
    transport: http(url, { timeout: options.timeout ?? 10_000, retryCount: options.retries ?? 2, retryDelay: 100 }),
    // The polling of viem's own helpers; ours waits with the clock.
    pollingInterval: 250,
    cacheTime: 0,
  });
  const call = async <T>(work: (client: PublicClient) => Promise<T>): Promise<T> => {
    for (let tries = 1; ; tries++) {
      try {
        return await work(client);
      } catch (error) {
        if (tries >= OVERTAKEN_TRIES || !isOvertaken(error)) throw chainError(url, error, options.chainId);
      }
    }
  };
  const actual = await call((chain) => chain.getChainId());
  if (actual !== options.chainId) throw wrongChain(url, actual, options.chainId);
  return { url, chainId: options.chainId, client, call };
}

/** Whether an error says that a contract refused, as opposed to a chain that is away. */
export const isRevert = (error: unknown): error is ContractError => error instanceof ContractError;
