/** @cotrain/sdk/addresses: where Cotrain's contracts are. Models' own contracts (shares, governor, timelock) are in ModelRegistry. */
import type { Client } from "viem";
import { DeploymentUnknownError } from "./baseErrors.ts";
import type { ContractAddresses } from "./protocol/documents.ts";

export type { ContractAddresses } from "./protocol/documents.ts";

export type ContractName = keyof ContractAddresses;

/** A deployment as `deploy/` records it. Addresses are in lower case. */
export interface Deployment {
  readonly chainId: number;
  readonly addresses: Readonly<ContractAddresses>;
  /** In which block each contract came to be; events are read from there on. */
  readonly blocks: Readonly<Record<ContractName, number>>;
}

/** Published deployments by chain id. Local ones are no part of the package: pass their addresses. */
export const deployments: Readonly<Record<number, Deployment>> = {};

/** @throws DeploymentUnknownError */
export function deploymentOf(chainId: number): Deployment {
  const deployment = deployments[chainId];
  if (!deployment) throw new DeploymentUnknownError(chainId);
  return deployment;
}

/** The addresses given, else those of the published deployment on the client's chain. @throws DeploymentUnknownError */
export function addressesFor(client: Client, addresses?: Readonly<ContractAddresses>): Readonly<ContractAddresses> {
  if (addresses) return addresses;
  if (!client.chain) throw new DeploymentUnknownError(undefined);
  return deploymentOf(client.chain.id).addresses;
}
