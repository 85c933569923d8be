/**
 * Events for servers: read in bounded ranges of blocks, not before they are confirmed, and resumed where the last reading
 * ended, with a reorganisation noticed.
 */
import {
  type Abi,
  type Address,
  type Client,
  type ContractEventName,
  type GetContractEventsParameters,
  type GetContractEventsReturnType,
  type GetBlockReturnType,
  type Hash,
  HttpRequestError,
  RpcError,
  RpcRequestError,
  UnknownRpcError,
} from "viem";
import { getBlock, getContractEvents } from "viem/actions";
import { ChainReorganisedError } from "../baseErrors.ts";
import { withContractErrors } from "../decodeError.ts";

/** Which events: a contract's, of one name, narrowed by indexed arguments. `events.ts` has those of Cotrain. */
export interface EventQuery<abi extends Abi, name extends ContractEventName<abi>> {
  readonly address: Address;
  readonly abi: abi;
  readonly eventName: name;
  readonly args?: Readonly<Record<string, unknown>>;
}

export type EventLogs<abi extends Abi, name extends ContractEventName<abi>> = GetContractEventsReturnType<
  abi,
  name,
  true
>;

/** Where reading goes on. JSON-safe but for the bigint; keep it with what was made of the events. */
export interface LogCursor {
  /** First block not yet read. */
  readonly next: bigint;
  /** Hash of the block before it, null where nothing has been read. */
  readonly lastHash: Hash | null;
}

export interface LogOptions {
  /** A cursor of an earlier page, or the block to begin at (the contract's, see `Deployment.blocks`). */
  readonly from: LogCursor | bigint;
  /** Blocks at the tip that are not read yet. Default 0. */
  readonly confirmations?: number;
  /** Blocks of one request at most; halved where the node refuses. Default 2,000. */
  readonly range?: number;
  /** Last block to read; the tip less the confirmations if that comes first. */
  readonly to?: bigint;
}

export interface LogPage<Logs> {
  readonly logs: Logs;
  readonly cursor: LogCursor;
  /** Whether all is read that there was to read. */
  readonly done: boolean;
}

type Tip = Pick<GetBlockReturnType, "hash" | "number" | "parentHash">;

/** The hash of a block. Near the tip the tip knows it: who follows a chain asks for one block each time, not for three. */
async function hashOf(client: Client, number: bigint, tip: Tip): Promise<Hash | undefined> {
  if (number === tip.number) return tip.hash;
  if (number + 1n === tip.number) return tip.parentHash;
  return (await getBlock(client, { blockNumber: number }).catch(() => undefined))?.hash;
}

async function checkCursor(client: Client, { next, lastHash }: LogCursor, tip: Tip): Promise<void> {
  if (lastHash === null || next === 0n) return;
  if ((await hashOf(client, next - 1n, tip)) !== lastHash) throw new ChainReorganisedError(next - 1n, tip.number);
}

/**
 * The next page of events: one range of blocks.
 * @example
 * let page = await getLogPage(client, headPosted({ addresses, runId }), { from: BigInt(deployment.blocks.checkpointRegistry) })
 * while (!page.done) page = await getLogPage(client, headPosted({ addresses, runId }), { from: page.cursor })
 * @throws ChainReorganisedError (retryable) when the chain no longer holds the cursor's block, or, as it says (`mayLag`), not yet
 */
export async function getLogPage<const abi extends Abi, name extends ContractEventName<abi>>(
  client: Client,
  query: EventQuery<abi, name>,
  options: LogOptions,
): Promise<LogPage<EventLogs<abi, name>>> {
  const { confirmations = 0, range = 2_000 } = options;
  const cursor = typeof options.from === "bigint" ? { next: options.from, lastHash: null } : options.from;
  const tip = await getBlock(client, { blockTag: "latest" });
  await checkCursor(client, cursor, tip);
  const settled = tip.number - BigInt(confirmations);
  const last = options.to !== undefined && options.to < settled ? options.to : settled;
  if (cursor.next > last) return { logs: [] as unknown as EventLogs<abi, name>, cursor, done: true };

  let size = BigInt(range);
  for (;;) {
    const end = cursor.next + size - 1n < last ? cursor.next + size - 1n : last;
    try {
      const [logs, lastHash] = await Promise.all([
        getContractEvents(client, {
          ...query,
          fromBlock: cursor.next,
          toBlock: end,
          strict: true,
        } as unknown as GetContractEventsParameters<abi, name, true, bigint, bigint>),
        hashOf(client, end, tip),
      ]);
      // Lost between the questions, as the next page would notice, or asked of a node that lags.
      if (lastHash === undefined) throw new ChainReorganisedError(end, end - 1n);
      const next: LogCursor = { next: end + 1n, lastHash };
      return { logs: logs as unknown as EventLogs<abi, name>, cursor: next, done: end === last };
    } catch (error) {
      // Nodes word "too many blocks" and "too many results" in many ways; a smaller range answers to all of them.
      if (size === 1n || !isRefusal(error)) throw await withContractErrors(Promise.reject(error));
      size /= 2n;
    }
  }
}

/** Whether the node answered and did not like the question; a node that is away is no such thing. */
function isRefusal(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof UnknownRpcError) return false;
    if (cause instanceof RpcError || cause instanceof RpcRequestError) return true;
    if (cause instanceof HttpRequestError) return cause.status === 400 || cause.status === 413;
  }
  return false;
}

/** All pages at once, for histories that fit into memory. */
export async function getAllLogs<const abi extends Abi, name extends ContractEventName<abi>>(
  client: Client,
  query: EventQuery<abi, name>,
  options: LogOptions,
): Promise<{ readonly logs: EventLogs<abi, name>; readonly cursor: LogCursor }> {
  const logs: unknown[] = [];
  let page = await getLogPage(client, query, options);
  logs.push(...page.logs);
  while (!page.done) {
    page = await getLogPage(client, query, { ...options, from: page.cursor });
    logs.push(...page.logs);
  }
  return { logs: logs as unknown as EventLogs<abi, name>, cursor: page.cursor };
}
