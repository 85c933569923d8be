/** Clients that reach a coordinator's server without a socket. */
import { type CoordinatorClient, createCoordinatorClient } from "@cotrain/sdk/protocol";

import type { HttpApp } from "../../../offchain/src/service/index.ts";

export const clientOf = (app: () => HttpApp, from?: string): CoordinatorClient =>
  createCoordinatorClient("http://coordinator.test", { fetch: injected(app, from) });

/** `fetch` that goes to the server without a socket. */
function injected(app: () => HttpApp, from = "127.0.0.1"): typeof fetch {
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const reply = await app().inject({
      method: (init?.method ?? "GET") as "GET",
      remoteAddress: from,
      url: url.pathname + url.search,
      headers: (init?.headers ?? {}) as Record<string, string>,
      ...(init?.body != null && { payload: Buffer.from(init.body as string | Uint8Array) }),
    });
    const bodiless = reply.statusCode === 304 || reply.statusCode === 204;
    return new Response(bodiless ? null : new Uint8Array(reply.rawPayload), {
      status: reply.statusCode,
      headers: Object.entries(reply.headers).map(([name, value]) => [name, String(value)] as [string, string]),
    });
  };
}
