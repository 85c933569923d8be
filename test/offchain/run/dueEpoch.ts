/** The newest epoch that is over, lies above the active root's and has heads; undefined without one or while a root is pending. */
import { epochAt, type ModelId } from "@cotrain/sdk/protocol";

import type { ChainReader } from "../../../offchain/src/chain/index.ts";

export async function dueEpoch(reader: ChainReader, modelId: ModelId): Promise<number | undefined> {
  if (await reader.pendingRoot(modelId)) return undefined;
  const schedule = await reader.schedule(modelId);
  const after = (await reader.activeRoot(modelId))?.epoch ?? 0;
  const through = epochAt(schedule, await reader.settledTime()) - 1;
  const runs = await Promise.all((await reader.runsOf(modelId)).map((runId) => reader.headsSince(runId, 0)));
  const epochs = runs.flat().map(({ anchoredAt }) => epochAt(schedule, anchoredAt));
  return epochs
    .filter((epoch) => epoch > after && epoch <= through)
    .toSorted((a, b) => a - b)
    .at(-1);
}
