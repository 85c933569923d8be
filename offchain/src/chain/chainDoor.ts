/**
 * The door of the embedded chain: what other programs of this machine, wallets and joiners through a tunnel reach by HTTP.
 * The node behind it does whatever it is told (set a balance, move the clock); the door lets through the methods of an
 * ordinary RPC alone, and no web page.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";

import { CotrainError } from "@cotrain/sdk/errors";
import type { Address } from "viem";

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
import { DoorFunds, FUND_METHOD } from "./doorFunds.ts";
import { boundedParams, PUBLIC_METHODS } from "./doorMethods.ts";
import { createDoorPool, type DoorPool } from "./doorPool.ts";
import { NodeError, type NodeLink } from "./nodeLink.ts";

const MAX_BODY_BYTES = 2 << 20;
const MAX_BATCH = 100;
/** Characters of a batch's answers after which the rest of it is refused. */
const MAX_BATCH_ANSWER = 16 << 20;
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

/** What remembers what passed the door. */
interface Passed {
  readonly pool: DoorPool;
  readonly funds: DoorFunds;
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
    if (method === FUND_METHOD) return { jsonrpc: "2.0", id: known, result: await passed.funds.fund(params) };
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
  const funds = new DoorFunds(options.link);
  const server = serve(options, limits, admitted, { pool, funds });
  const restore = async (): Promise<void> => {
    await funds.restore();
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
