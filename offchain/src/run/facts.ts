/** Where a run lives on-chain, so that a wallet, a block explorer or a script finds it without us. */
import { distributorsOf, modelContractsOf } from "@cotrain/sdk/actions";
import type { ContractAddresses, ModelId } from "@cotrain/sdk/protocol";
import type { Client } from "viem";

import { redactUrl, formatAddress } from "../base/index.ts";

export interface ChainFacts {
  readonly chainId: number;
  /** The RPC as it may be shown: without the keys that providers put into paths and queries. */
  readonly rpc: string;
  /** By name, in the casing of EIP-55: the deployment's contracts and the model's own. */
  readonly contracts: Readonly<Record<string, string>>;
}

/** An RPC that others may be told of, undefined where its URL may hold a key. */
export const publicRpcOf = (url: string): string | undefined =>
  redactUrl(url) === url.replace(/\/$/, "") ? url : undefined;

/** What people call a contract. */
export const contractNames: Readonly<Record<string, string>> = {
  shares: "shares (ERC-20 with votes)",
  governor: "governor",
  timelock: "timelock",
  checkpointRegistry: "checkpoint registry",
  runRegistry: "run registry",
  modelRegistry: "model registry",
  validatorSet: "validator set",
  emission: "emission",
  computeRewards: "compute rewards",
  codeGrants: "code grants",
  capitalSale: "capital sale",
  computeEscrow: "compute escrow",
};

export async function chainFacts(
  client: Client,
  where: {
    readonly chainId: number;
    readonly rpcUrl: string;
    readonly addresses: Readonly<ContractAddresses>;
    readonly modelId: ModelId;
  },
): Promise<ChainFacts> {
  const { addresses, modelId } = where;
  const [own, distributors] = await Promise.all([
    modelContractsOf(client, { addresses, modelId }),
    distributorsOf(client, { addresses }),
  ]);
  const contracts = shownContracts({ ...own, ...addresses, ...distributors });
  return { chainId: where.chainId, rpc: redactUrl(where.rpcUrl), contracts };
}

/** Contracts in the order in which they are shown, in the casing of EIP-55. */
export const shownContracts = (contracts: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(
    Object.keys(contractNames).flatMap((key) => (contracts[key] ? [[key, formatAddress(contracts[key])]] : [])),
  );
