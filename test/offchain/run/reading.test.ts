/** What is made of the chain's answers where few real chains give such ones: stakes, rulings, roots, the first block to read. */
import { admissionCode, asHead, asRunId, digestOfJson } from "@cotrain/sdk/protocol";
import { zeroAddress } from "viem";
import { expect, it } from "vitest";

import { readDisputes } from "../../../offchain/src/chain/reads/disputes.ts";
import type { ReadFrom } from "../../../offchain/src/chain/reads/events.ts";
import { lastSigned } from "../../../offchain/src/run/lastSigned.ts";
import { readerOptions } from "../../../offchain/src/run/remote.ts";
import { newestRulings } from "../../../offchain/src/run/rulings.ts";
import { stakesAt, type StakesPlace, stakeStanding } from "../../../offchain/src/run/stakes.ts";

/** A chain that gives these answers, one after the other, whatever it is asked. */
const answering = (...answers: readonly unknown[]) => {
  const left = [...answers];
  return { connection: { call: async () => left.shift() }, addresses: {} };
};
const account = `0x${"57".repeat(20)}` as const;

const firstRead = (blocks: Record<string, number>): number =>
  readerOptions("http://127.0.0.1:1", 1, { blocks, addresses: {} } as never).fromBlock;

it("logs are read from the first of a deployment's blocks on, but for a contract that may be older than all else", () => {
  expect(firstRead({ runRegistry: 7, checkpointRegistry: 5, shares: 9, computeEscrow: 3 })).toBe(5);
  expect(firstRead({ computeEscrow: 3 })).toBe(0);
});

const minStakeOf = async (admission: number, minStake: bigint): Promise<bigint | undefined> => {
  const place = answering(account, [1, {}, { admission, minStake }, { timestamp: 1n }]);
  return (await stakesAt(place as unknown as StakesPlace, "worker")).minStake;
};

it("a run asks for stake where it admits by stake, whatever amount its parameters name", async () => {
  expect(await minStakeOf(admissionCode.stake, 5n)).toBe(5n);
  expect(await minStakeOf(admissionCode.stake, 0n)).toBe(0n);
  expect(await minStakeOf(admissionCode.open, 5n)).toBeUndefined();
});

const payeeOf = async (payee: string): Promise<string | undefined> => {
  const stake = { active: 1n, leaving: 0n, rulings: 0, payee };
  const place = answering([stake, undefined, undefined]) as unknown as StakesPlace;
  return (await stakeStanding(place, { stakes: account } as never, "worker", account)).payee;
};

it("an account that has named nobody has no payee", async () => {
  expect(await payeeOf(account)).toBe(account);
  expect(await payeeOf(zeroAddress)).toBeUndefined();
});

it("rulings are told newest first, without one that is gone with its block", async () => {
  const logs = [1, 2, 3].map((n) => ({
    args: { worker: account, reporter: account, receiptHash: `0x${n}`, ruling: { evidence: "0x" } },
    transactionHash: "0x",
  }));
  const receipts = async (most: number, ...stand: readonly unknown[]): Promise<string[]> =>
    (await newestRulings(answering({ logs }, ...stand) as never, account, most)).map(({ receipt }) => receipt);
  const state = "proposed";
  expect(await receipts(2, { state }, { state })).toEqual(["0x3", "0x2"]);
  expect(await receipts(3, { state }, undefined, { state })).toEqual(["0x3", "0x1"]);
});

const openDispute = async (endedAt: number) => {
  const dispute = { disputer: account, bond: 5n, proposalId: 7n, endedAt };
  const from = answering({ digest: "0xd1" }, dispute, 9n) as unknown as ReadFrom;
  return readDisputes(from, 1).openDispute(digestOfJson("model") as never);
};

it("a dispute that ended between two answers is open no more", async () => {
  expect(await openDispute(0)).toMatchObject({ digest: "0xd1", bond: 5n, votesUntil: 9 });
  expect(await openDispute(4)).toBeUndefined();
});

it("heads of a run are signed by its own roots, and by those of later runs as far as these name it as finished", async () => {
  const [runId, next] = ["run", "next"].map((name) => asRunId(digestOfJson(name)));
  const heads = [0, 1, 2].map((sequence) => ({ head: asHead(digestOfJson(sequence)), sequence }));
  const through = (root: object, finished: readonly object[] = []): Promise<number> => {
    const reader = { run: async () => ({ modelId: "0x" }), rootsOf: async () => [root] };
    const whole = { attempt: async () => ({ finished }) };
    return lastSigned({ reader, blobs: {} } as never, runId!, heads as never, whole as never);
  };
  expect(await through({ runId, head: heads[1]!.head })).toBe(1);
  expect(await through({ runId: next, head: digestOfJson("of next") }, [{ runId, head: heads[2]!.head }])).toBe(2);
  expect(await through({ runId: next, head: digestOfJson("of next") })).toBe(-1);
});
