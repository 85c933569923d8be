import { createClient, http } from "viem";
import { activeRoot, currentParamsVersion, headOf, paramsOf, runOf } from "@cotrain/sdk/actions";
import type { ContractAddresses } from "@cotrain/sdk/addresses";

export async function readRun(rpc: string, addresses: ContractAddresses, runId: `0x${string}`) {
  const client = createClient({ transport: http(rpc) });
  const { head, round } = await headOf(client, { addresses, runId });
  const version = await currentParamsVersion(client, { addresses, runId });
  const { innerSteps } = await paramsOf(client, { addresses, runId, version });
  const { modelId } = await runOf(client, { addresses, runId });
  const root = await activeRoot(client, { addresses, modelId }); // undefined before the first
  return { head, round, innerSteps, rewardsThroughEpoch: root?.toEpoch ?? 0 };
}
