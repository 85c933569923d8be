/** TCP ports: a default port gives way to a free one, a port that was asked for does not. */
import { createServer } from "node:net";

import { errnoOf, UserError } from "../../base/index.ts";

/** Where servers listen unless told otherwise. */
export const LOOPBACK = "127.0.0.1";

const TRIES = 64;

export interface PortRequest {
  /** 0 means any. */
  readonly port: number;
  /** The user named this port: it or nothing. */
  readonly explicit: boolean;
  /** Default {@link LOOPBACK}. */
  readonly host?: string;
  /** For the error: who wants it and the flag that names it. */
  readonly purpose?: string;
  readonly flag?: string;
  /** Ports promised to others already. */
  readonly exclude?: ReadonlySet<number>;
}

/**
 * Calls `listen` with one port after another until it does not fail with "address in use": the port asked for, then, unless
 * it was explicit, those above it, at last any free one. Listening and choosing in one step leaves no gap to lose it in.
 * @throws UserError `PORT_TAKEN`, `HOST_UNAVAILABLE`, `PORT_FORBIDDEN`; anything else that `listen` throws
 */
export async function withPort<T>(request: PortRequest, listen: (port: number) => Promise<T>): Promise<T> {
  const candidates = candidatesOf(request);
  for (const [index, port] of candidates.entries()) {
    try {
      return await listen(port);
    } catch (error) {
      if (errnoOf(error) !== "EADDRINUSE" || index === candidates.length - 1) throw portError(request, port, error);
    }
  }
  throw portError(request, request.port, undefined);
}

/**
 * A port that is free at this moment, for programs that are told their port (they may still lose it to someone else).
 * @throws as {@link withPort}
 */
export async function findPort(request: PortRequest): Promise<number> {
  return withPort(request, (port) => probe(port, request.host ?? LOOPBACK, request.exclude));
}

function candidatesOf(request: PortRequest): number[] {
  if (request.explicit || request.port === 0) return [request.port];
  const above = Array.from({ length: TRIES }, (_, index) => request.port + index);
  return [...above.filter((port) => port <= 65_535 && !request.exclude?.has(port)), 0];
}

function probe(port: number, host: string, exclude: ReadonlySet<number> | undefined): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen({ port, host, exclusive: true }, () => {
      const address = server.address();
      const found = typeof address === "object" && address ? address.port : port;
      server.close(() => {
        if (exclude?.has(found)) probe(port, host, exclude).then(resolve, reject);
        else resolve(found);
      });
    });
  });
}

function portError(request: PortRequest, port: number, error: unknown): unknown {
  const host = request.host ?? LOOPBACK;
  const purpose = request.purpose ?? "this server";
  const flag = request.flag ?? "--port";
  switch (errnoOf(error)) {
    case "EADDRINUSE":
      return new UserError(
        "PORT_TAKEN",
        `Port ${port} on ${host} is in use by another program, so ${purpose} cannot listen there: stop that program, or name another port with ${flag}.`,
        { cause: error, details: { port, host } },
      );
    case "EACCES":
      return new UserError(
        "PORT_FORBIDDEN",
        `This user may not listen on port ${port}: name a port above 1023 with ${flag}.`,
        {
          cause: error,
          details: { port, host },
        },
      );
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return new UserError(
        "HOST_UNAVAILABLE",
        `${host} is not an address of this machine: name one that is with --host (0.0.0.0 for all).`,
        {
          cause: error,
          details: { host },
        },
      );
    default:
      return error;
  }
}
