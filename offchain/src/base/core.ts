/**
 * The part of base that needs neither a chain library nor the protocol's schemas. It is base's door for the help of `cotrain`, and for
 * engine, whose process starts often and runs strangers' programs: what is not loaded takes no time there, and is nothing that they
 * could turn against us.
 */
export * from "./abort.ts";
export * from "./bytes.ts";
export * from "./clock.ts";
export * from "./errors.ts";
export * from "./flags.ts";
export * from "./hash.ts";
export * from "./printable.ts";
export * from "./random.ts";
export * from "./turn.ts";
export * from "./wrapping.ts";
