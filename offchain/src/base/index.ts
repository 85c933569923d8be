/**
 * base: what every room needs and no field owns: typed errors, time, seeded randomness, bounded reads, durable writes,
 * hashes, bytes. May import @cotrain/sdk/{errors,protocol} and Node, nothing else of offchain. Start at errors.ts.
 */
export * from "./abort.ts";
export * from "./bytes.ts";
export * from "./clock.ts";
export * from "./commandLine.ts";
export * from "./errors.ts";
export * from "./files.ts";
export * from "./format.ts";
export * from "./hash.ts";
export * from "./locations.ts";
export * from "./printable.ts";
export * from "./random.ts";
export * from "./readers.ts";
export * from "./redact.ts";
export * from "./rounds.ts";
