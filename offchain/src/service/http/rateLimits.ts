/**
 * How often somebody may ask. By default each address is counted; a route that knows who asks counts that instead, so that
 * many behind one address do not pay for each other, and charges the address for those who are not who they say.
 */
import type { FastifyInstance, FastifyRequest } from "fastify";

import { isLoopback, RetryableError, systemClock } from "../../base/index.ts";
import { addressGroup } from "./addresses.ts";
import { rateWindows } from "./rateWindows.ts";

export interface RateLimits {
  /** Requests a minute from elsewhere; default 1,200. */
  readonly remote?: number;
  /** And from this machine; default 120,000. */
  readonly loopback?: number;
  /** Ms that only ever rise; the system's if not said. */
  readonly monotonic?: () => number;
}

/** Addresses, or others who are counted, whose requests are remembered. */
const REMEMBERED = 10_000;

export class RateLimited extends RetryableError {
  constructor(who: string, ttl: number) {
    const retryAfterSeconds = Math.ceil(ttl / 1_000);
    const details = { retryAfterSeconds };
    super("RATE_LIMITED", `Too many requests from this ${who}: try again in ${retryAfterSeconds} s.`, { details });
  }
}

/** Limits every route for each address, but those with `config: { rateLimit: false }`; what is no route counts like one. */
export async function limitRates(
  app: Pick<FastifyInstance, "register" | "addHook" | "createRateLimit">,
  limits: RateLimits = {},
): Promise<void> {
  const { remote = 1_200, loopback = 120_000, monotonic = () => systemClock.monotonic() } = limits;
  const { default: rateLimit } = await import("@fastify/rate-limit");
  await app.register(rateLimit, {
    max: (request: FastifyRequest) => (isLoopback(request.ip) ? loopback : remote),
    timeWindow: 60_000,
    store: rateWindows(monotonic, REMEMBERED),
    keyGenerator: (request: FastifyRequest) => addressGroup(request.ip),
    errorResponseBuilder: (_request, context) => new RateLimited("address", context.ttl),
  });
  const charge = addressRate(app);
  app.addHook("onRequest", async (request) => {
    if (request.is404) await charge(request);
  });
}

/** Counts a request. @throws RateLimited when it is one too many */
export type RateCount = (request: FastifyRequest) => Promise<void>;

/** Counts a request against its address, together with those that are counted by themselves. */
export const addressRate = (app: Pick<FastifyInstance, "createRateLimit">): RateCount =>
  counting("address", app.createRateLimit());

/** Counts a request against whoever is known to have sent it; each has as many as an address has. */
export const rateOf = (
  app: Pick<FastifyInstance, "createRateLimit">,
  who: string,
  key: (request: FastifyRequest) => string,
): RateCount => counting(who, app.createRateLimit({ keyGenerator: key }));

function counting(who: string, count: ReturnType<FastifyInstance["createRateLimit"]>): RateCount {
  return async (request) => {
    const found = await count(request);
    if (!found.isAllowed && found.isExceeded) throw new RateLimited(who, found.ttl);
  };
}
