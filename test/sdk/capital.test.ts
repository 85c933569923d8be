/** Shares are sold for a model's capital token: deposited, settled and claimed, or paid back. */
import * as actions from "@cotrain/sdk/actions";
import * as errors from "@cotrain/sdk/errors";
import { type Address, type Hex, numberToHex, parseAbi, parseSignature } from "viem";
import type { PrivateKeyAccount } from "viem/accounts";
import { readContract, waitForTransactionReceipt, writeContract } from "viem/actions";
import { afterAll, beforeAll, expect, it } from "vitest";

import { accept, holders, isolated } from "./holders.ts";
import { alice, bob, createWorld, modelConfig, organiser, saleTerms, share, stranger, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld();
  await holders(world);
});
afterAll(() => world.close());

const dollarAbi = parseAbi([
  "function mint(address to, uint256 amount)",
  "function balanceOf(address account) view returns (uint256)",
  "function nonces(address owner) view returns (uint256)",
]);
const dollar = 1_000_000n;

async function mint(account: typeof alice, amount: bigint) {
  const { client, clientOf, testDollar } = world;
  const hash = await writeContract(clientOf(account), {
    chain: null,
    account,
    address: testDollar,
    abi: dollarAbi,
    functionName: "mint",
    args: [account.address, amount],
  });
  await waitForTransactionReceipt(client, { hash });
}

const balanceOf = (account: Address): Promise<bigint> =>
  readContract(world.client, {
    address: world.testDollar,
    abi: dollarAbi,
    functionName: "balanceOf",
    args: [account],
  });

/** The epoch that has just begun: a test has most of it before it. */
async function nextEpoch(): Promise<bigint> {
  const { client, addresses, modelId } = world;
  const epoch = await actions.epochOf(client, { addresses, modelId, timestamp: await world.now() });
  await world.advanceTo(await actions.epochEnd(client, { addresses, modelId, epoch }));
  return epoch + 1n;
}

const overBy = async (epoch: bigint): Promise<void> =>
  world.advanceTo(await actions.epochEnd(world.client, { addresses: world.addresses, modelId: world.modelId, epoch }));

async function fund(amount: bigint): Promise<void> {
  const { clientOf, sale, testDollar: token } = world;
  await mint(alice, amount);
  await actions.allowCapital.sync(clientOf(alice), { token, sale, amount });
}

const logsOf = async (query: Parameters<typeof actions.getAllLogs>[1]) =>
  (await actions.getAllLogs(world.client, query, { from: 0n })).logs.map((log) => log.args);

it("is found, with what is fixed of it", async () => {
  const { client, addresses, modelId, sale, testDollar } = world;
  expect((await actions.capitalSaleOf(client, { addresses })).toLowerCase()).toBe(sale);
  const book = await actions.saleBookOf(client, { sale, modelId });
  expect(book).toMatchObject({ priceFloor: saleTerms.priceFloor, held: 0n });
  expect(book!.token.toLowerCase()).toBe(testDollar);
  expect(await logsOf(actions.saleOpened({ sale, modelId }))).toEqual([
    { modelId, token: book!.token, vault: book!.vault, priceFloor: saleTerms.priceFloor },
  ]);
  const { price, minimum } = saleTerms;
  expect(await actions.newestSaleTerms(client, { sale, modelId })).toEqual({
    fromEpoch: 1,
    price,
    minimum,
    version: 1,
  });
});

it("a model without a capital token sells none", async () => {
  await isolated(world, async () => {
    const { client, clientOf, addresses, sale } = world;
    const created = await actions.createModel.sync(clientOf(organiser), {
      addresses,
      config: modelConfig,
      salt: `0x${"01".repeat(32)}`,
    });
    const { modelId } = created.event;
    expect(await actions.saleBookOf(client, { sale, modelId })).toBeUndefined();
    await expect(actions.saleOf(client, { sale, modelId, epoch: 1n })).rejects.toBeInstanceOf(
      errors.CapitalSaleNoneError,
    );
    expect(actions.misWired(await actions.modelWiring(client, { addresses, modelId: modelId }))).toEqual([]);
  });
});

it("shares are bought for others too, and the treasury gets the money", async () => {
  await isolated(world, async () => {
    const { client, clientOf, modelId, sale, shares, timelock } = world;
    await fund(3n * dollar);
    const epoch = await nextEpoch();
    const own = { sale, modelId, epoch, beneficiary: alice.address };
    const { event } = await actions.depositCapital.sync(clientOf(alice), { ...own, amount: dollar });
    expect(event).toMatchObject({ epoch, account: alice.address, payer: alice.address, amount: dollar });
    await actions.depositCapital.sync(clientOf(alice), { ...own, beneficiary: bob.address, amount: 2n * dollar });
    expect(await actions.capitalDepositOf(client, { ...own, account: bob.address })).toBe(2n * dollar);
    expect(await actions.saleOf(client, own)).toMatchObject({ state: "open", total: 3n * dollar, sold: 0n });
    expect(await actions.unsettledSales(client, { sale, modelId })).toEqual({ oldest: epoch, count: 1n });
    await expect(actions.claimCapital(clientOf(alice), own)).rejects.toBeInstanceOf(errors.CapitalSaleNotSettledError);

    await overBy(epoch);
    expect(await actions.saleOf(client, own)).toMatchObject({ state: "due" });
    const settled = await actions.settleSale.sync(clientOf(stranger), { sale, modelId });
    expect(settled.event).toEqual({
      modelId,
      epoch,
      total: 3n * dollar,
      proceeds: 3n * dollar,
      sold: 150n * share,
    });
    expect(await logsOf(actions.saleSettled({ sale, modelId, epoch }))).toEqual([settled.event]);
    expect(await balanceOf(timelock)).toBe(3n * dollar);
    const again = await actions.settleSale.sync(clientOf(stranger), { sale, modelId });
    expect(again.event).toBeUndefined();

    const before = await actions.balanceOf(client, { shares, account: bob.address });
    const claimed = await actions.claimCapital.sync(clientOf(stranger), { ...own, beneficiary: bob.address });
    expect(claimed.event).toMatchObject({ account: bob.address, deposit: 2n * dollar, shares: 100n * share });
    expect(await actions.balanceOf(client, { shares, account: bob.address })).toBe(before + 100n * share);
    expect(await logsOf(actions.capitalClaimed({ sale, modelId, account: bob.address }))).toEqual([claimed.event]);
    const twice = await actions.claimCapital.sync(clientOf(stranger), { ...own, beneficiary: bob.address });
    expect(twice.event).toBeUndefined();
    await expect(actions.refundCapital(clientOf(alice), own)).rejects.toBeInstanceOf(
      errors.CapitalSaleNotRefundableError,
    );
  });
});

it("too small an epoch is paid back", async () => {
  await isolated(world, async () => {
    const { client, clientOf, modelId, sale } = world;
    await fund(dollar);
    const epoch = await nextEpoch();
    const own = { sale, modelId, epoch, beneficiary: alice.address };
    await actions.depositCapital.sync(clientOf(alice), { ...own, amount: dollar - 1n });
    await overBy(epoch);
    expect(await actions.saleOf(client, own)).toMatchObject({ state: "failed", total: dollar - 1n });
    await expect(actions.refundCapital(clientOf(stranger), { ...own, atLeast: dollar })).rejects.toBeInstanceOf(
      errors.CapitalSaleTooLittleError,
    );
    const { event } = await actions.refundCapital.sync(clientOf(stranger), { ...own, atLeast: dollar - 1n });
    expect(event).toMatchObject({ account: alice.address, deposit: dollar - 1n, amount: dollar - 1n });
    expect(await balanceOf(alice.address)).toBe(dollar);
    expect(await logsOf(actions.capitalRefunded({ sale, modelId, epoch }))).toEqual([event]);
    expect(await logsOf(actions.saleExpired({ sale, modelId }))).toEqual([]);
  });
});

/** What a wallet signs for an allowance (ERC-2612). */
async function permitOf(owner: PrivateKeyAccount | typeof alice, value: bigint) {
  const { client, sale, testDollar } = world;
  const deadline = BigInt(await world.now()) + 600n;
  const nonce = await readContract(client, {
    address: testDollar,
    abi: dollarAbi,
    functionName: "nonces",
    args: [owner.address],
  });
  const signature: Hex = await owner.signTypedData({
    domain: { name: "Test dollar, worth nothing", version: "1", chainId: 31337, verifyingContract: testDollar },
    types: {
      Permit: [
        { name: "owner", type: "address" },
        { name: "spender", type: "address" },
        { name: "value", type: "uint256" },
        { name: "nonce", type: "uint256" },
        { name: "deadline", type: "uint256" },
      ],
    },
    primaryType: "Permit",
    message: { owner: owner.address, spender: sale, value, nonce, deadline },
  });
  const { r, s, yParity } = parseSignature(signature);
  return { deadline, v: 27 + yParity, r, s };
}

it("a deposit is one transaction where its allowance is signed", async () => {
  await isolated(world, async () => {
    const { client, clientOf, modelId, sale } = world;
    await mint(alice, 2n * dollar);
    const epoch = await nextEpoch();
    const permit = await permitOf(alice, 2n * dollar);
    const own = { sale, modelId, epoch, beneficiary: alice.address };
    const { event } = await actions.depositCapitalWithPermit.sync(clientOf(alice), {
      ...own,
      amount: 2n * dollar,
      permit,
    });
    expect(event.amount).toBe(2n * dollar);
    expect(await logsOf(actions.capitalDeposited({ sale, modelId, epoch }))).toEqual([event]);
    expect(await actions.capitalDepositOf(client, { ...own, account: alice.address })).toBe(2n * dollar);
  });
});

it("settling and claiming go in one transaction", async () => {
  await isolated(world, async () => {
    const { clientOf, modelId, sale } = world;
    await fund(dollar);
    const epoch = await nextEpoch();
    const own = { sale, modelId, epoch, beneficiary: alice.address };
    await actions.depositCapital.sync(clientOf(alice), { ...own, amount: dollar });
    await overBy(epoch);
    const calls = [actions.settleSale.call({ sale, modelId }), actions.claimCapital.call(own)];
    expect(await actions.batchCapital.simulate(clientOf(stranger), { sale, calls })).toMatchObject({
      result: [numberToHex(epoch, { size: 32 }), numberToHex(50n * share, { size: 32 })],
    });
    const { event } = await actions.batchCapital.sync(clientOf(stranger), { sale, calls });
    expect(event).toMatchObject({
      settled: [{ epoch, sold: 50n * share }],
      expired: [],
      claimed: [{ account: alice.address, shares: 50n * share }],
      refunded: [],
    });
  });
});

it("a deposit is for the epoch that it was meant for", async () => {
  await isolated(world, async () => {
    const { clientOf, modelId, sale } = world;
    await fund(dollar);
    const epoch = await nextEpoch();
    await overBy(epoch);
    const late = { sale, modelId, epoch, beneficiary: alice.address, amount: dollar };
    await expect(actions.depositCapital(clientOf(alice), late)).rejects.toMatchObject({
      name: "CapitalSaleOtherEpochError",
      message: `The deposit was for epoch ${epoch}, but this is epoch ${epoch + 1n}, which may have other terms; look at them and deposit anew.`,
      retryable: true,
    });
  });
});

it("the holders set the terms from the next epoch on, above the floor", async () => {
  await isolated(world, async () => {
    const { client, clientOf, governor, addresses, contracts, modelId, sale } = {
      ...world,
      contracts: { shares: world.shares, governor: world.governor, timelock: world.timelock },
    };
    const terms = { sale, modelId, replaces: 1, price: 50_000n, minimum: 5n * dollar };
    const call = actions.setSaleTerms.call(terms);
    expect(
      actions.decodeCall({ addresses, contracts, capitalSale: sale }, { target: call.to, data: call.data }),
    ).toMatchObject({
      contract: "CapitalSale",
      functionName: "setTerms",
      args: [modelId, 1, 50_000n, 5n * dollar],
    });
    expect(actions.decodeCall({ addresses, contracts }, { target: call.to, data: call.data })).toBeUndefined();
    const { receipt } = await actions.execute.sync(clientOf(stranger), {
      governor,
      proposal: await accept(world, [call], "terms"),
    });
    const event = actions.setSaleTerms.extractEvent(receipt);
    expect(event).toMatchObject({ price: 50_000n, minimum: 5n * dollar });
    expect((await logsOf(actions.saleTermsSet({ sale, modelId }))).at(-1)).toEqual(event);
    const { price } = await actions.saleOf(client, { sale, modelId, epoch: event.fromEpoch });
    expect(price).toBe(50_000n);
    const low = actions.setSaleTerms.call({ ...terms, replaces: 2, price: saleTerms.priceFloor - 1n });
    const proposal = await accept(world, [low], "low");
    await expect(actions.execute(clientOf(stranger), { governor, proposal })).rejects.toBeInstanceOf(
      errors.CapitalSalePriceTooLowError,
    );
    const stale = await accept(world, [call], "once more");
    await expect(actions.execute(clientOf(stranger), { governor, proposal: stale })).rejects.toBeInstanceOf(
      errors.CapitalSaleTermsReplacedError,
    );
    await expect(actions.setSaleTerms(clientOf(alice), terms)).rejects.toBeInstanceOf(
      errors.ModelAuthorityUnauthorizedError,
    );
  });
});
