/** `cotrain revenue` on a real node: what is paid arrives, and is shared by what was held while it came. */
import { join } from "node:path";

import {
  activateRoot,
  activeRoot,
  balanceOf,
  computeBudgetContractOf,
  currentSetVersion,
  epochEnd,
  modelContractsOf,
  postRoot,
  revenueBookOf,
  revenueDepositsOf,
  scheduleOf,
  sharesOf,
} from "@cotrain/sdk/actions";
import {
  asAddress,
  asHead,
  asRunId,
  type Attestation,
  digestOfJson,
  type Hex,
  rewardKind,
  type RewardsFile,
  zeroHash,
} from "@cotrain/sdk/protocol";
import { encodeFunctionData, erc20Abi, getAddress, parseAbi } from "viem";
import { expect, test } from "vitest";

import { openReader } from "../../../offchain/src/chain/index.ts";
import { computeRevenue, revenueAt, rewardTreeOf } from "../../../offchain/src/run/index.ts";
import { signaturesUnder } from "../chain/attested.ts";
import { accountOf, keyOf, poster, validators } from "../chain/world.ts";
import { capitalStage } from "./capitalStage.ts";
import { execute, type ShownCall, staged, told } from "./staged.ts";
import { cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";
import { tellingCoordinator } from "./tellingCoordinator.ts";

const buyer = asAddress(accountOf("buyer").address);
const stage = staged(["buyer", "stranger"]);
const { by } = stage;
const { placeNow, nextEpoch, dollarsOf, overBy } = capitalStage(stage);

const at = () => ["--state", stage.state];
interface Paid {
  readonly epoch: number;
  readonly arrived: string;
  readonly transaction: Hex | null;
}
const pay = (amount: string, name = "stranger") =>
  told<Paid>("revenue", "deposit", amount, ...at(), ...by(name), "--yes");
const list = () => told("revenue", "list", ...at());
const show = () => told("revenue", "show", ...at());
const contracts = () =>
  modelContractsOf(stage.client, { addresses: stage.world.contracts, modelId: stage.world.modelId });

/** All shares that there are: bought in one epoch, fetched in the next. */
async function buyShares(): Promise<void> {
  await nextEpoch();
  const { epoch } = await told<{ epoch: string }>("capital", "deposit", "2", ...at(), ...by("buyer"), "--yes");
  await overBy(BigInt(epoch));
  await told("capital", "claim", ...at(), ...by("buyer"));
}

test("revenue arrives in the model's vault, and nothing is sent before --yes", async () => {
  const asked = await cotrainHere(["revenue", "deposit", "12.5", ...at(), ...by("buyer")]);
  const words = asked.stdout.replaceAll(/\s+/g, " ");
  expect(words).toContain("pays 12.5 TESTUSD (12500000 of the smallest units of 0x");
  expect(words).toContain("Nothing was sent: --yes pays it.");
  expect(await list()).toMatchObject({ epochs: [], arrived: "0", vault: null });

  await nextEpoch();
  const paid = await pay("12.5", "buyer");
  expect(paid).toMatchObject({ arrived: "12500000", transaction: expect.stringMatching(/^0x\w{64}$/) });
  expect(await dollarsOf(buyer)).toBe(0n);
  const { contracts: addresses, modelId } = stage.world;
  const revenue = await revenueDepositsOf(stage.client, { addresses });
  const book = await revenueBookOf(stage.client, { revenue, modelId });
  expect(await dollarsOf(book!.vault)).toBe(12_500_000n);
  const state = { epoch: paid.epoch, arrived: "12500000", deposits: 1 };
  expect(await list()).toMatchObject({ epochs: [{ ...state, state: "lasts" }], held: "12500000", setAside: "0" });
  await overBy(BigInt(paid.epoch));
  expect(await list()).toMatchObject({ epochs: [{ ...state, state: "to be set aside" }], roots: [] });
  const { stdout } = await cotrainHere(["revenue", "list", ...at()]);
  expect(stdout).toContain("12.5 TESTUSD lie in the model's vault.");
  // Why nothing happens, and what can be done.
  expect(stdout.replaceAll(/\s+/g, " ")).toContain("once it is enough (coordinator --revenue-at-least, 1 token if");
});

test("tokens that were sent to the vault by themselves are told, and revenue once anybody counts them", async () => {
  const { contracts: addresses, modelId } = stage.world;
  // Who can only send tokens needs to know where to, before anybody paid.
  const opened = await cotrainHere(["revenue", "count", "--max-fee", "0.5", ...at(), ...by("stranger")]);
  const revenue = await revenueDepositsOf(stage.client, { addresses });
  const { vault, token } = (await revenueBookOf(stage.client, { revenue, modelId }))!;
  expect(opened.stdout.replaceAll(/\s+/g, " ")).toMatch(
    new RegExp(
      `^Nothing lies in the vault that is not counted, which was opened in 0x\\w{64}. Tokens for it go to ${vault}`,
    ),
  );
  await nextEpoch();
  const mint = { abi: parseAbi(["function mint(address to, uint256 amount)"]), functionName: "mint" } as const;
  const sent = encodeFunctionData({ ...mint, args: [vault, 2_500_000n] });
  await execute(stage.client, accountOf("stranger").address, { target: token, data: sent });
  expect(await list()).toMatchObject({ arrived: "0", uncounted: "2500000", epochs: [] });
  const asked = (await cotrainHere(["revenue", "list", ...at()])).stdout.replaceAll(/\s+/g, " ");
  expect(asked).toContain("2.5 TESTUSD were sent to the vault by themselves, and are no revenue yet");
  const coordinator = await tellingCoordinator(stage.world, stage.client);
  const remote = ["--coordinator", coordinator, "--rpc", stage.node.url, "--state", temporaryDirectory()];
  // Where tokens are sent is no coordinator's to name.
  const unpinned = await cotrainHere(["revenue", "count", ...remote, ...by("stranger")]);
  expect(verdictOf(unpinned)).toEqual(
    refusal(1, "Where tokens are sent that it counts is the coordinator's word alone"),
  );
  expect(JSON.parse((await cotrainHere(["revenue", "list", "--json", ...remote])).stdout)).toMatchObject({
    vault: null,
    uncounted: "2500000",
  });
  expect(await list()).toMatchObject({ vault });
  const counted = await told<{ epoch: number; counted: string }>(
    "revenue",
    "count",
    ...stage.pins(),
    ...by("stranger"),
  );
  expect(counted).toMatchObject({ counted: "2500000", transaction: expect.stringMatching(/^0x\w{64}$/), vault });
  const epochs = [{ epoch: counted.epoch, arrived: "2500000", deposits: 1 }];
  expect(await list()).toMatchObject({ arrived: "2500000", held: "2500000", uncounted: "0", epochs });
  // Twice counts once, and costs nothing.
  expect(await told("revenue", "count", ...at(), ...by("stranger"))).toMatchObject({ counted: "0", transaction: null });
});

test("whoever held shares while it came shares it, and the treasury gets what rounding leaves", async () => {
  await buyShares();
  const { contracts: addresses, modelId } = stage.world;
  const shares = await sharesOf(stage.client, { addresses, modelId });
  const held = await balanceOf(stage.client, { shares, account: buyer });
  expect(held).toBe(100n * 10n ** 18n);
  await nextEpoch();
  const { epoch } = await pay("1.000001");
  expect(await show()).toMatchObject({ total: "0", leaves: [] });
  await overBy(BigInt(epoch));
  expect(await show()).toMatchObject({
    index: 1,
    fromEpoch: 1,
    toEpoch: epoch,
    total: "1000001",
    leaves: [{ account: getAddress(buyer), amount: "1000001" }],
  });
  expect((await cotrainHere(["revenue", "show", ...at()])).stdout).toContain("1.000001");
  const own = join(temporaryDirectory(), "state");
  await stage.stateAt(own, { "worker-1": buyer });
  expect((await cotrainHere(["revenue", "show", "--state", own])).stdout).toMatch(
    new RegExp(`^worker-1 ${getAddress(buyer)} +1\\.000001$`, "m"),
  );
});

test("who sends nothing costs whoever computes no question, and who sends shares none where the node tells when", async () => {
  await buyShares();
  const { contracts: addresses, modelId } = stage.world;
  const shares = await sharesOf(stage.client, { addresses, modelId });
  await nextEpoch();
  const { epoch } = await pay("1");
  const send = (amount: bigint, by: Hex, functionName: "transfer" | "transferFrom") =>
    execute(stage.client, by, {
      target: shares,
      data: encodeFunctionData({
        abi: erc20Abi,
        ...(functionName === "transfer"
          ? { functionName, args: [accountOf("stranger").address, amount] }
          : { functionName, args: [buyer, buyer, amount] }),
      }),
    });
  // They hold nothing, and nobody has allowed them anything.
  for (let n = 0; n < 40; n++) await send(0n, accountOf("stranger").address, "transferFrom");
  for (let n = 0; n < 5; n++) await send(10n ** 18n, buyer, "transfer");
  await overBy(BigInt(epoch));
  const compute = async (answer: (text: string) => string) => {
    let asked = 0;
    const counting = async (...[input, init]: Parameters<typeof fetch>): Promise<Response> => {
      if (typeof init?.body === "string") asked += init.body.match(/"eth_getBlockByNumber"/g)?.length ?? 0;
      const response = await fetch(input, init);
      const { status, headers } = response;
      return new Response(answer(await response.text()), { status, headers });
    };
    const found = await placeNow(async (place) => {
      const newest = await place.connection.call((client) => client.getBlockNumber());
      const root = { index: 1, fromEpoch: epoch, toEpoch: epoch };
      return computeRevenue(place, await revenueAt(place), root, newest);
    }, counting);
    return { asked, leaves: found!.rewards.leaves };
  };
  const given = await compute((text) => text);
  const untold = await compute((text) => text.replaceAll(/"blockTimestamp":"0x[0-9a-f]+",?/g, ""));
  const zero = await compute((text) => text.replaceAll(/"blockTimestamp":"0x[0-9a-f]+"/g, '"blockTimestamp":"0x0"'));
  expect(given.leaves).toHaveLength(2);
  expect(untold.leaves).toEqual(given.leaves);
  expect(zero).toEqual(untold);
  // The epoch's first and last block are searched for.
  expect(given.asked).toBeLessThan(30);
  expect(untold.asked - given.asked).toBeLessThanOrEqual(5);
  expect(untold.asked).toBeGreaterThan(given.asked);
});

test("shares that nobody has fetched, and the protocol's contracts, share nothing", async () => {
  // Nobody holds any.
  await nextEpoch();
  const { epoch } = await pay("3");
  await overBy(BigInt(epoch));
  const { timelock } = await contracts();
  expect(await show()).toMatchObject({
    total: "3000000",
    leaves: [{ account: timelock, amount: "3000000" }],
  });
  expect((await cotrainHere(["revenue", "show", ...at()])).stdout).toMatch(/the treasury +3$/m);
});

test("what a sale holds for its buyers counts for nobody", async () => {
  await nextEpoch();
  const bought = await told<{ epoch: string }>("capital", "deposit", "2", ...at(), ...by("buyer"), "--yes");
  await overBy(BigInt(bought.epoch));
  await told("capital", "settle", ...at(), ...by("stranger"));
  await nextEpoch();
  const { epoch } = await pay("3");
  await overBy(BigInt(epoch));
  const { timelock } = await contracts();
  expect(await show()).toMatchObject({ leaves: [{ account: timelock, amount: "3000000" }] });
});

test("who reads blocks in spans comes to the same, up to the block that is believed", async () => {
  await buyShares();
  await nextEpoch();
  const { epoch } = await pay("5");
  await overBy(BigInt(epoch));
  const found = await placeNow(async (place) => {
    const newest = await place.connection.call((client) => client.getBlockNumber());
    return computeRevenue(place, await revenueAt(place), { index: 1, fromEpoch: 1, toEpoch: epoch }, newest);
  });
  const { inputs, rewards, total } = found!;
  expect(total).toBe(5_000_000n);
  expect(inputs.epochs).toHaveLength(1);
  const [only] = inputs.epochs;
  expect(BigInt(only!.weight)).toBe(100n * 10n ** 18n * BigInt(only!.end - only!.start));
  expect(inputs.excluded).toEqual(inputs.excluded.toSorted());
  const { shares, governor, timelock } = await contracts();
  const budgets = await computeBudgetContractOf(stage.client, { addresses: stage.world.contracts });
  for (const own of [shares, governor, timelock, budgets, ...Object.values(stage.world.contracts)])
    expect(inputs.excluded).toContain(own.toLowerCase());
  expect(rewards).toMatchObject({ kind: 5, index: 1, leaves: [{ account: buyer.toLowerCase(), amount: "5000000" }] });
});

const leafOf = (account: Hex, amount: string) => ({ account: getAddress(account), amount });
test("what a contract has that the holders named as distributor counts for nobody once it distributes", async () => {
  await buyShares();
  const { contracts: addresses, modelId } = stage.world;
  const shares = await sharesOf(stage.client, { addresses, modelId });
  // Any contract of the registry's will do: what it has of shares is not its own.
  const named = await stage.client.readContract({
    address: addresses.modelRegistry,
    abi: parseAbi(["function sharesImplementation() view returns (address)"]),
    functionName: "sharesImplementation",
  });
  await stage.client.impersonateAccount({ address: buyer });
  const data = encodeFunctionData({ abi: erc20Abi, functionName: "transfer", args: [named, 40n * 10n ** 18n] });
  await execute(stage.client, buyer, { target: shares, data });
  const { call } = await told<{ call: ShownCall }>("emission", "successor", "code", named, ...at(), "--dry-run");
  await stage.asHolders((timelock) => execute(stage.client, timelock, call));
  const { timestamp } = await stage.client.getBlock();
  await nextEpoch();
  const first = await pay("1");
  await overBy(BigInt(first.epoch));
  const inOrder = (leaves: readonly ReturnType<typeof leafOf>[]) =>
    leaves.toSorted((one, other) => (one.account.toLowerCase() < other.account.toLowerCase() ? -1 : 1));
  const before = [leafOf(buyer, "600000"), leafOf(named, "400000")];
  expect(await show()).toMatchObject({ leaves: inOrder(before) });
  await settle(first.epoch);
  await stage.client.setNextBlockTimestamp({ timestamp: timestamp + 14n * 86_400n });
  await stage.client.mine({ blocks: 1 });
  await nextEpoch();
  const second = await pay("1");
  await overBy(BigInt(second.epoch));
  expect(await show()).toMatchObject({ index: 2, leaves: [leafOf(buyer, "1000000")] });
  // The first root is what it was when it was signed.
  const claimed = await told("revenue", "claim", ...at(), ...by("buyer"));
  expect(claimed).toMatchObject({ claims: [{ amount: "600000" }], unsound: [] });
});

/** Signs what `revenue show` says, as validators should, and has it stand. */
async function settle(
  epoch: number,
  change: (leaves: RewardsFile["leaves"]) => RewardsFile["leaves"] = (same) => same,
) {
  const { client, world } = stage;
  const { contracts: addresses, modelId } = world;
  const kind = rewardKind.revenue;
  const found = await placeNow(async (place) => {
    const active = await activeRoot(client, { addresses, modelId, kind });
    const root = { index: (active?.index ?? 0) + 1, fromEpoch: (active?.toEpoch ?? 0) + 1, toEpoch: epoch };
    const newest = await client.getBlockNumber();
    return { root, active, made: await computeRevenue(place, await revenueAt(place), root, newest) };
  });
  const { root, active } = found;
  const rewards = { ...found.made!.rewards, leaves: change(found.made!.rewards.leaves) };
  const tree = rewardTreeOf(rewards);
  const { postingDelay } = await scheduleOf(client, { addresses, modelId });
  const end = await epochEnd(client, { addresses, modelId, epoch: BigInt(epoch) });
  const now = Number((await client.getBlock()).timestamp);
  const attestation: Attestation = {
    kind,
    modelId,
    index: BigInt(root.index),
    fromEpoch: BigInt(root.fromEpoch),
    toEpoch: BigInt(epoch),
    runId: asRunId(zeroHash),
    head: asHead(zeroHash),
    previousRoot: active?.root ?? zeroHash,
    epochDigest: digestOfJson(found.made!.inputs),
    root: tree.root,
    total: tree.total,
    setVersion: await currentSetVersion(client, { addresses, modelId }),
    blockNumber: 1n,
    blockHash: keyOf("block"),
    deadline: BigInt(end + Math.max(1, Math.ceil((now + 2 - end) / postingDelay)) * postingDelay),
  };
  const signatures = (await signaturesUnder(world, attestation, validators)).map(({ signature }) => signature);
  const as = { addresses, attestation, account: poster, pollingInterval: 20 };
  const { event } = await postRoot.sync(client, { ...as, signatures });
  await client.setNextBlockTimestamp({ timestamp: BigInt(event.activatableAt) });
  await client.mine({ blocks: 1 });
  await activateRoot.sync(client, as);
}

test("a root pays holders what is shown, without anybody's documents, and is none of compute's", async () => {
  await buyShares();
  await nextEpoch();
  const { epoch } = await pay("1.5");
  await overBy(BigInt(epoch));
  await settle(epoch);
  expect(await list()).toMatchObject({
    epochs: [{ epoch, state: "set aside" }],
    roots: [{ index: 1, fromEpoch: 1, toEpoch: epoch, total: "1500000" }],
  });
  expect(await show()).toMatchObject({ index: 2, total: "0" });
  const { chainId, contracts: addresses, modelId, fromBlock, url: rpcUrl } = stage.world;
  const reader = await openReader({ chainId, contracts: addresses, fromBlock, rpcUrl });
  expect(await reader.rootsOf(modelId)).toEqual([]);
  expect(await reader.activationsOf(modelId)).toEqual([]);
  expect(await reader.activeRoot(modelId)).toBeUndefined();

  // Later deposits and transfers change nothing of it.
  await pay("7");
  const claim = ["revenue", "claim", ...at(), ...by("buyer")];
  expect(await told(...claim)).toMatchObject({ claims: [{ amount: "1500000" }], unsound: [] });
  expect(await dollarsOf(buyer)).toBe(1_500_000n);
  expect((await cotrainHere(claim)).stdout).toContain("has no revenue to claim");
  expect((await cotrainHere(["revenue", "claim", ...at(), ...by("stranger")])).stdout).toContain("no revenue to claim");
});

test("nothing is claimed of a root that this chain says should be another, and what follows is", async () => {
  await buyShares();
  await nextEpoch();
  const { epoch } = await pay("2");
  await overBy(BigInt(epoch));
  await settle(epoch, (leaves) => leaves.map((leaf) => ({ ...leaf, amount: (BigInt(leaf.amount) / 2n).toString() })));
  const claim = ["revenue", "claim", ...at(), ...by("buyer")];
  expect(await told(...claim)).toMatchObject({ claims: [{ amount: "0" }], unsound: [1] });
  // What it left is the treasury's with the next.
  await nextEpoch();
  const next = await pay("3");
  await overBy(BigInt(next.epoch));
  const { timelock } = await contracts();
  const left = { account: timelock, amount: "1000000" };
  const { leaves } = (await show()) as { leaves: unknown[] };
  expect(leaves).toHaveLength(2);
  expect(leaves).toContainEqual(left);
  await settle(next.epoch);
  expect(await told(...claim)).toMatchObject({ claims: [{ amount: "3000000" }], unsound: [1] });
});

test("a node that leaves a deposit out is noticed", async () => {
  await nextEpoch();
  const { epoch } = await pay("5");
  await overBy(BigInt(epoch));
  const late = placeNow(async (place) =>
    computeRevenue(place, await revenueAt(place), { index: 1, fromEpoch: 1, toEpoch: epoch }, 1n),
  );
  await expect(late).rejects.toMatchObject({ code: "CHAIN_RPC" });
});

test("in somebody else's run a wallet pays whom it names itself", async () => {
  expect(verdictOf(await cotrainHere(["revenue", "deposit", "0", ...at(), ...by("buyer")]))).toEqual(
    refusal(1, "An amount of TESTUSD is a number above 0"),
  );
  const coordinator = await tellingCoordinator(stage.world, stage.client);
  const there = ["--coordinator", coordinator, "--rpc", stage.node.url];
  const named = ["--run", stage.world.runId, "--deployment", join(stage.state, "deployment.json")];
  const pinned = ["--rpc", stage.node.url, ...named, "--state", temporaryDirectory()];
  const payAt = (...flags: readonly string[]) => cotrainHere(["revenue", "deposit", "1", ...by("buyer"), ...flags]);
  expect((await payAt(...there)).stdout).toContain("Nothing was sent");
  expect(verdictOf(await payAt(...there, "--yes"))).toEqual(refusal(1, "the coordinator's word alone"));
  await stage.client.setBalance({ address: buyer, value: 10n ** 20n });
  await stage.client.setNextBlockBaseFeePerGas({ baseFeePerGas: 10n ** 12n });
  await stage.client.mine({ blocks: 1 });
  expect((await payAt(...pinned, "--yes", "--max-fee", "0.000001")).code).toBe(75);
  expect((await payAt(...pinned, "--yes", "--max-fee", "10")).stdout).toContain("1 TESTUSD are revenue of epoch");
  expect((await cotrainHere(["revenue", "claim", ...by("buyer"), ...pinned, "--max-fee", "10"])).code).toBe(0);
  for (const command of ["list", "show"])
    for (const place of [there, pinned]) expect((await cotrainHere(["revenue", command, ...place])).code).toBe(0);
  expect(await told("revenue", "list", ...there)).toMatchObject({ arrived: "1000000" });
});
