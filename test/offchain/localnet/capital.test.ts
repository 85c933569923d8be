/** The one purchase of a session on a development chain: a step at a time, from what the chain alone tells. */
import {
  balanceOf,
  saleBookOf,
  setSaleTerms,
  settleSale,
  timelockOf,
  unsettledSales,
  votesOf,
} from "@cotrain/sdk/actions";
import { CapitalSaleShortError } from "@cotrain/sdk/errors";
import { asAddress, asModelId } from "@cotrain/sdk/protocol";
import { toFunctionSelector } from "viem";
import { afterEach, beforeEach, expect, test } from "vitest";

import { followPurchase, PAID, purchaseOf } from "../../../offchain/src/localnet/capital.ts";
import type { BuyingPlace } from "../../../offchain/src/run/index.ts";
import { alice, hashOf, share, stranger } from "../../sdk/world.ts";
import { openContributing, type Contributing } from "./contributing.ts";

const buyer = asAddress(alice.address);
let stage: Contributing;
let said: string[];
beforeEach(async () => {
  stage = await openContributing();
  said = [];
});
afterEach(() => stage.close());

/** As a start follows it: whatever an earlier one did, this one knows of nothing. */
const follow = (place: BuyingPlace = stage.place) =>
  followPurchase(place, stage.ownerOf("buyer", alice), (line) => said.push(line));
const bought = () => balanceOf(stage.client, { shares: stage.shares, account: buyer });

test("is a deposit in the present epoch, and its shares with their votes once that is over", async () => {
  const session = follow();
  expect(session.pending()).toEqual([]);
  await session.look();
  const epoch = await stage.epoch();
  expect(session.pending()).toEqual([`the sale of epoch ${epoch}`]);
  const deposited = { paid: PAID, epoch, claimed: undefined };
  expect(await purchaseOf(stage.place, buyer)).toMatchObject(deposited);
  // The play money that it lacked was made, and no more.
  expect(await stage.dollarsOf(buyer)).toBe(0n);

  await session.look();
  expect([await bought(), session.pending().length]).toEqual([0n, 1]);
  await stage.overBy(epoch);
  await session.look();
  expect(await bought()).toBe(100n * share);
  expect(await votesOf(stage.client, { shares: stage.shares, account: buyer })).toBe(100n * share);
  expect([session.pending(), session.why()]).toEqual([[], undefined]);
  expect(said).toEqual([
    `buyer deposited 2 TESTUSD for shares of epoch ${epoch}`,
    `buyer bought 100.00 shares of epoch ${epoch} for 2 TESTUSD`,
  ]);
  const claimed = { shares: 100n * share, transaction: expect.stringMatching(/^0x/) };
  expect(await purchaseOf(stage.place, buyer)).toMatchObject({ ...deposited, claimed });
});

test("is taken up by the next session wherever it was cut short, and made once for ever", async () => {
  await follow().look();
  const epoch = await stage.epoch();
  await follow().look();
  expect(await stage.deposits()).toBe(1);
  await stage.overBy(epoch);
  await follow().look();
  expect(await bought()).toBe(100n * share);
  const later = follow();
  for (let looks = 0; looks < 3; looks++) await later.look();
  expect([await stage.deposits(), await bought(), later.why()]).toEqual([1, 100n * share, undefined]);
});

test("is fetched when somebody else settled the epoch", async () => {
  await follow().look();
  const epoch = await stage.epoch();
  await stage.overBy(epoch);
  await settleSale.sync(stage.clientOf(stranger), { sale: stage.sale, modelId: stage.modelId });
  await follow().look();
  expect(await bought()).toBe(100n * share);
});

test("is tried again where nobody answered whether play money can be made", async () => {
  const { connection } = stage.place;
  const mint = toFunctionSelector("mint(address,uint256)");
  let unanswered = 1;
  const answering: typeof connection.call = (read) =>
    connection.call((client) =>
      read({
        ...client,
        call: (asked) =>
          asked.data?.startsWith(mint) && unanswered-- > 0
            ? Promise.reject(new Error("Too many requests."))
            : client.call(asked),
      }),
    );
  const session = follow({ ...stage.place, connection: { ...connection, call: answering } });
  await expect(session.look()).rejects.toThrow("Too many requests.");
  expect([session.why(), await stage.deposits()]).toEqual([undefined, 0]);
  await session.look();
  expect(await stage.deposits()).toBe(1);
});

test("is what the buyer pays itself: what a stranger deposits for it is none", async () => {
  await stage.deposit(stranger, 1n, buyer);
  await follow().look();
  expect(await purchaseOf(stage.place, buyer)).toMatchObject({ paid: PAID });
});

test("waits for a settlement that reverts, and is tried again", async () => {
  const { sale, modelId } = stage;
  await follow().look();
  await stage.overBy(await stage.epoch());
  const { vault } = (await saleBookOf(stage.client, { sale, modelId }))!;
  await stage.move(vault, stranger.address, 1n);
  const session = follow();
  await expect(session.look()).rejects.toBeInstanceOf(CapitalSaleShortError);
  expect(session.pending()).toHaveLength(1);
  await stage.move(stranger.address, vault, 1n);
  await session.look();
  expect(await bought()).toBe(100n * share);
});

test("waits in the line of epochs that nobody settled, eight of them a transaction", async () => {
  for (let earlier = 0; earlier < 9; earlier++) await stage.overBy(await stage.deposit(stranger, 1_000_000n));
  const session = follow();
  await session.look();
  await stage.overBy(await stage.epoch());
  await session.look();
  const { sale, modelId } = stage;
  expect([await unsettledSales(stage.client, { sale, modelId }), await bought()]).toMatchObject([{ count: 2n }, 0n]);
  await session.look();
  expect([session.pending(), await bought()]).toEqual([[], 100n * share]);
});

test("comes back where the epoch was not settled for thirty days, and no other is made in its place", async () => {
  await follow().look();
  const epoch = await stage.epoch();
  await stage.advanceTo((await stage.now()) + 31 * 86_400);
  const session = follow();
  await session.look();
  expect(await stage.dollarsOf(buyer)).toBe(PAID);
  expect([session.pending(), session.why()]).toEqual([[], `what was paid in epoch ${epoch} came back`]);
  expect(said.at(-1)).toBe(`buyer has 2 TESTUSD of epoch ${epoch} back`);
  const later = follow();
  await later.look();
  expect([await stage.deposits(), later.why()]).toEqual([1, session.why()]);
  expect(await purchaseOf(stage.place, buyer)).toBeUndefined();
});

test("is none where shares are not sold, or not for so little, and says why", async () => {
  const unsold = follow({ ...stage.place, modelId: asModelId(hashOf("another model")) });
  await unsold.look();
  expect(unsold.why()).toMatch(/^This model sells no shares/);

  const { addresses, modelId, sale, client } = stage;
  const timelock = await timelockOf(client, { addresses, modelId });
  const terms = setSaleTerms.call({ sale, modelId, replaces: 1, price: 20_000n, minimum: PAID + 1n });
  await stage.as(timelock, terms.to, terms.data);
  await stage.overBy(await stage.epoch());
  const dear = follow();
  await dear.look();
  expect(dear.why()).toMatch(/pays back what brings in less than 2\.000001 TESTUSD, and the buyer has 2 TESTUSD$/);
  expect([await stage.deposits(), await stage.dollarsOf(buyer)]).toEqual([0, 0n]);
});
