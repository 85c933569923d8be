/** What a deployment pins beside its contracts, of one that is on no chain. */
import type { Pins } from "../../offchain/src/run/index.ts";

const address = `0x${"7".repeat(40)}` as const;

export const anyPins: Pins = {
  implementations: { modelShares: address, modelGovernor: address, modelTimelock: address },
  codeGrants: address,
  capitalSale: address,
  stakeManager: address,
  revenueDeposits: address,
  computeBudget: address,
};
