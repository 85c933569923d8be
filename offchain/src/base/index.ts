/**
 * base: what every room needs and no field owns: typed errors, time, trying again, seeded randomness, bounded reads, hashes, bytes. Runs in
 * a browser too: what needs Node (files, durable writes, command lines) is entered by node/index.ts, and platform/ has what
 * both have in their own way. May import @cotrain/sdk/{base,errors,protocol}, nothing else of offchain. Start at errors.ts.
 */
export * from "./backoff.ts";
export * from "./core.ts";
export * from "./fmix32.ts";
export * from "./format.ts";
export * from "./loopback.ts";
export * from "./readers.ts";
export * from "./redact.ts";
export * from "./rounds.ts";
