/** What a session's summary tells of shares, read from a chain: at every moment they add up, whoever has them and wherever they lie. */
import {
  approveGrantByVote,
  capitalDeposited,
  claimCapital,
  codeGrantsOf,
  getAllLogs,
  revokeGrant,
  timelockOf,
} from "@cotrain/sdk/actions";
import { asAddress, type Hex } from "@cotrain/sdk/protocol";
import { getAddress } from "viem";
import { afterEach, beforeEach, expect, test } from "vitest";

import { contributedTo, ownershipOf } from "../../../offchain/src/cli/up/ownership.ts";
import { followPurchase } from "../../../offchain/src/localnet/capital.ts";
import { followGrant } from "../../../offchain/src/localnet/code.ts";
import type { Prepared } from "../../../offchain/src/localnet/prepare.ts";
import type { TrainingSession } from "../../../offchain/src/localnet/session.ts";
import { beginGrant, grantFacts } from "../../../offchain/src/run/index.ts";
import { systemClock } from "../../../offchain/src/base/index.ts";
import { openContributing, type Contributing } from "../localnet/contributing.ts";
import { alice, bob, share, stranger } from "../../sdk/world.ts";

let stage: Contributing;
let prepared: Prepared;
beforeEach(async () => {
  stage = await openContributing();
  const contributors = { buyer: stage.ownerOf("buyer", alice), author: stage.ownerOf("author", bob) };
  const reader = { epochEnd: async () => 1_700_000_000 };
  prepared = { ...stage.place, contributors, reader } as unknown as Prepared;
});
afterEach(() => stage.close());

const say = (): void => undefined;
const session = { noCapital: undefined, noCode: undefined } as TrainingSession;
const told = () => contributedTo(prepared, session);

const sum = (amounts: readonly bigint[]): bigint => amounts.reduce((total, each) => total + each, 0n);

/** What each of these has and what lies in contracts, in shares; fails where not all shares are accounted for, both ways. */
async function divided(on = prepared): Promise<readonly number[]> {
  const accounts = [alice, bob, stranger].map(({ address }) => address);
  const { shares, holdingOf } = await ownershipOf(on, accounts);
  const held = accounts.map((account) => holdingOf(account).balance);
  const parts = [...held, ...[shares.unclaimed, shares.inGrants, shares.inSale, shares.inTreasury ?? 0].map(BigInt)];
  expect(sum(parts)).toBe(BigInt(shares.minted));
  expect(sum(Object.values(shares.origins).map(BigInt))).toBe(BigInt(shares.minted));
  const { compute, capital, code } = shares.origins;
  return [...parts, ...[compute, capital, code].map(BigInt)].map((wei) => Number(wei / 10n ** 16n) / 100);
}

async function grant(author: Hex, amount: bigint): Promise<Hex> {
  const { addresses, modelId } = stage;
  const facts = await grantFacts(stage.place, systemClock);
  const terms = { author: asAddress(author), repository: "a clone", commit: "1".repeat(40), description: "", amount };
  const { id, struct } = beginGrant(facts, { ...terms, start: facts.now, cliff: 0, duration: 60, within: 3_600 });
  const call = approveGrantByVote.call({ grants: facts.grants, grant: struct, repository: "a clone" });
  await stage.as(await timelockOf(stage.client, { addresses, modelId }), call.to, call.data);
  return id;
}

test("shares of work, capital and code add up to all of them, to the wei, wherever they are on their way", async () => {
  expect(await divided()).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  await stage.reward([{ account: asAddress(stranger.address), amount: 7n * share }]);
  expect(await divided()).toEqual([0, 0, 0, 7, 0, 0, 0, 7, 0, 0]);

  // Two buy in one epoch: what one fetches, the other has not yet.
  const purchase = followPurchase(stage.place, prepared.contributors!.buyer, say);
  await purchase.look();
  await stage.deposit(stranger, 1_000_000n);
  const epoch = await stage.epoch();
  const { modelId, sale, client } = stage;
  const { logs } = await getAllLogs(client, capitalDeposited({ sale, modelId }), { from: 0n });
  expect(logs.map(({ args }) => args.epoch)).toEqual([epoch, epoch]);
  await stage.overBy(epoch);
  await purchase.look();
  expect(await divided()).toEqual([100, 0, 0, 7, 0, 50, 0, 7, 150, 0]);
  await claimCapital.sync(stage.clientOf(stranger), { sale, modelId, epoch, beneficiary: asAddress(stranger.address) });
  expect(await divided()).toEqual([100, 0, 50, 7, 0, 0, 0, 7, 150, 0]);

  await grant(bob.address, 50n * share);
  expect(await divided()).toEqual([100, 0, 50, 7, 50, 0, 0, 7, 150, 50]);
  await stage.advanceTo((await stage.now()) + 61);
  await followGrant(stage.place, prepared.contributors!.author, say).look();
  expect(await divided()).toEqual([100, 50, 50, 7, 0, 0, 0, 7, 150, 50]);

  // What the holders take back is burned, and came from nothing.
  const { addresses } = stage;
  const grants = await codeGrantsOf(client, { addresses });
  const id = await grant(stranger.address, 10n * share);
  const revoke = revokeGrant.call({ grants, modelId, id });
  await stage.as(await timelockOf(client, { addresses, modelId }), revoke.to, revoke.data);
  const [, , , , inGrants = 0, , , , , code = 0] = await divided();
  expect(inGrants).toBeLessThan(10);
  expect(code).toBeCloseTo(50 + inGrants, 1);
});

test("a purchase and a grant are told as far as they have come, and what is still due", async () => {
  expect(await told()).toMatchObject({ capital: null, code: null, pending: [] });
  expect(await contributedTo(prepared, { ...session, noCapital: "dear", noCode: "no vote" })).toMatchObject({
    noCapital: "dear",
    noCode: "no vote",
  });
  const purchase = followPurchase(stage.place, prepared.contributors!.buyer, say);
  await purchase.look();
  const epoch = await stage.epoch();
  const id = await grant(bob.address, 50n * share);
  expect(await told()).toMatchObject({
    capital: {
      token: getAddress(stage.testDollar),
      symbol: "TESTUSD",
      decimals: 6,
      paid: "2000000",
      shares: "0",
      epoch: Number(epoch),
      transaction: null,
    },
    noCapital: null,
    code: { id, commit: "1".repeat(40), repository: "a clone", amount: String(50n * share), claimed: "0" },
    noCode: null,
    pending: [
      { what: `the shares that buyer bought in epoch ${epoch}`, due: "2023-11-14T22:13:20.000Z" },
      { what: "claim of the last 50.00 shares that author was granted for code", due: expect.stringMatching(/Z$/) },
    ],
  });
  // A time that no date can say is a number.
  const far = { ...prepared, reader: { epochEnd: async () => 2 ** 48 - 1 } } as unknown as Prepared;
  expect((await contributedTo(far, session)).pending[0]).toMatchObject({ due: "second 281474976710655" });
  await stage.overBy(epoch);
  await purchase.look();
  await stage.advanceTo((await stage.now()) + 61);
  await followGrant(stage.place, prepared.contributors!.author, say).look();
  expect(await told()).toMatchObject({
    capital: { shares: String(100n * share), transaction: expect.stringMatching(/^0x/) },
    code: { claimed: String(50n * share) },
    pending: [],
  });
  // Where there is nobody who buys or writes code, nothing is told of anybody else's.
  const alone = { ...prepared, contributors: undefined } as Prepared;
  expect(await contributedTo(alone, session)).toMatchObject({ capital: null, code: null });
});

test("shares that are minted while they are read are told in none of the sums", async () => {
  await stage.reward([{ account: asAddress(stranger.address), amount: 7n * share }]);
  let granted = 0;
  // Once the newest block is known somebody is granted a share.
  const call = async (work: (client: object) => Promise<unknown>): Promise<unknown> =>
    stage.place.connection.call(async (client) =>
      work({
        ...client,
        getBlock: async () => {
          const block = await client.getBlock();
          granted += 1;
          await grant(`0x${String(granted).repeat(40)}`, share);
          return block;
        },
      }),
    );
  const connection = { ...stage.place.connection, call };
  const during = { ...prepared, connection } as unknown as Prepared;
  expect(await divided(during)).toEqual([0, 0, 0, 7, 0, 0, 0, 7, 0, 0]);
  expect(await divided(during)).toEqual([0, 0, 0, 7, 1, 0, 0, 7, 0, 1]);
  expect(granted).toBe(2);
});
