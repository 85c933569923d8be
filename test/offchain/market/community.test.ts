/** Community machines by wallet: what either side pays, keeps, refuses and loses at the most. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { leaseOfTerms, signVoucher, toWire } from "@cotrain/sdk/protocol";
import { communityStage, LABEL, PERIOD, place, PRICE, renter, thief } from "./communityStage.ts";

type Stage = Awaited<ReturnType<typeof communityStage>>;
let stage: Stage;
beforeEach(async () => {
  stage = await communityStage();
});
afterEach(() => stage.close());

const LOOK = 30_000;
const owed = (): bigint => BigInt(stage.world.word?.voucher?.voucher.cumulative ?? 0);

/** The machine answers, and says so at its next call. */
async function accepting(lending: Awaited<ReturnType<Stage["lending"]>>): Promise<void> {
  await lending.turn();
  await lending.turn();
}

/** A lease that works: asked, accepted, deposited, begun. */
async function working() {
  const [account, lending] = [stage.account(), await stage.lending()];
  const { id } = await account.create(await stage.order());
  await accepting(lending);
  await account.list();
  await lending.turn();
  return { account, lending, id };
}
type Working = Awaited<ReturnType<typeof working>>;

async function pass({ account, lending }: Pick<Working, "account" | "lending">, looks: number): Promise<void> {
  for (let look = 0; look < looks; look++) {
    stage.elapse(LOOK);
    await account.list();
    await lending.turn();
  }
}

describe("a machine that is let", () => {
  it("is an offer at the price that its owner signed, until it is taken", async () => {
    const { offers, refused } = await stage.listing();
    expect(refused).toEqual({});
    expect(offers).toMatchObject([
      {
        provider: "community",
        providerId: stage.offerName,
        price: { perHour: PRICE * 3_600n },
        stock: "in stock",
        backstop: "vouchers",
      },
    ]);
    stage.world.taken = true;
    expect((await stage.listing()).offers).toMatchObject([{ stock: "none" }]);
  });

  it("is none where it says other hardware than its owner signed", async () => {
    Object.assign(stage.listed, { facts: { ...stage.listed.facts, gpus: 8 } });
    const { offers, refused } = await stage.listing();
    expect(offers).toEqual([]);
    expect(Object.keys(refused)).toEqual(["what it says of its hardware is not what its owner signed"]);
  });

  it("works once the deposit is there, is paid for the time in which it is alive, and has what its vouchers say", async () => {
    const lease = await working();
    expect(stage.world).toMatchObject({ opened: 1, running: 1 });
    expect(owed()).toBe(0n);
    stage.world.alive = true;
    await pass(lease, 21);
    // The first look finds it alive; twenty follow.
    expect(owed()).toBe((PRICE * 20n * BigInt(LOOK)) / 1_000n);
    expect(await lease.account.list()).toMatchObject([{ label: LABEL, state: "running" }]);

    expect(await lease.account.terminate(lease.id)).toBe("accepted");
    await lease.lending.turn();
    expect(stage.world).toMatchObject({ running: 0, earned: owed() });
    expect(await lease.account.list()).toMatchObject([{ state: "ending" }]);
    stage.elapse(900_000);
    expect(await lease.account.list()).toEqual([]);
    expect(await lease.account.get(lease.id)).toBeUndefined();
    expect(stage.world.wallet + stage.world.earned).toBe(1_000_000_000n);
    expect(await lease.account.bill({ id: lease.id, state: "gone", words: "" })).toBe(stage.world.earned);
  });

  it("leaves who does not pay any more after a period, and redeems what it has", async () => {
    const lease = await working();
    stage.world.alive = true;
    await pass(lease, 11);
    const paid = owed();
    let worked = 0;
    while (stage.world.running === 1) {
      stage.elapse(LOOK);
      worked += LOOK;
      await lease.lending.turn();
    }
    expect(worked).toBeGreaterThan(PERIOD);
    expect(worked).toBeLessThanOrEqual(PERIOD + 60_000 + 2 * LOOK);
    expect(stage.world.earned).toBe(paid);
    expect(lease.lending.tenancy()).toMatchObject({ state: "over", words: "Its renter does not pay any more." });
  });

  it("works for no deposit that is smaller than was agreed, or that its token took away", async () => {
    const [account, lending] = [stage.account(), await stage.lending()];
    await account.create(await stage.order());
    await accepting(lending);
    await account.list();
    for (const channel of stage.channels.values()) channel.held -= 1n;
    await lending.turn();
    expect(stage.world.running).toBe(0);
    expect(lending.tenancy()).toMatchObject({ state: "over" });
  });

  it("keeps no voucher of another signer, and none that is lower", async () => {
    const lease = await working();
    stage.world.alive = true;
    await pass(lease, 5);
    const kept = lease.lending.tenancy()?.voucher;
    const { word } = stage.world;
    const said = async (cumulative: bigint, by: typeof renter): Promise<void> => {
      const voucher = { leaseId: leaseOfTerms(place, word!.terms), cumulative, through: 1n };
      const signature = await signVoucher(by, place, voucher);
      stage.world.word = { ...word!, voucher: { voucher: toWire("Voucher", voucher), signature } };
      await lease.lending.turn();
    };
    await said(500_000n, thief);
    expect(lease.lending.tenancy()?.voucher).toEqual(kept);
    await said(1n, renter);
    expect(lease.lending.tenancy()?.voucher).toEqual(kept);
    // More than the deposit would be worth nothing.
    await said(10n ** 12n, renter);
    expect(lease.lending.tenancy()?.voucher).toEqual(kept);
  });

  it("redeems in time where the renter closes, although the coordinator is gone", async () => {
    const lease = await working();
    stage.world.alive = true;
    await pass(lease, 5);
    const paid = owed();
    stage.world.coordinatorAway = true;
    for (const channel of stage.channels.values()) channel.closesAt = 1_800_001_500;
    await lease.lending.turn();
    expect(stage.world).toMatchObject({ running: 0, earned: paid });
  });

  it("goes on after kill -9 with its lease and its voucher, and redeems once", async () => {
    const lease = await working();
    stage.world.alive = true;
    await pass(lease, 5);
    const again = await stage.lending();
    expect(again.tenancy()).toMatchObject({ state: "working", voucher: stage.world.word?.voucher });
    await again.turn();
    expect(stage.world.running).toBe(1);
    await lease.account.terminate(lease.id);
    await again.turn();
    const { earned } = stage.world;
    expect(earned).toBe(owed());
    await (await stage.lending()).turn();
    expect(stage.world.earned).toBe(earned);
  });
});

/** What the renter says from here on, instead of what an honest one would. */
const says = async (change: object, cumulative?: bigint): Promise<void> => {
  const { word } = stage.world;
  const voucher =
    cumulative === undefined ? null : { leaseId: leaseOfTerms(place, word!.terms), cumulative, through: 1n };
  const signed = voucher && {
    voucher: toWire("Voucher", voucher),
    signature: await signVoucher(renter, place, voucher),
  };
  stage.world.word = { ...word!, ...(signed && { voucher: signed }), ...change };
};

describe("a machine of several GPUs", () => {
  beforeEach(async () => {
    stage.close();
    stage = await communityStage(4);
  });

  it("is paid for the part of them that is alive, and content with that", async () => {
    const lease = await working();
    stage.world.alive = true;
    stage.world.dead = 3;
    await pass(lease, 21);
    expect(owed()).toBe((PRICE * 20n * BigInt(LOOK)) / 4_000n);
    expect(stage.world.running).toBe(4);
    stage.world.dead = 0;
    await pass(lease, 1);
    // What was dead at one end of it is not paid.
    expect(owed()).toBe((PRICE * 21n * BigInt(LOOK)) / 4_000n);
    await pass(lease, 40);
    expect(owed()).toBe((PRICE * 21n * BigInt(LOOK)) / 4_000n + (PRICE * 40n * BigInt(LOOK)) / 1_000n);
    expect(stage.world.running).toBe(4);
  });

  it("leaves who does not pay for all that is alive", async () => {
    const lease = await working();
    stage.world.alive = true;
    await pass(lease, 5);
    let worked = 0;
    // Its renter sees one of them, and it sees all.
    while (stage.world.running === 4) {
      stage.elapse(LOOK);
      worked += LOOK;
      stage.world.dead = 3;
      await lease.account.list();
      stage.world.dead = 0;
      await lease.lending.turn();
    }
    expect(worked).toBeLessThanOrEqual(((PERIOD + 60_000) * 4) / 3 + 2 * LOOK);
    expect(lease.lending.tenancy()).toMatchObject({ words: "Its renter does not pay any more." });
  });

  it("leaves where a part alone is paid for longer than a silence lasts, whoever says so", async () => {
    const lease = await working();
    stage.world.alive = true;
    stage.world.dead = 1;
    const looks = (PERIOD + 60_000 + 600_000) / LOOK;
    await pass(lease, looks);
    expect(stage.world.running).toBe(4);
    await pass(lease, 2);
    expect(stage.world.running).toBe(0);
    expect(lease.lending.tenancy()).toMatchObject({ words: expect.stringContaining("A part of its workers alone") });
    expect(stage.world.earned).toBe(owed());
  });
});

describe("a renter who cheats", () => {
  it("buys no whole lease by a deposit of a moment's pay", async () => {
    const lease = await working();
    stage.world.alive = true;
    const [channel] = stage.channels.values();
    const { asked } = stage.world.word!;
    // As if so little had been agreed: all of it is paid at once, and nothing after it.
    const little = PRICE;
    const kept = lease.lending.tenancy()!;
    Object.assign(kept.asked.offer, { deposit: String(little) });
    Object.assign(channel!, { deposit: little, held: little });
    await says({ asked }, little);
    let worked = 0;
    while (stage.world.running === 1) {
      stage.elapse(LOOK);
      worked += LOOK;
      await lease.lending.turn();
    }
    expect(worked).toBeLessThanOrEqual(PERIOD + 60_000 + 3 * LOOK);
  });

  it("stops no machine with a number out of its range before it redeems", async () => {
    const lease = await working();
    stage.world.alive = true;
    await pass(lease, 11);
    const paid = owed();
    const { word } = stage.world;
    const huge = { ...word!.voucher!, voucher: { ...word!.voucher!.voucher, cumulative: `1${"0".repeat(77)}` } };
    stage.world.word = { ...word!, voucher: huge };
    for (const channel of stage.channels.values()) channel.closesAt = 2_000_000_000;
    await lease.lending.turn();
    expect(stage.world).toMatchObject({ running: 0, earned: paid });
    const strange = { ...word!.asked.offer, leaseId: `0x${"77".repeat(32)}` as const, answerBy: "9".repeat(20) };
    stage.world.word = { ...word!, asked: { ...word!.asked, offer: strange } };
    await lease.lending.turn();
    expect(lease.lending.tenancy()?.leaseId).toBe(word!.asked.offer.leaseId);
  });

  it("has no more workers than GPUs", async () => {
    const [account, lending] = [stage.account(), await stage.lending()];
    await account.create(await stage.order());
    await accepting(lending);
    await account.list();
    const { word } = stage.world;
    stage.world.word = { ...word!, passes: [...word!.passes, ...word!.passes] };
    await lending.turn();
    expect(stage.world.running).toBe(0);
    expect(lending.tenancy()).toMatchObject({ state: "over", words: "Its renter names 2 workers for 1 GPUs." });
  });

  it("pays with no voucher of a lease before", async () => {
    const [account, lending] = [stage.account(), await stage.lending()];
    await account.create(await stage.order());
    await accepting(lending);
    await account.list();
    for (const channel of stage.channels.values()) channel.earned = 5n;
    await lending.turn();
    expect(stage.world.running).toBe(0);
    expect(lending.tenancy()).toMatchObject({ state: "over", words: expect.stringContaining("from before") });
  });

  it("has nothing done for long where nothing is paid, whoever says that nobody works", async () => {
    const lease = await working();
    let worked = 0;
    while (stage.world.running === 1) {
      stage.elapse(LOOK);
      worked += LOOK;
      await lease.lending.turn();
    }
    expect(worked).toBeLessThanOrEqual(PERIOD + 60_000 + 600_000 + 2 * LOOK);
    expect(lease.lending.tenancy()).toMatchObject({
      state: "over",
      words: expect.stringContaining("Nothing was paid"),
    });
  });

  it("has no lease done for a moment's pay now and then, whoever says that nobody works between", async () => {
    const lease = await working();
    for (let looks = 0; looks < 200 && stage.world.running === 1; looks++) {
      // Two looks of twenty find it alive: what lies between them is paid.
      stage.world.alive = looks % 20 < 2;
      await pass(lease, 1);
    }
    const { words, since } = lease.lending.tenancy()!;
    expect(words).toContain("Too little was paid");
    expect(stage.now() - since!).toBeLessThanOrEqual(((PERIOD + 660_000) * 6) / 5 + 2 * LOOK);
    expect(stage.world.earned).toBe(owed());
  });

  it("has not all of its GPUs for the pay of one, by a moment now and then in which all are paid", async () => {
    stage.close();
    stage = await communityStage(4);
    const lease = await working();
    stage.world.alive = true;
    for (let looks = 0; looks < 200 && stage.world.running === 4; looks++) {
      stage.world.dead = looks % 20 === 0 ? 0 : 3;
      await pass(lease, 1);
    }
    const { words, since } = lease.lending.tenancy()!;
    expect(words).toContain("Too little was paid");
    expect(stage.now() - since!).toBeLessThanOrEqual((PERIOD + 660_000) * 2);
  });

  it("keeps no machine from its next lease by a voucher of a channel that never comes", async () => {
    const [account, lending] = [stage.account(), await stage.lending()];
    await account.create(await stage.order());
    await accepting(lending);
    await says({}, 1n);
    stage.elapse(LOOK);
    await lending.turn();
    stage.elapse(2 * 600_000);
    await lending.turn();
    expect(lending.tenancy()).toMatchObject({ state: "over", voucher: null });
  });

  it("has nothing done for a channel that is gone, or that nobody can read", async () => {
    const lease = await working();
    stage.world.alive = true;
    await pass(lease, 3);
    stage.channels.clear();
    await lease.lending.turn();
    expect(stage.world.running).toBe(1);
    for (let look = 0; look < 2; look++) await lease.lending.turn();
    expect(lease.lending.tenancy()).toMatchObject({ state: "over", words: "Its channel is not there any more." });
  });

  it("has nothing done while the chain is away for half the notice", async () => {
    const lease = await working();
    stage.world.alive = true;
    await pass(lease, 3);
    stage.world.chainAway = true;
    stage.elapse(301_000);
    await lease.lending.turn();
    expect(lease.lending.tenancy()).toMatchObject({ state: "over", words: expect.stringContaining("half the notice") });
  });
});

describe("who rents", () => {
  it("pays no silence that it has seen", async () => {
    const lease = await working();
    stage.world.alive = true;
    await pass(lease, 2);
    const before = owed();
    stage.world.alive = false;
    await pass(lease, 5);
    expect(owed()).toBe(before);
    stage.elapse(PERIOD / 2);
    stage.world.alive = true;
    await lease.account.list();
    expect(owed()).toBe(before);
    stage.elapse(PERIOD / 2);
    await lease.account.list();
    expect(owed()).toBe(before + (PRICE * BigInt(PERIOD / 2)) / 1_000n);
  });

  it("pays no more than a period where nobody looked", async () => {
    const lease = await working();
    stage.world.alive = true;
    await pass(lease, 2);
    const before = owed();
    stage.elapse(10 * PERIOD);
    await lease.account.list();
    expect(owed()).toBe(before + (PRICE * BigInt(PERIOD)) / 1_000n);
  });

  it("never signs more than the deposit", async () => {
    const lease = await working();
    stage.world.alive = true;
    const [channel] = stage.channels.values();
    for (let look = 0; look < 40; look++) {
      stage.elapse(PERIOD);
      await lease.account.list();
    }
    expect(owed()).toBe(channel?.deposit);
  });

  it("deposits once, whatever it is killed between", async () => {
    const first = stage.account();
    await first.create(await stage.order());
    await accepting(await stage.lending());
    stage.world.chainAway = true;
    await first.list();
    expect(stage.world.opened).toBe(0);
    stage.world.chainAway = false;
    // The deposit is sent, and nobody writes down that it was.
    stage.world.diesAfterOpening = true;
    await first.list();
    expect(stage.world.opened).toBe(1);
    stage.world.diesAfterOpening = false;
    await stage.account().list();
    expect(stage.world.opened).toBe(1);
    expect(await stage.account().list()).toMatchObject([{ label: LABEL, state: "running" }]);
  });

  it("opens no channel for a machine that did not answer, and lets it go", async () => {
    const account = stage.account();
    await account.create(await stage.order());
    stage.elapse(120_000);
    await account.list();
    await account.list();
    expect(await account.list()).toEqual([]);
    expect(stage.world.opened).toBe(0);
  });

  it("rents nothing that is dearer than was quoted, that is taken, or that the wallet cannot cover", async () => {
    const account = stage.account();
    const order = await stage.order();
    await expect(account.create({ ...order, maximumPerHour: 1n })).rejects.toMatchObject({ code: "PROVIDER_REFUSED" });
    await expect(account.create({ ...order, environment: {} })).rejects.toMatchObject({ code: "ORDER" });
    stage.world.wallet = 1n;
    await expect(account.create(order)).rejects.toMatchObject({ code: "PROVIDER_FUNDS" });
    stage.world.taken = true;
    await expect(account.create(order)).rejects.toMatchObject({ code: "PROVIDER_CAPACITY" });
    expect(await account.list()).toEqual([]);
  });

  it("ends a lease whose machine left, with what it had earned", async () => {
    const lease = await working();
    stage.world.alive = true;
    await pass(lease, 3);
    stage.world.said = { ...stage.world.said!, state: "over", words: "The owner switched it off." };
    await lease.account.list();
    expect(await lease.account.list()).toMatchObject([{ state: "ending" }]);
  });
});
