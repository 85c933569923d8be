/** Amounts of shares as somebody types them. */
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
