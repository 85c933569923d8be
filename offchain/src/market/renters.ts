/** Accounts that machines are rented from: of the providers whose keys are set. */
import { CotrainError } from "@cotrain/sdk/errors";

import { UserError } from "../base/index.ts";
import { type Reach, rentedAccountOf } from "./accounts.ts";
import { adapters } from "./adapters/index.ts";
import type { RentedAccount } from "./base/renting.ts";

/** Whether a provider runs the script of what is rented from it; some leave that to whoever rents, over SSH. */
export const runsScripts = (provider: string): boolean =>
  adapters.find(({ name }) => name === provider)?.renting.startsBy === "provider";

export interface Renters {
  readonly accounts: readonly RentedAccount[];
  /** Why others are not asked, a sentence each. */
  readonly missing: readonly string[];
}

/**
 * The accounts of these providers, or of all that can be asked.
 * @throws UserError `PROVIDER_KEY` for one that was named and has no key, or where there is none at all; `PROVIDER_UNKNOWN`
 */
export function rentersOf(names: readonly string[] | undefined, reach: Reach): Renters {
  const unknown = names?.find((name) => !adapters.some((adapter) => adapter.name === name));
  if (unknown !== undefined)
    throw new UserError(
      "PROVIDER_UNKNOWN",
      `There is no provider "${unknown}" to rent from: there are ${adapters.map(({ name }) => name).join(", ")}.`,
    );
  const accounts: RentedAccount[] = [];
  const missing: string[] = [];
  for (const adapter of adapters) {
    if (names !== undefined && !names.includes(adapter.name)) continue;
    try {
      accounts.push(rentedAccountOf(adapter, reach));
    } catch (error) {
      if (names !== undefined || !(error instanceof CotrainError) || error.code !== "PROVIDER_KEY") throw error;
      missing.push(error.message);
    }
  }
  if (accounts.length === 0)
    throw new UserError("PROVIDER_KEY", `There is no account to rent from. ${missing[0] ?? ""}`.trim());
  return { accounts, missing };
}
