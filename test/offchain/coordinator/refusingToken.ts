/** A token that pays everybody but one account, as tokens of companies do with whom they have frozen. */
import type { Address, Hex } from "@cotrain/sdk/protocol";
import { concat, type Hex as Bytes, numberToHex, size } from "viem";

import type { Staged } from "../cli/staged.ts";

/** Where the code that the token had lies meanwhile. */
const BEHIND: Address = "0x00000000000000000000000000000000000d011a";

const byte = (value: number): Bytes => numberToHex(value, { size: 1 });

const handedOn = (jump: number): Bytes[] => [
  concat(["0x5f5f365f73", BEHIND, "0x5af4"]),
  concat(["0x3d5f5f3e60", byte(jump), "0x57"]),
  "0x3d5ffd",
];

/** Refuses `transfer` to an account with these return data, and hands everything else on to the code behind. */
function refusing(account: Address, said: Hex): Hex {
  const asked = (jump: number): Bytes[] => [
    // The call's data to memory; whether it is transfer(address,uint256), and to whom.
    "0x365f5f37",
    "0x5f3560e01c63a9059cbb14",
    concat(["0x60043573", account, "0x14"]),
    concat(["0x1660", byte(jump), "0x57"]),
  ];
  const returns: Bytes = "0x5b3d5ff3";
  const refuses = (from: number): Bytes =>
    concat(["0x5b60", byte(size(said)), "0x60", byte(from), "0x5f3960", byte(size(said)), "0x5ffd"]);
  const returnsAt = size(concat([...asked(0), ...handedOn(0)]));
  const refusesAt = returnsAt + size(returns);
  const saidAt = refusesAt + size(refuses(0));
  return concat([...asked(refusesAt), ...handedOn(returnsAt), returns, refuses(saidAt), said]);
}

/** @param said return data of its refusal @returns has it pay the account again */
export async function refusingToken(client: Staged["client"], token: Address, account: Address, said: Hex) {
  const code = (await client.getCode({ address: token }))!;
  await client.setCode({ address: BEHIND, bytecode: code });
  await client.setCode({ address: token, bytecode: refusing(account, said) });
  return (): Promise<void> => client.setCode({ address: token, bytecode: code });
}
