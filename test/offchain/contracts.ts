/** Addresses of contracts where there is no chain. */
import type { Address, ContractAddresses } from "@cotrain/sdk/protocol";

const address = (byte: string): Address => `0x${byte.repeat(20)}`;

/** What pays for code and sells shares. */
export const distributors = { codeGrants: address("aa"), capitalSale: address("ac") };
export const modelContracts = { shares: address("a7"), governor: address("a8"), timelock: address("a9") };
export const contracts: ContractAddresses = {
  modelRegistry: address("a1"),
  runRegistry: address("a2"),
  checkpointRegistry: address("a3"),
  validatorSet: address("a4"),
  emission: address("a5"),
  computeRewards: address("a6"),
};
