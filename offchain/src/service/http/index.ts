/** The HTTP server that every daemon starts from, with its limits on sockets, requests and replies, and its metrics. */
export * from "./addresses.ts";
export * from "./connections.ts";
export * from "./metrics.ts";
export * from "./networks.ts";
export * from "./ports.ts";
export { addressRate, RateLimited, rateOf } from "./rateLimits.ts";
export * from "./readers.ts";
export * from "./server.ts";
export * from "./tls.ts";
export * from "./webGuard.ts";
