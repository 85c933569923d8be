/** Amounts of shares, and of the chain's coin, as somebody types them. */
import { parseEther } from "viem";

import { UserError } from "../base/index.ts";

/** Share wei of "12.5". @throws UserError `AMOUNT_FORM` */
export function sharesOf(amount: string): bigint {
  if (/^\d{1,20}(\.\d{1,18})?$/.test(amount)) return parseEther(amount);
  throw new UserError(
    "AMOUNT_FORM",
    `An amount of shares is a number with at most 18 decimals, such as 12.5, not ${JSON.stringify(amount.slice(0, 100))}.`,
  );
}

/** Wei of the chain's coin of "0.5", more than nothing. @throws UserError `AMOUNT_FORM` */
export function coinsOf(amount: string): bigint {
  const wei = /^\d{1,20}(\.\d{1,18})?$/.test(amount) ? parseEther(amount) : 0n;
  if (wei > 0n) return wei;
  throw new UserError(
    "AMOUNT_FORM",
    `An amount of coins is a number above 0 with at most 18 decimals, such as 0.5, not ${JSON.stringify(amount.slice(0, 100))}.`,
  );
}
