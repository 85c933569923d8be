/** Community machines by their file: as a listing, and as an account that they are rented from. */
import { join } from "node:path";

import { asAddress, createCoordinatorClient, findRun } from "@cotrain/sdk/protocol";

import { systemClock, UserError } from "../../base/index.ts";
import { openKeystore } from "../../service/index.ts";
import type { Listing } from "../base/adapter.ts";
import type { RentedAccount } from "../base/renting.ts";
import { connectEscrow, renterChain } from "./chain.ts";
import { type Community, readCommunity } from "./file.ts";
import { listCommunity } from "./listing.ts";
import { communityAccount } from "./renting.ts";

/** The run whose coordinator the machines call. @throws UserError `COMMUNITY_FILE`; as `findRun` */
async function runOf(community: Community) {
  const client = createCoordinatorClient(community.coordinator);
  const runId = await findRun(client, community.run);
  const { chainId } = await client.run(runId);
  if (chainId !== community.chainId)
    throw new UserError(
      "COMMUNITY_FILE",
      `The run of ${community.coordinator} is on chain ${chainId}, and "chainId" says ${community.chainId}.`,
    );
  return { client, runId };
}

/** @throws as {@link readCommunity}, {@link runOf} */
export async function readCommunityListing(path: string, now: number): Promise<Listing> {
  const community = await readCommunity(path);
  const { client, runId } = await runOf(community);
  const { machines } = await client.machines(runId);
  return listCommunity(community, machines, now);
}

/**
 * @param leases directory of the ledger, in which its channels and vouchers lie too
 * @throws as {@link readCommunity}; UserError `COMMUNITY_FILE`, `ESCROW_FOREIGN`; what keystore, chain and coordinator throw
 */
export async function openCommunity(path: string, leases: string): Promise<RentedAccount> {
  const community = await readCommunity(path);
  if (community.keystore === undefined)
    throw new UserError("COMMUNITY_FILE", `${path}: to rent, name the renter's "wallet" and "passphrase".`);
  const { client, runId } = await runOf(community);
  const renter = await openKeystore(community.keystore);
  const place = { chainId: community.chainId, escrow: community.escrow };
  return communityAccount({
    community,
    runId,
    directory: join(leases, "community"),
    renter: { ...renter, address: asAddress(renter.address) },
    clock: systemClock,
    coordinator: {
      machines: () => client.machines(runId),
      word: (offer, word) => client.wordOfRenter(runId, offer, word),
      lease: (pass) => client.lease(runId, { pass }),
    },
    chain: renterChain(await connectEscrow(community.rpc, place), place, renter),
  });
}
