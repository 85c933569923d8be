/** Accounts that machines are rented from: of the providers whose keys are set, and one's own machines. */
import { CotrainError } from "@cotrain/sdk/errors";

import { UserError } from "../base/index.ts";
import { type Reach, rentedAccountOf } from "./accounts.ts";
import { adapters } from "./adapters/index.ts";
import type { RentedAccount } from "./base/renting.ts";
import { COMMUNITY } from "./community/listing.ts";
import { openCommunity } from "./community/open.ts";
import { ownAccount } from "./ownRenting.ts";

export interface Renters {
  readonly accounts: readonly RentedAccount[];
  /** Why others are not asked, a sentence each. */
  readonly missing: readonly string[];
}

/** The account of one's own machines, where it is asked for. @throws UserError `PROVIDER_KEY` where it is named and there is no file */
async function ownOf(
  names: readonly string[] | undefined,
  machines: string | undefined,
  { signal }: Reach,
): Promise<readonly RentedAccount[]> {
  if (names?.includes("own") === false) return [];
  if (machines !== undefined) return [await ownAccount(machines, { signal })];
  if (names === undefined) return [];
  throw new UserError("PROVIDER_KEY", "Own machines are those of a file: --machines FILE.");
}

/** How community machines are rented, and where what they are owed is kept. */
interface CommunityPlace {
  readonly file: string;
  /** Directory of the ledger. */
  readonly leases: string;
}

/** @throws UserError `PROVIDER_KEY` where it is named and there is no file; as {@link openCommunity} */
async function communityOf(
  names: readonly string[] | undefined,
  place: CommunityPlace | undefined,
): Promise<readonly RentedAccount[]> {
  if (names?.includes(COMMUNITY) === false) return [];
  if (place !== undefined) return [await openCommunity(place.file, place.leases)];
  if (names === undefined) return [];
  throw new UserError("PROVIDER_KEY", "Community machines are rented by a file: --community FILE.");
}

/**
 * The accounts of these providers, or of all that can be asked.
 * @param machines file of one's own machines, which are the provider `own`
 * @param community what community machines are rented by, which are the provider `community`
 * @throws UserError `PROVIDER_KEY` for one that was named and has no key, or where there is none at all; `PROVIDER_UNKNOWN`; as
 *   `readOwnMachines`
 */
export async function rentersOf(
  names: readonly string[] | undefined,
  reach: Reach,
  machines?: string,
  community?: CommunityPlace,
): Promise<Renters> {
  const known = [...adapters.map(({ name }) => name), "own", COMMUNITY];
  const unknown = names?.find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new UserError(
      "PROVIDER_UNKNOWN",
      `There is no provider "${unknown}" to rent from: there are ${known.join(", ")}.`,
    );
  const accounts: RentedAccount[] = [
    ...(await ownOf(names, machines, reach)),
    ...(await communityOf(names, community)),
  ];
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
