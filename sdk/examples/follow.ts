import type { Client } from "viem";
import { getLogPage, headPosted, type LogCursor } from "@cotrain/sdk/actions";
import type { ContractAddresses } from "@cotrain/sdk/addresses";

/**
 * The next heads since `from`: the registry's first block, or the cursor of the page before, kept over a restart.
 * A ChainReorganisedError says that the chain lost what was read: forget it, and read from an earlier block.
 */
export async function nextHeads(client: Client, addresses: ContractAddresses, from: LogCursor | bigint) {
  const { logs, cursor, done } = await getLogPage(client, headPosted({ addresses }), { from, confirmations: 2 });
  return { rounds: logs.map((log) => log.args.round), cursor, done };
}
