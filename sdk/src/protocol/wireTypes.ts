/** The types of Solidity that signed structs and parameters are made of, in JSON: what is wider than 32 bits is a decimal string. */
import { Type } from "typebox";

import { Address20, Decimal, Hash32, Uint16, Uint32, Uint8 } from "./fields.ts";

export const wireTypes = {
  bytes32: Hash32,
  address: Address20,
  uint8: Uint8,
  uint16: Uint16,
  uint32: Uint32,
  uint64: Type.String({ pattern: "^(0|[1-9][0-9]{0,19})$" }),
  uint128: Decimal,
  uint256: Decimal,
} as const;
