/** What a proposal about a model's treasury would do, in words. */
import {
  type Address,
  asAddress,
  type ContractAddresses,
  type Hex,
  nameOfCode,
  rewardKind,
  type RunId,
} from "@cotrain/sdk/protocol";
import { decodeFunctionData, erc20Abi, formatEther, formatUnits, isAddressEqual } from "viem";

import { timeText } from "../base/index.ts";
import type { ChainConnection } from "../chain/index.ts";
import { decimalsOf } from "./capital.ts";
import { modelText } from "./saleWords.ts";

/** Whose run and model it is about. */
interface BudgetWordsPlace {
  readonly connection: Pick<ChainConnection, "call">;
  readonly addresses: ContractAddresses;
  /** What lets others spend from treasuries, where that is known. */
  readonly computeBudget?: Address | undefined;
  readonly runId: RunId;
}

/** In a token's smallest units, which are what is decided, and as the token itself would show them. */
async function amountText({ connection }: BudgetWordsPlace, token: Address, amount: bigint): Promise<string> {
  const decimals = await connection.call((client) => decimalsOf(client, token));
  const shown = decimals > 0 ? ` (${formatUnits(amount, decimals)} with its decimals)` : "";
  return `${amount}${shown} of the smallest units of token ${token}`;
}

/** What opening a budget would do. @param args of ComputeBudget.open */
export async function openText(place: BudgetWordsPlace, [id, given, purpose]: readonly unknown[]): Promise<string> {
  const { recipient, token, perEpoch, expiry } = given as {
    readonly recipient: Address;
    readonly token: Address;
    readonly perEpoch: bigint;
    readonly expiry: number;
  };
  const amount = await amountText(place, asAddress(token), perEpoch);
  return `ComputeBudget lets ${recipient} spend at most ${amount} from the treasury of ${await modelText(place, id as Hex)} in each epoch until ${timeText(expiry)}, unless the holders end it before: for ${JSON.stringify(purpose)}.`;
}

/** What ending one would do. @param args of ComputeBudget.revoke */
export async function revokeText(place: BudgetWordsPlace, [id, number]: readonly unknown[]): Promise<string> {
  return `ComputeBudget ends budget ${String(number)} of ${await modelText(place, id as Hex)} at once: nothing more of it is spent.`;
}

/** What naming a successor would do. @param args of Emission.nameSuccessor */
export async function successorText(
  place: BudgetWordsPlace,
  [id, kind, successor]: readonly unknown[],
): Promise<string> {
  const of = nameOfCode(rewardKind, Number(kind)) ?? `kind ${String(kind)}`;
  return `Emission lets contract ${String(successor)} alone mint what ${of} is paid in ${await modelText(place, id as Hex)}, 14 days after this is carried out: what the present one has not authorised by then, a root that waits too, is void. Nothing here says what that contract does.`;
}

/** What drawing a part of the emission would do; undefined where that is not the treasury's. @param args of Emission.draw */
export async function drawText(
  place: BudgetWordsPlace,
  [id, kind, amount]: readonly unknown[],
): Promise<string | undefined> {
  if (Number(kind) !== rewardKind.treasury) return undefined;
  return `Emission mints ${formatEther(amount as bigint)} shares of the treasury's part of the present budgets to the treasury of ${await modelText(place, id as Hex)}, its timelock.`;
}

/** What a call of ERC-20 may say: its selector and two words, and nothing behind them, which a token would not read. */
const TOKEN_CALL = 2 + 2 * (4 + 32 + 32);

/** Whose balance a call is paid from. */
const payer = (by: string): string =>
  by === "the timelock" ? "The treasury" : `${by[0]?.toUpperCase()}${by.slice(1)}`;

/**
 * What a call of a token would do that pays somebody, or lets somebody take; undefined for any other call. Whether it is a token that is
 * called nobody knows: what is said is what one would do.
 * @param by in whose name it is called
 */
export async function tokenCallText(
  place: BudgetWordsPlace,
  { target, data }: { readonly target: Address; readonly data: Hex },
  by: string,
): Promise<string | undefined> {
  const { computeBudget } = place;
  if (data.length !== TOKEN_CALL) return undefined;
  try {
    const { functionName, args } = decodeFunctionData({ abi: erc20Abi, data });
    if (functionName !== "approve" && functionName !== "transfer") return undefined;
    const [whom, value] = args;
    const amount = await amountText(place, target, value);
    if (functionName === "transfer") return `${payer(by)} pays ${whom} ${amount}.`;
    if (computeBudget !== undefined && isAddressEqual(whom, computeBudget))
      return `${payer(by)} lets ComputeBudget pay at most ${amount} from now on, for all budgets of that token together.`;
    return `${payer(by)} lets ${whom} take at most ${amount} from now on, whenever it likes.`;
  } catch {
    return undefined;
  }
}
