/** A run on a real node, whose rounds are posted, settled and verified. */
import { join } from "node:path";

import {
  type Address,
  canonicalJson,
  type CheckpointManifest,
  type Digest,
  type SignedVerdict,
} from "@cotrain/sdk/protocol";
import { createTestClient, http, publicActions } from "viem";

import { createRandom } from "../../../offchain/src/base/index.ts";
import { type Chain, type ChainReader, openChain } from "../../../offchain/src/chain/index.ts";
import {
  type BlobSource,
  type EpochComputation,
  withEpochAccounts,
  type EpochAccounts,
  type HeadReport,
  verifyRun,
  type VerifySummary,
} from "../../../offchain/src/run/index.ts";
import { jobMigrations, type JobSchema, openDatabase, openJobTable } from "../../../offchain/src/service/index.ts";
import { parseManifest } from "../../../offchain/src/storage/index.ts";
import { createHostileRpc, type HostileRpc } from "../../attack/hostileRpc.ts";
import { createNode, type TestNode } from "../chain/node.ts";
import { createWorld, poster, type RoundOptions, validators, type World } from "../chain/world.ts";
import { signaturesUnder } from "../chain/attested.ts";

export let node: TestNode;
export let rpc: HostileRpc;
export let world: World;
export let chain: Chain & EpochAccounts;
let close: () => Promise<void>;

export const lower = (address: string): Address => address.toLowerCase() as Address;
export const clock = () => createTestClient({ mode: "anvil", transport: http(node.url) }).extend(publicActions);
/** The next block comes so many seconds after the last one. */
export async function pass(seconds: number): Promise<void> {
  const { timestamp } = await clock().getBlock();
  await clock().setNextBlockTimestamp({ timestamp: timestamp + BigInt(seconds) });
  await clock().mine({ blocks: 1 });
}

export async function post(count: number, options: RoundOptions = {}): Promise<void> {
  for (let i = 0; i < count; i++) {
    const { head } = await chain.head(world.runId);
    const { fields } = await world.publisher.round(options);
    await chain.postHead({ ...fields, parentHead: head }, `head-${fields.round}`);
  }
}

export async function compute(epoch: number, said: readonly SignedVerdict[] = []): Promise<EpochComputation> {
  const result = await chain.computeEpoch({ modelId: world.modelId, epoch, verdicts: said }, world.blobs);
  if (result.kind === "nothing") throw new Error(result.reason);
  const { inputs, verdicts, rewards, manifest } = result.computation;
  for (const document of [inputs, verdicts, rewards, manifest])
    await world.store.put(new TextEncoder().encode(canonicalJson(document)));
  return result.computation;
}

export const sign = ({ attestation }: EpochComputation, who = validators) => signaturesUnder(world, attestation, who);

export async function verify(
  reader: ChainReader = chain,
  blobs: BlobSource = world.blobs,
): Promise<{ reports: HeadReport[]; summary: VerifySummary }> {
  const walk = verifyRun({ reader, blobs }, world.runId);
  const reports: HeadReport[] = [];
  for (;;) {
    const next = await walk.next();
    if (next.done) return { reports, summary: next.value };
    reports.push(next.value);
  }
}

/** Opens the chain and the world on it, and posts two rounds. */
export async function openSettled(): Promise<void> {
  node = await createNode(0);
  await node.start();
  world = await createWorld(node.url, node.directory);
  // Time passes by blocks alone: no deadline runs out while this machine is busy with something else.
  await clock().setBlockTimestampInterval({ interval: 1 });
  const database = await openDatabase<JobSchema>(join(node.directory, "journal.sqlite"), jobMigrations);
  const jobs = await openJobTable(database, { random: createRandom("jobs") });
  rpc = await createHostileRpc(node.url);
  const { chainId, contracts, fromBlock } = world;
  const rpcUrl = rpc.url;
  chain = withEpochAccounts(
    await openChain({ chainId, contracts, fromBlock, rpcUrl, pollInterval: 20 }, { account: poster, jobs }),
  );
  close = async () => {
    await chain.close();
    await database.close();
  };
  await post(2);
}
export async function closeSettled(): Promise<void> {
  await close?.();
  await rpc?.close();
  await node?.close();
}

export const manifestOf = async (round: number): Promise<{ digest: Digest; manifest: CheckpointManifest }> => {
  const head = (await chain.headsSince(world.runId, 0)).find((event) => event.round === round)!;
  return { digest: head.checkpointDigest, manifest: parseManifest(await world.store.get(head.checkpointDigest)) };
};
