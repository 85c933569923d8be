/** Roots that are disputed, on a real node: settled, posted anew with the bond that is due, activated, and the bond back. */
import { join } from "node:path";

import { backingOf, bondCreditOf, bondOf, disputeRoot, pendingRoot } from "@cotrain/sdk/actions";
import { type Attestation, digestOfJson, structHash } from "@cotrain/sdk/protocol";
import { createPublicClient, createTestClient, http } from "viem";
import { afterAll, beforeAll, expect, it } from "vitest";

import { createRandom } from "../../../offchain/src/base/index.ts";
import { openChain } from "../../../offchain/src/chain/index.ts";
import { withEpochAccounts } from "../../../offchain/src/run/index.ts";
import { jobMigrations, type JobSchema, openDatabase, openJobTable } from "../../../offchain/src/service/index.ts";
import { dueEpoch } from "../run/dueEpoch.ts";
import { signaturesUnder } from "./attested.ts";
import { createNode, type TestNode } from "./node.ts";
import { pass } from "./settle.ts";
import { createWorld, poster, validators, workers, type World } from "./world.ts";

let node: TestNode;
let world: World;
beforeAll(async () => {
  node = await createNode(0);
  await node.start();
  world = await createWorld(node.url, node.directory);
}, 60_000);
afterAll(() => node.close());

/** @param bondAtMost wei */
async function open(bondAtMost?: bigint) {
  const { chainId, contracts, fromBlock, url: rpcUrl } = world;
  const database = await openDatabase<JobSchema>(join(node.directory, "journal.sqlite"), jobMigrations);
  const jobs = await openJobTable(database, { random: createRandom("jobs") });
  const bound = bondAtMost === undefined ? {} : { bondAtMost };
  const chain = withEpochAccounts(
    await openChain({ chainId, contracts, fromBlock, rpcUrl, pollInterval: 20, ...bound }, { account: poster, jobs }),
  );
  return {
    chain,
    close: async () => {
      await chain.close();
      await database.close();
    },
  };
}

const development = () => createTestClient({ mode: "anvil", transport: http(node.url) });

/** Goes on to a second of the chain, whose time stands between blocks from then on, however long this machine takes. */
async function goTo(timestamp: number): Promise<void> {
  await development().setBlockTimestampInterval({ interval: 1 });
  await development().setNextBlockTimestamp({ timestamp: BigInt(timestamp) });
  await development().mine({ blocks: 1 });
}

/** Puts up the bond against the pending root. */
async function dispute(): Promise<void> {
  const { contracts: addresses, modelId, url } = world;
  const client = createPublicClient({ transport: http(url), pollingInterval: 20 });
  const { bond } = await bondOf(client, { addresses, modelId });
  const { digest } = (await pendingRoot(client, { addresses, modelId }))!;
  const evidence = digestOfJson("what was found");
  await disputeRoot.sync(client, {
    addresses,
    modelId,
    digest,
    evidence,
    bond,
    account: workers[0]!,
    pollingInterval: 20,
  });
}

it("a root about which nothing is decided is posted anew with the bond, by whoever may put it up, and the bond comes back", async () => {
  const { contracts: addresses, modelId, client, runId } = world;
  const first = await open();
  const { chain } = first;
  const { head } = await chain.head(runId);
  const { fields } = await world.publisher.round();
  await chain.postHead({ ...fields, parentHead: head }, "head");
  await pass(node, 16);
  const epoch = (await dueEpoch(chain, modelId))!;
  const attest = async (): Promise<Attestation> => {
    const result = await chain.computeEpoch({ modelId, epoch, verdicts: [] }, world.blobs);
    if (result.kind === "nothing") throw new Error(result.reason);
    return result.computation.attestation;
  };
  const signed = (attestation: Attestation) => signaturesUnder(world, attestation, validators);

  const attestation = await attest();
  await goTo((await chain.chainTime()) + 1);
  await chain.postRoot(attestation, await signed(attestation), "root");
  expect(await chain.openDispute(modelId)).toBeUndefined();
  await dispute();
  const disputed = (await chain.openDispute(modelId))!;
  expect(disputed).toMatchObject({ digest: structHash("Attestation", attestation) });
  await expect(chain.activateRoot(modelId, epoch, "activate")).rejects.toMatchObject({ code: "ROOT_DISPUTED" });
  await expect(chain.settleDispute(modelId, disputed)).rejects.toMatchObject({ code: "DISPUTE_EARLY" });
  await goTo(disputed.votesUntil + 1);
  expect(await chain.settleDispute(modelId, disputed)).toEqual({ ruling: "undecided" });
  expect(await chain.settleDispute(modelId, disputed)).toEqual({ ruling: "undecided" });
  expect(await chain.rulingOn(disputed.digest)).toBe("undecided");

  await expect(chain.postRoot(attestation, await signed(attestation), "root")).rejects.toMatchObject({
    code: "ATTESTATION_RULED",
    retryable: false,
  });
  const again = await attest();
  expect(again.root).toBe(attestation.root);
  expect(structHash("Attestation", again)).not.toBe(disputed.digest);
  const { bond, isDue } = await chain.disputeCost(modelId);
  expect(isDue).toBe(true);
  await first.close();

  const bounded = await open(bond - 1n);
  await expect(bounded.chain.postRoot(again, await signed(again), "root")).rejects.toMatchObject({
    code: "BOND_TOO_HIGH",
    retryable: true,
  });
  expect(bounded.chain.feeWait()).toMatchObject({ what: "bond", asked: bond, allowed: bond - 1n });
  await bounded.close();

  const last = await open();
  const posted = await last.chain.postRoot(again, await signed(again), "root");
  expect(posted.root.root).toBe(again.root);
  expect(await backingOf(client, { addresses, modelId })).toMatchObject({ backer: poster.address, amount: bond });
  expect(await bondCreditOf(client, { addresses, account: poster.address })).toBe(0n);
  await goTo(posted.root.activatableAt!);
  expect(await last.chain.activateRoot(modelId, epoch, "activate")).toMatchObject({ root: { epoch } });
  expect(await last.chain.pendingRoot(modelId)).toBeUndefined();
  expect(await bondCreditOf(client, { addresses, account: poster.address })).toBe(bond);
  await last.close();
});
