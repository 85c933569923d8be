/** How large the contracts are. */
import { loadArtifact } from "../../deploy/artifacts.ts";
import type { ContractName } from "../../deploy/deployment.ts";

const contracts = [
  "ModelRegistry",
  "ModelShares",
  "ModelGovernor",
  "ModelTimelock",
  "RunRegistry",
  "CheckpointRegistry",
  "ValidatorSet",
  "Emission",
  "ComputeRewards",
  "CodeGrants",
  "CapitalSale",
  "RevenueDeposits",
  "StakeManager",
  "Bootstrap",
  "DeterministicDeployer",
] as const satisfies readonly ContractName[];

/** Bytes of what is deployed, by contract. */
export async function sizes(): Promise<Record<string, number>> {
  const measured = contracts.map(async (name) => {
    const { deployedBytecode } = await loadArtifact(name);
    return [name, (deployedBytecode.length - 2) / 2] as const;
  });
  return Object.fromEntries(await Promise.all(measured));
}
