/**
 * One class for each custom error that a contract can revert with, named as the contract names it, with the sentence a user
 * can act on. `decodeError` makes them; `error instanceof ComputeRewardsExpiredError` tells them apart.
 */
export { ContractError, type ContractErrorArgs, type ContractErrorClass, type ContractErrorName } from "./define.ts";
export * from "./capitalSale.ts";
export * from "./checkpointRegistry.ts";
export * from "./codeGrants.ts";
export * from "./computeBudget.ts";
export * from "./computeEscrow.ts";
export * from "./computeRewards.ts";
export * from "./disputes.ts";
export * from "./emission.ts";
export * from "./governance.ts";
export * from "./models.ts";
export * from "./openZeppelin.ts";
export * from "./revenueDeposits.ts";
export * from "./runRegistry.ts";
export * from "./shares.ts";
export * from "./stakeManager.ts";
export * from "./tokenVault.ts";
export * from "./validatorSet.ts";
