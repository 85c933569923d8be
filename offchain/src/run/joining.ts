/** How others join a run. */
import type { RunId } from "@cotrain/sdk/protocol";

import { isLoopbackUrl } from "../base/index.ts";
import { shellWord } from "../base/node/index.ts";

/**
 * The RPC that a coordinator tells of, where it is the same to whoever reaches the coordinator at this address: one of the own
 * machine is to those on it alone. It may be a stranger's word.
 */
export const sharedRpcOf = (coordinator: string, rpcUrl: string | null): string | null =>
  rpcUrl !== null && URL.canParse(rpcUrl) && (isLoopbackUrl(coordinator) || !isLoopbackUrl(rpcUrl)) ? rpcUrl : null;

/** The URL by which programs on the run's own machine reach the coordinator, where others use another. */
export const urlHere = (urls: Readonly<Record<string, string>>): string | undefined =>
  urls["coordinator"] === urls["join"] ? undefined : urls["coordinator"];

/** All that a joiner needs: where the coordinator is, which run, and the chain's RPC to check it against. */
export function joinCommandFor(coordinator: string, runId: RunId, rpcUrl: string | null): string {
  const shared = sharedRpcOf(coordinator, rpcUrl);
  const rpc = shared === null ? "" : ` --rpc ${shellWord(shared)}`;
  return `npm run cotrain -- worker --coordinator ${coordinator} --run ${runId}${rpc}`;
}
