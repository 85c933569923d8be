/**
 * The HTTP server every daemon starts from: schemas checked strictly, one form of error, health, readiness, metrics and
 * OpenAPI, uploads as streams, limits on everything that a stranger can make large. Routes are the rooms' own plugins.
 */
import { createServer, type IncomingMessage, type Server as HttpServer, type ServerResponse } from "node:http";
import { Server as HttpsServer } from "node:https";

import { Health, Readiness } from "@cotrain/sdk/protocol";
import type { TypeBoxTypeProvider } from "@fastify/type-provider-typebox";
import type { FastifyBaseLogger, FastifyInstance, FastifyReply, FastifyRequest } from "fastify";

import { parseProxy } from "./addresses.ts";
import { type ConnectionLimits, createConnectionLimit } from "./connections.ts";
import { sendError } from "./errorReplies.ts";
import { isLoopback, systemClock, UserError } from "../../base/index.ts";
import type { Logger } from "../processes/logging.ts";
import { keptFor, type Metrics } from "./metrics.ts";
import { LOOPBACK, withPort } from "./ports.ts";
import { limitRates, type RateLimits } from "./rateLimits.ts";
import { createReaderLimit, longReply, type ReaderLimits, REPLY_CHUNK } from "./readers.ts";
import type { Tls } from "./tls.ts";
import { refuseStrangers } from "./webGuard.ts";

/** Where a proxy on this machine comes from. */
const LOOPBACKS = [LOOPBACK, "::1"];

/** How long the text of the metrics is kept, ms: to make it takes milliseconds, in which nobody else is answered. */
const METRICS_KEPT_MS = 1_000;

/** A server whose routes are typed by their TypeBox schemas. */
export type HttpApp = FastifyInstance<
  HttpServer | HttpsServer,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

export interface HttpServerOptions {
  readonly logger: Logger;
  /** For OpenAPI. */
  readonly title: string;
  readonly version: string;
  /** Largest body that is read into memory, in bytes; default 1 MiB. Streams are bounded by {@link readUpload}. */
  readonly bodyLimit?: number;
  readonly tls?: Tls | undefined;
  /**
   * Address, or range of addresses, of a reverse proxy in front that ends TLS. What comes from there has its client's address
   * in X-Forwarded-For, where the proxy put it last; nobody else's header is believed.
   */
  readonly behindProxy?: string | undefined;
  readonly metrics?: Metrics;
  /** Why the server is not ready, or undefined when it is. */
  readonly notReady?: () => string | undefined;
  /** What the server waits for although it lives, e.g. room on the disk, or undefined: told by /health and /ready. */
  readonly paused?: () => string | undefined;
  /** Statuses of the error codes that may be told; of any other error whoever asks learns only whether trying again helps: 503 or 500. */
  readonly statusByCode?: Readonly<Record<string, number>>;
  /** A request must have arrived whole within this, ms; default 300,000 (uploads over slow uplinks). */
  readonly requestTimeout?: number;
  /** A silent socket is closed after this, ms; default 60,000. */
  readonly idleTimeout?: number;
  /** A request's headers must have arrived within this, ms; default 10,000. */
  readonly headersTimeout?: number;
  readonly connections?: Omit<ConnectionLimits, "exempt">;
  /** Of replies from memory that are longer than {@link REPLY_CHUNK}. */
  readonly readers?: ReaderLimits;
  readonly rateLimit?: RateLimits;
}

/** Longest part of a path that stands for something, characters. */
const MAX_PARAM_LENGTH = 256;

/** What no route has as its path. */
const NO_PATH = "/no/path";

/**
 * What the router cannot read as a path, or has a part that is too long, is no route like any other: it would run none of the hooks
 * that say who may ask, and how often.
 */
function unrouted(_error: unknown, { raw, server }: FastifyRequest, reply: FastifyReply): void {
  server.routing(Object.assign(raw, { originalUrl: raw.url, url: NO_PATH }), reply.raw);
}

/** Large, and few commands serve anything. */
const loadServer = async () => ({
  ...(await import("fastify")),
  ...(await import("@fastify/type-provider-typebox")),
  swagger: (await import("@fastify/swagger")).default,
});

/**
 * Makes the server; nothing listens yet. Register routes, then {@link listen}, or `inject` in tests. Every route should have
 * schemas; handlers throw typed errors and never build error replies.
 */
export async function createHttpServer(options: HttpServerOptions): Promise<HttpApp> {
  const { fastify, LogController, swagger, TypeBoxValidatorCompiler } = await loadServer();
  const isProxy = options.behindProxy === undefined ? () => false : parseProxy(options.behindProxy);
  const timeouts = { headersTimeout: options.headersTimeout ?? 10_000, connectionsCheckingInterval: 1_000 };
  const common = {
    loggerInstance: options.logger as FastifyBaseLogger,
    // A line per request would drown everything else; errors are logged below.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: options.bodyLimit ?? 1 << 20,
    requestTimeout: options.requestTimeout ?? 300_000,
    connectionTimeout: options.idleTimeout ?? 60_000,
    keepAliveTimeout: 30_000,
    // One hop: what a client writes into the header itself is not believed.
    trustProxy: (address: string, hop: number) => hop === 0 && isProxy(address),
    // Closing ends idle keep-alive sockets and lets requests in progress finish; the daemon's deadline bounds those.
    forceCloseConnections: "idle" as const,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    frameworkErrors: unrouted,
  };
  const app = (options.tls
    ? fastify({ ...common, https: { ...options.tls, ...timeouts, handshakeTimeout: 10_000 } })
    : fastify({ ...common, http: timeouts })) as unknown as HttpApp;
  app.withTypeProvider<TypeBoxTypeProvider>();
  const limitConnections = createConnectionLimit({ ...options.connections, exempt: isProxy });
  limitConnections(app.server);
  connectionLimits.set(app, limitConnections);
  app.addHook("onRequest", async (request) => refuseStrangers(request, isProxy));
  app.setValidatorCompiler(TypeBoxValidatorCompiler);
  const readers = createReaderLimit(options.readers);
  app.addHook("onSend", async (request, reply, payload: unknown) => {
    const long = typeof payload === "string" && payload.length > REPLY_CHUNK && request.method !== "HEAD";
    if (!long) return payload;
    const body = Buffer.from(payload);
    const stream = longReply(readers, { address: request.ip }, reply.raw, body);
    void reply.header("content-length", body.length);
    return stream;
  });
  // A client that keeps a socket without using it must not hold the end up: after two seconds what is still open is cut.
  app.addHook("preClose", async () => void setTimeout(() => app.server.closeAllConnections(), 2_000).unref());

  // The body stays a stream: whoever takes it hashes and bounds it on its way to the disk.
  app.addContentTypeParser("application/octet-stream", (_request, payload, done) => done(null, payload));

  app.setErrorHandler((error, request, reply) => sendError(error, request, reply, options.statusByCode));
  await limitRates(app, options.rateLimit);
  // Before its body is read.
  app.addHook("onRequest", async ({ is404, method, originalUrl }) => {
    if (is404) throw new UserError("NOT_FOUND", `There is no ${method} ${originalUrl.split("?")[0]}.`);
  });
  await app.register(swagger, {
    openapi: { openapi: "3.1.0", info: { title: options.title, version: options.version } },
  });

  registerStanding(app, options);
  return app;
}

/** What every daemon tells of itself. */
function registerStanding(app: HttpApp, options: HttpServerOptions): void {
  // Whoever watches over the process is never refused; what these two say costs no more than a refusal.
  const config = { rateLimit: false as const };
  // Alive is alive: what waits for room must not be killed and started again for it.
  app.get("/health", { config, schema: { hide: true, response: { 200: Health } } }, async () => {
    const reason = options.paused?.();
    return reason === undefined ? { status: "ok" as const } : { status: "paused" as const, reason };
  });
  const readiness = { hide: true, response: { 200: Readiness, 503: Readiness } };
  app.get("/ready", { config, schema: readiness }, async (_request, reply) => {
    const reason = options.notReady?.() ?? options.paused?.();
    return reason === undefined ? { ready: true } : reply.status(503).send({ ready: false, reason });
  });
  app.get("/openapi.json", { schema: { hide: true } }, async () => app.swagger());
  const { metrics, rateLimit: { monotonic = () => systemClock.monotonic() } = {} } = options;
  if (metrics) {
    const text = keptFor(METRICS_KEPT_MS, monotonic, () => metrics.text());
    app.get("/metrics", { schema: { hide: true } }, async (_request, reply) =>
      reply.type(metrics.contentType).send(await text()),
    );
  }
}

export interface ListenOptions {
  /** Default loopback. */
  readonly host?: string;
  readonly port: number;
  /** The user named this port: no other is taken in its stead. */
  readonly explicitPort: boolean;
  readonly behindProxy?: string | undefined;
  /** Plain HTTP on loopback besides: this machine's processes need no certificate. Default none. */
  readonly loopbackPort?: number | undefined;
  /** For the error when the port is taken. */
  readonly purpose?: string;
  readonly flag?: string;
}

export interface Listening {
  readonly host: string;
  readonly port: number;
  /** Where this machine reaches it: by the loopback port if there is one, and a wildcard host as loopback. */
  readonly url: string;
}

/**
 * Begins to listen. Beyond loopback this takes TLS, or an explicit word that a proxy in front has it.
 * @throws UserError `TLS_REQUIRED`, `PORT_TAKEN`, `PORT_FORBIDDEN`, `HOST_UNAVAILABLE`
 */
export async function listen(app: HttpApp, options: ListenOptions): Promise<Listening> {
  const host = options.host ?? LOOPBACK;
  const tls = app.server instanceof HttpsServer;
  checkExposure({ host, tls, behindProxy: options.behindProxy }, app.log);
  const door = options.loopbackPort === undefined ? undefined : loopbackDoor(app);
  await app.ready();
  if (door)
    await withPort({ port: options.loopbackPort ?? 0, explicit: true, flag: "--loopback-port" }, (candidate) =>
      listenOnce(door, candidate, LOOPBACK),
    );
  // Not app.listen: after a port that is taken, a Fastify instance cannot try the next one.
  const port = await withPort(
    {
      port: options.port,
      explicit: options.explicitPort,
      host,
      ...(options.purpose !== undefined && { purpose: options.purpose }),
      ...(options.flag !== undefined && { flag: options.flag }),
    },
    (candidate) => listenOnce(app.server, candidate, host),
  );
  if (door) return { host, port, url: `http://${LOOPBACK}:${options.loopbackPort}` };
  const reachable = host === "0.0.0.0" || host === "::" ? LOOPBACK : host;
  const scheme = tls ? "https" : "http";
  return { host, port, url: `${scheme}://${reachable.includes(":") ? `[${reachable}]` : reachable}:${port}` };
}

/**
 * The rule for listening beyond this machine.
 * @throws UserError `TLS_REQUIRED`, `PROXY_INVALID`
 */
export function checkExposure(
  options: { readonly host?: string; readonly tls?: boolean; readonly behindProxy?: string | undefined },
  logger?: Pick<FastifyBaseLogger, "warn">,
): void {
  const host = options.host ?? LOOPBACK;
  const { behindProxy } = options;
  const isProxy = behindProxy === undefined ? undefined : parseProxy(behindProxy);
  const proxyIsHere = isProxy !== undefined && LOOPBACKS.some(isProxy);
  if (isLoopback(host) && isProxy && !proxyIsHere) {
    throw new UserError(
      "PROXY_INVALID",
      `No proxy at ${behindProxy} reaches ${host}: give --host an address that it reaches, or --behind-proxy ${LOOPBACK} when it runs on this machine.`,
    );
  }
  if (proxyIsHere) {
    logger?.warn(
      `the proxy at ${behindProxy} is this machine: every program here may say whose requests it sends, and so escape limits per address`,
    );
  }
  if (isLoopback(host) || options.tls) return;
  if (behindProxy === undefined) {
    throw new UserError(
      "TLS_REQUIRED",
      `Listening on ${host} reaches beyond this machine and needs TLS: give --tls-cert and --tls-key, or --behind-proxy ADDRESS when a proxy there ends TLS.`,
    );
  }
  logger?.warn(`listening on ${host} in plain HTTP: it answers the proxy at ${behindProxy} and this machine alone`);
}

/**
 * The body of an `application/octet-stream` request, chunk by chunk.
 * @throws UserError `BODY_TOO_LARGE` (413) before reading when the length is announced, else at the byte too many;
 *   `BODY_MISSING` when the request has no such body
 */
export async function* readUpload(
  request: Pick<FastifyRequest, "body" | "headers">,
  maxBytes: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  const tooLarge = (): UserError =>
    new UserError("BODY_TOO_LARGE", `The body is larger than the ${maxBytes} bytes allowed.`);
  const { body } = request;
  if (typeof body !== "object" || body === null || !(Symbol.asyncIterator in body)) {
    throw new UserError("BODY_MISSING", "The body must be sent as application/octet-stream.");
  }
  if (Number(request.headers["content-length"] ?? 0) > maxBytes) throw tooLarge();
  let total = 0;
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    total += chunk.length;
    if (total > maxBytes) throw tooLarge();
    yield chunk;
  }
}

/** How each server counts its sockets; its second door counts with it. */
const connectionLimits = new WeakMap<HttpApp, ReturnType<typeof createConnectionLimit>>();

/** A second server before the same routes, with the same limits; it ends with the app. */
function loopbackDoor(app: HttpApp): HttpServer {
  const door = createServer({ connectionsCheckingInterval: 1_000 }, (request, response) =>
    app.routing(request, response),
  );
  const { requestTimeout, headersTimeout, keepAliveTimeout, timeout } = app.server;
  Object.assign(door, { requestTimeout, headersTimeout, keepAliveTimeout, timeout });
  connectionLimits.get(app)?.(door);
  app.addHook("preClose", async () => {
    door.close();
    setTimeout(() => door.closeAllConnections(), 2_000).unref();
  });
  return door;
}

function listenOnce(server: HttpServer | HttpsServer, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => {
      server.off("listening", onListening);
      reject(error);
    };
    const onListening = (): void => {
      server.off("error", onError);
      const address = server.address();
      resolve(typeof address === "object" && address ? address.port : port);
    };
    server.once("error", onError);
    server.once("listening", onListening);
    server.listen({ port, host });
  });
}
