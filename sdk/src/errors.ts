/** @cotrain/sdk/errors: every error that the SDK throws, contract reverts included, and how to get from a revert to its class. */
export * from "./baseErrors.ts";
export * from "./contractErrors/index.ts";
export * from "./decodeError.ts";
