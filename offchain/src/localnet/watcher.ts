/** Who watches roots in a session that shows a dispute, as `cotrain watch` does: by the chain and what was published, with its own wallet. */
import { type ContractAddresses, type ModelId, rewardKind } from "@cotrain/sdk/protocol";
import type { PrivateKeyAccount } from "viem/accounts";

import { createRandom } from "../base/index.ts";
import { writeFileDurable } from "../base/node/index.ts";
import { type ChainReader, type ChainConnection, openChain } from "../chain/index.ts";
import { blobSourceOf, revenueAccounts } from "../run/index.ts";
import { jobMigrations, type JobSchema, openDatabase, openJobTable, openRoleDirectory } from "../service/index.ts";
import type { BlobStore } from "../storage/index.ts";
import type { LocalModel } from "./owners.ts";

/** Where it watches. */
export interface WatcherPlace {
  /** State directory of the run, in which it has a place of its own. */
  readonly state: string;
  readonly connection: ChainConnection;
  readonly addresses: Readonly<ContractAddresses>;
  readonly fromBlock: number;
  readonly modelId: ModelId;
  readonly reader: ChainReader;
  readonly blobs: BlobStore;
}

/** Blocks between two looks that must find the same: nobody reorganises a chain of one's own. */
const DEPTH = 1;
/** Part of the window for which data that are not to be had are waited for. */
const ABSENT_PART = 0.5;

/** @param account its key; nothing else may send from it until it is closed */
export async function openWatcher(
  { state, connection, addresses: contracts, fromBlock, modelId, reader, blobs }: WatcherPlace,
  account: PrivateKeyAccount,
  { clock, signal }: Pick<LocalModel, "clock" | "signal">,
) {
  // Whoever starts a session of another kind does not wait for it.
  const { createWatch, evidenceText, lookingThrough, openWatchMemory } = await import("../validator/index.ts");
  const directory = await openRoleDirectory(state, "watcher", { create: true });
  const database = await openDatabase<JobSchema>(directory.resolve("watch.sqlite"), jobMigrations);
  const random = createRandom(`${account.address}/${clock.now()}`);
  const jobs = await openJobTable(database, { random });
  const { url: rpcUrl, chainId } = connection;
  const chain = await openChain({ rpcUrl, chainId, contracts, fromBlock, signal }, { account, jobs });
  const modules: Parameters<typeof createWatch>[1] = {
    reader,
    revenue: revenueAccounts({ reader, connection, fromBlock }),
    openSecond: async () => lookingThrough(connection, { contracts, fromBlock }),
    blobs: blobSourceOf(blobs),
    memory: await openWatchMemory(directory.resolve("watch.json")),
    clock,
    writeEvidence: async (found) =>
      writeFileDurable(directory.resolve(`evidence-${found.digest}.json`), evidenceText(found)),
    spender: chain,
    why: "",
  };
  const watchOf = (kind: number) => createWatch({ modelId, kind, depth: DEPTH, absentPart: ABSENT_PART }, modules);
  const [compute, revenue] = [watchOf(rewardKind.compute), watchOf(rewardKind.revenue)];
  let closed = false;
  return {
    look: () => compute.look(),
    lookAtRevenue: () => revenue.look(),
    close: async (): Promise<void> => {
      if (closed) return;
      closed = true;
      await chain.close();
      await database.close();
      directory.close();
    },
  };
}
