/** Time for a deal of work: what members say of themselves, and what was measured of them. */
import { type Build, canonicalJson } from "@cotrain/sdk/protocol";
import { afterEach, describe, expect, it, test } from "vitest";

import {
  dealOf,
  MAX_PACE,
  MAX_STRETCH,
  paceAfter,
  paceAfterMiss,
  restsAmong,
} from "../../../offchain/src/coordinator/machine/pace.ts";
import { restsIn } from "../../../offchain/src/coordinator/machine/dealing.ts";
import type { Member, RunState } from "../../../offchain/src/coordinator/machine/state.ts";
import { awaitWork } from "../../../offchain/src/coordinator/work.ts";
import type { Run } from "../../../offchain/src/coordinator/run.ts";
import { addressOf, play } from "./liveness.ts";
import { type Harness, openHarness, type TestWorker, until } from "./harness.ts";

const measured = { pace: 100_000, measured: true, batch: 4 };
const says = (pace: number) => ({ pace, measured: false, batch: 4 });
const H = 64;
const DEADLINE = 60_000;
const deal = (...members: Parameters<typeof dealOf>[0]) => dealOf(members, members, H, 4, DEADLINE);

/** Of a newcomer. */
const stepsWith = (batch: number, pace: number | null) => deal(measured, { pace, measured: false, batch }).steps[1];

// foundation 19
describe("a deal of work", () => {
  it("believes what a member says of itself, but not that it is more than four times as fast as others were", () => {
    const steps = (claim: number) => deal(measured, says(claim)).steps[1];
    expect(steps(100_000)).toBe(H);
    // As slow as it says: as many steps as fit into the time that the others take.
    expect(steps(200_000)).toBe(32);
    expect(steps(800_000)).toBe(8);
    expect(steps(2_000_000)).toBe(3);
    expect(steps(3_200_000)).toBe(2);
    // One at a 70th of the speed can do one step in time, and two not.
    expect([4_000_000, 7_000_000, 3_600_000_000].map(steps)).toEqual([1, 1, 1]);
    expect(deal(measured, says(1))).toEqual(deal(measured, says(25_000)));
  });

  it("holds it against what others need for as many sequences, where a step of its build has more or fewer", () => {
    // 16 times as many in 16 times the time: 4 steps fit, where 8 would if a step of theirs were taken for one of its own.
    expect(stepsWith(64, 1_600_000)).toBe(4);
    expect(stepsWith(64, null)).toBe(4);
    // A quarter of the time that its sequences would take others is the least that is believed.
    expect(stepsWith(64, 1)).toBe(16);
    expect(stepsWith(1, 800_000)).toBe(8);
    expect(stepsWith(1, null)).toBe(H);
  });

  it("waits for who never delivered no longer than the others need, whatever it says, and wherever they are", () => {
    // 6.4 s of work, half as much again, and 3 s.
    for (const claim of [1, 100_000, 3_600_000_000]) {
      const due = deal(measured, says(claim));
      expect(due).toEqual({ ...deal(measured), steps: due.steps });
      expect(due.newcomers).toBe(12_600);
      expect(dealOf([says(claim)], [measured, says(claim)], H, 4, DEADLINE)).toMatchObject({ newcomers: 12_600 });
    }
    // Nor longer than for the others, where rounds are long.
    const slow = deal({ ...measured, pace: 800_000 }, says(1));
    expect(slow.newcomers).toBe(slow.budget);
    expect(deal(says(1), says(2)).newcomers).toBeNull();
  });

  it("waits no longer than four rounds of the others once something was measured, before it as long as the holders allow", () => {
    const slower = { ...measured, pace: 200_000 };
    const known = deal(slower, slower);
    // 12.8 s of work and half as much again.
    expect(known).toMatchObject({ budget: 19_200, latest: 51_200 });
    expect(deal(says(100_000), says(100_000))).toMatchObject({ budget: DEADLINE, latest: MAX_STRETCH * DEADLINE });
    // Of three the second's 6.4 s count, however slow the third is: less than a quarter of what the holders allow.
    const last = deal(measured, measured, { ...measured, pace: 10_000_000 });
    expect(last).toEqual({ steps: [H, H, 1], budget: 15_000, latest: 25_600, newcomers: 15_000 });
    const slow = { ...measured, pace: 50_000_000 };
    expect(deal(slow).latest).toBeLessThanOrEqual(MAX_STRETCH * DEADLINE);
  });

  it("has as many steps for each as it can do in the time of the others, so that a slow member slows nobody", () => {
    const at = (times: number) => {
      const pace = 100_000 * times;
      const steps = deal(measured, measured, { ...measured, pace }).steps[2]!;
      return { steps, whole: (pace * steps) / (100_000 * H) };
    };
    // What varies from round to round takes nobody's steps away.
    expect(at(1.25).steps).toBe(H);
    expect(at(1.3)).toMatchObject({ steps: 48 });
    for (const times of [1.3, 1.5, 2, 3, 5, 8, 16])
      expect(at(times).whole, `${times} times as slow`).toBeLessThanOrEqual(1);
    // Where not even one for each fragment fits, as many as do.
    expect([16, 21, 30, 60, 80].map((times) => at(times).steps)).toEqual([4, 3, 2, 1, 1]);

    // As many as payloads are compared by, where that makes rounds a quarter longer at most.
    const comparable = (times: number) => {
      const members = [measured, measured, { ...measured, pace: 100_000 * times }];
      return dealOf(members, members, H, 4, DEADLINE, { comparable: 7 }).steps[2];
    };
    expect([8, 10, 11, 20].map(comparable)).toEqual([8, 8, 4, 3]);
  });

  it("of members that come in when others have failed is what fits into the time of those, and is waited for where there are no others", () => {
    const slow = { ...measured, pace: 10_000_000 };
    const others = [measured, measured, slow];
    const again = (needed: boolean) => dealOf([slow], others, H, 4, DEADLINE, { needed });
    expect(again(false)).toEqual({ steps: [1], budget: 15_000, latest: 25_600, newcomers: 15_000 });
    // One step of 10 s and half as much again; for half of what a round may last at most.
    expect(again(true)).toMatchObject({ steps: [1], budget: 15_000 });
    const slower = { ...measured, pace: 20_000_000 };
    expect(dealOf([slower], others, H, 4, DEADLINE, { needed: true })).toMatchObject({
      steps: [1],
      budget: 30_000,
      latest: 30_000,
    });
    expect(dealOf([slower], others, H, 4, DEADLINE)).toMatchObject({ steps: [1], budget: 15_000 });
    const slowest = { ...measured, pace: 3_600_000_000 };
    const most = (MAX_STRETCH * DEADLINE) / 2;
    expect(dealOf([slowest], others, H, 4, DEADLINE, { needed: true })).toMatchObject({
      steps: [1],
      budget: most,
      latest: most,
    });
    // Keys cost nothing: whoever never delivered is not waited for.
    expect(dealOf([says(20_000_000)], others, H, 4, DEADLINE, { needed: true }).newcomers).toBe(12_600);
  });

  it("leaves a slow member a 24th of the holders' deadline, however fast the others seem", () => {
    const hasty = { ...measured, pace: 1_000 };
    // 64 ms of work for the hasty; the slow one would need 6.4 s for all of its steps, and has 2.5.
    expect(deal(hasty, hasty, measured).steps).toEqual([H, H, H / 4]);
    expect(deal(hasty, hasty, { ...measured, pace: 200_000 }).steps).toEqual([H, H, 12]);
    // A quarter of few steps is fewer than payloads are compared by: it is given those, where they take 3.75 s at most.
    const few = (pace: number) => {
      const members = [hasty, hasty, { ...measured, pace }];
      return dealOf(members, members, 24, 4, DEADLINE, { comparable: 8 }).steps[2];
    };
    expect([200_000, 468_000, 469_000].map(few)).toEqual([8, 8, 4]);
  });

  it("is none where a single step holds the others up, in so many rounds that they wait a tenth of their time for it", () => {
    const rest = (times: number, of = measured, others = [measured, measured], steps = 16) =>
      restsAmong(others, steps, DEADLINE)({ ...of, pace: of.pace * times });
    // A round of theirs is 1.6 s, and a 24th of the deadline 2.5: what varies from round to round is no reason.
    expect([1, 20, 25, 31].map((times) => rest(times))).toEqual([0, 0, 0, 0]);
    // 3, 10 and 20, as far as it takes to come in the same rounds as others that sit out.
    expect([32, 50, 75].map((times) => rest(times))).toEqual([3, 15, 31]);
    expect(rest(64, measured, [measured, measured], H)).toBe(0);
    expect(rest(96, measured, [measured, measured], H)).toBe(7);
    // What was measured once is measured again.
    expect(rest(30_000)).toBe(63);
    // Who says so sits out as well; nobody does where nobody was measured, or is alone.
    expect(rest(30_000, says(100_000))).toBe(63);
    expect(restsAmong([says(1), says(1)], 16, DEADLINE)(says(3_600_000_000))).toBe(0);
    expect(restsAmong([{ ...measured, pace: 50_000_000 }], 16, DEADLINE)({ ...measured, pace: 50_000_000 })).toBe(0);
  });

  it("goes by those who are there: keys that are silent make nobody sit rounds out", () => {
    const slow = { ...measured, pace: 7_500_000, silent: false, since: 0 } as Member;
    const rest = (silent: boolean): number => {
      const quick = { ...slow, pace: 100_000, silent };
      const members: RunState["members"] = { "0x01": quick, "0x02": slow, "0x03": quick, "0x04": quick };
      const params = { roundDeadline: DEADLINE / 1_000 } as RunState["params"];
      return restsIn({ members }, { round: 5, innerSteps: 16, params })(slow).rest;
    };
    expect([rest(false), rest(true)]).toEqual([31, 0]);
  });

  it("has as many steps as fit into half as long again as the holders allow, however slow all are", () => {
    // All of them would take 128 s; 45 fit into 90 s, 44 of them are whole syncs.
    const slow = { ...measured, pace: 2_000_000 };
    expect(deal(slow, slow).steps).toEqual([44, 44]);
    expect(deal({ ...slow, pace: 1_000_000 }).steps).toEqual([H]);
    // A quarter is everybody's.
    expect(deal({ ...slow, pace: 60_000_000 }).steps).toEqual([H / 4]);
  });

  it("is the mean of what was known and what the last whole round took, and that alone at first", () => {
    expect(paceAfter(measured, 2 * 6_400, H)).toBe(150_000);
    expect(paceAfter(measured, 6_400 / 2, H)).toBe(75_000);
    expect(paceAfter(says(100_000), 2 * 6_400, H)).toBe(200_000);
    expect(paceAfter({ pace: null, measured: true }, 6_400, H)).toBe(100_000);
    expect([paceAfter(says(1), 0, H), paceAfter(measured, 1e12, 1)]).toEqual([1, MAX_PACE]);
  });

  it("that was missed makes the pace twice what was known, or what was reported", () => {
    expect(paceAfterMiss(100_000, 6_400, H, 0)).toBe(200_000);
    expect(paceAfterMiss(null, 6_400, H, 0)).toBe(200_000);
    expect(paceAfterMiss(100_000, 6_400, H, 16)).toBe(400_000);
    // Who says that it did more than it was given did all of it.
    expect(paceAfterMiss(100_000, 6_400, H, 2 * H)).toBe(100_000);
    expect(paceAfterMiss(MAX_PACE, 6_400, H, 0)).toBe(MAX_PACE);
  });
});

let harness: Harness | undefined;
afterEach(async () => {
  await harness?.close();
  harness = undefined;
});

/** Two members of which each needs a second for a step, in rounds of 16. */
async function openTwo() {
  const of = (harness = await openHarness({
    params: { minWorkers: 2, rampRounds: 0, innerSteps: 16, roundDeadline: 60 },
  }));
  const [member, other] = [of.worker("31"), of.worker("32")];
  await member.join();
  await other.join();
  const beat = { step: 16, loss: null, tokensPerSecond: null, uploading: false };
  return {
    member,
    other,
    paceOf: ({ address }: TestWorker) => of.run.driver.state.members[address]?.pace,
    missesOf: ({ address }: TestWorker) => of.run.driver.state.members[address]?.misses,
    opened: (round: number) => until(() => of.run.driver.state.current?.round === round, `round ${round}`),
    /** Time in which both say that they are there, and that they are done. */
    work: async (seconds: number) => {
      for (let i = 0; i < seconds; i++) {
        const { round } = of.run.driver.state;
        for (const { session } of [member, other]) await session.heartbeat({ ...beat, round });
        await of.clock.advance(1_000);
      }
    },
  };
}

// foundation 19
describe("a member that joins again with its work done", () => {
  it("seems no faster for it: what it was given it has had since then", async () => {
    const { member, other, opened, work, paceOf } = await openTwo();
    await opened(0);
    await work(16);
    await member.train();
    await other.join();
    expect((await other.assigned()).attempt).toBe(2);
    await other.train();
    await opened(1);
    expect([paceOf(member), paceOf(other)]).toEqual([1_000_000, 1_000_000]);
    expect((await member.assigned()).steps).toBe(16);

    // Who lost half a round by it has all steps in the next, too.
    await work(8);
    await other.join();
    await work(8);
    await member.train();
    await work(8);
    await other.train();
    await opened(2);
    expect([paceOf(member), paceOf(other)]).toEqual([1_000_000, 1_250_000]);
    expect((await other.assigned()).steps).toBe(16);
  });

  it("nor by what it reports of it at the deadline that it misses", async () => {
    const { member, other, opened, work, paceOf, missesOf } = await openTwo();
    await opened(0);
    await work(16);
    for (const each of [member, other]) await each.train();
    await opened(1);
    await work(16);
    await member.train();
    // What it reports moves the deadline: it joins again and again.
    for (let i = 0; i < 60 && missesOf(other) === 0; i++) {
      await other.join();
      await work(1);
    }
    expect(missesOf(other)).toBe(1);
    expect(paceOf(other)).toBeGreaterThan(1_000_000);
  });
});

// foundation 19
describe("a member for whom one inner step takes longer than a round of the others", () => {
  it("has one in so few rounds that nobody waits long for it, and is told so", async () => {
    harness = await openHarness({ params: { minWorkers: 2, rampRounds: 0, innerSteps: 4, roundDeadline: 60 } });
    const { clock, run } = harness;
    const slow = harness.worker("31", { stepMicros: 10_000_000 });
    const [fast, newcomer] = ["32", "33"].map((key) => harness!.worker(key, { stepMicros: 500_000 })) as [
      TestWorker,
      TestWorker,
    ];
    for (const worker of [slow, fast, newcomer]) await worker.join();
    const beat = { loss: null, tokensPerSecond: null, uploading: false, step: 0, round: 0 };
    const pass = async (seconds: number) => {
      for (let i = 0; i < seconds; i++) {
        for (const { session } of [slow, fast, newcomer]) await session.heartbeat(beat);
        await clock.advance(1_000);
      }
    };
    expect((await slow.assigned()).steps).toBe(1);
    await pass(2);
    await fast.train();
    await pass(8);
    await slow.train();
    await until(() => run.driver.state.current?.round === 1, "round 1");
    expect(Object.keys(run.driver.state.current!.work).toSorted()).toEqual([fast.address, newcomer.address].toSorted());
    const reply = await slow.session.work({ waitSeconds: 0 });
    expect(reply).toMatchObject({ kind: "wait" });
    expect(reply.kind === "wait" && reply.reason).toMatch(
      /^One inner step takes this machine longer .*, it works in one of 32 rounds, next in round 33\.$/,
    );
    // Who is not in such a round while it is on works in the next one.
    const { state } = run.driver;
    const at = { ...state, round: 32, current: { ...state.current!, round: 32 } };
    const beside = { ...run, driver: { state: at, onChange: () => () => undefined } } as unknown as Run;
    expect(await awaitWork(beside, slow.address, 0, new AbortController().signal)).toMatchObject({
      reason: expect.stringContaining("next in round 65."),
    });
  });
});

it("a member that is on the bench is told so, and for how long", async () => {
  harness = await openHarness({ params: { minWorkers: 2 } });
  const [one, other, benched] = ["31", "32", "33"].map((key) => harness!.worker(key)) as [
    TestWorker,
    TestWorker,
    TestWorker,
  ];
  for (const worker of [one, other]) await worker.join();
  await one.assigned();
  await benched.join();
  const { driver } = harness.run;
  const told = async (until: number) => {
    const { at, members } = driver.state;
    const member = { ...members[benched.address]!, misses: 3, benchedUntil: at + until };
    const state = { ...driver.state, members: { ...members, [benched.address]: member } };
    const run = { ...harness!.run, driver: { state, onChange: () => () => undefined } };
    return awaitWork(run as unknown as Run, benched.address, 0, new AbortController().signal);
  };
  expect(await told(125_000)).toEqual({
    kind: "wait",
    reason:
      "This machine delivered nothing in time 3 times in a row. It gets work again in some 2:05, or before where others are lacking.",
  });
  expect(await told(0)).toEqual({
    kind: "wait",
    reason: "Round 1 is on; work is given out when the next one opens.",
  });
});

// foundation 19
describe("a member's word", () => {
  it("of its pace comes with its join", async () => {
    harness = await openHarness();
    const [quick, silent] = [harness.worker("31", { stepMicros: 123_456 }), harness.worker("32")];
    await quick.join();
    await silent.join();
    const { members } = harness.run.driver.state;
    expect([members[quick.address]?.pace, members[silent.address]?.pace]).toEqual([123_456, null]);
  });

  it("leaves what was measured of it, for as many sequences as a step of the build has that it joins with", async () => {
    harness = await openHarness({ params: { minWorkers: 1, rampRounds: 0 } });
    const { blobs, build, run, admitted, clock } = harness;
    const worker = harness.worker("31", { stepMicros: 5_000 });
    await worker.join();
    await clock.advance(4_000);
    await worker.train();
    const member = () => run.driver.state.members[worker.address];
    const { pace, batch } = member()!;
    expect(pace).toBeGreaterThan(100_000);
    expect(batch).toBe(2);
    const document = JSON.parse(new TextDecoder().decode(await blobs.get(build))) as Build;
    const { digest } = await blobs.put(new TextEncoder().encode(canonicalJson({ ...document, microBatch: 32 })));
    admitted.push(digest);
    await clock.advance(11_000);
    await worker.join({ build: digest });
    expect(member()).toMatchObject({ pace: 16 * pace!, batch: 32, measured: true });
  });

  it("that it did a part counts once half of its time is over, from as many steps as copies are told by", async () => {
    harness = await openHarness({ params: { minWorkers: 1, rampRounds: 0, innerSteps: 16 } });
    const { clock, run } = harness;
    const worker = harness.worker("31");
    await worker.join();
    const assignment = await worker.assigned();
    const beat = { round: 0, step: 9, loss: null, tokensPerSecond: null, uploading: false };
    const left = async () => (await worker.session.heartbeat(beat)).work?.left;
    const { deadline } = run.driver.state.current!;
    expect(await left()).toBe(deadline - clock.now());

    const whole = worker.prepare(assignment);
    const part = (steps: number) => ({ ...whole, receipt: { ...whole.receipt, steps } });
    await worker.upload(whole);
    const undone = { code: "WORK_UNDONE" };
    await expect(worker.submit(part(9))).rejects.toMatchObject(undone);
    while (clock.now() < deadline - 20_000) {
      await left();
      await clock.advance(1_000);
    }
    await expect(worker.submit(part(7))).rejects.toMatchObject(undone);
    for (const steps of [0, 17])
      await expect(worker.submit(part(steps))).rejects.toMatchObject({ code: "WRONG_SHAPE" });
    const { ack } = await worker.submit(part(9));
    const { batch, sequence } = assignment;
    expect(ack.tokens).toBe(String(9 * batch * sequence));
    const { ledger, members } = run.driver.state;
    // What was not done goes to others.
    expect(ledger).toMatchObject({ consumed: 9 * batch, open: [] });
    expect(ledger.free.reduce((sum, { count }) => sum + count, 0)).toBe(ledger.nextPosition - 9 * batch);
    expect(members[worker.address]?.pace).toBe(Math.ceil(((clock.now() - (deadline - 60_000)) * 1_000) / 9));
    await until(() => run.driver.state.round === 1, "the round");
    expect(run.driver.state.totals[worker.address]).toBeDefined();
  });

  it("that it is nearly done, sent with a heartbeat, moves the deadline; who says nothing has missed it", async () => {
    for (const nearly of [true, false]) {
      harness = await openHarness({ params: { minWorkers: 1, rampRounds: 0 } });
      const { clock, run } = harness;
      const worker = harness.worker("31");
      await worker.join();
      const { steps, assignmentId } = await worker.assigned();
      const { deadline } = run.driver.state.current!;
      const beat = { round: 0, step: nearly ? steps - 1 : 0, loss: null, tokensPerSecond: null, uploading: false };
      while (clock.now() < deadline) {
        await worker.session.heartbeat(beat);
        await clock.advance(1_000);
      }
      const work = () => run.driver.state.current?.work[worker.address]?.assignment;
      const moved = () => (run.driver.state.current?.deadline ?? 0) > deadline;
      await until(() => moved() || run.driver.state.members[worker.address]?.misses === 1, "a decision");
      expect(work()?.assignmentId === assignmentId).toBe(nearly);
      // All steps as fast as those that are done, and a tenth for sending, since the work was given.
      const due = deadline - 60_000 + Math.ceil((60_000 * steps * 1.1) / (steps - 1));
      expect(run.driver.state.current?.deadline === due).toBe(nearly);
      expect(run.driver.state.members[worker.address]?.misses).toBe(nearly ? 0 : 1);
      await harness.close();
      harness = undefined;
    }
  });
});

test("a part of the work counts from half of its time on, also where it is dealt again", () => {
  const seen = new Map<string, { round: number; attempt: number; halfway: number; due: number }>();
  const look = ({ current }: RunState): void => {
    for (const { assignment, dealtAt, partFrom } of Object.values(current?.work ?? {})) {
      const { assignmentId, attempt, round } = assignment;
      const key = `${assignmentId}/${attempt}`;
      const given = { round, attempt, halfway: partFrom - dealtAt, due: current!.deadline - dealtAt };
      if (!seen.has(key) && given.due > 0) seen.set(key, given);
    }
  };
  const honest = { kind: "honest", pace: 100 } as const;
  const actors = [honest, honest, { kind: "restarter", pace: 100 } as const];
  play({ actors, params: { minWorkers: 2, maxWorkers: 8, roundDeadline: 60 }, time: 30_000, each: look });
  const dealt = [...seen.values()];
  const first = dealt.filter(({ round, attempt }) => round === 0 && attempt === 1);
  expect(first.length).toBeGreaterThan(0);
  for (const { halfway } of first) expect(halfway).toBe(30_000);
  const again = dealt.filter(({ attempt }) => attempt > 1);
  expect(again.length).toBeGreaterThan(0);
  for (const { halfway } of again) expect(halfway).toBeGreaterThan(0);
});

test("a part of the work of one that never delivered counts from half of the time that it is waited for", () => {
  const given: { half: number; waited: number; due: number }[] = [];
  const newcomer = addressOf(2);
  const look = ({ current, members }: RunState): void => {
    const work = current?.work[newcomer];
    if (!work || given.length > 0 || members[newcomer]?.measured !== false) return;
    const { dealtAt, partFrom } = work;
    const due = current.deadline - dealtAt;
    given.push({ half: partFrom - dealtAt, waited: (current.newcomers ?? 0) - dealtAt, due });
  };
  const honest = { kind: "honest", pace: 100 } as const;
  const actors = [honest, honest, { ...honest, from: 3_000 }];
  play({ actors, params: { minWorkers: 2, maxWorkers: 8, roundDeadline: 60 }, time: 30_000, each: look });
  const [{ half, waited, due }] = given as [(typeof given)[number]];
  expect(half).toBe(Math.ceil(waited / 2));
  expect(waited).toBeLessThan(due);
});
