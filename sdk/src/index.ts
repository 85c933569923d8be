/** @cotrain/sdk: typed access to Cotrain's contracts, formats and coordinator. */
export * from "./errors.ts";
export * from "./protocol/index.ts";
