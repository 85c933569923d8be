/** What a call says to a contract of the protocol's, for whoever is to agree to it: a holder before a vote, a wallet before it signs. */
import {
  type Abi,
  type AbiFunction,
  type Address,
  decodeFunctionData,
  getAbiItem,
  type Hex,
  isAddressEqual,
} from "viem";

import {
  capitalSaleAbi,
  checkpointRegistryAbi,
  codeGrantsAbi,
  computeBudgetAbi,
  computeRewardsAbi,
  emissionAbi,
  modelGovernorAbi,
  modelRegistryAbi,
  modelSharesAbi,
  modelTimelockAbi,
  runRegistryAbi,
  stakeManagerAbi,
  validatorSetAbi,
} from "../abis/index.ts";
import type { ContractAddresses } from "../protocol/index.ts";
import type { ModelContracts } from "./models.ts";

/** A call that a contract takes. */
export interface DecodedCall {
  /** The contract's name in Solidity. */
  readonly contract: string;
  readonly functionName: string;
  readonly args: readonly unknown[];
  readonly inputs: AbiFunction["inputs"];
}

/** A contract by its name, address and ABI. */
type KnownContract = readonly [name: string, address: Address, abi: Abi];

/** Bytes of a call that are decoded: what says one thing many times takes memory many times over. */
const MOST_BYTES = 131_072;

/**
 * Decodes a call of one of the protocol's contracts, of a model's own, or of `others`.
 * @param place with `codeGrants`, `capitalSale`, `stakeManager` and `computeBudget` where their calls are to be known: `codeGrantsOf`,
 * `capitalSaleOf`, `stakeManagerOf` and `computeBudgetContractOf` say where they are
 * @returns undefined where none of them has that address, or takes such a call, or where it has more than 128 KiB
 */
export function decodeCall(
  {
    addresses,
    contracts,
    codeGrants,
    capitalSale,
    stakeManager,
    computeBudget,
  }: {
    readonly addresses: ContractAddresses;
    readonly contracts: ModelContracts;
    readonly codeGrants?: Address | undefined;
    readonly capitalSale?: Address | undefined;
    readonly stakeManager?: Address | undefined;
    readonly computeBudget?: Address | undefined;
  },
  { target, data }: { readonly target: Address; readonly data: Hex },
  others: readonly KnownContract[] = [],
): DecodedCall | undefined {
  if (data.length > 2 + 2 * MOST_BYTES) return undefined;
  const known: readonly KnownContract[] = [
    ["RunRegistry", addresses.runRegistry, runRegistryAbi],
    ["ValidatorSet", addresses.validatorSet, validatorSetAbi],
    ["Emission", addresses.emission, emissionAbi],
    ["ComputeRewards", addresses.computeRewards, computeRewardsAbi],
    ["CheckpointRegistry", addresses.checkpointRegistry, checkpointRegistryAbi],
    ["ModelRegistry", addresses.modelRegistry, modelRegistryAbi],
    ...(codeGrants === undefined ? [] : [["CodeGrants", codeGrants, codeGrantsAbi] as const]),
    ...(capitalSale === undefined ? [] : [["CapitalSale", capitalSale, capitalSaleAbi] as const]),
    ...(stakeManager === undefined ? [] : [["StakeManager", stakeManager, stakeManagerAbi] as const]),
    ...(computeBudget === undefined ? [] : [["ComputeBudget", computeBudget, computeBudgetAbi] as const]),
    ["ModelGovernor", contracts.governor, modelGovernorAbi],
    ["ModelTimelock", contracts.timelock, modelTimelockAbi],
    ["ModelShares", contracts.shares, modelSharesAbi],
    ...others,
  ];
  const [contract, , abi] = known.find(([, address]) => isAddressEqual(address, target)) ?? [];
  if (contract === undefined || abi === undefined) return undefined;
  try {
    const { functionName, args = [] } = decodeFunctionData({ abi, data });
    const item = getAbiItem({ abi, name: functionName, args }) as AbiFunction | undefined;
    return { contract, functionName, args, inputs: item?.inputs ?? [] };
  } catch {
    // Whatever bytes somebody wrote: the contract would refuse them.
    return undefined;
  }
}
