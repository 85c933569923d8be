/** Proposals of holders on a chain: which one a few digits name, where it stands, and what its calls would do in words. */
import { capitalSaleAbi, modelGovernorAbi, modelSharesAbi, modelTimelockAbi } from "@cotrain/sdk/abis";
import * as actions from "@cotrain/sdk/actions";
import { asAddress, parameterLabel, runParameters, runStatus, zeroHash } from "@cotrain/sdk/protocol";
import {
  type Address,
  concatHex,
  encodeAbiParameters,
  encodeFunctionData,
  getAddress,
  type Hex,
  numberToHex,
  parseAbi,
  publicActions,
  toFunctionSelector,
} from "viem";
import { sendTransaction } from "viem/actions";
import { afterAll, beforeAll, describe, expect, it, test } from "vitest";

import type { ChainConnection } from "../../../offchain/src/chain/index.ts";
import {
  findProposal,
  newestProposals,
  type ProposalsPlace,
  proposalReason,
  proposalTitle,
  requireSound,
  standingOf,
  wordsBudget,
  wordsOfCall,
  type WordsPlace,
} from "../../../offchain/src/run/index.ts";
import { accept, carry, holders, isolated } from "../../sdk/holders.ts";
import { alice, bob, createWorld, params, share, stranger, validators, type World } from "../../sdk/world.ts";

let world: World;
let place: ProposalsPlace & WordsPlace;
beforeAll(async () => {
  world = await createWorld();
  const { client, addresses, runId, governor, timelock, shares, blocks } = world;
  const reader = client.extend(publicActions);
  const call: ChainConnection["call"] = (work) => work(reader);
  place = {
    connection: { call },
    addresses,
    runId,
    contracts: { governor, timelock, shares },
    governor: asAddress(governor),
    fromBlock: Math.min(...Object.values(blocks)),
  };
});
afterAll(() => world.close());

const pause = () =>
  actions.setStatus.call({ addresses: world.addresses, runId: world.runId, status: runStatus.paused });
const proposing = async (description: string) => {
  const { governor, clientOf } = world;
  return (await actions.propose.sync(clientOf(alice), { governor, calls: [pause()], description })).event;
};
const told = ({ to, data, value = 0n }: actions.ProposalCall) => wordsOfCall(place, { target: to, data, value });
const wordsOf = async (call: actions.ProposalCall) => (await told(call)).words;

const call = ({ to, data }: actions.ProposalCall) => ({ target: to, data, value: 0n });

describe("a call in words", () => {
  it("of parameters names every one that changes, beside what is replaced", async () => {
    const { addresses, runId } = world;
    const changed = { ...params, innerSteps: 128, weighting: 1, roundDeadline: 90 };
    const call = actions.setParams.call({ addresses, runId, replaces: 1, params: changed });
    const toldSo = await wordsOf(call);
    expect(toldSo).toMatch(
      /^RunRegistry sets parameters of this run in the place of version 1: 64 → 128 inner steps per round, 60 s → 90 s deadline of a round, tokens → uniform weight of each payload\. The others, whatever is in force before, would be: /,
    );
    // Where the node hides what changes, by saying that it is in force, it stands among all.
    for (const { name } of runParameters) expect(toldSo).toContain(parameterLabel(name, changed[name]));
    // What is decided nobody agrees to any more: what stays is left out then.
    const brief = await wordsOfCall({ ...place, brief: true }, { target: call.to, data: call.data, value: 0n });
    expect(brief.words).toBe(toldSo.slice(0, toldSo.indexOf(" The others, whatever")));
    // All of them, however many: the last is not hidden behind the others.
    const all = Object.fromEntries(
      Object.entries(params).map(([name, value]) => [name, typeof value === "bigint" ? 7n : 77]),
    );
    const words = await wordsOf(
      actions.setParams.call({ addresses, runId, replaces: 1, params: all as unknown as typeof params }),
    );
    expect(words).toContain("0.77% share of receipts that are replayed.");
    const same = actions.setParams.call({ addresses, runId, replaces: 1, params });
    expect(await wordsOf(same)).toContain("version 1: all stay as they are. Whatever is in force before, all of");
  });

  it("of builds, posters and status; another run is named as such", async () => {
    const { addresses, runId } = world;
    const build: Hex = `0x${"ab".repeat(32)}`;
    const other: Hex = `0x${"cd".repeat(32)}`;
    expect(await wordsOf(pause())).toBe("RunRegistry makes this run paused.");
    expect(await wordsOf(actions.setStatus.call({ addresses, runId: other, status: 2 }))).toBe(
      `RunRegistry makes another run, ${other}, finished, for ever: no proposal opens it again.`,
    );
    for (const [admitted, words] of [
      [true, `RunRegistry admits build ${build} to this run.`],
      [false, `RunRegistry withdraws build ${build} from this run.`],
    ] as const)
      expect(await wordsOf(actions.admitBuild.call({ addresses, runId, build, admitted }))).toBe(words);
    expect(await wordsOf(actions.setPoster.call({ addresses, runId, poster: bob.address }))).toBe(
      `RunRegistry lets ${bob.address} alone post the heads of this run.`,
    );
  });

  it("of anything else shows function and arguments, coins, and what is no call at all; a megabyte stays short", async () => {
    const { shares, governor } = world;
    expect(await wordsOf(actions.delegate.call({ shares, delegatee: bob.address }))).toBe(
      `ModelShares ${shares}.delegate(delegatee ${bob.address}).`,
    );
    expect(await wordsOf({ to: stranger.address, data: "0x", value: share / 2n })).toBe(
      `The timelock calls ${stranger.address} without data. It sends 0.5 coins of the timelock along.`,
    );
    expect(await wordsOf({ to: governor, data: "0x12345678" })).toBe(
      `The timelock calls ${governor} with 4 bytes that the contract may take, and that are not read here: 0x12345678.`,
    );
    expect(await wordsOf({ to: stranger.address, data: "0x12345678" })).toBe(
      `The timelock calls ${stranger.address} with 4 bytes that are not read as a call of this model's contracts: 0x12345678.`,
    );
    const long = actions.castVote.call({ governor, proposalId: 1n, support: "for", reason: "x".repeat(1_000_000) });
    for (const call of [long, { to: stranger.address, data: long.data }, batched([long])]) {
      const { words, untold } = await told(call);
      expect(words.length).toBeLessThan(4_500);
      // Whose end nobody was shown is not told.
      expect(untold).toBe(1);
    }
  });

  it("of parameters in the place of a version that is not there names every value: what it reads as zero is no change", async () => {
    const { addresses, runId } = world;
    // A call before it, in the same proposal, makes that version.
    const next = { ...params, codec: 0, minWorkers: 0 };
    const wordsFor = (id: Hex, replaces: number) =>
      wordsOf(actions.setParams.call({ addresses, runId: id, replaces, params: next }));
    const words = await wordsFor(runId, 2);
    expect(words).toContain(
      "RunRegistry sets parameters of this run in the place of version 2, which it does not have now (the newest is 1). Whatever is in force before, all of these would be: 64 inner steps per round, ",
    );
    for (const { name } of runParameters) expect(words).toContain(parameterLabel(name, next[name]));
    expect(words).toContain("fp32 ");
    expect(words).not.toContain("→");
    const unknown: Hex = `0x${"cd".repeat(32)}`;
    for (const [id, replaces] of [
      [runId, 0],
      [unknown, 1],
    ] as const)
      expect(await wordsFor(id, replaces)).toContain(`version ${replaces}, which it does not have now`);
  });

  it("of maintainers says who the first are", async () => {
    const { addresses, modelId } = world;
    const maintainers = [bob.address, stranger.address];
    const call = actions.setMaintainers.call({ addresses, modelId, replaces: 0, maintainers, threshold: 2 });
    expect(await wordsOf(call)).toBe(
      `ValidatorSet chooses the first maintainers of this model: ${bob.address}, ${stranger.address}; 2 of 2 must sign.`,
    );
    const next = actions.setMaintainers.call({ addresses, modelId, replaces: 1, maintainers, threshold: 2 });
    expect(await wordsOf(next)).toContain(
      "maintainers of this model in the place of set 1, which it does not have now.",
    );
  });

  it("of a grant names author, amount, commit and repository", async () => {
    const { client, addresses, modelId } = world;
    const grants = await actions.codeGrantsOf(client, { addresses });
    const own = { ...place, codeGrants: grants };
    const commit: Hex = `0x${"ab".repeat(20)}${"00".repeat(12)}`;
    const grant = {
      modelId,
      author: bob.address,
      repository: zeroHash,
      commit,
      description: zeroHash,
      amount: share / 2n,
      start: 100n,
      cliff: 10,
      duration: 50,
      setVersion: 0,
      deadline: 1_000n,
    };
    const wordsHere = async ({ to, data }: actions.ProposalCall) =>
      (await wordsOfCall(own, { target: to, data, value: 0n })).words;
    expect(
      await wordsHere(actions.approveGrantByVote.call({ grants, grant, repository: "https://example.org/x" })),
    ).toBe(
      `CodeGrants has ${bob.address} paid 0.5 shares for commit ${"ab".repeat(20)} of "https://example.org/x": linearly from 1970-01-01T00:01:40.000Z to 1970-01-01T00:02:30.000Z, and nothing before 1970-01-01T00:01:50.000Z or before this is carried out; the contribution is described by the text of sha256 ${zeroHash}.`,
    );
    const late = { ...grant, start: 2n ** 64n - 1n };
    expect(await wordsHere(actions.approveGrantByVote.call({ grants, grant: late, repository: "" }))).toContain(
      "linearly from second 18446744073709552000 to",
    );
    expect(await wordsHere(actions.revokeGrant.call({ grants, modelId, id: commit }))).toBe(
      `CodeGrants ends grant ${commit}: what is due by then stays its author's, all else is burned.`,
    );
    expect(await wordsHere(actions.voidGrantSet.call({ grants, modelId, setVersion: 3 }))).toBe(
      "CodeGrants ends every grant that set 3 of the maintainers of this model, which it does not have now, has approved by then, and lets that set approve no more: what is due by then stays the authors', of a grant that may still be vetoed nothing, and anybody may burn the rest.",
    );
    expect(
      await wordsHere(
        actions.setGrantCaps.call({ grants, modelId, replaces: 2, perAuthor: share / 4n, perEpoch: share }),
      ),
    ).toBe(
      "CodeGrants lets the maintainers of this model approve 0.25 shares an epoch for one author and 1 in all, without a vote, in the place of version 2 of these caps; now these are 0 and 0 shares.",
    );
  });

  it("of a sale names price and minimum, in the smallest units and by the token's decimals", async () => {
    const { sale, modelId } = world;
    const terms = { sale, modelId, replaces: 3, price: 25_000n, minimum: 3_000_000n };
    const own = { ...place, capitalSale: sale };
    expect((await wordsOfCall(own, call(actions.setSaleTerms.call(terms)))).words).toBe(
      "CapitalSale sells shares of this model from the next epoch on, in the place of terms 3, for at least 25000 (0.025 with its decimals) of the smallest units of its capital token each, and pays an epoch back that brings in less than 3000000 (3 with its decimals).",
    );
    // Of a model without a token nothing is known of decimals.
    expect((await wordsOfCall(own, call(actions.setSaleTerms.call({ ...terms, modelId: zeroHash })))).words).toBe(
      `CapitalSale sells shares of another model, ${zeroHash}, from the next epoch on, in the place of terms 3, for at least 25000 of the smallest units of its capital token each, and pays an epoch back that brings in less than 3000000.`,
    );
  });

  it("of validators names all who come and who go, and how many must sign", async () => {
    const { addresses, modelId } = world;
    const now = validators.map(({ address }) => address);
    const wordsFor = (id: Hex, replaces: number, next: readonly Address[], threshold: number) =>
      wordsOf(
        actions.setValidators.call({
          addresses,
          modelId: id,
          replaces,
          validators: next,
          threshold,
        }),
      );
    expect(await wordsFor(modelId, 1, [now[0]!, now[1]!, stranger.address, bob.address], 3)).toBe(
      `ValidatorSet chooses validators of this model in the place of set 1: coming ${stranger.address}, ${bob.address}; going ${now[2]}; it was 2 of 3 who must sign. Whoever they are before, these would be: ${[now[0], now[1], stranger.address, bob.address].join(", ")}; 3 of 4 must sign.`,
    );
    expect(await wordsFor(modelId, 1, now, 1)).toContain(
      `coming nobody; going nobody; it was 2 of 3 who must sign. Whoever they are before, these would be: ${now.join(", ")}; 1 of 3 must sign.`,
    );
    const many = Array.from({ length: 64 }, (_, i) => getAddress(numberToHex(i + 1, { size: 20 })));
    for (const replaces of [1, 2]) {
      const words = await wordsFor(modelId, replaces, many, 40);
      for (const each of many) expect(words).toContain(each);
      expect(words).not.toContain("further");
    }
    expect(await wordsFor(modelId, 2, many, 40)).toContain(
      "of this model in the place of set 2, which it does not have now (the newest is 1). Whoever they are before, these would be: ",
    );
    const other: Hex = `0x${"cd".repeat(32)}`;
    const hostile = Array.from({ length: 1_000 }, () => stranger.address);
    const words = await wordsFor(other, 1, hostile, 40);
    expect(words).toContain(`of another model, ${other}, in the place of set 1, which it does not have now. `);
    expect(words).toContain("and 936 further, more than a set may have; 40 of 1000 must sign.");
    expect(words.length).toBeLessThan(4_000);
  });

  it("of a budget names what changes and every part of it, beside what is replaced", async () => {
    const { addresses, modelId } = world;
    const wordsFor = (id: Hex, perEpoch: bigint, bps: readonly [number, number, number, number]) =>
      wordsOf(actions.setBudget.call({ addresses, modelId: id, replaces: 1, perEpoch, bps }));
    expect(await wordsFor(modelId, 5n * share + 1n, [7_000, 1_225, 1_775, 0])).toBe(
      "Emission sets the budget of this model from the next epoch on, in the place of budget 1: 1000 → 5.000000000000000001 shares an epoch, 10% → 12.25% for code, 15% → 17.75% for capital, 5% → 0% for treasury. Whatever is in force before, an epoch could then mint 5.000000000000000001 shares at the most: 70% for compute, 12.25% for code, 17.75% for capital, 0% for treasury.",
    );
    // What a node hides, by saying that it is in force, stands among all.
    const same = await wordsFor(modelId, 1_000n * share, [7_000, 1_000, 1_500, 500]);
    expect(same).toBe(
      "Emission sets the budget of this model from the next epoch on, in the place of budget 1: all stays as it is. Whatever is in force before, an epoch could then mint 1000 shares at the most: 70% for compute, 10% for code, 15% for capital, 5% for treasury.",
    );
    // Nobody's model keeps a list from being told.
    const other: Hex = `0x${"cd".repeat(32)}`;
    expect(await wordsFor(other, 0n, [10_000, 0, 0, 0])).toBe(
      `Emission sets the budget of another model, ${other}, from the next epoch on, in the place of budget 1: there is none now. Whatever is in force before, an epoch could then mint 0 shares at the most: 100% for compute, 0% for code, 0% for capital, 0% for treasury.`,
    );
  });

  it("of how votes go says from what to what, of which contract, and for which votes it holds", async () => {
    const { governor, timelock } = world;
    const whose = `ModelGovernor ${governor} sets`;
    const made = "for proposals that are made after that.";
    for (const [call, words] of [
      [
        actions.setVotingDelay.call({ governor, seconds: 90 }),
        `${whose} 1 s → 90 s from a proposal to its vote, ${made}`,
      ],
      [
        actions.setVotingPeriod.call({ governor, seconds: 432_000 }),
        `${whose} 6 s → 5 days that a vote lasts, ${made}`,
      ],
      // However long: whole, and by no larger unit than it is whole ones of.
      [
        actions.setVotingPeriod.call({ governor, seconds: 432_001 }),
        `${whose} 6 s → 432001 s that a vote lasts, ${made}`,
      ],
      [actions.setVotingPeriod.call({ governor, seconds: 6 }), `${whose} 6 s that a vote lasts, as it is now, ${made}`],
      [
        actions.setLateQuorumVoteExtension.call({ governor, seconds: 129_600 }),
        `${whose} 2 s → 36 hours that a vote lasts on from its quorum at the least, for votes that are open then, too.`,
      ],
      [
        actions.setTimelockDelay.call({ timelock, seconds: 2n ** 255n + 1n }),
        `ModelTimelock ${timelock} sets 3 s → ${2n ** 255n + 1n} s from queueing to executing, for proposals that are queued after that.`,
      ],
      [
        actions.setProposalThreshold.call({ governor, votes: share + 1n }),
        `${whose} 1 vote → 1.000000000000000001 votes that it takes to propose, ${made}`,
      ],
      [
        actions.setQuorum.call({ governor, bps: 425n }),
        `${whose} 10% → 4.25% of all shares for a quorum, for votes that begin after that.`,
      ],
    ] as const)
      expect(await wordsOf(call)).toBe(words);
  });

  it("of amounts tells shares and coins, not wei", async () => {
    const { shares } = world;
    const data = encodeFunctionData({
      abi: modelSharesAbi,
      functionName: "transfer",
      args: [bob.address, share / 4n + 1n],
    });
    expect(await wordsOf({ to: shares, data })).toBe(
      `ModelShares ${shares}.transfer(to ${bob.address}, value 0.250000000000000001 shares).`,
    );
  });
});

const poster = () => {
  const { addresses, runId } = world;
  return actions.setPoster.call({ addresses, runId, poster: bob.address });
};
const posted = () => `RunRegistry lets ${bob.address} alone post the heads of this run.`;
const relayed = (to: Address, data: Hex, value = 0n): actions.ProposalCall => ({
  to: world.governor,
  data: encodeFunctionData({ abi: modelGovernorAbi, functionName: "relay", args: [to, value, data] }),
});
const batched = (calls: readonly actions.ProposalCall[]): actions.ProposalCall => ({
  to: world.timelock,
  data: encodeFunctionData({
    abi: modelTimelockAbi,
    functionName: "executeBatch",
    args: [
      calls.map(({ to }) => to),
      calls.map(({ value = 0n }) => value),
      calls.map(({ data }) => data),
      zeroHash,
      zeroHash,
    ],
  }),
});

const batch = (calls: readonly Hex[]): Hex =>
  encodeFunctionData({ abi: capitalSaleAbi, functionName: "multicall", args: [calls] });

describe("a call that passes calls on", () => {
  it("tells them too, with the coins that go along, whoever they go through", async () => {
    const { timelock } = world;
    const { to, data } = poster();
    const scheduled = encodeFunctionData({
      abi: modelTimelockAbi,
      functionName: "schedule",
      args: [to, 0n, data, zeroHash, zeroHash, 60n],
    });
    expect(await wordsOf(relayed(timelock, scheduled, share))).toBe(
      `ModelGovernor ${world.governor}.relay(). It passes on 1 call in the name of the governor: (1) ModelTimelock ${timelock}.schedule(predecessor ${zeroHash}, salt ${zeroHash}, delay 60). It sends 1 coins of the governor along. It passes on 1 call in the name of the timelock: (1.1) ${posted()}`,
    );
    expect(await wordsOf(batched([{ to: stranger.address, data: "0x", value: share / 2n }, poster()]))).toBe(
      `ModelTimelock ${timelock}.executeBatch(predecessor ${zeroHash}, salt ${zeroHash}). It passes on 2 calls in the name of the timelock: (1) The timelock calls ${stranger.address} without data. It sends 0.5 coins of the timelock along. (2) ${posted()}`,
    );
    const again = actions.propose.call({
      governor: world.governor,
      calls: [poster()],
      description: "Good",
      proposer: alice.address,
    });
    expect(await wordsOf(again)).toContain(`in the name of the timelock: (1) ${posted()}`);
    const aggregated = encodeFunctionData({
      abi: parseAbi(["function aggregate3((address target, bool allowFailure, bytes callData)[] calls) payable"]),
      args: [[{ target: to, allowFailure: false, callData: data }]],
    });
    expect(await wordsOf({ to: "0xcA11bde05977b3631167028862bE2a173976CA11", data: aggregated })).toBe(
      `Multicall3.aggregate3(). It passes on 1 call in the name of Multicall3: (1) ${posted()}`,
    );
    expect(await wordsOf(batched([]))).toContain("It passes on no calls.");
  });

  it("tells what a batch of the sale does, in the name of whoever makes it", async () => {
    const { capitalSale, governor, modelId } = world;
    const selling = { ...place, capitalSale };
    const cheap = actions.setSaleTerms.call({ sale: capitalSale, modelId, replaces: 1, price: 10_000n, minimum: 1n });
    const words = async (target: Address, data: Hex) => (await wordsOfCall(selling, { target, data, value: 0n })).words;
    const alone = await words(cheap.to, cheap.data);
    expect(alone).toContain("CapitalSale");
    expect(await words(capitalSale, batch([cheap.data, "0x12345678"]))).toBe(
      `CapitalSale.multicall(). It passes on 2 calls in the name of the timelock: (1) ${alone} (2) The timelock calls ${capitalSale} with 4 bytes that the contract may take, and that are not read here: 0x12345678.`,
    );
    expect(await words(governor, relayed(capitalSale, batch([cheap.data])).data)).toContain(
      `(1) CapitalSale.multicall(). It passes on 1 call in the name of the governor: (1.1) ${alone}`,
    );
  });

  it("of one of ours that cannot be read counts as not told: the contract takes what points back", async () => {
    const { capitalSale, client, modelId, request, timelock } = world;
    const selling = { ...place, capitalSale };
    const dear = actions.setSaleTerms.call({ sale: capitalSale, modelId, replaces: 1, price: 7n ** 20n, minimum: 1n });
    const bytes = (dear.data.length - 2) / 2;
    const inner = concatHex([numberToHex(bytes, { size: 32 }), dear.data, numberToHex(0, { size: 28 })]);
    const list = 32 + 32 + 160;
    const [at, one] = [list, 1].map((each) => numberToHex(each, { size: 32 })) as [Hex, Hex];
    const back = numberToHex(2n ** 256n - BigInt(list), { size: 32 });
    const data = concatHex(["0xac9650d8", at, inner, one, back]);
    const toldOf = await wordsOfCall(selling, { target: capitalSale, data, value: 0n });
    expect(toldOf.untold).toBe(1);
    expect(toldOf.words).toContain("bytes that the contract may take, and that are not read here: 0xac9650d8");
    expect((await wordsOfCall(place, { target: stranger.address, data, value: 0n })).untold).toBe(0);
    await isolated(world, async () => {
      await request({ method: "hardhat_impersonateAccount", params: [timelock] } as never);
      await request({ method: "hardhat_setBalance", params: [timelock, numberToHex(share)] } as never);
      await request({ method: "eth_sendTransaction", params: [{ from: timelock, to: capitalSale, data }] } as never);
      expect(await actions.newestSaleTerms(client, { sale: capitalSale, modelId })).toMatchObject({ price: 7n ** 20n });
    });
  });

  it("says what is not told: what is deeper than three, and what is more than 32 altogether", async () => {
    let call: actions.ProposalCall = poster();
    for (let i = 0; i < 3; i++) call = batched([call]);
    expect(await told(call)).toEqual({ words: expect.stringContaining(`(1.1.1) ${posted()}`), untold: 0 });
    const deeper = await told(batched([call, call]));
    expect(deeper.words).toMatch(
      /\(2\.1\.1\) ModelTimelock 0x[\da-fA-F]{40}\.executeBatch\(.*\)\. It passes on calls that are not told\.$/,
    );
    expect(deeper.untold).toBe(2);

    const many = Array.from({ length: 20 }, () => pause());
    const { words, untold } = await told(batched([batched(many), batched(many)]));
    expect(untold).toBe(10);
    expect(words.match(/makes this run paused/g)).toHaveLength(30);
    expect(words).toContain(
      "(2.10) RunRegistry makes this run paused. 10 further calls that it passes on are not told.",
    );
    expect(await wordsOf(batched([batched(many), batched(many), poster()]))).toMatch(
      /1 further call that it passes on is not told\.$/,
    );
    // All calls of a proposal share what may be told: 64 of them would else ask the chain 2,048 times.
    const [budget, { to, data }] = [wordsBudget(), batched(many)];
    const inTurn: number[] = [];
    for (const _ of [1, 2, 3]) inTurn.push((await wordsOfCall(place, { target: to, data, value: 0n }, budget)).untold);
    expect(inTurn).toEqual([0, 8, 20]);
  });

  test("of too many bytes is not read: each depth reads all that is in it again", async () => {
    const long = { to: stranger.address, data: numberToHex(1, { size: 100 << 10 }) };
    const { words, untold } = await told(batched([batched([long])]));
    expect(untold).toBeGreaterThan(0);
    expect(words).toContain("(1.1) The timelock calls");
    expect(words).toMatch(/with 102400 bytes, which are not told, since the proposal has too many\.$/);
  });
});

test("a proposal is found by its id or six digits of it, and by nothing that two share or none has", async () => {
  await isolated(world, async () => {
    await holders(world);
    // Two whose ids begin alike, by trying texts.
    const begins = new Map<string, string>();
    let pair: readonly [string, string] | undefined;
    for (let i = 0; pair === undefined; i++) {
      const text = `Pause ${i}`;
      const digits = String(actions.proposalIdOf(actions.proposalOf([pause()], text, alice.address))).slice(0, 6);
      const before = begins.get(digits);
      if (before !== undefined) pair = [before, text];
      begins.set(digits, text);
    }
    const [first, second] = [await proposing(pair[0]), await proposing(pair[1])];
    const [one, other] = [String(first.proposalId), String(second.proposalId)];
    const same = Array.from(one).findIndex((digit, i) => digit !== other[i]);
    expect(await findProposal(place, one)).toMatchObject({ proposalId: first.proposalId, sound: true });
    expect(await findProposal(place, other.slice(0, same + 1))).toMatchObject({ proposalId: second.proposalId });
    await expect(findProposal(place, one.slice(0, 6))).rejects.toThrow("2 proposals begin with");
    for (const text of ["1", "12345", "0x123456", "-123456", "9".repeat(79)])
      await expect(findProposal(place, text)).rejects.toMatchObject({ code: "PROPOSAL_ID" });
    await expect(findProposal(place, "9".repeat(78))).rejects.toMatchObject({ code: "PROPOSAL_UNKNOWN" });

    expect((await newestProposals(place, 1)).map(({ proposalId }) => proposalId)).toEqual([second.proposalId]);
    const both = await newestProposals(place, 2);
    expect(both.map(({ description }) => proposalTitle(description))).toEqual([pair[1], pair[0]]);
  });
});

test("a text that is no UTF-8 has another id than what is read of it: nobody agrees to it", async () => {
  await isolated(world, async () => {
    await holders(world);
    const { to, data } = pause();
    const input = encodeAbiParameters(
      [{ type: "address[]" }, { type: "uint256[]" }, { type: "bytes[]" }, { type: "bytes" }],
      [[to], [0n], [data], "0x5061757365ff"],
    );
    const selector = toFunctionSelector("propose(address[],uint256[],bytes[],string)");
    const transaction = { to: world.governor, data: concatHex([selector, input]), chain: null };
    await sendTransaction(world.clientOf(alice), transaction);
    const [proposal] = await newestProposals(place, 8);
    expect(proposal).toMatchObject({ description: "Pause\uFFFD", sound: false });
    expect(() => requireSound(proposal!)).toThrow("here it can be voted against, and nothing else.");
    expect(await findProposal(place, String(proposal!.proposalId))).toMatchObject({ sound: false });
  });
});

test("where it stands: votes as they are counted, and the times that are known", async () => {
  await isolated(world, async () => {
    await holders(world);
    const { client, clientOf, governor, shares } = world;
    const { proposalId } = await proposing("Pause");
    const standing = () => standingOf(place, shares, proposalId);
    const snapshot = await actions.proposalSnapshot(client, { governor, proposalId });
    const deadline = Number(await actions.proposalDeadline(client, { governor, proposalId }));
    const nothing = {
      for: 0n,
      against: 0n,
      abstain: 0n,
      eta: undefined,
      expiry: deadline + 21 * 86_400,
      snapshot: Number(snapshot),
    };
    expect(await standing()).toMatchObject({ state: "pending", ...nothing, supply: undefined, quorum: undefined });
    await world.advanceTo(snapshot + 1n);
    const supply = await actions.totalSupply(client, { shares });
    expect(await standing()).toMatchObject({ state: "active", ...nothing, supply, quorum: supply / 10n });
    await actions.castVote.sync(clientOf(bob), { governor, proposalId, support: "abstain" });
    expect(await standing()).toMatchObject({ for: 0n, abstain: 100n * share });

    const accepted = await accept(world, [pause()], "Pause then");
    const { eta = 0, expiry, state } = await standingOf(place, shares, actions.proposalIdOf(accepted));
    expect({ state, grace: expiry - eta }).toEqual({ state: "queued", grace: 21 * 86_400 });
  });
});

test("what nobody queued has expired, and says when", async () => {
  await isolated(world, async () => {
    await holders(world);
    const proposalId = actions.proposalIdOf(await carry(world, [pause()], "Pause"));
    const { state, deadline, expiry } = await standingOf(place, world.shares, proposalId);
    expect({ state, grace: expiry - deadline }).toEqual({ state: "succeeded", grace: 21 * 86_400 });
    await world.advanceTo(BigInt(expiry + 1));
    expect(await standingOf(place, world.shares, proposalId)).toMatchObject({
      state: "expired",
      eta: undefined,
      expiry,
    });
  });
});

test("a title is one line of bounded length, without its proposer's suffix", () => {
  expect(proposalTitle(`Pause\nand more #proposer=0x${"ab".repeat(20)}`)).toBe("Pause");
  expect(proposalTitle(`Pause #proposer=0x${"ab".repeat(20)}`)).toBe("Pause");
  expect(proposalTitle("x".repeat(1_000_000))).toHaveLength(200);
  // What looks for a suffix behind every one of them ends never.
  const spaces = " ".repeat(1_000_000);
  for (const text of [spaces, `${spaces}x`, `${spaces}#proposer=0x${"ab".repeat(20)}`])
    expect(proposalTitle(text)).toBe("");
  expect(proposalTitle(`Pause${spaces}x`)).toBe("Pause…");
  expect(proposalTitle(`${"x".repeat(200)}#proposer=0x${"ab".repeat(20)}`)).toBe("x".repeat(200));
  // Cut between words, and so that a number stays whole.
  const long = `${"word ".repeat(39)}of 1`;
  expect(proposalTitle(`${long}000 shares`)).toBe(`${"word ".repeat(39)}of…`);
  expect(proposalTitle(`${"x".repeat(198)}\u{1f600}y`)).toBe(`${"x".repeat(198)}…`);
});

test("a reason is what stands behind the title, of bounded length, without its proposer's suffix", () => {
  const suffix = `#proposer=0x${"ab".repeat(20)}`;
  expect(proposalReason(`Pause ${suffix}`)).toBe("");
  expect(proposalReason(`Pause\n\nIt burns\nmoney. ${suffix}`)).toBe("It burns money.");
  expect(proposalReason(`${"word ".repeat(39)}of 1000 shares\n\nWhy not?${suffix}`)).toBe("…1000 shares Why not?");
  expect(proposalReason(`Pause\n${"why ".repeat(1_000_000)}`)).toMatch(/^(why ){900,1023}why…$/);
});

test("what was carried out is not told as a change of what came of it", async () => {
  await isolated(world, async () => {
    await holders(world);
    const { addresses, modelId, governor, clientOf } = world;
    const [perEpoch, maintainers] = [1_000n * share, [bob.address]];
    const bps = [6_500, 1_000, 2_000, 500] as const;
    const calls = [
      actions.setBudget.call({ addresses, modelId, replaces: 1, perEpoch, bps }),
      actions.setMaintainers.call({ addresses, modelId, replaces: 0, maintainers, threshold: 1 }),
    ];
    const proposal = await accept(world, calls, "Both");
    await actions.execute.sync(clientOf(stranger), { governor, proposal });
    expect(await wordsOf(calls[0]!)).toContain(
      "in the place of budget 1; budget 2 was set since, by this proposal or another. Whatever is in",
    );
    expect(await wordsOf(calls[1]!)).toBe(
      `ValidatorSet chooses the first maintainers of this model, which has set 1 by now: ${bob.address}; 1 of 1 must sign.`,
    );
  });
});
