/** `cotrain capital deposit` on a real node: nothing is paid but for what was shown, and no more may be taken than that. */
import { capitalSaleOf } from "@cotrain/sdk/actions";
import { CapitalSaleOtherEpochError } from "@cotrain/sdk/errors";
import { asAddress } from "@cotrain/sdk/protocol";
import { erc20Abi, parseAbiItem } from "viem";
import { beforeEach, expect, test, vi } from "vitest";

import { walletOn } from "../../../offchain/src/chain/index.ts";
import { depositNow } from "../../../offchain/src/cli/commands/capitalBuy.ts";
import type { FetchFunction } from "../../../offchain/src/chain/transport.ts";
import type { Place } from "../../../offchain/src/cli/place.ts";
import { capitalAt, permitDeposit, prepareDeposit } from "../../../offchain/src/run/index.ts";
import { accountOf } from "../chain/world.ts";
import { capitalStage, silentOn } from "./capitalStage.ts";
import { staged, told } from "./staged.ts";
import { cotrainHere, refusal, verdictOf } from "./support.ts";

const buyer = asAddress(accountOf("buyer").address);
const stage = staged(["buyer", "stranger"]);
const { placeNow, shownNow, nextEpoch, dollarsOf, overBy } = capitalStage(stage);
beforeEach(() => nextEpoch());

const by = (name: string) => ["--state", stage.state, ...stage.by(name)];
const purchase = { amount: 1n, payer: buyer, beneficiary: buyer };
/** What signs nothing, where it is refused before. */
const nobody = undefined as never;

test("a deposit says what is for sale, and what a share costs with it", async () => {
  const asked = await cotrainHere(["capital", "deposit", "12.5", ...by("buyer")]);
  const words = asked.stdout.replaceAll(/\s+/g, " ");
  expect(words).toContain("has 150 shares for sale and has brought in 0 TESTUSD");
  expect(words).toContain("A share would now cost 0.083334 TESTUSD, this deposit included: 0.02 TESTUSD at the least");
  expect(words).toContain("with --price-at-most 0.083334 only while a share costs no more than this");
  // Less than is for sale costs what the holders ask.
  expect(await told("capital", "deposit", "3", ...by("buyer"))).toMatchObject({
    forSale: "150000000000000000000",
    cost: "20000",
    transaction: null,
  });
  await told("capital", "deposit", "3.000001", ...by("stranger"), "--yes");
  expect((await cotrainHere(["capital", "show", ...by("buyer").slice(0, 2)])).stdout).toMatch(
    /costs now +0\.020001 TESTUSD a share/,
  );
});

test.each(["price", "minimum", "forSale"] as const)("another %s than was shown is not paid for", async (term) => {
  const shown = await shownNow();
  const late = placeNow((place) => depositNow(place, nobody, { ...shown, [term]: shown[term] + 1n }, purchase));
  await expect(late).rejects.toMatchObject({ code: "CAPITAL_TERMS" });
});

test("a share that is dearer than was shown is not paid for", async () => {
  const shown = await shownNow();
  await told("capital", "deposit", "12.5", ...by("stranger"), "--yes");
  const late = placeNow((place) => depositNow(place, nobody, shown, purchase));
  await expect(late).rejects.toMatchObject({
    code: "CAPITAL_PRICE",
    message: expect.stringContaining("would now cost 0.083334 TESTUSD, and 0.02 TESTUSD is the most that was shown"),
  });
});

test("a share may cost what --price-at-most says, to the last unit", async () => {
  const deposit = ["capital", "deposit", "12.5", ...by("buyer")];
  for (const yes of [[], ["--yes"]])
    expect(verdictOf(await cotrainHere([...deposit, ...yes, "--price-at-most", "0.083333"]))).toEqual(
      refusal(1, "0.083333 TESTUSD is the most that --price-at-most allows"),
    );
  const wrong = await cotrainHere([...deposit, "--yes", "--price-at-most", "0.0833335"]);
  expect(verdictOf(wrong)).toEqual(refusal(1, "with at most 6 decimals"));
  expect(await told(...deposit, "--yes", "--price-at-most", "0.083334")).toMatchObject({ arrived: "12500000" });
});

test("a price that only a slip of the hand makes is paid where it is named", async () => {
  const deposit = ["capital", "deposit", ...by("buyer"), "--yes"];
  // 150 shares for 0.02 at the least.
  expect(verdictOf(await cotrainHere([...deposit, "300.000001"]))).toEqual(
    refusal(
      1,
      /would cost 2\.000001 TESTUSD, more than 100 times the 0\.02 TESTUSD .* add --price-at-most 2\.000001\.$/,
    ),
  );
  expect(await dollarsOf(buyer)).toBe(0n);
  await told(...deposit, "300.000001", "--price-at-most", "2.000001");
  await nextEpoch();
  expect(await told(...deposit, "300")).toMatchObject({ cost: "2000000", arrived: "300000000" });
});

test("what --price-at-most says holds until the deposit is sent", async () => {
  const shown = await shownNow();
  const late = placeNow((place) => depositNow(place, nobody, shown, { ...purchase, most: shown.price - 1n }));
  await expect(late).rejects.toMatchObject({ code: "CAPITAL_PRICE" });
});

/** A client of the buyer's, who can pay the fees. */
async function signing() {
  await stage.client.setBalance({ address: buyer, value: 10n ** 20n });
  return walletOn({ url: stage.node.url, chainId: stage.world.chainId }, accountOf("buyer"));
}
const preparing = async (amount: bigint, elsewhere: Partial<Place["connection"]> = {}) => {
  const client = await signing();
  return placeNow(async (place) =>
    prepareDeposit(
      { ...place, connection: { ...place.connection, ...elsewhere } },
      client,
      await capitalAt(place),
      amount,
    ),
  );
};

test("the sale is allowed what is deposited, and no more", async () => {
  await preparing(5n);
  const { contracts: addresses, testDollar: token } = stage.world;
  const sale = await capitalSaleOf(stage.client, { addresses });
  const allowed = { address: token, abi: erc20Abi, functionName: "allowance", args: [buyer, sale] } as const;
  expect(await stage.client.readContract(allowed)).toBe(5n);
  // Some tokens change an allowance from nothing and to nothing alone.
  await preparing(7n);
  const event = parseAbiItem("event Approval(address indexed owner, address indexed spender, uint256 value)");
  const logs = await stage.client.getLogs({ address: token, event, args: { owner: buyer }, fromBlock: 0n });
  expect(logs.map(({ args }) => args.value)).toEqual([5n, 0n, 7n]);
  // What suffices stays.
  await preparing(6n);
  expect(await stage.client.readContract(allowed)).toBe(7n);
});

/** Approvals that the buyer ever sent, and how many transactions. */
async function sentBy() {
  const { testDollar: address } = stage.world;
  const event = parseAbiItem("event Approval(address indexed owner, address indexed spender, uint256 value)");
  const logs = await stage.client.getLogs({ address, event, args: { owner: buyer }, fromBlock: 0n });
  return {
    approvals: logs.map(({ args }) => args.value),
    count: await stage.client.getTransactionCount({ address: buyer }),
  };
}

test("a permit lets the sale take the amount in the deposit's own transaction, and nothing is left allowed", async () => {
  const before = await sentBy();
  await told("capital", "deposit", "3", ...by("buyer"), "--yes");
  const after = await sentBy();
  // Play money is made, and deposited.
  expect(after.count - before.count).toBe(2);
  expect(after.approvals).toEqual([3_000_000n]);
  const { contracts: addresses, testDollar: token } = stage.world;
  const sale = await capitalSaleOf(stage.client, { addresses });
  const allowance = { address: token, abi: erc20Abi, functionName: "allowance", args: [buyer, sale] } as const;
  expect(await stage.client.readContract(allowance)).toBe(0n);
});

test("with --no-permit the sale is allowed the amount by a transaction of its own", async () => {
  await told("capital", "deposit", "3", ...by("buyer"), "--no-permit", "--yes");
  expect(await sentBy()).toMatchObject({ count: 3, approvals: [3_000_000n] });
});

/** A node that answers calls of a function in a way of its own. */
const answering =
  (selector: string, result: string): FetchFunction =>
  async (input, init) => {
    if (typeof init?.body !== "string" || !init.body.includes(selector)) return fetch(input, init);
    const { id } = JSON.parse(init.body) as { readonly id: number };
    return Response.json({ jsonrpc: "2.0", id, result });
  };

test.each([
  ["has no permits", answering("0x7ecebe00", "0x")],
  ["signs them in a way of its own", answering("0x3644e515", `0x${"ab".repeat(32)}`)],
])("a token that %s is approved exactly", async (_, fetch) => {
  const client = await signing();
  const { count } = await sentBy();
  await placeNow(async (place) => {
    expect(await permitDeposit(place, client, await capitalAt(place), 5n)).toBeUndefined();
  }, fetch);
  expect(await sentBy()).toMatchObject({ approvals: [5n], count: count + 2 });
});

test("play money is made on the local chain alone", async () => {
  await expect(preparing(5n, { chainId: 1 })).rejects.toMatchObject({ code: "CAPITAL_FUNDS" });
  expect(await dollarsOf(buyer)).toBe(0n);
  await preparing(5n);
  expect(await dollarsOf(buyer)).toBe(5n);
  // No more of it than is lacking.
  await preparing(8n);
  expect(await dollarsOf(buyer)).toBe(8n);
});

/** A place whose node is behind as often as that when it is asked for the time; and how often it was asked. */
async function behind(place: Place, often: number) {
  const { timestamp } = await stage.client.getBlock();
  const asked = { times: 0 };
  const getBlock = async () => (++asked.times <= often ? { timestamp } : stage.client.getBlock());
  const call: Place["connection"]["call"] = (work) =>
    place.connection.call((reader) => work({ ...reader, getBlock } as unknown as typeof reader));
  return { place: { ...place, connection: { ...place.connection, call } }, asked };
}

test("a deposit begins anew four times at the most where its epoch is over", async () => {
  await told("capital", "deposit", "1", ...by("stranger"), "--yes");
  await preparing(1n);
  const client = await signing();
  const shown = await shownNow();
  await placeNow(async (place) => {
    const late = await behind(place, 9);
    await overBy(shown.epoch);
    const done = depositNow(late.place, client, shown, purchase);
    await expect(done).rejects.toBeInstanceOf(CapitalSaleOtherEpochError);
    expect(late.asked.times).toBe(4);
  });
});

test("an epoch that ends while it is looked at is none with other terms", async () => {
  await preparing(1n);
  const client = await signing();
  const shown = await shownNow();
  await placeNow(async (place) => {
    const late = await behind(place, 1);
    await overBy(shown.epoch);
    const { event } = await depositNow(late.place, client, shown, purchase);
    expect(event).toMatchObject({ epoch: shown.epoch + 1n, amount: 1n });
  });
});

test("a deposit that went to the next epoch says why it is another than was shown", async () => {
  const { epoch, end } = await shownNow();
  await stage.client.setNextBlockTimestamp({ timestamp: BigInt(end) });
  const { stdout } = await cotrainHere(["capital", "deposit", "1", ...by("buyer"), "--yes"]);
  expect(stdout.replaceAll(/\s+/g, " ")).toContain(`in epoch ${epoch + 1n} (epoch ${epoch} was over, and`);
});

test("a deposit that is mined in the next epoch says so", async () => {
  const shown = await shownNow();
  const client = await signing();
  await preparing(1n);
  const end = BigInt(shown.end);
  await stage.client.setAutomine(false);
  try {
    const late = placeNow((place) => depositNow(place, client, shown, purchase)).catch((error: unknown) => error);
    await vi.waitFor(async () => expect((await stage.client.getTxpoolStatus()).pending).toBe(1), 5_000);
    await stage.client.setNextBlockTimestamp({ timestamp: end });
    await stage.client.mine({ blocks: 1 });
    expect(await late).toMatchObject({
      code: "CAPITAL_LATE",
      message: expect.stringMatching(
        new RegExp(`was mined in epoch ${shown.epoch + 1n}, when epoch ${shown.epoch} was over; deposit anew\\.$`),
      ),
    });
  } finally {
    await stage.client.setAutomine(true);
  }
});

test.each(["symbol", "decimals"])("a node that is silent about a token's %s is not the token's word", async (name) => {
  const silent = silentOn(name === "symbol" ? "0x95d89b41" : "0x313ce567");
  await expect(placeNow((place) => capitalAt(place), silent)).rejects.toMatchObject({ code: "CHAIN_UNREACHABLE" });
});
