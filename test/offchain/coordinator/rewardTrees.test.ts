/** Whoever asks what accounts earned makes no more work, and fills no more memory, than there is for all who ask. */
import type { Address } from "@cotrain/sdk/protocol";
import { fastify } from "fastify";
import { expect, it, onTestFinished } from "vitest";

import { type Asker, createRewardTrees, type RewardRoot } from "../../../offchain/src/coordinator/rewardTrees.ts";
import { goneOf } from "../../../offchain/src/coordinator/api/routing.ts";
import { createManualClock } from "../manualClock.ts";

const account: Address = `0x${"a1".repeat(20)}`;
const from = (address: string, gone = new AbortController().signal): Asker => ({ address, gone });
const HERE = from("192.0.2.1");

/** Roots of so many leaves each, that tell what was built. @param work what a building waits for */
function openRoots(leaves: number, work: () => Promise<void> = async () => undefined) {
  const built: string[] = [];
  const lost = new Set<string>();
  let [running, together] = [0, 0];
  const root = (key: string): RewardRoot => ({
    key,
    build: async () => {
      built.push(key);
      together = Math.max(together, ++running);
      await work();
      running--;
      if (lost.has(key)) return undefined;
      return { leaves, leafOf: (of) => (of === account ? { amount: key, proof: [] } : undefined) };
    },
  });
  return { built, lost, root, roots: (...keys: string[]) => keys.map(root), together: () => together };
}
const amountsOf = (found: readonly (object | "missing" | undefined)[]) =>
  found.map((each) => (each !== undefined && typeof each === "object" ? (each as { amount: string }).amount : each));

/** A gate that the test opens. */
function createGate() {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}
const turns = async (): Promise<void> => {
  for (let i = 0; i < 50; i++) await Promise.resolve();
};

it("many who ask at once have each tree built once, one after the other", async () => {
  const { roots, built, together } = openRoots(10, turns);
  const trees = createRewardTrees(createManualClock());
  const asked = Array.from({ length: 20 }, () => trees.leavesOf(account, roots("1", "2", "3"), HERE));
  for (const found of await Promise.all(asked)) expect(amountsOf(found)).toEqual(["1", "2", "3"]);
  expect([built, together()]).toEqual([["1", "2", "3"], 1]);
  expect(amountsOf(await trees.leavesOf(`0x${"b2".repeat(20)}`, roots("1", "2"), HERE))).toEqual([
    undefined,
    undefined,
  ]);
});

it("a turn builds so many leaves, and the rest is another page", async () => {
  const { roots, built } = openRoots(100);
  const trees = createRewardTrees(createManualClock(), { turn: 150 });
  const wanted = roots("1", "2", "3", "4", "5");
  expect(amountsOf(await trees.leavesOf(account, wanted, HERE))).toEqual(["1", "2"]);
  // What is kept costs nothing.
  expect(amountsOf(await trees.leavesOf(account, wanted, HERE))).toEqual(["1", "2", "3", "4"]);
  expect(amountsOf(await trees.leavesOf(account, wanted, HERE))).toEqual(["1", "2", "3", "4", "5"]);
  expect(built).toEqual(["1", "2", "3", "4", "5"]);
});

it("so many leaves are kept, those that were used last, and the last tree whatever it has", async () => {
  const { roots, built } = openRoots(100);
  const trees = createRewardTrees(createManualClock(), { most: 250 });
  for (const key of ["1", "2", "1", "3", "1", "2"]) await trees.leavesOf(account, roots(key), HERE);
  expect(built).toEqual(["1", "2", "3", "2"]);
  const large = openRoots(1_000);
  const few = createRewardTrees(createManualClock(), { most: 250 });
  for (const key of ["1", "1", "2", "1"]) await few.leavesOf(account, large.roots(key), HERE);
  expect(large.built).toEqual(["1", "2", "1"]);
  // The smallest trees, and what is missing, take their room too.
  const small = openRoots(0);
  small.lost.add("1");
  const tiny = createRewardTrees(createManualClock(), { most: 40 });
  for (const key of ["1", "2", "3", "1"]) await tiny.leavesOf(account, small.roots(key), HERE);
  expect(small.built).toEqual(["1", "2", "3", "1"]);
});

it("with many waiting the last of the fullest network is told to come again, and one elsewhere has its turn", async () => {
  const gate = createGate();
  const { root, built } = openRoots(10, () => gate.opened);
  const trees = createRewardTrees(createManualClock(), { waiting: 4 });
  const ask = (key: string, asker: Asker): Promise<string> =>
    trees.leavesOf(account, [root(key)], asker).then(
      () => "answered",
      (error: { code: string; retryable: boolean }) => `${error.code} ${error.retryable}`,
    );
  const crowd = Array.from({ length: 6 }, (_, i) => ask(`crowd ${i}`, HERE));
  const other = ask("other", from("198.51.100.7"));
  gate.open();
  expect(await other).toBe("answered");
  const answers = await Promise.all(crowd);
  // One is at work and four wait, of which the one from elsewhere takes a place.
  expect(answers).toEqual([...Array<string>(4).fill("answered"), ...Array<string>(2).fill("REWARDS_BUSY true")]);
  expect(built.indexOf("other")).toBeLessThan(built.indexOf("crowd 2"));
  expect(built).toHaveLength(5);
});

it("who has hung up keeps no turn from those who wait, and what was begun for it ends with the tree that is being built", async () => {
  const gate = createGate();
  const { root, roots, built } = openRoots(10, () => gate.opened);
  const trees = createRewardTrees(createManualClock());
  const gone = new AbortController();
  const left = [roots("1", "2"), [root("3")], [root("4")]].map((wanted) =>
    trees
      .leavesOf(account, wanted, from("192.0.2.1", gone.signal))
      .then(amountsOf, ({ code }: { code: string }) => code),
  );
  const other = trees.leavesOf(account, [root("5")], HERE);
  await turns();
  gone.abort();
  gate.open();
  expect(await Promise.all(left)).toEqual(Array<string>(3).fill("REWARDS_BUSY"));
  expect(amountsOf(await other)).toEqual(["5"]);
  expect(built).toEqual(["1", "5"]);
});

it("after a turn the thread is left to others for as long as it lasted", async () => {
  const clock = createManualClock();
  const { root, built } = openRoots(10, async () => {
    if (built.length === 1) await clock.advance(700);
  });
  const trees = createRewardTrees(clock);
  const asked = Promise.all(["1", "2"].map((key) => trees.leavesOf(account, [root(key)], HERE)));
  await turns();
  await clock.advance(600);
  expect(built).toEqual(["1"]);
  await clock.advance(100);
  await asked;
  expect(built).toEqual(["1", "2"]);
});

it("what failed ends its turn, and what is missing is looked for again after a while", async () => {
  const clock = createManualClock();
  const { roots, built, lost } = openRoots(10);
  const trees = createRewardTrees(clock);
  const failing: RewardRoot = { key: "0", build: async () => Promise.reject(new TypeError("the disk is away")) };
  await expect(trees.leavesOf(account, [failing], HERE)).rejects.toThrow("the disk is away");
  lost.add("1");
  expect(await trees.leavesOf(account, roots("1"), HERE)).toEqual(["missing"]);
  lost.delete("1");
  expect(await trees.leavesOf(account, roots("1"), HERE)).toEqual(["missing"]);
  expect(built).toEqual(["1"]);
  await clock.advance(60_000);
  expect(amountsOf(await trees.leavesOf(account, roots("1"), HERE))).toEqual(["1"]);
});

it("who asks by HTTP is gone when it has hung up", async () => {
  const app = fastify();
  onTestFinished(() => app.close());
  const gone = Promise.withResolvers<void>();
  const came = Promise.withResolvers<void>();
  app.get("/", async (_, reply) => {
    goneOf(reply).addEventListener("abort", () => gone.resolve());
    came.resolve();
    await gone.promise;
  });
  const client = new AbortController();
  const asking = fetch(await app.listen({ host: "127.0.0.1", port: 0 }), { signal: client.signal });
  await came.promise;
  client.abort();
  await expect(asking).rejects.toMatchObject({ name: "AbortError" });
  await gone.promise;
});
