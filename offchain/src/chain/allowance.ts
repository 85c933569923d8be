/** What a contract may take of an account's tokens: as much as is needed, and no more for longer. */
import type { Address } from "viem";
import { erc20Abi } from "viem";
import { readContract } from "viem/actions";

import type { ChainConnection } from "./connection.ts";

interface Allowing {
  readonly token: Address;
  readonly owner: Address;
  readonly spender: Address;
}

export const allowanceOf = (
  { call }: Pick<ChainConnection, "call">,
  { token, owner, spender }: Allowing,
): Promise<bigint> =>
  call((client) =>
    readContract(client, { address: token, abi: erc20Abi, functionName: "allowance", args: [owner, spender] }),
  );

/**
 * Changes an allowance, by way of nothing where one stands: some tokens, such as USDT, change it from nothing and to nothing alone.
 * @param approve sends the approval of an amount
 */
export async function changeAllowance(
  standing: bigint,
  amount: bigint,
  approve: (amount: bigint) => Promise<unknown>,
): Promise<void> {
  if (standing === amount) return;
  if (standing > 0n) await approve(0n);
  if (amount > 0n) await approve(amount);
}
