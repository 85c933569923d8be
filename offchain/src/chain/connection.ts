/** One RPC endpoint: a viem client with timeouts and bounded retries, errors with our types, and a check of the chain id. */
import { ContractError, CotrainError, decodeError } from "@cotrain/sdk/errors";
import { BaseError, createPublicClient, HttpRequestError, type PublicClient, RpcRequestError } from "viem";

import { redactUrl, InternalError, printable, RetryableError, UserError } from "../base/index.ts";
import { unreachableChain, wrongChain } from "./anvil.ts";
import { DEFAULT_MAX_FEE } from "./fees.ts";
import { type FetchFunction, isRedirect, rpcTransport } from "./transport.ts";

export interface ConnectionOptions {
  readonly rpcUrl: string;
  /** The chain that is meant. */
  readonly chainId: number;
  /** Milliseconds until a request fails; default 10,000. */
  readonly timeout?: number;
  /** Further tries of a request that got no answer; default 2. */
  readonly retries?: number;
  /** Wei that the fees of one transaction may take; default {@link DEFAULT_MAX_FEE}. */
  readonly maxFee?: bigint;
  /** What sends the requests; default: the platform's. */
  readonly fetch?: FetchFunction | undefined;
}

export interface ChainConnection {
  readonly url: string;
  readonly chainId: number;
  readonly client: PublicClient;
  /** Wei that the fees of one transaction may take. */
  readonly maxFee: bigint;
  /**
   * Awaits a call to the chain, and that the RPC is still the chain that is meant: what another one says is believed in
   * nothing, neither a result nor a revert.
   * @throws ContractError for a revert; RetryableError `CHAIN_UNREACHABLE`, `CHAIN_CHANGED` or `CHAIN_RPC` for everything
   *   else the RPC does
   */
  readonly call: <T>(work: (client: PublicClient) => Promise<T>) => Promise<T>;
  /** Asks the RPC which chain it is. @throws RetryableError as `call` */
  readonly sameChain: () => Promise<void>;
}

/** viem's names for "no answer": the machine is away, not the request wrong. */
const silent = new Set(["HttpRequestError", "TimeoutError", "WebSocketRequestError", "SocketClosedError"]);

const redirects = (url: string): string =>
  `The chain's RPC at ${redactUrl(url)} redirects requests elsewhere, where nothing is sent: name the RPC's own address with --rpc.`;

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

/** What the node itself said, cut and made printable, where viem's own sentence about the code does not have it. */
function saidBy(error: BaseError): string {
  const answer = error.walk((inner) => inner instanceof RpcRequestError);
  const said = answer instanceof RpcRequestError ? printable(answer.details.slice(0, 200)).trim() : "";
  return said === "" || error.shortMessage.includes(said) ? "" : ` It said: ${JSON.stringify(said)}.`;
}

/**
 * What an RPC's failure is in our terms.
 * @param chainId of the chain behind `url`, where it is known
 */
export function chainError(url: string, error: unknown, chainId?: number): CotrainError {
  if (error instanceof CotrainError) return error;
  const own = error instanceof BaseError && error.walk((inner) => inner instanceof CotrainError);
  if (own instanceof CotrainError && !(own instanceof ContractError)) return own;
  const revert = decodeError(error);
  if (revert) return revert;
  // viem reads answers without looking at their form first.
  if (error instanceof TypeError || error instanceof SyntaxError || error instanceof RangeError)
    return new RetryableError("CHAIN_RPC", `The chain's RPC at ${redactUrl(url)} answered with what is no answer.`, {
      cause: error,
    });
  if (!(error instanceof BaseError))
    return new InternalError("CHAIN_CLIENT", "The chain's client failed.", { cause: error });
  if (isRedirect(error)) return new RetryableError("CHAIN_UNREACHABLE", redirects(url), { cause: error });
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
    `The chain's RPC at ${redactUrl(url)} refused: ${error.shortMessage.split("\n")[0]}${saidBy(error)}`,
    { cause: error },
  );
}

/**
 * The error for a URL at which something answers that is no JSON-RPC, undefined where it may be one. Only at first: of an RPC
 * that has answered, whatever stands in front of it may say the same for a while.
 */
export function noRpc(url: string, error: unknown): UserError | undefined {
  for (let at = error; at instanceof Error; at = at.cause) {
    if (isRedirect(at)) return new UserError("CHAIN_NOT_RPC", redirects(url), { cause: error });
    const status = at instanceof HttpRequestError ? at.status : undefined;
    if (status === 404 || status === 405 || at instanceof SyntaxError)
      return new UserError(
        "CHAIN_NOT_RPC",
        `What answers at ${redactUrl(url)} is no JSON-RPC of a chain: name the chain's own with --rpc.`,
        { cause: error },
      );
  }
  return undefined;
}

/** Whether the RPC still is the chain; whoever asks at the same time shares the answer, which none of them precedes. */
function chainCheck(url: string, client: PublicClient, chainId: number): () => Promise<void> {
  let next: Promise<void> | undefined;
  const ask = async (): Promise<void> => {
    await Promise.resolve();
    next = undefined;
    let actual: number;
    try {
      actual = await client.getChainId();
    } catch (error) {
      throw chainError(url, error, chainId);
    }
    if (actual !== chainId) throw changedChain(url, actual, chainId);
  };
  return () => (next ??= ask());
}

const changedChain = (url: string, actual: number, expected: number): RetryableError =>
  new RetryableError(
    "CHAIN_CHANGED",
    `The RPC at ${redactUrl(url)} now is chain ${actual}, not ${expected}: nothing is read or sent there until it is chain ${expected} again.`,
    { details: { actual, expected } },
  );

/**
 * Connects, which asks for the chain id.
 * @throws UserError `RPC_URL_INVALID`, `WRONG_CHAIN`, `CHAIN_NOT_RPC`; RetryableError `CHAIN_UNREACHABLE`
 */
export async function connect(options: ConnectionOptions): Promise<ChainConnection> {
  const url = options.rpcUrl;
  if (!/^https?:\/\/./.test(url) || !URL.canParse(url))
    throw new UserError(
      "RPC_URL_INVALID",
      `"${url.slice(0, 100)}" is not the URL of an RPC: it must begin with http:// or https://.`,
    );
  const client = createPublicClient({
    transport: rpcTransport(url, {
      timeout: options.timeout ?? 10_000,
      retries: options.retries ?? 2,
      fetch: options.fetch,
    }),
    // The polling of viem's own helpers; ours waits with the clock.
    pollingInterval: 250,
    cacheTime: 0,
  });
  const sameChain = chainCheck(url, client, options.chainId);
  const call = async <T>(work: (client: PublicClient) => Promise<T>): Promise<T> => {
    let result: T;
    try {
      result = await work(client);
    } catch (error) {
      const found = chainError(url, error, options.chainId);
      if (found.code !== "CHAIN_UNREACHABLE") await sameChain();
      throw found;
    }
    await sameChain();
    return result;
  };
  try {
    await sameChain();
  } catch (error) {
    if (!(error instanceof RetryableError) || error.code !== "CHAIN_CHANGED") throw noRpc(url, error) ?? error;
    throw wrongChain(url, Number(error.details?.["actual"]), options.chainId);
  }
  const { chainId, maxFee = DEFAULT_MAX_FEE } = options;
  return { url, chainId, client, maxFee, call, sameChain };
}

const away = new Set(["CHAIN_UNREACHABLE", "CHAIN_RPC", "CHAIN_CHANGED"]);

/** Whether the chain is away, or its RPC answers nonsense or for another chain: it is waited for. */
export const isAway = (error: unknown): boolean => error instanceof RetryableError && away.has(error.code);

/** Whether an error says that a contract refused, as opposed to a chain that is away. */
export const isRevert = (error: unknown): error is ContractError => error instanceof ContractError;

/** Code of JSON-RPC for a call that reverts (EIP-1474). */
const REVERTED_CODE = 3;

/**
 * Whether the node ran a call and the call failed, for a reason that is in no ABI here, or for none: as opposed to a node that
 * does not answer, or not this question. Of what `call` throws its cause tells.
 */
export function saysReverted(error: unknown): boolean {
  if (error instanceof RetryableError && error.code === "CHAIN_RPC") return saysReverted(error.cause);
  if (!(error instanceof BaseError)) return isRevert(error);
  const said = error.walk(
    (inner) =>
      inner instanceof RpcRequestError &&
      (inner.code === REVERTED_CODE ||
        /revert|opcode|out of ?gas|gas required exceeds|vm execution error/i.test(inner.details)),
  );
  return said !== null;
}
