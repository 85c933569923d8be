/**
 * The door of the embedded chain: what other programs of this machine, wallets and joiners through a tunnel reach by HTTP.
 * The node behind it does whatever it is told (set a balance, move the clock); the door lets through the methods of an
 * ordinary RPC alone, and no web page.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

import { CotrainError } from "@cotrain/sdk/errors";
import { type Address, isAddress, toHex } from "viem";

import { parseJsonBounded, readStreamBounded, systemClock } from "../base/index.ts";
import {
  createConnectionLimit,
  createReaderLimit,
  isExtensionOrigin,
  isLoopbackHost,
  longReply,
  LOOPBACK,
  type PortRequest,
  REPLY_CHUNK,
  withPort,
} from "../service/index.ts";
import { BLOCK_GAS_LIMIT, createDoorPool, type DoorPool } from "./doorPool.ts";
import { NodeError, type NodeLink } from "./nodeLink.ts";

/**
 * What an ordinary RPC answers and wallets, explorers and libraries ask. Nothing of anvil_*, evm_*, hardhat_*, debug_*, and no
 * filters, which the node keeps for whoever makes them: libraries watch events by eth_getLogs instead.
 */
const PUBLIC_METHODS: ReadonlySet<string> = new Set([
  "eth_blockNumber",
  "eth_call",
  "eth_chainId",
  "eth_createAccessList",
  "eth_estimateGas",
  "eth_feeHistory",
  "eth_gasPrice",
  "eth_getBalance",
  "eth_getBlockByHash",
  "eth_getBlockByNumber",
  "eth_getBlockReceipts",
  "eth_getBlockTransactionCountByHash",
  "eth_getBlockTransactionCountByNumber",
  "eth_getCode",
  "eth_getLogs",
  "eth_getProof",
  "eth_getStorageAt",
  "eth_getTransactionByBlockHashAndIndex",
  "eth_getTransactionByBlockNumberAndIndex",
  "eth_getTransactionByHash",
  "eth_getTransactionCount",
  "eth_getTransactionReceipt",
  "eth_maxPriorityFeePerGas",
  "eth_sendRawTransaction",
  "eth_syncing",
  "net_listening",
  "net_version",
  "web3_clientVersion",
]);

/** Those that run a transaction without sending it. */
const TRIAL_METHODS: ReadonlySet<string> = new Set(["eth_call", "eth_createAccessList", "eth_estimateGas"]);
/** Gives an address play money for fees, where it has next to none: `[address]`. The door's own. */
export const FUND_METHOD = "cotrain_fund";
const FUND_BELOW = 10n ** 17n;
const FUND_TO = 10n ** 21n;
/** Accounts in a minute: each stays in the node's state. */
const FUNDED_A_MINUTE = 64;

const MAX_BODY_BYTES = 2 << 20;
const MAX_BATCH = 100;
/** Characters of a batch's answers after which the rest of it is refused. */
const MAX_BATCH_ANSWER = 16 << 20;
/** What wallets ask is less than this; each block's entry in the answer is as long as its percentiles. */
const MAX_FEE_BLOCKS = 100;
const MAX_FEE_PERCENTILES = 10;
const MAX_PROOF_KEYS = 64;

/** What strangers may take of the door; the defaults are {@link DOOR_LIMITS}. */
export interface DoorLimits {
  /** Sockets at the same time, in all and of one address. */
  readonly sockets: number;
  readonly socketsPerAddress: number;
  /** Requests at work at the same time; more are told to come again. */
  readonly atWork: number;
  /** Answers above 64 KiB that are being read at the same time; more are told to come again. */
  readonly longAnswers: number;
  /** Ms after which a request whose body has not come makes room for another. */
  readonly bodyPatience: number;
  /** Ms in which a request's headers, and the whole of it, must have come. */
  readonly headersTimeout: number;
  readonly requestTimeout: number;
  /** Ms that a socket stays without a request. */
  readonly keepAliveTimeout: number;
}

export const DOOR_LIMITS: DoorLimits = {
  sockets: 1_024,
  socketsPerAddress: 512,
  atWork: 128,
  longAnswers: 128,
  bodyPatience: 1_000,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 30_000,
};

export interface ChainDoorOptions {
  readonly link: NodeLink;
  /** Where to listen, on loopback. */
  readonly port: Omit<PortRequest, "host">;
  /** Told of every transaction that was let through. */
  readonly onTransaction?: () => void;
  readonly limits?: Partial<DoorLimits>;
}

export interface ChainDoor {
  readonly url: string;
  readonly port: number;
  /** Lets in pages of this origin: the coordinator's own. */
  admit(origin: string): void;
  /** Whose transactions are let through whatever strangers send: the run's own accounts. */
  trust(accounts: readonly Address[]): void;
  /** The node was started again: what it lost of what passed here is done again. Whoever asks meanwhile does not wait for that. */
  restarted(): void;
  close(): Promise<void>;
}

type Answer = Readonly<Record<string, unknown>>;

const failure = (id: unknown, code: number, message: string): Answer => ({
  jsonrpc: "2.0",
  id,
  error: { code, message },
});

/** Why a request is refused before its body is read. */
function refusalOf(request: IncomingMessage, admitted: ReadonlySet<string>): [status: number, why: string] | undefined {
  const { host, origin } = request.headers;
  if (!isLoopbackHost(host)) return [403, "This RPC answers under loopback names alone."];
  if (origin !== undefined && !isExtensionOrigin(origin) && !admitted.has(origin))
    return [403, "This RPC answers no web page but the coordinator's own."];
  if (request.method === "OPTIONS") return undefined;
  if (request.method !== "POST") return [405, "This RPC takes POST."];
  // A form can be sent without a preflight, and without this.
  if (!/^application\/json\s*(;|$)/i.test(request.headers["content-type"] ?? ""))
    return [415, "This RPC takes application/json."];
  if (Number(request.headers["content-length"] ?? 0) > MAX_BODY_BYTES)
    return [413, `A request has ${MAX_BODY_BYTES} bytes at most.`];
  return undefined;
}

/** Accounts that are given play money again where the node lost it. */
const MOST_GIVEN = 1_024;

/** What the door keeps of what passed it. */
interface Passed {
  readonly pool: DoorPool;
  /** Who was given something, the last last. */
  readonly given: Set<Address>;
  /** When accounts were given something, in the last minute. */
  funded: readonly number[];
}

const isPoor = async (link: NodeLink, account: Address): Promise<boolean> =>
  BigInt(String(await link.request("eth_getBalance", [account, "latest"]))) < FUND_BELOW;

const give = (link: NodeLink, account: Address): Promise<unknown> =>
  link.request("anvil_setBalance", [account, `0x${FUND_TO.toString(16)}`]);

/** Only raises a balance, and only of who has next to nothing: more than its fees is of no use to anybody. */
async function fund(link: NodeLink, params: unknown, passed: Passed): Promise<boolean> {
  const [account] = Array.isArray(params) ? (params as unknown[]) : [];
  if (typeof account !== "string" || !isAddress(account, { strict: false }))
    throw new NodeError({ code: -32_602, message: `${FUND_METHOD} takes one address` });
  if (!(await isPoor(link, account))) return false;
  const now = systemClock.monotonic();
  passed.funded = passed.funded.filter((at) => now - at < 60_000);
  if (passed.funded.length >= FUNDED_A_MINUTE)
    throw new NodeError({ code: -32_005, message: `${FUND_METHOD} gives to ${FUNDED_A_MINUTE} accounts a minute` });
  passed.funded = [...passed.funded, now];
  await give(link, account);
  passed.given.delete(account);
  passed.given.add(account);
  for (const first of passed.given) if (passed.given.size > MOST_GIVEN) passed.given.delete(first);
  return true;
}

/**
 * What a trial may say: a transaction with no more gas than a block has, and a block. Overrides would let it run code that
 * nobody deployed.
 * @returns the parameters for the node
 */
function trialParams(method: string, params: unknown): readonly unknown[] {
  const [call, ...rest] = Array.isArray(params) ? (params as unknown[]) : [];
  const refuse = (why: string): NodeError => new NodeError({ code: -32_602, message: `${method} ${why}` });
  if (typeof call !== "object" || call === null) throw refuse("takes a transaction and a block");
  if (rest.length > 1) throw refuse("takes no overrides here");
  // The node knows both names.
  const { gas, gasLimit, ...others } = call as Answer;
  const named = gas ?? gasLimit ?? undefined;
  if (named === undefined) return [others, ...rest];
  if (typeof named !== "string" || !/^0x[\da-f]{1,64}$/i.test(named)) throw refuse("takes gas as a number in hex");
  return [{ ...others, gas: BigInt(named) > BLOCK_GAS_LIMIT ? toHex(BLOCK_GAS_LIMIT) : named }, ...rest];
}

const badParams = (message: string): NodeError => new NodeError({ code: -32_602, message });

/** An answer may have fewer blocks than were asked for. */
function feeParams(params: unknown): readonly unknown[] {
  const [blocks, newest, percentiles] = Array.isArray(params) ? (params as unknown[]) : [];
  if (!["string", "number"].includes(typeof blocks) || !/^(0x[\da-f]{1,16}|\d{1,16})$/i.test(String(blocks)))
    throw badParams("eth_feeHistory takes a number of blocks");
  const isList = Array.isArray(percentiles);
  if ((!isList && percentiles != null) || (isList && percentiles.length > MAX_FEE_PERCENTILES))
    throw badParams(`eth_feeHistory takes ${MAX_FEE_PERCENTILES} percentiles at most`);
  return [toHex(Math.min(Number(blocks), MAX_FEE_BLOCKS)), newest, percentiles ?? []];
}

function proofParams(params: unknown): unknown {
  const keys: unknown = Array.isArray(params) ? params[1] : undefined;
  if (Array.isArray(keys) && keys.length <= MAX_PROOF_KEYS) return params;
  throw badParams(`eth_getProof takes a list of ${MAX_PROOF_KEYS} keys at most`);
}

/** @returns the parameters for the node: what costs it, or its answer, far more than the asking is bounded */
function boundedParams(method: string, params: unknown): unknown {
  if (TRIAL_METHODS.has(method)) return trialParams(method, params);
  if (method === "eth_feeHistory") return feeParams(params);
  return method === "eth_getProof" ? proofParams(params) : params;
}

function idOf(call: unknown): string | number | null {
  const { id } = typeof call === "object" && call !== null ? (call as Answer) : {};
  return typeof id === "string" || typeof id === "number" ? id : null;
}

async function answerOne(call: unknown, { link, onTransaction }: ChainDoorOptions, passed: Passed): Promise<Answer> {
  const { method, params = [] } = typeof call === "object" && call !== null ? (call as Answer) : {};
  const known = idOf(call);
  if (typeof method !== "string") return failure(known, -32_600, "A request names a method.");
  try {
    if (method === FUND_METHOD) return { jsonrpc: "2.0", id: known, result: await fund(link, params, passed) };
    if (!PUBLIC_METHODS.has(method))
      // In the words by which ethers knows that it has to do without a method.
      return failure(known, -32_601, `The method ${method.slice(0, 80)} does not exist for callers from outside.`);
    if (method === "eth_sendRawTransaction") {
      const hash = await passed.pool.send(params);
      onTransaction?.();
      return { jsonrpc: "2.0", id: known, result: hash };
    }
    const result = await link.request(method, boundedParams(method, params));
    return { jsonrpc: "2.0", id: known, result };
  } catch (error) {
    if (error instanceof NodeError) return { jsonrpc: "2.0", id: known, error: error.answer };
    throw error;
  }
}

/** @returns JSON */
async function answerBody(body: Uint8Array, options: ChainDoorOptions, passed: Passed): Promise<string> {
  let value: unknown;
  try {
    value = parseJsonBounded(body, MAX_BODY_BYTES, "The request");
  } catch {
    return JSON.stringify(failure(null, -32_700, "The request is no JSON."));
  }
  if (!Array.isArray(value)) return JSON.stringify(await answerOne(value, options, passed));
  if (value.length === 0 || value.length > MAX_BATCH)
    return JSON.stringify(failure(null, -32_600, `A batch has one request at least and ${MAX_BATCH} at most.`));
  const answers: string[] = [];
  let length = 0;
  // One after another: a batch is no way to ask more at once than others may.
  for (const call of value) {
    const tooLong = "The answers to this batch are too long: ask for less at once.";
    const isFull = length > MAX_BATCH_ANSWER;
    const answer = JSON.stringify(
      isFull ? failure(idOf(call), -32_005, tooLong) : await answerOne(call, options, passed),
    );
    answers.push(answer);
    length += answer.length;
  }
  return `[${answers.join(",")}]`;
}

/** What lets a page of an admitted origin read the answer; others get nothing of the kind. */
function corsOf(origin: string | undefined): Record<string, string> {
  if (origin === undefined) return {};
  return {
    "access-control-allow-origin": origin,
    "access-control-allow-headers": "content-type",
    "access-control-allow-methods": "POST",
    vary: "origin",
  };
}

function serve(options: ChainDoorOptions, limits: DoorLimits, admitted: ReadonlySet<string>, passed: Passed): Server {
  const readers = createReaderLimit({ perAddress: limits.longAnswers });
  let atWork = 0;
  /** Since when those at work are read whose body has not come, the first first. */
  const reading = new Map<IncomingMessage, number>();
  const makeRoom = (): boolean => {
    const [[slowest, since] = []] = reading;
    if (!slowest || systemClock.monotonic() - since! < limits.bodyPatience) return false;
    reading.delete(slowest);
    slowest.destroy();
    return true;
  };
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    // Of a request that is given up it is not to be had any more.
    const asker = { address: request.socket.remoteAddress ?? "" };
    const send = (status: number, body: Answer | string, headers: Record<string, string> = {}): void => {
      if (!request.complete) headers["connection"] = "close";
      const bytes = Buffer.from(typeof body === "string" ? body : JSON.stringify(body));
      const long = bytes.length > REPLY_CHUNK ? longReply(readers, asker, response, bytes) : undefined;
      const length = { "content-length": bytes.length };
      response.writeHead(status, { "content-type": "application/json", ...length, ...headers });
      if (long) long.pipe(response);
      else response.end(bytes);
    };
    const refusal = refusalOf(request, admitted);
    if (refusal) {
      send(refusal[0], failure(null, -32_600, refusal[1]));
      return;
    }
    const cors = corsOf(request.headers.origin);
    if (request.method === "OPTIONS") {
      response.writeHead(204, cors).end();
      return;
    }
    if (atWork >= limits.atWork && !makeRoom()) {
      send(503, failure(null, -32_005, "Too many requests at once: try again."), { "retry-after": "1" });
      return;
    }
    atWork += 1;
    try {
      reading.set(request, systemClock.monotonic());
      const body = await readStreamBounded(request as AsyncIterable<Uint8Array>, MAX_BODY_BYTES, "The request");
      reading.delete(request);
      send(200, await answerBody(body, options, passed), cors);
    } catch (error) {
      if (error instanceof CotrainError && error.code === "STREAM_TOO_LARGE")
        send(413, failure(null, -32_600, error.message));
      // As if nothing listened: the client's rules for a chain that is away are the right ones.
      else if (error instanceof CotrainError) send(503, failure(null, -32_000, error.message));
      else response.destroy();
    } finally {
      reading.delete(request);
      atWork -= 1;
    }
  };
  const { headersTimeout, requestTimeout, keepAliveTimeout } = limits;
  const timeouts = { headersTimeout, requestTimeout, keepAliveTimeout };
  // How often sockets are looked through for those whose time is over.
  const connectionsCheckingInterval = headersTimeout / 2;
  return createServer({ ...timeouts, connectionsCheckingInterval }, (request, response) => {
    void handle(request, response);
  });
}

/**
 * Opens the door on loopback.
 * @throws as `withPort` of service
 */
export async function openChainDoor(options: ChainDoorOptions): Promise<ChainDoor> {
  const admitted = new Set<string>();
  const limits = { ...DOOR_LIMITS, ...options.limits };
  const pool = createDoorPool(options.link);
  const given = new Set<Address>();
  const server = serve(options, limits, admitted, { pool, given, funded: [] });
  const restore = async (): Promise<void> => {
    for (const account of given) if (await isPoor(options.link, account)) await give(options.link, account);
    await pool.resend();
  };
  createConnectionLimit({ total: limits.sockets, perAddress: limits.socketsPerAddress })(server);
  const port = await withPort(
    { ...options.port, host: LOOPBACK },
    (candidate) =>
      new Promise<number>((resolve, reject) => {
        server.once("error", reject);
        server.listen({ port: candidate, host: LOOPBACK }, () => {
          server.off("error", reject);
          const address = server.address();
          resolve(typeof address === "object" && address ? address.port : candidate);
        });
      }),
  );
  return {
    url: `http://${LOOPBACK}:${port}`,
    port,
    admit: (origin) => void admitted.add(origin),
    trust: (accounts) => pool.trust(accounts),
    restarted: () => {
      // A node that is away again is restored at its next start.
      restore().catch(() => undefined);
    },
    close: () =>
      new Promise((resolve) => {
        pool.close();
        options.link.close();
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
