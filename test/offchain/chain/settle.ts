/** From a round to shares that can be claimed, with the journal of a coordinator on a node whose clock is moved on. */
import { join } from "node:path";

import { type Attestation, endOfEpoch, epochAt } from "@cotrain/sdk/protocol";
import { createTestClient, http, publicActions } from "viem";

import { createRandom } from "../../../offchain/src/base/index.ts";
import { openChain } from "../../../offchain/src/chain/index.ts";
import { type EpochComputation, withEpochAccounts } from "../../../offchain/src/run/index.ts";
import { jobMigrations, type JobSchema, openDatabase, openJobTable } from "../../../offchain/src/service/index.ts";
import { dueEpoch } from "../run/dueEpoch.ts";
import { publishEpoch, signaturesUnder } from "./attested.ts";
import type { TestNode } from "./node.ts";
import { poster, type RoundOptions, validators, type World } from "./world.ts";

type Place = Pick<TestNode, "url">;
const clockOf = ({ url }: Place) => createTestClient({ mode: "anvil", transport: http(url) }).extend(publicActions);

/** Goes on to a second of the chain, in a block of its own. */
async function goTo(place: Place, timestamp: number): Promise<void> {
  await clockOf(place).setNextBlockTimestamp({ timestamp: BigInt(timestamp) });
  await clockOf(place).mine({ blocks: 1 });
}
const timeOf = async (place: Place): Promise<number> => Number((await clockOf(place).getBlock()).timestamp);

/** Lets so many seconds pass after the newest block, also where a node's clock stands between blocks. */
export const pass = async (place: Place, seconds: number): Promise<void> =>
  goTo(place, (await timeOf(place)) + seconds);

/**
 * A round, and the root of the epoch that it is in, posted by a journal of this name. Each block is a second after the one before:
 * what is signed may be posted for a few seconds, and a busy machine takes as long for a few calls.
 */
async function posted(
  node: Pick<TestNode, "url" | "directory">,
  world: World,
  options: RoundOptions,
  name: string,
  forge: (computation: EpochComputation) => EpochComputation = (computation) => computation,
) {
  const { chainId, contracts, fromBlock, modelId, url: rpcUrl } = world;
  await clockOf(node).setBlockTimestampInterval({ interval: 1 });
  const database = await openDatabase<JobSchema>(join(node.directory, `${name}.sqlite`), jobMigrations);
  const jobs = await openJobTable(database, { random: createRandom("jobs") });
  const chain = withEpochAccounts(
    await openChain({ chainId, contracts, fromBlock, rpcUrl, pollInterval: 20 }, { account: poster, jobs }),
  );
  // As early in an epoch as can be, so that nearly a posting delay is left when it is over.
  const schedule = await chain.schedule(modelId);
  await goTo(node, endOfEpoch(schedule, epochAt(schedule, await timeOf(node))));
  const { head } = await chain.head(world.runId);
  const { fields } = await world.publisher.round(options);
  await chain.postHead({ ...fields, parentHead: head }, "head");
  await pass(node, schedule.epochLength);
  const epoch = (await dueEpoch(chain, modelId))!;
  const result = await chain.computeEpoch({ modelId, epoch, verdicts: [] }, world.blobs);
  if (result.kind === "nothing") throw new Error(result.reason);
  const computation = forge(result.computation);
  const { attestation, rewards } = computation;
  await publishEpoch(world, computation);
  const signatures = await signaturesUnder({ chainId, contracts }, attestation, validators);
  await chain.postRoot(attestation, signatures, "root");
  const close = async (): Promise<void> => {
    await chain.close();
    await database.close();
  };
  return { chain, epoch, leaves: rewards.leaves, attestation, close };
}

/** A round posted and its epoch's root active; after it the clock goes on by itself. @returns what it grants */
export async function settle(
  node: Pick<TestNode, "url" | "directory">,
  world: World,
  options: RoundOptions = {},
): Promise<EpochComputation["rewards"]["leaves"]> {
  const { chain, epoch, leaves, close } = await posted(node, world, options, "journal");
  await pass(node, 4);
  await chain.activateRoot(world.modelId, epoch, "activate");
  await close();
  await clockOf(node).removeBlockTimestampInterval();
  return leaves;
}

/**
 * A round posted and its epoch's root in its window. Time stands between blocks from then on, however long a command takes.
 * @param name of a journal of its own
 * @param forge changes what is published, signed and posted
 * @returns what was signed of it
 */
export async function settleLater(
  node: Pick<TestNode, "url" | "directory">,
  world: World,
  name: string,
  options: RoundOptions = {},
  forge?: (computation: EpochComputation) => EpochComputation,
): Promise<Attestation> {
  const { attestation, close } = await posted(node, world, options, name, forge);
  await close();
  return attestation;
}
