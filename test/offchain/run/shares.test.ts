/** What holders have of a model and how it came about, on a chain; also from a node that leaves events out. */
import { modelSharesAbi } from "@cotrain/sdk/abis";
import * as actions from "@cotrain/sdk/actions";
import { asAddress, domainFor, rewardKind, typedDataOf } from "@cotrain/sdk/protocol";
import {
  type Address,
  createPublicClient,
  custom,
  encodeEventTopics,
  encodeFunctionData,
  publicActions,
  zeroAddress,
} from "viem";
import { sendTransaction } from "viem/actions";
import { afterAll, beforeAll, expect, it } from "vitest";

import { holdingsOf, isNobody, newestOf, type SharesPlace, sortOf } from "../../../offchain/src/run/index.ts";
import { alice, bob, createWorld, share, stranger, type World } from "../../sdk/world.ts";

/** Thirds, so that sums show whether anything is rounded. */
const third = share / 3n;
const [earned, also, given] = [300n * share + third, 100n * share + third, 7n * share + 1n];
const [ofAlice, ofBob, ofStranger] = [alice, bob, stranger].map(({ address }) => asAddress(address)) as [
  Address,
  Address,
  Address,
];

let world: World;
let place: SharesPlace;
beforeAll(async () => {
  world = await createWorld();
  const { client, clientOf, addresses, modelId, shares, blocks } = world;
  const reader = client.extend(publicActions);
  place = {
    connection: { call: (work) => work(reader) },
    addresses,
    modelId,
    shares: asAddress(shares),
    fromBlock: Math.min(...Object.values(blocks)),
  };
  const transfer = async (to: Address, value: bigint) => {
    const data = encodeFunctionData({ abi: modelSharesAbi, functionName: "transfer", args: [to, value] });
    await sendTransaction(clientOf(alice), { to: shares, data, chain: null });
  };
  const delegate = (account: typeof alice, delegatee: Address) =>
    actions.delegate.sync(clientOf(account), { shares, delegatee });
  const tree = await world.reward([
    { account: alice.address, amount: earned },
    { account: bob.address, amount: also },
  ]);
  const { index } = tree;
  const leaf = (account: typeof alice) => ({ index, ...tree.proofOf(account.address)! });
  await actions.claim.sync(clientOf(stranger), { addresses, modelId, beneficiary: alice.address, ...leaf(alice) });
  await delegate(alice, alice.address);
  // Bob has what he earned paid to Alice, and some of it back.
  const order = {
    modelId,
    kind: rewardKind.compute,
    account: bob.address,
    to: alice.address,
    nonce: await actions.claimNonce(client, { addresses, account: bob.address }),
    deadline: BigInt((await world.now()) + 3_600),
  };
  const signature = await bob.signTypedData(typedDataOf(domainFor(31337, addresses.computeRewards), "ClaimTo", order));
  await actions.claimTo.sync(clientOf(stranger), { addresses, order, leaves: [leaf(bob)], signature });
  await transfer(bob.address, given);
  await delegate(bob, alice.address);
  await delegate(stranger, alice.address);
  // Whoever chooses again whom he chose makes no event of hers, as often as he likes.
  await delegate(stranger, alice.address);
  await transfer(alice.address, 5n);
  // Which is no event of anybody's.
  await transfer(bob.address, 0n);
  await delegate(stranger, zeroAddress);
});
afterAll(() => world.close());

const kinds = (events: readonly { readonly what: string; readonly other: Address; readonly amount: bigint }[]) =>
  events.map(({ what, other, amount }) => [what, other, amount]);

it("is told with every event, the balance after each, and whose votes it has", async () => {
  const { holdings, supply } = await holdingsOf(place, [ofAlice, ofBob, ofStranger], 100);
  const [first, second, third] = holdings as [(typeof holdings)[0], (typeof holdings)[0], (typeof holdings)[0]];
  const rewards = asAddress(world.addresses.computeRewards);
  expect(kinds(first.events)).toEqual([
    ["claimed", rewards, earned],
    ["delegated", ofAlice, 0n],
    ["received", rewards, also],
    ["sent", ofBob, given],
    ["delegate of", ofBob, 0n],
    ["delegate of", ofStranger, 0n],
    ["sent to itself", ofAlice, 5n],
    ["delegate no more of", ofStranger, 0n],
  ]);
  expect(kinds(second.events)).toEqual([
    ["claimed for another", ofAlice, also],
    ["received", ofAlice, given],
    ["delegated", ofAlice, 0n],
  ]);
  const rest = earned + also - given;
  expect(first.events.map(({ balance }) => balance)).toEqual([
    earned,
    earned,
    earned + also,
    rest,
    rest,
    rest,
    rest,
    rest,
  ]);
  expect(first).toMatchObject({ balance: rest, summed: rest, votes: rest + given, delegate: ofAlice, problems: [] });
  expect(first.delegators).toEqual([{ account: ofBob, balance: given }]);
  expect(second).toMatchObject({ balance: given, votes: 0n, delegate: ofAlice, delegators: [], problems: [] });
  expect(third).toMatchObject({ balance: 0n, votes: 0n, problems: [] });
  expect(isNobody(third.delegate)).toBe(true);
  expect(first.balance + second.balance).toBe(supply);
  for (const { events } of holdings)
    for (const { time, block } of events)
      expect(time).toBe(Number((await place.connection.call((c) => c.getBlock({ blockNumber: block }))).timestamp));
});

it("keeps the newest events alone, and sums all", async () => {
  const [holding] = (await holdingsOf(place, [ofAlice], 1)).holdings;
  expect(kinds(holding!.events).map(([what]) => what)).toEqual([
    "claimed",
    "received",
    "sent to itself",
    "delegate no more of",
  ]);
  const earlier = { own: 2, claims: 0, received: 0, delegations: 2 };
  expect(holding).toMatchObject({ earlier, summed: holding!.balance, problems: [] });
});

const transfer = (to: Address, value: bigint) =>
  encodeFunctionData({ abi: modelSharesAbi, functionName: "transfer", args: [to, value] });

/** As whoever claims for somebody has it sent: what was granted for code, a little at a time. */
async function claimForAlice(times: number): Promise<void> {
  const { client, clientOf, addresses, shares } = world;
  const from = await actions.codeGrantsOf(client, { addresses });
  await sendTransaction(clientOf(bob), { to: shares, data: transfer(from, BigInt(times)), chain: null });
  const request = (method: string, params: readonly unknown[]) => world.request({ method, params } as never);
  await request("hardhat_setBalance", [from, "0xde0b6b3a7640000"]);
  await request("hardhat_impersonateAccount", [from]);
  for (let turn = 0; turn < times; turn++)
    await request("eth_sendTransaction", [{ from, to: shares, data: transfer(alice.address, 1n) }]);
}

it("is not hidden by others, however often they delegate to the holder, send it a wei, or claim for it", async () => {
  const { holdings: before } = await holdingsOf(place, [ofAlice], 5);
  const own = before[0]!.events.filter((event) => sortOf(event) === "own");
  expect(own).toHaveLength(3);
  const client = world.clientOf(stranger);
  for (let turn = 0; turn < 4; turn++)
    for (const delegatee of [alice.address, zeroAddress])
      await actions.delegate.sync(client, { shares: world.shares, delegatee });
  const data = encodeFunctionData({ abi: modelSharesAbi, functionName: "transfer", args: [alice.address, 1n] });
  for (let turn = 0; turn < 7; turn++)
    await sendTransaction(world.clientOf(bob), { to: world.shares, data, chain: null });
  await claimForAlice(7);
  const [holding] = (await holdingsOf(place, [ofAlice], 5)).holdings;
  expect(holding!.events.filter((event) => sortOf(event) === "own")).toEqual(own);
  expect(holding).toMatchObject({ earlier: { own: 0, claims: 3, received: 3, delegations: 6 }, problems: [] });
  expect(holding!.events).toHaveLength(18);
  const { events, earlier } = newestOf(holding!.events, 1);
  expect(events.map(({ what }) => what)).toEqual(["sent to itself", "delegate no more of", "received", "claimed"]);
  expect(earlier).toEqual({ own: 2, claims: 4, received: 4, delegations: 4 });
});

it("is the same whatever number of blocks is between, and from a block in the midst it does not add up", async () => {
  await world.request({ method: "hardhat_mine", params: ["0x1388"] } as never);
  expect((await holdingsOf(place, [ofAlice], 100)).holdings[0]).toMatchObject({ problems: [] });
  const { holdings } = await holdingsOf(place, [ofAlice], 100);
  // As of a deployment file that names too late a block.
  const from = Number(holdings[0]!.events[2]!.block);
  const [late] = (await holdingsOf({ ...place, fromBlock: from }, [ofAlice], 100)).holdings;
  expect(late!.problems.join("\n")).toMatch(/it has \d+ wei of shares, and by the contract \d+: some are left out\./);
});

it.each([
  ["transfers", "Transfer", "wei of shares, and by the contract"],
  ["choices of delegates", "DelegateChanged", `its delegate is ${zeroAddress}, and by the contract`],
] as const)("says so where a node leaves out %s", async (_what, eventName, sentence) => {
  const [topic] = encodeEventTopics({ abi: modelSharesAbi, eventName });
  const request = async (asked: { readonly method: string; readonly params?: unknown }): Promise<unknown> => {
    const answer: unknown = await world.request(asked as never);
    const [filter] = (asked.params ?? []) as readonly { readonly topics?: readonly unknown[] }[];
    return asked.method === "eth_getLogs" && filter?.topics?.[0] === topic ? [] : answer;
  };
  const leaving = createPublicClient({ transport: custom({ request }, { retryCount: 0 }), cacheTime: 0 });
  const { holdings } = await holdingsOf({ ...place, connection: { call: (work) => work(leaving) } }, [ofAlice], 100);
  expect(holdings[0]!.problems.join("\n")).toContain(sentence);
});

/** A node that has made a block more, and dropped the state of the one before, when it is asked what so many blocks hold. */
function forgetful(blocks: number): SharesPlace {
  const dropped = new Map<unknown, Promise<unknown>>();
  const request = async (asked: { readonly method: string; readonly params?: unknown }): Promise<unknown> => {
    const [, block] = (asked.params ?? []) as readonly unknown[];
    if (asked.method === "eth_call" && block !== "latest") {
      if (!dropped.has(block) && dropped.size < blocks)
        dropped.set(block, actions.delegate.sync(world.clientOf(bob), { shares: world.shares, delegatee: ofAlice }));
      await dropped.get(block);
      if (dropped.has(block)) throw new Error("the state of this block is not kept");
    }
    return world.request(asked as never);
  };
  const client = createPublicClient({ transport: custom({ request }, { retryCount: 0 }), cacheTime: 0 });
  return { ...place, connection: { call: (work) => work(client) } };
}

it("is of the newest block where a node keeps no other's state, with all that came meanwhile", async () => {
  const { block: before } = await holdingsOf(place, [ofAlice], 100);
  const { block, holdings } = await holdingsOf(forgetful(3), [ofAlice, ofBob], 100);
  expect(block).toBe(before + 3n);
  expect(holdings).toMatchObject([{ problems: [] }, { problems: [] }]);
  expect(holdings[1]!.events.filter((event) => event.block > before)).toHaveLength(3);
  await expect(holdingsOf(forgetful(Infinity), [ofAlice], 100)).rejects.toThrow("not kept");
});
