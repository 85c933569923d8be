/** What work earned is claimed by the coordinator, at its cost: for who asked, and is owed enough. */
import { type Address, rewardKind } from "@cotrain/sdk/protocol";
import { afterEach, expect, it } from "vitest";

import { InternalError, RetryableError } from "../../../offchain/src/base/index.ts";
import type { Owed } from "../../../offchain/src/chain/index.ts";
import { createClaimDuty, MOST_ASKERS } from "../../../offchain/src/coordinator/claimDuty.ts";
import {
  attest,
  elapse,
  type Harness,
  type HarnessOptions,
  openHarness,
  OPERATOR,
  runId,
  until,
  validators,
} from "./harness.ts";
import { createManualClock } from "../manualClock.ts";

let harness: Harness;
afterEach(() => harness.close());

/** What each of the two earned in the round. */
const EARNED = 128n;

/** A round of two workers, of which one asks, and its epoch paid. */
async function settled(options: HarnessOptions = {}) {
  harness = await openHarness(options);
  const [asks, silent] = [harness.worker("31", { claim: true }), harness.worker("32")];
  await asks.join();
  await silent.join();
  await asks.train();
  await silent.train();
  await until(() => harness.chain.heads.length === 2, "the anchor");
  await harness.client.control(runId, OPERATOR, { action: "pause" });
  await harness.clock.advance(17_000);
  await until(async () => (await harness.client.epochs(runId)).epochs[0]?.state === "collecting", "the epoch");
  for (const validator of validators.slice(0, 2)) await attest(harness, validator);
  await elapse(harness, () => harness.run.driver.state.settledEpoch === 1, "the activation");
  return { asks, silent };
}

/** As often as would be looked. */
async function look(): Promise<void> {
  for (let times = 0; times < 4; times += 1) await harness.clock.advance(5_000);
}

/** Active roots of which each paid as much. */
const earnedOf = (leaves: number) => ({
  index: leaves,
  leavesOf: async () => Array.from({ length: leaves }, (_, i) => ({ index: i + 1, amount: EARNED, proof: [] })),
});

const accountOf = (number: number): Address => `0x${number.toString(16).padStart(40, "0")}`;

const claimed = (): string[] => [...harness.chain.claimed];
const claims = () => harness.run.claims!;

it("for who asked, once, and not for who did not", async () => {
  const { asks } = await settled({ claimFrom: EARNED });
  await elapse(harness, () => claimed().length > 0, "the claim");
  await look();
  expect(claimed()).toEqual([`${asks.beneficiary}/1`]);
  expect(harness.chain.sent.filter((key) => key.startsWith("0x"))).toHaveLength(1);
});

it("what is less than was said waits", async () => {
  await settled({ claimFrom: EARNED + 1n });
  await look();
  expect(claimed()).toEqual([]);
});

it("nobody is claimed for where nothing was said", async () => {
  await settled();
  expect(harness.run.claims).toBeUndefined();
  await look();
  expect(claimed()).toEqual([]);
});

it("who asks no more is not claimed for; a restart forgets no asker, and a refusal is tried again", async () => {
  harness = await openHarness({ claimFrom: 1n });
  const [a, b]: readonly [Address, Address] = [`0x${"1".repeat(40)}`, `0x${"2".repeat(40)}`];
  for (const account of [a, b]) await claims().ask(account, account, true);
  await claims().ask(b, b, false);
  await harness.restart();
  harness.chain.refusesClaims = true;
  await claims().look(earnedOf(1));
  await until(() => harness.chain.sent.length === 1, "the refusal");
  harness.chain.refusesClaims = false;
  await until(async () => (await claims().look(earnedOf(1)), claimed().length > 0), "the claim");
  expect(claimed()).toEqual([`${a}/1`]);
  await claims().look(undefined);
  await until(async () => (await claims().look(earnedOf(3)), claimed().length === 3), "the claims of later roots");
});

it("whom a worker names last is claimed for, and nobody whom it named before", async () => {
  harness = await openHarness({ claimFrom: 1n });
  const [before, now] = [accountOf(1), accountOf(2)];
  await claims().ask(accountOf(9), before, true);
  await claims().ask(accountOf(9), now, true);
  await until(async () => (await claims().look(earnedOf(1)), claimed().length > 0), "the claim");
  await claims().look(earnedOf(1));
  expect(claimed()).toEqual([`${now}/1`]);
});

it("more leaves than one claim takes are fetched by the next, under the same root", async () => {
  harness = await openHarness({ claimFrom: 1n });
  await claims().ask(accountOf(1), accountOf(1), true);
  await until(async () => (await claims().look(earnedOf(20)), claimed().length === 20), "the claims");
  expect(new Set(claimed()).size).toBe(20);
});

it("a crowd of askers pushes out none for whom something was claimed", async () => {
  harness = await openHarness();
  const { modules, runId: id, facts } = harness.run;
  const duty = createClaimDuty({ runId: id, modelId: facts.modelId }, { shares: 1n }, modules);
  const earned = {
    index: 1,
    leavesOf: async (account: Address) => (account === accountOf(1) ? [{ index: 1, amount: EARNED, proof: [] }] : []),
  };
  await duty.ask(accountOf(1), accountOf(1), true);
  await until(async () => (await duty.look(earned), claimed().length > 0), "the claim");
  const crowd = Array.from({ length: MOST_ASKERS }, (_, i) => ({
    run_id: id,
    worker: accountOf(i + 2),
    account: accountOf(i + 2),
    // Whoever asked later is pushed out before, as long as nothing was claimed for him.
    asked_at: harness.clock.now() + 1,
    claimed: 0,
  }));
  const { kysely: db } = modules.database;
  const paid = () => db.selectFrom("coordinator_claims").select("worker").where("claimed", "=", 1).execute();
  await until(async () => (await paid()).length === 1, "the note of it");
  for (let at = 0; at < crowd.length; at += 100)
    await db
      .insertInto("coordinator_claims")
      .values(crowd.slice(at, at + 100))
      .execute();
  await harness.clock.advance(10);
  await duty.ask(accountOf(5_000), accountOf(5_000), true);
  const kept = await db.selectFrom("coordinator_claims").select("worker").execute();
  expect(kept).toHaveLength(MOST_ASKERS);
  expect(kept).toContainEqual({ worker: accountOf(1) });
  expect(kept).toContainEqual({ worker: accountOf(5_000) });
});

const nameOf = (kind: number, account: Address, index: number) => `${kind}/${account}/${index}`;

/** A duty for shares and revenue, under so many roots of each, all of which pay everybody, or nobody; or for revenue, of which some claims end with a code. */
async function openBoth(roots: {
  count: number;
  pay: boolean;
  refuse?: (claims: readonly Owed[]) => string | undefined;
}) {
  harness = await openHarness();
  const { modules, runId: id, facts } = harness.run;
  const clock = createManualClock(0);
  const seen = { computed: 0, refused: 0, paid: new Set<string>(), claims: new Map<string, string>() };
  const chain: typeof modules.chain = {
    ...modules.chain,
    rootsOfKind: (kind) => ({
      ...modules.chain.rootsOfKind(kind),
      activeRoot: async () => ({ index: roots.count, epoch: roots.count }) as never,
    }),
    unpaidOf: async (_model, { account, leaves }, kind = rewardKind.compute) =>
      leaves.filter(({ index }) => !seen.paid.has(nameOf(kind, account, index))),
    claimFor: async (_model, claims, key, kind = rewardKind.compute) => {
      const all = claims.flatMap(({ account, leaves }: Owed) =>
        leaves.map(({ index }) => nameOf(kind, account, index)),
      );
      const code = roots.refuse?.(claims);
      if (code !== undefined) {
        seen.refused += 1;
        throw new RetryableError(code, "It is refused.");
      }
      // As the table of jobs has it.
      const content = all.join();
      if ((seen.claims.get(key) ?? content) !== content) throw new InternalError("JOB_KEY_REUSED", key);
      seen.claims.set(key, content);
      for (const name of all) seen.paid.add(name);
    },
  };
  const earned = () => earnedOf(roots.pay ? roots.count : 0);
  const leaves = () =>
    Array.from({ length: roots.pay ? roots.count : 0 }, (_, i) => ({ index: i + 1, amount: EARNED, proof: [] }));
  const accounts = {
    granted: async () => ((seen.computed += 1), { least: 1n, short: 0n, leavesOf: leaves, text: String }),
  };
  const bounds = { ...(!roots.refuse && { shares: 1n }), revenue: { from: 1, accounts } };
  const duty = createClaimDuty({ runId: id, modelId: facts.modelId }, bounds, { ...modules, chain, clock });
  return { seen, clock, duty, look: () => duty.look({ ...earned(), index: roots.count }) };
}

it("of shares and of revenue, under roots of the same number for the same accounts", async () => {
  const { seen, duty, look: lookOnce } = await openBoth({ count: 1, pay: true });
  await duty.ask(accountOf(1), accountOf(1), true);
  for (let times = 0; times < 3; times += 1) {
    await lookOnce();
    // What was sent comes to its end.
    await new Promise(setImmediate);
  }
  expect([...seen.paid]).toEqual([rewardKind.compute, rewardKind.revenue].map((kind) => `${kind}/${accountOf(1)}/1`));
  expect(seen.claims.size).toBe(2);
});

it("whoever names another account at each join has the roots of revenue computed once in ten minutes, and under the next root", async () => {
  const roots = { count: 1, pay: false };
  const { seen, clock, duty, look: lookOnce } = await openBoth(roots);
  let accounts = 0;
  const rejoin = async (): Promise<number> => {
    await duty.ask(accountOf(1), accountOf((accounts += 1)), true);
    await lookOnce();
    return seen.computed;
  };
  expect([await rejoin(), await rejoin(), await rejoin()]).toEqual([1, 1, 1]);
  await clock.advance(599_000);
  expect(await rejoin()).toBe(1);
  await clock.advance(1_000);
  expect([await rejoin(), await rejoin()]).toEqual([2, 2]);
  roots.count = 2;
  expect([await rejoin(), await rejoin()]).toEqual([3, 3]);
});

it("whoever is owed some and refused has them computed as seldom", async () => {
  const {
    seen,
    clock,
    duty,
    look: lookOnce,
  } = await openBoth({
    count: 1,
    pay: true,
    refuse: () => "POSTING_REVERTED",
  });
  for (let at = 1; at < 4; at += 1) {
    await duty.ask(accountOf(9), accountOf(at), true);
    await lookOnce();
    // What was sent comes to its end.
    await new Promise(setImmediate);
  }
  expect([seen.computed, seen.refused]).toEqual([1, 1]);
  await clock.advance(600_000);
  await lookOnce();
  expect([seen.computed, seen.refused]).toEqual([2, 2]);
});

it("however many are refused, who comes after them is paid within the hour", async () => {
  const honest = accountOf(49);
  const refuse = (claims: readonly Owed[]) =>
    claims.some(({ account }) => account !== honest) ? "POSTING_REVERTED" : undefined;
  const { seen, clock, duty, look: lookOnce } = await openBoth({ count: 1, pay: true, refuse });
  // More than are tried until the first of them are tried again.
  for (let at = 1; at <= 49; at += 1) await duty.ask(accountOf(at), accountOf(at), true);
  for (let minutes = 0; minutes <= 60; minutes += 10) {
    await lookOnce();
    await new Promise(setImmediate);
    await clock.advance(600_000);
  }
  expect([...seen.paid]).toEqual([nameOf(rewardKind.revenue, honest, 1)]);
});

it("what is too dear for several is claimed for each alone; what is for one waits, and is looked for as seldom", async () => {
  let most = 1;
  const refuse = (claims: readonly Owed[]) => (claims.length > most ? "POSTING_DEAR" : undefined);
  const { seen, clock, duty, look: lookOnce } = await openBoth({ count: 1, pay: true, refuse });
  for (const at of [1, 2]) await duty.ask(accountOf(at), accountOf(at), true);
  await lookOnce();
  await new Promise(setImmediate);
  expect([seen.refused, seen.paid.size]).toEqual([1, 2]);
  most = 0;
  await duty.ask(accountOf(3), accountOf(3), true);
  for (let times = 0; times < 3; times += 1) {
    await lookOnce();
    await new Promise(setImmediate);
  }
  expect([seen.computed, seen.refused]).toEqual([2, 2]);
  // Nobody is left out for it.
  most = 1;
  await clock.advance(600_000);
  await lookOnce();
  await new Promise(setImmediate);
  expect(seen.paid.size).toBe(3);
});
