/** That checkpoints wait for lower fees, as one sentence: what the chain asks for, and what is allowed. */
import type { RunView } from "@cotrain/sdk/protocol";

import { formatCoins } from "../base/index.ts";

const coins = (wei: string): string => `${formatCoins(BigInt(wei))} coins`;

/** Which checkpoints are not on-chain yet, undefined where none waits. */
function waitingCheckpoints({ anchored, checkpoint }: Pick<RunView, "anchored" | "checkpoint">): string | undefined {
  const first = (anchored?.round ?? -1) + 1;
  if (first > checkpoint.round) return undefined;
  return first === checkpoint.round ? `checkpoint ${first} waits` : `checkpoints ${first} to ${checkpoint.round} wait`;
}

/** Undefined while nothing waits for lower fees. */
export function feeWaitText(view: Pick<RunView, "anchored" | "checkpoint" | "feeWait">): string | undefined {
  if (!view.feeWait) return undefined;
  const { what, asked, allowed } = view.feeWait;
  const asks = what === "tip" ? `a tip of ${coins(asked)}` : coins(asked);
  const cap = what === "tip" ? `a tip of ${coins(allowed)}` : coins(allowed);
  return `${waitingCheckpoints(view) ?? "what is to be sent waits"} for lower fees: the chain asks for ${asks} a transaction, --max-fee allows ${cap}`;
}
