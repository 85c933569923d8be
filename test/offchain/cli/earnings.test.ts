/** What a session's summary tells of stake and revenue, read from a chain: what is shared adds up to what roots set aside. */
import { asAddress } from "@cotrain/sdk/protocol";
import { beforeEach, expect, test } from "vitest";

import { connect, createReader, walletOn } from "../../../offchain/src/chain/index.ts";
import { moneyOf } from "../../../offchain/src/cli/up/earnings.ts";
import type { Owner } from "../../../offchain/src/localnet/owners.ts";
import type { Prepared } from "../../../offchain/src/localnet/prepare.ts";
import { followRevenue } from "../../../offchain/src/localnet/revenue.ts";
import type { TrainingSession } from "../../../offchain/src/localnet/session.ts";
import { followStake } from "../../../offchain/src/localnet/stake.ts";
import { formatAddress } from "../../../offchain/src/base/index.ts";
import { accountOf } from "../chain/world.ts";
import { revenueStage } from "./revenueStage.ts";
import { staged, told as toldOf } from "./staged.ts";

const stage = staged(["buyer", "stranger", "validator-1", "validator-2"]);
const { buyShares, shareOut } = revenueStage(stage);
const session = {} as TrainingSession;
const say = (): void => undefined;

let prepared: Prepared;
let customer: Owner;
let buyer: Owner;
beforeEach(async () => {
  const { chainId, contracts: addresses, modelId, runId, fromBlock } = stage.world;
  const connection = await connect({ rpcUrl: stage.node.url, chainId });
  const reader = createReader(connection, { contracts: addresses, fromBlock });
  const ownerOf = (name: string, wallet = name): Owner => ({ name, client: walletOn(connection, accountOf(wallet)) });
  [customer, buyer] = [ownerOf("customer", "stranger"), ownerOf("buyer")];
  for (const { client } of [customer, buyer])
    await stage.client.setBalance({ address: client.account.address, value: 10n ** 18n });
  const place = { connection, reader, addresses, modelId, runId, fromBlock };
  // What holds another's part of the revenue is no wallet of this machine.
  prepared = { ...place, owners: [buyer], contributors: { buyer, customer } } as unknown as Prepared;
});
const told = (on = prepared) => moneyOf(on, session);
const follow = () => followRevenue(prepared, { customer, owners: [buyer] }, say);

test("revenue is to be shared, then to be claimed, then claimed; its parts add up to what roots set aside", async () => {
  await buyShares();
  expect(await told()).toMatchObject({
    stake: null,
    noStake: "no coins were put up in time",
    revenue: null,
    noRevenue: "no wallet here had claimed shares in time, and the next start tries again",
    pending: [],
  });
  await follow().pay();
  const paid = { symbol: "TESTUSD", arrived: "3000000", payment: { payer: "customer", amount: "3000000" } };
  expect(await told()).toMatchObject({
    revenue: { ...paid, setAside: "0", parts: [] },
    noRevenue: null,
    pending: [{ what: "the root that shares 3 TESTUSD out", due: expect.stringMatching(/Z$/) as string }],
  });
  await shareOut();
  const account = formatAddress(asAddress(buyer.client.account.address));
  const part = { name: "buyer", account, amount: "3000000" };
  const open = await told();
  expect(open.revenue).toMatchObject({ ...paid, setAside: "3000000", parts: [{ ...part, claimed: "0" }] });
  expect(open.pending).toEqual([{ what: "claim of revenue by buyer, possible now", due: null }]);
  await follow().claim();
  expect(await told()).toMatchObject({ revenue: { parts: [{ ...part, claimed: "3000000" }] }, pending: [] });
  // Somebody else's part is told as others'.
  const elsewhere = { ...prepared, owners: [customer] };
  // What is less than a coordinator takes up waits for more, whoever paid it and when.
  await toldOf("revenue", "deposit", "0.5", "--state", stage.state, ...stage.by("stranger"), "--yes");
  expect((await told()).pending).toEqual([
    { what: "0.5 TESTUSD of revenue, shared out with what comes next once it is 1 TESTUSD in all", due: null },
  ]);
  const others = { name: "others", account: null, amount: "3000000", claimed: null };
  expect(await told(elsewhere)).toMatchObject({ revenue: { parts: [others] } });
});

test("what nobody holds shares for is the treasury's, and is told as its part", async () => {
  await follow().pay();
  await shareOut();
  expect(await told()).toMatchObject({
    revenue: { setAside: "3000000", parts: [{ name: "treasury", amount: "3000000", claimed: null }] },
    pending: [],
  });
});

test("stake is told with the transaction that put it up", async () => {
  await followStake(prepared, buyer, say).stake();
  expect(await told()).toMatchObject({
    stake: {
      name: "buyer",
      active: "1000000000000000",
      leaving: "0",
      transaction: expect.stringMatching(/^0x/) as string,
    },
    noStake: null,
  });
  // Of a chain whose coins are worth something nobody stakes by himself.
  const elsewhere = { ...prepared, contributors: undefined };
  const why = { noStake: "npm start stakes nothing", noRevenue: "npm start pays none" } as TrainingSession;
  expect(await moneyOf(elsewhere, why)).toEqual({ stake: null, revenue: null, ...why, pending: [] });
});
