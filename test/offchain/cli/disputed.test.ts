/** What a summary tells of a dispute that its session showed. */
import { expect, test } from "vitest";

import { commandsFor } from "../../../offchain/src/cli/up/commands.ts";
import { disputedBlock, disputedIn } from "../../../offchain/src/cli/up/disputed.ts";
import type { Prepared, TrainingSession } from "../../../offchain/src/localnet/index.ts";
import { address, hash, plain } from "./pictures.ts";

type Play = NonNullable<TrainingSession["dispute"]>["play"];

const [thief, watcher, poster, victim] = ["1", "2", "3", "a"].map(address) as [never, never, never, never];
const [first, second] = ["4", "5"].map(address) as [never, never];
const prepared = {
  owners: [{ name: "worker-1", client: { account: { address: victim } } }],
} as unknown as Prepared;
const coin = 10n ** 18n;

const play = {
  staked: [first, second].map((account, index) => ({
    name: `validator-${index + 1}`,
    account,
    amount: coin / 10n,
    transaction: hash("0"),
  })),
  falseRoot: {
    thief,
    victim,
    amount: 350n * coin,
    attestation: { index: 2n, toEpoch: 9n, total: 700n * coin },
    digest: hash("1"),
    signatures: [{ name: "validator-1" }, { name: "validator-2" }],
    transaction: hash("2"),
    block: 7n,
  },
  dispute: {
    disputer: watcher,
    bond: coin / 100n,
    reason: `It differs from what was recomputed: root ${hash("d")}.`,
    evidence: hash("3"),
    proposalId: 5n,
    transaction: hash("4"),
  },
  vote: { voters: 3, for: 0n, against: 700n * coin },
  end: { outcome: "void", won: 0n, burned: 0n, transaction: hash("5") },
  slashed: [first, second].map((account, index) => ({
    name: `validator-${index + 1}`,
    account,
    amount: coin / 100n,
    fee: coin / 1_000n,
    transaction: hash("6"),
  })),
  fees: { amount: coin / 500n, transaction: hash("7") },
  trueRoot: { index: 2, total: 700n * coin, poster, bond: coin / 50n, transaction: hash("8"), activated: hash("9") },
  returned: [
    { account: watcher, amount: coin / 100n, transaction: hash("b") },
    { account: poster, amount: coin / 50n, transaction: hash("c") },
  ],
} as unknown as Play;

const told = (shown: TrainingSession["dispute"]) => disputedIn(prepared, { dispute: shown } as TrainingSession);
const text = (shown: TrainingSession["dispute"]): string =>
  disputedBlock(told(shown), (heading) => heading, plain).join("\n");

test("each step stands there with its transaction, and that it was played", () => {
  const lines = text({ play, why: undefined });
  const flat = lines.replaceAll(/\s+/g, " ");
  expect(lines).toContain("The dispute that was played (--demo dispute)");
  for (const part of [
    "validator-1 and validator-2 signed a false root 2 of epoch 9, by which a thief would have 350.00 shares of what worker-1 earned",
    "the watcher recomputed the root and disputed it",
    "it found: It differs from what was recomputed: root 0xdddd…dddd.",
    "holders voted: 0.00 shares for the root, 700.00 against it",
    "the holders voted it void",
    "the coordinator posted the true root with a bond of 0.02 coins",
    "the watcher was paid its part of that",
    "the bond of the watcher came back",
    "the bond of the coordinator came back",
    "active, 700.00 shares to those who earned them",
    ...["2", "4", "5", "6", "7", "8", "9", "b", "c"].map(hash),
  ])
    expect(flat).toContain(part);
  expect(lines.split("\n").filter((line) => line.length > 80)).toEqual([]);
  expect(lines).not.toMatch(/undefined|null|NaN|not to its end/);
});

test("coins add up: what each put up is what it has back and what it lost, of which nobody's part is named", () => {
  const rows = text({ play, why: undefined })
    .split("\n")
    .map((line) => line.trim().split(/ {2,}/));
  expect(rows).toContainEqual(["watcher", "bond", "0.01", "0.01", "0"]);
  expect(rows).toContainEqual(["coordinator", "bond", "0.02", "0.02", "0"]);
  for (const name of ["validator-1", "validator-2"])
    expect(rows).toContainEqual([name, "stake", "0.1", "0.09", "0.01"]);
  expect(rows).toContainEqual(["watcher", "its part of that", "0.002"]);
  expect(rows).toContainEqual(["nobody", "the rest of it", "0.018"]);
});

test("what to do next has what validators have left of their stake, and in later sessions how disputes ended", () => {
  const none = { capital: null, code: null, stake: null, revenue: null };
  const lines = (dispute: ReturnType<typeof told>["dispute"], hadDispute: boolean): string[] =>
    commandsFor("/home/ada/run", "The people", [], { ...none, ...(dispute && { dispute }), hadDispute }).map(
      ({ command }) => command,
    );
  const [played, later, never] = [
    lines(told({ play, why: undefined }).dispute, true),
    lines(undefined, true),
    lines(undefined, false),
  ].map((each) => each.filter((line) => /disputes list|stake show/.test(line)));
  expect(played).toEqual([
    expect.stringContaining("disputes list"),
    expect.stringContaining("stake show --role validator"),
  ]);
  expect(later).toEqual([expect.stringContaining("disputes list")]);
  expect(never).toEqual([]);
});

test("one that did not come to its end says how far it came, and why", () => {
  expect(told(undefined)).toEqual({});
  expect(text(undefined)).toBe("");
  const late = "nobody disputed the false root within its window, and it pays now";
  const { staked, falseRoot } = play;
  const shown = text({ play: { staked: staked!, falseRoot: falseRoot! }, why: late });
  expect(shown.replaceAll(/\s+/g, " ")).toContain(`not to its end: ${late}`);
  expect(shown).not.toContain("disputed it,");
  expect(text({ play: { staked: staked!, falseRoot: falseRoot! }, why: undefined })).toContain("cotrain disputes list");
  expect(text({ play: {}, why: undefined })).toContain("not to its end: the session ended before a root was due");
});
