/** How others join a run. */
import type { RunId } from "@cotrain/sdk/protocol";

import { shellWord } from "../base/node/index.ts";

/** Whether an address is this machine's alone. */
export const isLoopback = (url: string): boolean => {
  const { hostname: host } = new URL(url);
  return host === "localhost" || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host);
};

/**
 * All that a joiner needs: where the coordinator is, which run, and the chain's RPC to check it against, unless that is an
 * address of this machine and the joiner is not here.
 */
export function joinCommandFor(coordinator: string, runId: RunId, rpcUrl: string | null): string {
  const here = isLoopback(coordinator);
  // It may be a stranger's word, and is copied into a shell.
  const told = rpcUrl !== null && URL.canParse(rpcUrl) && (here || !isLoopback(rpcUrl));
  const rpc = told ? ` --rpc ${shellWord(rpcUrl)}` : "";
  return `npm run cotrain -- worker --coordinator ${coordinator} --run ${runId}${rpc}`;
}
