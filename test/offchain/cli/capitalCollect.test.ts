/** `cotrain capital settle|claim|refund` on a real node: what one of them cannot do holds up none of the rest. */
import { capitalSaleAbi } from "@cotrain/sdk/abis";
import { capitalSaleOf, delegate, refundCapital, saleBookOf, settleSale, sharesOf } from "@cotrain/sdk/actions";
import { asAddress } from "@cotrain/sdk/protocol";
import {
  decodeFunctionData,
  encodeErrorResult,
  encodeFunctionData,
  erc20Abi,
  getAddress,
  type Hex,
  parseAbi,
  size,
  toHex,
} from "viem";
import { beforeEach, expect, test } from "vitest";

import { walletOn } from "../../../offchain/src/chain/index.ts";
import { sendAll, settlements } from "../../../offchain/src/cli/commands/capitalCollect.ts";
import { capitalAt } from "../../../offchain/src/run/index.ts";
import { accountOf } from "../chain/world.ts";
import { capitalStage, silentOn } from "./capitalStage.ts";
import { staged, told } from "./staged.ts";
import { cotrainHere, refusal, verdictOf } from "./support.ts";

const buyer = asAddress(accountOf("buyer").address);
const friend = asAddress(accountOf("friend").address);
const stage = staged(["buyer", "stranger"]);
const { placeNow, nextEpoch, overBy } = capitalStage(stage);
beforeEach(() => nextEpoch());

const at = () => ["--state", stage.state];
const by = (name: string) => [...at(), ...stage.by(name)];
const deposit = (amount: string, ...flags: readonly string[]) =>
  told<{ readonly epoch: string }>("capital", "deposit", amount, ...by("buyer"), "--yes", ...flags);

/** The token takes so much out of the vault, or somebody puts it back. */
async function move(amount: bigint): Promise<void> {
  const { contracts: addresses, modelId, testDollar: to } = stage.world;
  const sale = await capitalSaleOf(stage.client, { addresses });
  const vault = (await saleBookOf(stage.client, { sale, modelId }))!.vault;
  const data =
    amount < 0n
      ? encodeFunctionData({ abi: erc20Abi, functionName: "transfer", args: [buyer, -amount] })
      : encodeFunctionData({
          abi: parseAbi(["function mint(address to, uint256 amount)"]),
          functionName: "mint",
          args: [vault, amount],
        });
  await stage.client.setBalance({ address: vault, value: 10n ** 18n });
  await stage.client.impersonateAccount({ address: vault });
  const request = { method: "eth_sendTransaction", params: [{ from: vault, to, data }] } as const;
  const hash = await stage.client.request(request as never);
  await stage.client.waitForTransactionReceipt({ hash, pollingInterval: 20 });
}

/** The sale, and a client of the buyer's, who can pay the fees. */
async function signing() {
  const { contracts: addresses, chainId } = stage.world;
  await stage.client.setBalance({ address: buyer, value: 10n ** 20n });
  const sale = await capitalSaleOf(stage.client, { addresses });
  return { sale, client: walletOn({ url: stage.node.url, chainId }, accountOf("buyer")) };
}

interface Done {
  readonly transactions: readonly Hex[];
  readonly settled: readonly { readonly epoch: string }[];
  readonly claimed: readonly { readonly shares: string }[];
  readonly refunded: readonly { readonly amount: string; readonly deposit: string }[];
  readonly leftOut: readonly { readonly what: string; readonly why: string }[];
}

test("who is not paid back in full by a stranger holds up nobody else", async () => {
  await deposit("0.5", "--for", friend);
  const { epoch } = await deposit("0.25");
  await overBy(BigInt(epoch));
  expect((await cotrainHere(["capital", "list", ...at()])).stdout).toMatch(
    /^epoch .* here, not fetched\n[^]* to be fetched back$/m,
  );
  await move(-1n);
  const refused = await cotrainHere(["capital", "refund", ...by("stranger"), "--account", friend]);
  expect(verdictOf(refused)).toEqual(
    refusal(1, /^Nothing was sent\. Left out was what 0x\w+ deposited in epoch \d+: /),
  );
  // Who sends bears a loss of its own, since it alone decides to.
  const { client, sale } = await signing();
  const wishes = [friend, buyer].map((beneficiary) => ({
    call: refundCapital.call({ sale, modelId: stage.world.modelId, epoch: BigInt(epoch), beneficiary }),
    what: beneficiary,
  }));
  expect(await sendAll(client, sale, wishes)).toMatchObject({
    transactions: [expect.any(String)],
    refunded: [{ amount: 249_999n }],
    leftOut: [{ what: friend, why: expect.stringContaining("it alone decides to take that") }],
  });
});

test("a wallet gives up what the token took only where that is said", async () => {
  const first = await deposit("0.5");
  await overBy(BigInt(first.epoch));
  await move(-450_000n);
  const refund = ["capital", "refund", ...by("buyer")];
  expect(verdictOf(await cotrainHere(refund))).toEqual(
    refusal(
      1,
      /^Nothing was sent\. Left out was what 0x\w+ deposited in epoch \d+: Of 0\.5 TESTUSD it would bring 0\.05 TESTUSD back, since/,
    ),
  );
  // What it would come to is said beforehand, and nothing is sent.
  const dry = async (...flags: readonly string[]) =>
    (await cotrainHere([...refund, "--dry-run", ...flags])).stdout.replaceAll(/\s+/g, " ");
  const block = await stage.client.getBlockNumber();
  expect(await dry()).toMatch(
    /^Left out was what 0x\w+ deposited in epoch \d+: Of 0\.5 TESTUSD .* Nothing was sent\. $/,
  );
  const what = `what ${getAddress(buyer)} deposited in epoch ${first.epoch}`;
  expect(await dry("--loss")).toBe(`It would fetch: ${what}, 0.05 TESTUSD. Nothing was sent. `);
  await move(450_000n);
  expect(await dry()).toBe(`It would fetch: ${what}, 0.5 TESTUSD. Nothing was sent. `);
  expect(await told(...refund, "--dry-run")).toMatchObject({ would: [`${what}, 0.5 TESTUSD`], transactions: [] });
  // The one that moved money back.
  expect(await stage.client.getBlockNumber()).toBe(block + 1n);
  expect(await told<Done>(...refund)).toMatchObject({
    refunded: [{ deposit: "500000", amount: "500000" }],
    leftOut: [],
  });

  const second = await deposit("0.4");
  await overBy(BigInt(second.epoch));
  await move(-300_000n);
  const tried = verdictOf(await cotrainHere(refund));
  expect(tried.sentence).toContain("Of 0.4 TESTUSD it would bring 0.1 TESTUSD back");
  const lost = await told<Done>(...refund, "--loss");
  expect(lost).toMatchObject({ refunded: [{ deposit: "400000", amount: "100000" }] });
  // No less than it brought when it was tried: what the token takes meanwhile is no loss that anybody said yes to.
  const { input } = await stage.client.getTransaction({ hash: lost.transactions[0]! });
  const { args } = decodeFunctionData({ abi: capitalSaleAbi, data: input });
  const [[call]] = args as unknown as readonly [readonly [Hex]];
  expect(decodeFunctionData({ abi: capitalSaleAbi, data: call }).args?.at(-1)).toBe(100_000n);
});

test("what is not settled while the vault is short leaves what was settled to be claimed", async () => {
  const first = await deposit("3");
  await overBy(BigInt(first.epoch));
  await told("capital", "settle", ...by("stranger"));
  const second = await deposit("3");
  await overBy(BigInt(second.epoch));
  const block = await stage.client.getBlockNumber();
  const dry = await cotrainHere(["capital", "claim", "--dry-run", ...by("buyer")]);
  expect(dry.stdout.replaceAll(/\s+/g, " ")).toMatch(
    new RegExp(
      `^It would fetch or settle: the settlement of epoch ${second.epoch}\\. (It would fetch or settle: what ${getAddress(buyer)} bought in epoch \\d+, [\\d.]+ shares\\. ){2}Nothing was sent\\. $`,
    ),
  );
  expect(await stage.client.getBlockNumber()).toBe(block);
  await move(-1n);
  const settled = await cotrainHere(["capital", "settle", ...by("stranger")]);
  expect(verdictOf(settled)).toEqual(
    refusal(1, `Nothing was sent. Left out was the settlement of epoch ${second.epoch}: The model's vault has`),
  );
  const done = await told<Done>("capital", "claim", ...by("buyer"));
  expect(done.claimed).toHaveLength(1);
  expect(done.leftOut).toEqual([
    { what: `the settlement of epoch ${second.epoch}`, why: expect.stringContaining("The model's vault has") },
    {
      what: expect.stringMatching(`bought in epoch ${second.epoch}$`),
      why: expect.stringContaining("was not settled"),
    },
  ]);
  await move(1n);
  const { stdout } = await cotrainHere(["capital", "claim", ...by("buyer")]);
  expect(stdout).toContain(`Epoch ${second.epoch} is settled`);
  expect(stdout).not.toContain("Left out");
  // Nobody votes with its shares yet; once somebody does, nothing is said of it.
  const voteless = `The shares of ${getAddress(buyer)} have votes once it delegates them`;
  expect(stdout.replaceAll(/\s+/g, " ")).toContain(voteless);
  const { client } = await signing();
  const shares = await sharesOf(client, { addresses: stage.world.contracts, modelId: stage.world.modelId });
  await delegate.sync(client, { shares, delegatee: buyer });
  const third = await deposit("3");
  await overBy(BigInt(third.epoch));
  const again = (await cotrainHere(["capital", "claim", ...by("buyer")])).stdout;
  expect(again).toContain(`shares of epoch ${third.epoch}.`);
  expect(again).not.toContain("have votes once");
});

test.each<[string, Hex, string]>([
  ["without a word", "0x60006000fd", "A call to another contract failed without a reason"],
  ["with an error that nobody knows", "0x63deadbeef6000526004601cfd", "It reverts for no reason that the sale has"],
  // It takes all the gas with it, of which the sale has a little left.
  ["by what is no instruction", "0xfe", "A call to another contract failed without a reason"],
])("a token that fails %s is told as what refuses", async (_, bytecode, why) => {
  const { epoch } = await deposit("1");
  await overBy(BigInt(epoch));
  await stage.client.setCode({ address: stage.world.testDollar, bytecode });
  const settled = await cotrainHere(["capital", "settle", ...by("stranger")]);
  expect(verdictOf(settled)).toEqual(refusal(1, why));
  const { token } = await placeNow((place) => capitalAt(place));
  expect(token).toMatchObject({ symbol: getAddress(stage.world.testDollar), decimals: 0 });
});

test("what a token says is told as its own, to a bounded length, and moves no cursor", async () => {
  const { epoch } = await deposit("1");
  await overBy(BigInt(epoch));
  const words = `The contract refused: \u001b[2J${"x".repeat(5_000)}`;
  const data = encodeErrorResult({ abi: parseAbi(["error Error(string)"]), args: [words] });
  // It copies what stands behind it, and reverts with that.
  const bytecode = `0x61${toHex(size(data), { size: 2 }).slice(2)}80600c6000396000fd${data.slice(2)}` as const;
  await stage.client.setCode({ address: stage.world.testDollar, bytecode });
  const { client, sale } = await signing();
  const wishes = [{ call: settleSale.call({ sale, modelId: stage.world.modelId }), what: "a settlement" }];
  const said = `"The contract refused: \uFFFD[2J${"x".repeat(174)}…"`;
  expect((await sendAll(client, sale, wishes)).leftOut).toEqual([
    { what: "a settlement", why: `Its token refuses, in words of its own: ${said}.` },
  ]);
});

test("a node that is silent refuses nothing", async () => {
  const { sale } = await signing();
  const nowhere = walletOn({ url: "http://127.0.0.1:9", chainId: stage.world.chainId }, accountOf("buyer"));
  const wishes = [{ call: settleSale.call({ sale, modelId: stage.world.modelId }), what: "a settlement" }];
  await expect(sendAll(nowhere, sale, wishes)).rejects.toThrow("HTTP request failed");
});

test("32 calls go with one transaction, and the rest with the next", async () => {
  const { client, sale } = await signing();
  const call = settleSale.call({ sale, modelId: stage.world.modelId });
  const wishes = Array.from({ length: 33 }, () => ({ call, what: "a settlement" }));
  expect((await sendAll(client, sale, wishes)).transactions).toHaveLength(2);
  expect((await sendAll(client, sale, wishes.slice(1))).transactions).toHaveLength(1);
});

/** Settlements as they are wished, of a node that tells no history. */
const wished = () =>
  placeNow(async (place) => settlements({ place, capital: await capitalAt(place) }), silentOn("eth_getLogs"));

test("what is to be settled is what the sale keeps of it, and not what lasts", async () => {
  expect(await wished()).toEqual([]);
  const first = await deposit("1");
  expect(await wished()).toEqual([]);
  await overBy(BigInt(first.epoch));
  expect(await wished()).toMatchObject([{ what: `the settlement of epoch ${first.epoch}` }]);
  const second = await deposit("1");
  expect(await wished()).toHaveLength(1);
  await overBy(BigInt(second.epoch));
  // What stays below its minimum takes no settlement.
  const third = await deposit("0.5");
  await overBy(BigInt(third.epoch));
  expect(await wished()).toMatchObject([
    { what: `the settlement of epoch ${first.epoch}` },
    { what: `the settlement of what follows epoch ${first.epoch}` },
  ]);
});
