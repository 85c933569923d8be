/** A renter pays for a machine by vouchers, from a deposit in ComputeEscrow. */
import * as actions from "@cotrain/sdk/actions";
import * as errors from "@cotrain/sdk/errors";
import { escrowVaultAt, leaseOfTerms, type LeaseTerms, requireVoucher, signVoucher } from "@cotrain/sdk/protocol";
import { type Address, erc20Abi, getAddress, parseAbi } from "viem";
import { readContract, waitForTransactionReceipt, writeContract } from "viem/actions";
import { afterAll, beforeAll, expect, it } from "vitest";

import { isolated } from "./holders.ts";
import { alice, bob, createWorld, hashOf, organiser, poster, stranger, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());

const [renter, provider, signer, machine] = [alice, bob, poster, organiser];
const dollar = 1_000_000n;
const through = 1_800_000_000n;

const termsOf = (salt: string): LeaseTerms => ({
  renter: renter.address,
  provider: provider.address,
  machine: machine.address,
  signer: signer.address,
  token: getAddress(world.testDollar),
  notice: 600,
  salt: hashOf(salt),
});
const place = () => ({ chainId: 31_337, escrow: world.escrow });

async function fund(account: typeof alice, amount: bigint): Promise<void> {
  const { client, clientOf, escrow, testDollar: token } = world;
  const abi = parseAbi(["function mint(address to, uint256 amount)"]);
  const args = [account.address, amount] as const;
  const minting = { chain: null, account, address: token, abi, functionName: "mint", args } as const;
  await waitForTransactionReceipt(client, { hash: await writeContract(clientOf(account), minting) });
  await actions.allowEscrow.sync(clientOf(account), { escrow, token, amount });
}

const balanceOf = (account: Address): Promise<bigint> =>
  readContract(world.client, {
    address: world.testDollar,
    abi: erc20Abi,
    functionName: "balanceOf",
    args: [account],
  });

/** A channel of ten dollars, and what its vouchers are made with. */
async function opened(salt: string) {
  const { clientOf, escrow } = world;
  const terms = termsOf(salt);
  await fund(renter, 10n * dollar);
  const { event } = await actions.openEscrow.sync(clientOf(renter), { escrow, terms, amount: 10n * dollar });
  const leaseId = leaseOfTerms(place(), terms);
  const voucherOf = async (cumulative: bigint) => {
    const voucher = { leaseId, cumulative, through };
    return { escrow, terms, voucher, signature: await signVoucher(signer, place(), voucher) };
  };
  return { terms, leaseId, event, voucherOf };
}

it("obeys nobody, and makes its vaults itself", async () => {
  const wires = await actions.escrowWiring(world.client, { escrow: world.escrow });
  expect(wires.length).toBe(2);
  expect(actions.misWired(wires)).toEqual([]);
  const [wrong] = actions.misWired(wires.map((wire) => ({ ...wire, says: stranger.address })));
  expect(actions.wireSentence(wrong!)).toContain("ComputeEscrow.vaultImplementation is ");
});

it("is opened by the renter at an id and with a vault that are known before", async () => {
  await isolated(world, async () => {
    const { client, clientOf, escrow } = world;
    const { terms, leaseId, event } = await opened("one");
    expect(event).toMatchObject({ leaseId, renter: renter.address, provider: provider.address, terms });
    expect(event.vault.toLowerCase()).toBe(escrowVaultAt(escrow, leaseId));
    expect(await balanceOf(event.vault)).toBe(10n * dollar);
    const channel = await actions.escrowChannelOf(client, { escrow, leaseId });
    expect(channel).toMatchObject({ deposit: 10n * dollar, earned: 0n, paid: 0n, closesAt: undefined });
    const { logs } = await actions.getAllLogs(client, actions.channelOpened({ escrow, renter: renter.address }), {
      from: 0n,
    });
    expect(logs.map(({ args }) => args.terms)).toEqual([terms]);

    const opening = (from: typeof alice, of: LeaseTerms, amount = 1n) =>
      actions.openEscrow.simulate(clientOf(from), { escrow, terms: of, amount });
    await fund(renter, dollar);
    await expect(opening(renter, terms)).rejects.toBeInstanceOf(errors.ComputeEscrowOpenedBeforeError);
    await expect(opening(stranger, terms)).rejects.toBeInstanceOf(errors.ComputeEscrowNotRenterError);
    const other = termsOf("two");
    await expect(opening(renter, { ...other, notice: 0 })).rejects.toBeInstanceOf(errors.ComputeEscrowBadNoticeError);
    await expect(opening(renter, { ...other, token: stranger.address })).rejects.toBeInstanceOf(
      errors.ComputeEscrowBadTokenError,
    );
    const nobody = "0x0000000000000000000000000000000000000000";
    await expect(opening(renter, { ...other, provider: nobody })).rejects.toBeInstanceOf(
      errors.ComputeEscrowBadPartiesError,
    );
    await expect(opening(renter, other, 0n)).rejects.toBeInstanceOf(errors.ComputeEscrowNothingArrivedError);
    expect((await opening(renter, other)).result).toBe(leaseOfTerms(place(), other));
    const unknown = { escrow, leaseId: leaseOfTerms(place(), other) };
    expect(await actions.escrowChannelOf(client, unknown)).toBeUndefined();
  });
});

it("pays the provider the highest voucher, whoever redeems it", async () => {
  await isolated(world, async () => {
    const { clientOf, client, escrow } = world;
    const { terms, leaseId, voucherOf } = await opened("one");
    const sender = clientOf(stranger);
    const first = await actions.redeemVoucher.sync(sender, await voucherOf(3n * dollar));
    expect(first.event).toEqual({
      redeemed: { leaseId, cumulative: 3n * dollar, through, earned: 3n * dollar },
      paid: { leaseId, provider: provider.address, amount: 3n * dollar },
      unpaid: undefined,
    });
    const again = await actions.redeemVoucher.sync(sender, await voucherOf(2n * dollar));
    expect(again.event).toEqual({ redeemed: undefined, paid: undefined, unpaid: undefined });
    const high = await voucherOf(12n * dollar);
    expect((await actions.redeemVoucher.simulate(sender, high)).result).toBe(7n * dollar);
    await fund(stranger, 5n * dollar);
    const { event } = await actions.topUpEscrow.sync(sender, { escrow, terms, amount: 5n * dollar });
    expect(event).toMatchObject({ payer: stranger.address, amount: 5n * dollar, deposit: 15n * dollar });
    await actions.redeemVoucher.sync(sender, high);
    expect(await balanceOf(provider.address)).toBe(12n * dollar);
    const { logs } = await actions.getAllLogs(client, actions.voucherRedeemed({ escrow, leaseId }), { from: 0n });
    expect(logs.map(({ args }) => args.earned)).toEqual([3n * dollar, 12n * dollar]);
    expect((await actions.getAllLogs(client, actions.providerPaid({ escrow }), { from: 0n })).logs.length).toBe(2);
    expect((await actions.getAllLogs(client, actions.channelFunded({ escrow }), { from: 0n })).logs.length).toBe(2);
    expect((await actions.getAllLogs(client, actions.providerUnpaid({ escrow }), { from: 0n })).logs).toEqual([]);
  });
});

it("takes no voucher but the signer's", async () => {
  await isolated(world, async () => {
    const { clientOf } = world;
    const { terms, leaseId, voucherOf } = await opened("one");
    const good = await voucherOf(dollar);
    const redeeming = (change: object) => actions.redeemVoucher.simulate(clientOf(provider), { ...good, ...change });
    const forged = await signVoucher(stranger, place(), { ...good.voucher });
    await expect(redeeming({ signature: forged })).rejects.toMatchObject({
      errorName: "ComputeEscrowBadSigner",
      args: [leaseId, stranger.address, signer.address],
    });
    await expect(redeeming({ voucher: { cumulative: 2n * dollar, through } })).rejects.toBeInstanceOf(
      errors.ComputeEscrowBadSignerError,
    );
    await expect(redeeming({ terms: { ...terms, salt: hashOf("two") } })).rejects.toBeInstanceOf(
      errors.ComputeEscrowUnknownError,
    );
  });
});

it("is closed with notice, and the rest goes back", async () => {
  await isolated(world, async () => {
    const { client, clientOf, escrow } = world;
    const { terms, leaseId, voucherOf } = await opened("one");
    const one = { escrow, terms };
    await expect(actions.withdrawEscrow.simulate(clientOf(stranger), one)).rejects.toBeInstanceOf(
      errors.ComputeEscrowOpenError,
    );
    await expect(actions.closeEscrow.simulate(clientOf(stranger), one)).rejects.toBeInstanceOf(
      errors.ComputeEscrowMayNotCloseError,
    );
    const { event } = await actions.closeEscrow.sync(clientOf(signer), one);
    expect(event).toMatchObject({ leaseId, caller: signer.address });
    const end = event!.closesAt;
    expect((await actions.escrowChannelOf(client, { escrow, leaseId }))?.closesAt).toBe(end);
    expect((await actions.closeEscrow.sync(clientOf(renter), one)).event).toBeUndefined();
    await expect(actions.withdrawEscrow.simulate(clientOf(stranger), one)).rejects.toBeInstanceOf(
      errors.ComputeEscrowNoticeRunsError,
    );
    await expect(actions.topUpEscrow.simulate(clientOf(renter), { ...one, amount: 1n })).rejects.toBeInstanceOf(
      errors.ComputeEscrowClosesError,
    );
    await actions.redeemVoucher.sync(clientOf(provider), await voucherOf(4n * dollar));
    await world.advanceTo(end);
    const back = await actions.withdrawEscrow.sync(clientOf(stranger), one);
    expect(back.event).toMatchObject({ renter: renter.address, amount: 6n * dollar });
    expect(await balanceOf(renter.address)).toBe(6n * dollar);
    expect((await actions.withdrawEscrow.sync(clientOf(stranger), one)).event).toBeUndefined();
    const closing = await actions.getAllLogs(client, actions.channelClosing({ escrow, leaseId }), { from: 0n });
    expect(closing.logs.map(({ args }) => args.closesAt)).toEqual([end]);
    const rest = await actions.getAllLogs(client, actions.restWithdrawn({ escrow, leaseId }), { from: 0n });
    expect(rest.logs.map(({ args }) => args.amount)).toEqual([6n * dollar]);
  });
});

it("a voucher is work's worth only where it is of the lease, by its signer, high enough and covered", async () => {
  const terms = termsOf("one");
  const leaseId = leaseOfTerms(place(), terms);
  const voucher = { leaseId, cumulative: 5n * dollar, through };
  const signature = await signVoucher(signer, place(), voucher);
  const expected = { ...place(), terms, atLeast: 5n * dollar, deposit: 5n * dollar };
  await requireVoucher(voucher, signature, expected);
  const refused = async (code: string, change: object, otherwise: object = {}) =>
    expect(requireVoucher({ ...voucher, ...otherwise }, signature, { ...expected, ...change })).rejects.toMatchObject({
      code,
    });
  await refused("VOUCHER_OTHER_LEASE", { terms: { ...terms, notice: 601 } });
  await refused("VOUCHER_OTHER_LEASE", { chainId: 1 });
  await refused("VOUCHER_TOO_LITTLE", { atLeast: 5n * dollar + 1n });
  await refused("VOUCHER_UNCOVERED", { deposit: 5n * dollar - 1n });
  await refused("VOUCHER_OTHER_SIGNER", {}, { through: through + 1n });
  await expect(requireVoucher(voucher, await signVoucher(stranger, place(), voucher), expected)).rejects.toMatchObject({
    code: "VOUCHER_OTHER_SIGNER",
  });
  await expect(requireVoucher(voucher, "0x00", expected)).rejects.toMatchObject({ code: "MALFORMED_SIGNATURE" });
});
