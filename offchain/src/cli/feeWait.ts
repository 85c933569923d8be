/** That checkpoints wait for lower fees or for coins, as one sentence: what the chain asks for, and what is allowed or there. */
import type { RunView } from "@cotrain/sdk/protocol";

import { formatAddress, formatCoins } from "../base/index.ts";

const coins = (wei: string | bigint): string => `${formatCoins(BigInt(wei))} coins`;

/** Which checkpoints are not on-chain yet, undefined where none waits. */
function waitingCheckpoints({ anchored, checkpoint }: Pick<RunView, "anchored" | "checkpoint">): string | undefined {
  const first = (anchored?.round ?? -1) + 1;
  if (first > checkpoint.round) return undefined;
  return first === checkpoint.round ? `checkpoint ${first} waits` : `checkpoints ${first} to ${checkpoint.round} wait`;
}

/** Undefined while nothing waits for lower fees or for coins. */
export function feeWaitText(view: Pick<RunView, "anchored" | "checkpoint" | "feeWait" | "poster">): string | undefined {
  if (!view.feeWait) return undefined;
  const { what, asked, allowed } = view.feeWait;
  if (what === "bond")
    return `pay waits: the root before did not stand, so the next one bears a bond of ${coins(asked)}, and --bond-at-most allows ${coins(allowed)}`;
  if (what === "bondCoins")
    return `pay waits: the root before did not stand, so the next one bears a bond; with its fees it may take ${coins(asked)}, more than the poster's wallet ${formatAddress(view.poster)} has; send it at least ${coins(BigInt(asked) - BigInt(allowed))}`;
  const waiting = waitingCheckpoints(view) ?? "what is to be sent waits";
  if (what === "coins")
    return `${waiting} for coins: a transaction may take ${coins(asked)}, more than the poster's wallet ${formatAddress(view.poster)} has; send it at least ${coins(BigInt(asked) - BigInt(allowed))}`;
  const asks = what === "tip" ? `a tip of ${coins(asked)}` : coins(asked);
  const cap = what === "tip" ? `a tip of ${coins(allowed)}` : coins(allowed);
  return `${waiting} for lower fees: the chain asks for ${asks} a transaction, --max-fee allows ${cap}`;
}
