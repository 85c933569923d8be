/**
 * service: what a daemon needs and no field owns: state directory, database, event log, durable jobs, keys, settings, logs,
 * metrics, lifecycle, supervision, ports and the HTTP server. Knows nothing of training or of contracts. May import base and
 * the SDK's errors and protocol (by the arrows also engine, diloco, data and storage, which it has no need of). Start at
 * state.ts for what lies on disk, at lifecycle.ts for how a process lives.
 */
export * from "./addresses.ts";
export * from "./config.ts";
export * from "./connections.ts";
export * from "./database.ts";
export * from "./diskGate.ts";
export * from "./eventLog.ts";
export * from "./http.ts";
export { addressRate, type RateCount, rateOf } from "./rateLimits.ts";
export * from "./jobs.ts";
export * from "./keystore.ts";
export * from "./lifecycle.ts";
export * from "./lock.ts";
export * from "./logging.ts";
export * from "./networks.ts";
export * from "./metrics.ts";
export * from "./ports.ts";
export * from "./readers.ts";
export * from "./schema.ts";
export * from "./state.ts";
export * from "./stateFile.ts";
export * from "./supervisor.ts";
export * from "./webGuard.ts";
