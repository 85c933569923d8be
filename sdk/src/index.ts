/**
 * @cotrain/sdk: typed access to Cotrain's contracts, formats and coordinator. `createCoordinatorClient` is the off-chain half,
 * `cotrainActions` (or the single actions of @cotrain/sdk/actions) the on-chain half.
 */
export * from "./actions/index.ts";
export * from "./addresses.ts";
export * from "./errors.ts";
export * from "./protocol/index.ts";
