/**
 * Revenue is claimed by the coordinator for who asked, on a real node: from so much on, once, and not while the vault is short; whom the
 * token refuses holds up nobody.
 */
import { join } from "node:path";

import { modelContractsOf, revenueBookOf, revenueDepositsOf } from "@cotrain/sdk/actions";
import { type Address, asAddress, type Hex } from "@cotrain/sdk/protocol";
import { encodeErrorResult, encodeFunctionData, erc20Abi, parseAbi } from "viem";
import { afterEach, beforeEach, expect, it } from "vitest";

import { createRandom } from "../../../offchain/src/base/index.ts";
import { type Chain, connect, openChain, type Owed } from "../../../offchain/src/chain/index.ts";
import { type ClaimDuty, createClaimDuty } from "../../../offchain/src/coordinator/claimDuty.ts";
import { coordinatorMigrations, type CoordinatorSchema } from "../../../offchain/src/coordinator/projectionTables.ts";
import { revenueAccounts, withEpochAccounts } from "../../../offchain/src/run/index.ts";
import {
  type Database,
  jobMigrations,
  type JobSchema,
  openDatabase,
  openJobTable,
  silentLogger,
} from "../../../offchain/src/service/index.ts";
import { accountOf, poster, workers } from "../chain/world.ts";
import { capitalStage } from "../cli/capitalStage.ts";
import { revenueStage } from "../cli/revenueStage.ts";
import { execute, staged, told } from "../cli/staged.ts";
import { temporaryDirectory } from "../cli/support.ts";
import { createManualClock } from "../manualClock.ts";
import { refusingToken } from "./refusingToken.ts";

const buyer = asAddress(accountOf("buyer").address);
const asker = asAddress(workers[0]!.address);
const refused = asAddress(workers[1]!.address);
const stage = staged(["buyer", "stranger", "validator-1", "validator-2"]);
const { dollarsOf } = capitalStage(stage);
const { buyShares, shareOut } = revenueStage(stage);

let chain: Chain;
let database: Database<JobSchema & CoordinatorSchema>;
let clock: ReturnType<typeof createManualClock>;
/** What was sent, which looks do not wait for. */
let claimed: Owed[];
let dutyFrom: (tokens: number) => ClaimDuty;

beforeEach(async () => {
  await buyShares();
  await told("revenue", "deposit", "1.5", "--state", stage.state, ...stage.by("stranger"), "--yes");
  const { chainId, contracts, fromBlock, modelId, runId } = stage.world;
  const options = { chainId, contracts, fromBlock, rpcUrl: stage.node.url, pollInterval: 20 };
  database = await openDatabase(join(temporaryDirectory(), "own.sqlite"), [...jobMigrations, ...coordinatorMigrations]);
  const jobs = await openJobTable(database, { random: createRandom("jobs") });
  const connection = await connect(options);
  chain = await openChain(options, { account: poster, jobs }, connection);
  const accounts = revenueAccounts({ reader: chain, connection, fromBlock });
  clock = createManualClock(0);
  const own = withEpochAccounts(chain);
  claimed = [];
  const claimFor: typeof own.claimFor = (...of) => {
    claimed.push(...of[1]);
    return own.claimFor(...of);
  };
  const modules = { chain: { ...own, claimFor }, clock, database, logger: silentLogger() };
  dutyFrom = (from) => createClaimDuty({ modelId, runId }, { revenue: { from, accounts } }, modules);
});
afterEach(async () => {
  await chain.close();
  await database.close();
});

/** Transfers a token, whoever has to sign for that. */
async function transfer(target: Address, from: Address, to: Address, amount: bigint): Promise<void> {
  await stage.client.setBalance({ address: from, value: 10n ** 18n });
  await stage.client.impersonateAccount({ address: from });
  const data = encodeFunctionData({ abi: erc20Abi, functionName: "transfer", args: [to, amount] });
  await execute(stage.client, from, { target, data });
}

/** The token takes from the vault, or somebody gives back. */
async function move(from: "vault" | "stranger", amount: bigint): Promise<void> {
  const { contracts: addresses, modelId, testDollar } = stage.world;
  const revenue = await revenueDepositsOf(stage.client, { addresses });
  const { vault } = (await revenueBookOf(stage.client, { revenue, modelId }))!;
  const stranger = accountOf("stranger").address;
  const [by, to] = from === "vault" ? [vault, stranger] : [stranger, vault];
  await transfer(testDollar, by, to, amount);
}

it("is claimed for who asked, once, from so much on", async () => {
  const [all, many] = [dutyFrom(0.5), dutyFrom(2)];
  await all.look(undefined);
  await all.ask(asker, buyer, true);
  // No root is active.
  await all.look(undefined);
  await shareOut();
  const had = await dollarsOf(buyer);
  await many.look(undefined);
  expect(claimed).toEqual([]);
  await expect.poll(async () => (await all.look(undefined), dollarsOf(buyer)), { timeout: 60_000 }).not.toBe(had);
  // All but the part of whoever holds the rest: nobody.
  expect((await dollarsOf(buyer)) - had).toBeGreaterThan(1_499_990n);
  await dutyFrom(0.000_001).look(undefined);
  expect(claimed).toMatchObject([{ account: buyer, leaves: [{ index: 1 }] }]);
});

it("waits while the vault is short: what a claim lacked would be lost", async () => {
  const duty = dutyFrom(0.5);
  await duty.ask(asker, buyer, true);
  await shareOut();
  const had = await dollarsOf(buyer);
  await move("vault", 700_000n);
  await duty.look(undefined);
  await move("stranger", 700_000n);
  // It is not looked at before its time.
  await duty.look(undefined);
  expect(claimed).toEqual([]);
  await clock.advance(600_000);
  await expect.poll(async () => (await duty.look(undefined), dollarsOf(buyer)), { timeout: 60_000 }).not.toBe(had);
});

const inWords = encodeErrorResult({
  abi: parseAbi(["error Error(string)"]),
  errorName: "Error",
  args: ["Blacklistable: account is blacklisted"],
});
const ofItsOwn = encodeErrorResult({ abi: parseAbi(["error EnforcedPause()"]), errorName: "EnforcedPause" });

it.each<[string, Hex]>([
  ["in words", inWords],
  ["by an error of its own", ofItsOwn],
  ["without a word", "0x"],
])("whom the token refuses %s keeps nobody else from being paid, and no head from being posted", async (_how, said) => {
  const { contracts: addresses, modelId, runId, testDollar } = stage.world;
  const { shares } = await modelContractsOf(stage.client, { addresses, modelId });
  const held = await stage.client.readContract({
    address: shares,
    abi: erc20Abi,
    functionName: "balanceOf",
    args: [buyer],
  });
  await transfer(shares, buyer, refused, held / 2n);
  const allow = await refusingToken(stage.client, testDollar, refused, said);
  const duty = dutyFrom(0.01);
  await duty.ask(asker, buyer, true);
  await duty.ask(refused, refused, true);
  await shareOut();
  const had = await dollarsOf(buyer);
  await expect.poll(async () => (await duty.look(undefined), dollarsOf(buyer)), { timeout: 60_000 }).not.toBe(had);
  await expect.poll(() => claimed.length).toBe(4);
  const { fields } = await stage.world.publisher.round();
  // Of a run that begins anew with each test.
  await chain.postHead({ ...fields, round: 1, parentHead: (await chain.head(runId)).head }, "behind it");
  // It is asked for again in an hour, and not at each look.
  await duty.look(undefined);
  expect(claimed.map(({ account }) => account).toSorted()).toEqual([buyer, buyer, refused, refused].toSorted());
  await clock.advance(3_599_000);
  await allow();
  await duty.look(undefined);
  expect(claimed).toHaveLength(4);
  await clock.advance(1_000);
  await expect.poll(async () => (await duty.look(undefined), dollarsOf(refused)), { timeout: 60_000 }).not.toBe(0n);
});
