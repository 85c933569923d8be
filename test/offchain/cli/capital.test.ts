/** `cotrain capital` on a real node: shares are bought for the capital token, settled, claimed, or the money is paid back. */
import { join } from "node:path";

import {
  balanceOf,
  capitalSaleOf,
  createModel,
  type ModelConfig,
  registerRun,
  setSaleTerms,
  sharesOf,
  timelockOf,
} from "@cotrain/sdk/actions";
import { capitalSaleAbi } from "@cotrain/sdk/abis";
import { asAddress, asModelId, type Hex } from "@cotrain/sdk/protocol";
import { getAbiItem, getAddress, toFunctionSelector, zeroHash } from "viem";
import { expect, test } from "vitest";

import { profileFor } from "../../../deploy/profiles.ts";
import { depositNow } from "../../../offchain/src/cli/commands/capitalBuy.ts";
import { capitalAt, presentSale, tokenAmount, tokenText } from "../../../offchain/src/run/index.ts";
import { accountOf, fragments, keyOf, params } from "../chain/world.ts";
import { capitalStage } from "./capitalStage.ts";
import { staged, told } from "./staged.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";
import { tellingCoordinator } from "./tellingCoordinator.ts";

const buyer = asAddress(accountOf("buyer").address);
const organiser = accountOf("organiser");
const friend = asAddress(accountOf("friend").address);
const stage = staged(["buyer", "stranger"]);
const { by, asHolders } = stage;
const { placeNow, shownNow, nextEpoch, dollarsOf, overBy } = capitalStage(stage);

const at = () => ["--state", stage.state];
/** A run of these contracts by its id, as one names somebody else's; a session of this clone's own is none of it. */
const pinnedTo = (runId: Hex) => [
  "--rpc",
  stage.node.url,
  "--run",
  runId,
  "--deployment",
  join(stage.state, "deployment.json"),
  "--state",
  temporaryDirectory(),
];
const pay = (...flags: readonly string[]) => cotrainHere(["capital", "deposit", "2", ...by("buyer"), ...flags]);

interface Deposit {
  readonly epoch: string;
  readonly arrived: string;
  readonly beneficiary: string;
  readonly transaction: Hex | null;
}
interface Epochs {
  readonly epochs: readonly {
    readonly epoch: string;
    readonly state: string;
    readonly total: string;
    readonly deposits: readonly { readonly account: string; readonly amount: string }[];
  }[];
}
interface Terms {
  readonly price: string;
  readonly minimum: string;
}
interface Done {
  readonly transactions: readonly Hex[];
  readonly settled: readonly { readonly epoch: string; readonly proceeds: string; readonly sold: string }[];
  readonly claimed: readonly { readonly account: string; readonly shares: string }[];
  readonly refunded: readonly { readonly account: string; readonly amount: string }[];
}

const deposit = (amount: string, ...flags: readonly string[]) =>
  told<Deposit>("capital", "deposit", amount, ...at(), ...by("buyer"), "--yes", ...flags);
const list = (...flags: readonly string[]) => told<Epochs>("capital", "list", ...at(), ...flags);

test("shares are bought, and claimed once their epoch is settled", async () => {
  const { modelId, contracts: addresses } = stage.world;
  const asked = await cotrainHere(["capital", "deposit", "12.5", ...at(), ...by("buyer")]);
  expect(asked.stdout.replaceAll(/\s+/g, " ")).toContain("deposits 12.5 TESTUSD (12500000 of the smallest units of 0x");
  expect(asked.stdout).toMatch(/^Nothing was sent: --yes deposits it, and with --price-at-most/m);
  expect(await list()).toMatchObject({ epochs: [] });

  const made = await deposit("12.5");
  expect(made).toMatchObject({ arrived: "12500000", transaction: expect.stringMatching(/^0x\w{64}$/) });
  // What it lacked it was given, to the last unit.
  expect(await dollarsOf(buyer)).toBe(0n);
  const own = { account: expect.stringMatching(new RegExp(`^${buyer}$`, "i")), amount: "12500000" };
  expect(await list("--account", buyer)).toMatchObject({
    epochs: [{ epoch: made.epoch, total: "12500000", deposits: [own] }],
  });

  await overBy(BigInt(made.epoch));
  expect(await told("capital", "show", ...at(), "--epoch", made.epoch, "--account", buyer)).toMatchObject({
    state: "due",
    price: "20000",
    minimum: "1000000",
    forSale: "150000000000000000000",
    held: "12500000",
    // Nothing was sold yet.
    perShare: null,
    deposits: [own],
  });
  const done = await told<Done>("capital", "claim", ...at(), ...by("buyer"));
  expect(done).toMatchObject({
    settled: [{ epoch: made.epoch, proceeds: "12500000", sold: "150000000000000000000" }],
    claimed: [{ shares: "150000000000000000000" }],
  });
  expect(done.transactions).toHaveLength(1);
  // What all of them paid, by what there was for sale; rounded up.
  expect(await list()).toMatchObject({ epochs: [{ epoch: made.epoch, state: "settled", perShare: "83334" }] });
  const rows = (await cotrainHere(["capital", "list", ...at()])).stdout;
  expect(rows).toMatch(/^epoch +brought in \(TESTUSD\) +shares +a share +here, not fetched$/m);
  expect(rows).toMatch(new RegExp(`^ *${made.epoch} +12\\.5 +150 +0\\.083334 +0 +settled$`, "m"));
  const { stdout } = await cotrainHere(["capital", "show", ...at(), "--epoch", made.epoch]);
  expect(stdout).toMatch(/^cost +0\.083334 TESTUSD a share$/m);
  const shares = await sharesOf(stage.client, { addresses, modelId });
  expect(await balanceOf(stage.client, { shares, account: buyer })).toBe(150n * 10n ** 18n);
  const timelock = await timelockOf(stage.client, { addresses, modelId });
  expect(await dollarsOf(timelock)).toBe(12_500_000n);
  expect((await cotrainHere(["capital", "claim", ...at(), ...by("buyer")])).stdout).toBe(
    "No shares that were bought are to be claimed.\n",
  );
});

test("anybody settles what others bought, and fetches it for them", async () => {
  const made = await deposit("3", "--for", friend);
  expect(made.beneficiary).toMatch(new RegExp(`^${friend}$`, "i"));
  await overBy(BigInt(made.epoch));
  const settled = await told<Done>("capital", "settle", ...at(), ...by("stranger"));
  expect(settled.settled).toEqual([{ epoch: made.epoch, proceeds: "3000000", sold: "150000000000000000000" }]);
  expect((await cotrainHere(["capital", "settle", ...at(), ...by("stranger")])).stdout).toBe(
    "No epoch is to be settled.\n",
  );
  const done = await told<Done>("capital", "claim", ...at(), ...by("stranger"), "--account", friend);
  expect(done.settled).toEqual([]);
  expect(done.claimed).toMatchObject([{ shares: "150000000000000000000" }]);
  // Neither would be fetched without its address: it has no wallet here.
  const said = await cotrainHere(["capital", "deposit", "1", ...at(), ...by("buyer"), "--yes", "--for", friend]);
  expect(said.stdout.replaceAll(/\s+/g, " ")).toContain(
    `"npx cotrain capital claim --account ${getAddress(friend)}" settles it`,
  );
});

const flat = (text: string): string => text.replaceAll(/\s+/g, " ");
const shortOf = (total: string): string =>
  `With this the epoch has ${total} TESTUSD of the 1 TESTUSD that it takes at the least, and is paid back unless more comes.`;

test("too little is paid back", async () => {
  const line = ["capital", "deposit", "0.25", ...at(), ...by("buyer"), "--for", friend];
  expect(flat((await cotrainHere(line)).stdout)).toContain(shortOf("0.25"));
  const first = flat((await cotrainHere([...line, "--yes"])).stdout);
  expect(first).toContain(`${shortOf("0.25")} Once it is over`);
  const made = await deposit("0.749999", "--for", friend);
  const refund = ["capital", "refund", ...at(), ...by("stranger"), "--account", friend];
  await overBy(BigInt(made.epoch));
  expect((await list()).epochs).toMatchObject([{ state: "failed", perShare: null }]);
  const words = async () => (await cotrainHere(["capital", "list", ...at()])).stdout.trimEnd();
  expect(await words()).toMatch(/to be fetched back$/);
  const claim = await cotrainHere(["capital", "claim", ...at(), ...by("stranger"), "--account", friend]);
  expect(flat(claim.stdout)).toBe(
    `No shares that were bought are to be claimed. 0.999999 TESTUSD that ${getAddress(friend)} deposited in epoch ${made.epoch} are paid back: "npx cotrain capital refund --account ${getAddress(friend)}" fetches them. `,
  );
  expect((await told<Done>(...refund)).refunded).toMatchObject([{ amount: "999999" }]);
  expect(await words()).toMatch(/ fetched back$/);
  expect(await words()).not.toMatch(/to be fetched back$/);
  const shown = await cotrainHere(["capital", "show", ...at(), "--epoch", made.epoch]);
  expect(shown.stdout).toMatch(/^stands +fetched back$/m);
  expect(await dollarsOf(friend)).toBe(999_999n);
  expect((await cotrainHere(refund)).stdout).toBe("No deposit is paid back.\n");
});

test("in somebody else's run a wallet pays whom it names itself", async () => {
  const coordinator = await tellingCoordinator(stage.world, stage.client);
  const there = ["--coordinator", coordinator, "--rpc", stage.node.url];
  const pinned = pinnedTo(stage.world.runId);
  expect((await pay(...there)).stdout).toContain("Nothing was sent");
  expect(verdictOf(await pay(...there, "--yes"))).toEqual(refusal(1, "the coordinator's word alone"));
  await stage.client.setBalance({ address: buyer, value: 10n ** 20n });
  await stage.client.setNextBlockBaseFeePerGas({ baseFeePerGas: 10n ** 12n });
  await stage.client.mine({ blocks: 1 });
  expect((await pay(...pinned, "--yes", "--max-fee", "0.000001")).code).toBe(75);
  expect((await pay(...pinned, "--yes", "--max-fee", "10")).stdout).toContain("2 TESTUSD are deposited for");
  const { epochs } = await told<Epochs>("capital", "list", ...there);
  expect(epochs).toMatchObject([{ total: "2000000" }]);
  expect(await told<Epochs>("capital", "list", ...pinned)).toMatchObject({ epochs: [{ total: "2000000" }] });
});

test("terms that nobody was shown are not paid", async () => {
  const { contracts: addresses, modelId } = stage.world;
  const shown = await shownNow();
  const sale = await capitalSaleOf(stage.client, { addresses });
  const terms = { sale, modelId, replaces: 1, price: 30_000n, minimum: 1_000_000n, pollingInterval: 20 };
  const { event } = await asHolders((account) => setSaleTerms.sync(stage.client, { ...terms, account }));
  const now = await told<Terms & { readonly next: Terms }>("capital", "show", ...at());
  expect([now.price, now.next.price, now.next.minimum]).toEqual(["20000", "30000", "1000000"]);
  const { stdout } = await cotrainHere(["capital", "show", ...at()]);
  expect(stdout.replaceAll(/\s+/g, " ")).toContain(
    "next epoch 150 shares, 0.03 TESTUSD a share at the least, 1 TESTUSD an epoch at the least",
  );
  await overBy(event.fromEpoch - 1n);
  const purchase = { amount: 1n, payer: buyer, beneficiary: buyer };
  const late = placeNow((place) => depositNow(place, undefined as never, shown, purchase));
  await expect(late).rejects.toMatchObject({ code: "CAPITAL_TERMS" });
});

/** Another model of the registry's, that of the organiser. */
async function anotherModel(settings: Partial<Pick<ModelConfig, "capital">> = {}): Promise<Hex> {
  const { contracts: addresses, chainId } = stage.world;
  await stage.client.setBalance({ address: organiser.address, value: 10n ** 18n });
  const { event } = await createModel.sync(stage.client, {
    account: organiser,
    addresses,
    salt: zeroHash,
    pollingInterval: 20,
    config: {
      ...profileFor("local", chainId).model,
      ...settings,
      name: "Another",
      symbol: "OTHER",
      uri: "",
      organiser: organiser.address,
      validators: [organiser.address],
      threshold: 1,
    },
  });
  return event.modelId;
}

test("a model without a capital token sells nothing", async () => {
  const modelId = asModelId(await anotherModel());
  const none = placeNow((place) => capitalAt({ ...place, modelId }));
  await expect(none).rejects.toMatchObject({ code: "CAPITAL_UNSOLD" });
});

// Of a token that is no play money: the world's shares, which only Emission mints.
test("who has too little of the token is told what is lacking", async () => {
  const { contracts: addresses, modelId } = stage.world;
  const token = await sharesOf(stage.client, { addresses, modelId });
  const { event } = await registerRun.sync(stage.client, {
    account: organiser,
    addresses,
    salt: zeroHash,
    pollingInterval: 20,
    modelId: await anotherModel({ capital: { token, priceFloor: 1n, price: 1n, minimum: 1n } }),
    config: {
      definition: keyOf("definition"),
      initialCheckpoint: keyOf("checkpoint"),
      fragments,
      poster: organiser.address,
      builds: [keyOf("build")],
      params,
      min: params,
      max: params,
    },
  });
  const ended = await cotrainHere([
    "capital",
    "deposit",
    "1.5",
    "--price-at-most",
    "0.01",
    ...pinnedTo(event.runId),
    ...by("buyer"),
    "--yes",
  ]);
  expect(verdictOf(ended).sentence).toMatch(/has 0 TEST, and 1\.5 TEST are to be deposited: send it the rest\.$/);
  expect(ended.code).toBe(1);
});

test.each(["0", "-1", "1e3", "0.0000001", "1.0000001", "1.", ".5", "all"])(
  "an amount of %s is none",
  async (amount) => {
    const token = { address: stage.world.testDollar, symbol: "TESTUSD", decimals: 6 };
    expect(() => tokenAmount(amount, token)).toThrow(
      "An amount of TESTUSD is a number above 0 with at most 6 decimals",
    );
    const { code } = await cotrainHere(["capital", "deposit", ...at(), ...by("buyer"), "--yes", "--", amount]);
    expect(code).not.toBe(0);
  },
);

test("amounts are shown and read to the last unit", () => {
  const token = { address: stage.world.testDollar, symbol: "TESTUSD", decimals: 6 };
  expect(tokenAmount("12.000001", token)).toBe(12_000_001n);
  expect(tokenText(12_000_001n, token)).toBe("12.000001 TESTUSD");
  expect(tokenAmount("7", { ...token, decimals: 0 })).toBe(7n);
});

test("an epoch that is far off is none", async () => {
  expect(verdictOf(await cotrainHere(["capital", "show", ...at(), "--epoch", "999999999"]))).toEqual(
    refusal(1, "Epoch 999999999 is not near"),
  );
});

test("an epoch that is over while it is read is not shown as one without a price", async () => {
  const asked = toFunctionSelector(getAbiItem({ abi: capitalSaleAbi, name: "saleOf" })).slice(2);
  const before = await shownNow();
  let over = false;
  const { capital, found } = await placeNow(
    (place) => presentSale(place, []),
    async (input, init) => {
      if (!over && typeof init?.body === "string" && init.body.includes(asked)) {
        over = true;
        await nextEpoch();
      }
      return fetch(input, init);
    },
  );
  expect(over).toBe(true);
  expect(found).toMatchObject({ epoch: capital.epoch, state: "none", price: before.price, minimum: before.minimum });
  expect(found.epoch).toBeGreaterThan(before.epoch);
});
