/** Revenue and stake of a session on a development chain, on a real node: each once for a model, from what the chain alone tells. */
import { depositStake, getAllLogs, revenueDeposited } from "@cotrain/sdk/actions";
import { asAddress } from "@cotrain/sdk/protocol";
import { beforeEach, expect, test } from "vitest";

import { type ChainConnection, connect, walletOn } from "../../../offchain/src/chain/index.ts";
import type { Owner } from "../../../offchain/src/localnet/owners.ts";
import { followRevenue, paymentOf, REVENUE } from "../../../offchain/src/localnet/revenue.ts";
import { followStake, stakedBy, STAKED } from "../../../offchain/src/localnet/stake.ts";
import { revenueAt, stakesAt, stakeStanding } from "../../../offchain/src/run/index.ts";
import { accountOf } from "../chain/world.ts";
import { capitalStage } from "../cli/capitalStage.ts";
import { revenueStage } from "../cli/revenueStage.ts";
import { staged } from "../cli/staged.ts";

const stage = staged(["buyer", "stranger", "validator-1", "validator-2"]);
const { dollarsOf } = capitalStage(stage);
const { buyShares, shareOut } = revenueStage(stage);

let connection: ChainConnection;
let said: string[];
beforeEach(async () => {
  connection = await connect({ rpcUrl: stage.node.url, chainId: stage.world.chainId });
  for (const name of ["stranger", "buyer"])
    await stage.client.setBalance({ address: accountOf(name).address, value: 10n ** 18n });
  said = [];
});
const place = () => {
  const { contracts: addresses, modelId, runId, fromBlock } = stage.world;
  return { connection, addresses, modelId, runId, fromBlock };
};
const ownerOf = (name: string, wallet = name): Owner => ({ name, client: walletOn(connection, accountOf(wallet)) });
/** As a start follows it: whatever an earlier one did, this one knows of nothing. */
const revenue = () =>
  followRevenue(place(), { customer: ownerOf("customer", "stranger"), owners: [ownerOf("buyer")] }, (line) =>
    said.push(line),
  );
const stake = (owner = ownerOf("worker-1", "stranger")) => followStake(place(), owner, (line) => said.push(line));
const customer = asAddress(accountOf("stranger").address);
const buyer = asAddress(accountOf("buyer").address);

test("a customer pays once for a model, however many sessions follow", async () => {
  for (const session of [revenue(), revenue()]) for (let looks = 0; looks < 2; looks++) await session.pay();
  const found = await revenueAt(place());
  const about = revenueDeposited({ revenue: found.revenue, modelId: stage.world.modelId });
  const { logs } = await getAllLogs(stage.client, about, { from: 0n });
  expect(logs.length).toBe(1);
  const payment = (await paymentOf(place(), found, customer))!;
  expect(payment).toMatchObject({ amount: REVENUE, transaction: logs[0]!.transactionHash });
  expect(said).toEqual([`customer paid 3 TESTUSD, which the holders of epoch ${payment.epoch} share`]);
  // What another wallet paid is no payment of this one.
  expect(await paymentOf(place(), found, buyer)).toBeUndefined();
});

test("the wallets here claim what an active root owes them, once", async () => {
  await buyShares();
  const session = revenue();
  await session.pay();
  await session.claim();
  expect(await dollarsOf(buyer)).toBe(0n);
  await shareOut();
  said = [];
  for (const each of [session, session, revenue()]) await each.claim();
  expect(await dollarsOf(buyer)).toBe(REVENUE);
  expect(said).toEqual(["1 wallet claimed 3 TESTUSD of revenue"]);
});

test("a worker stakes once for a model, and what others put up for it is not asked for again either", async () => {
  for (const session of [stake(), stake()]) for (let looks = 0; looks < 2; looks++) await session.stake();
  const book = await stakesAt(place(), "worker");
  expect(await stakeStanding(place(), book, "worker", customer)).toMatchObject({ active: STAKED, leaving: 0n });
  expect(said).toEqual(["worker-1 put 0.001 coins at stake"]);
  expect(await stakedBy(place(), book.stakes, customer)).toMatch(/^0x\w{64}$/);

  const { stakes } = book;
  const { modelId } = stage.world;
  const deposit = { stakes, modelId, role: "worker", staker: buyer, amount: 1n } as const;
  await depositStake.sync(ownerOf("worker-1", "stranger").client, deposit);
  await stake(ownerOf("worker-2", "buyer")).stake();
  expect(await stakeStanding(place(), book, "worker", buyer)).toMatchObject({ active: 1n });
});

test("a worker that could hardly pay its transactions afterwards stakes nothing", async () => {
  await stage.client.setBalance({ address: customer, value: 2n * STAKED - 1n });
  const session = stake();
  await session.stake();
  expect([session.why(), said]).toEqual(["worker-1 has too few coins to put some at stake", []]);
});
