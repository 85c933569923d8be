/** Whoever sets the machine's clock, or leaves the coordinator down, changes nothing about how long a round may last. */
import { afterEach, describe, expect, it } from "vitest";

import { timerOf } from "../../offchain/src/coordinator/machine/timers.ts";
import { type Harness, openHarness, START, until } from "../offchain/coordinator/harness.ts";

const HOUR = 3_600_000;

let harness: Harness;
afterEach(async () => {
  await harness.close();
});

/** What happened in the run without anybody asking, and how much time had passed by then, in whole seconds. */
function record(from: Harness): [string, number][] {
  const seen: [string, number][] = [];
  from.run.driver.onChange((_state, event, before) => {
    const deadline = event.type === "TimerFired" && before && timerOf(before, event.key)?.[0] === "deadline";
    if (deadline || event.type === "MemberSilent" || event.type === "MemberLeft") {
      seen.push([event.type, Math.floor(from.clock.monotonic() / 1_000)]);
    }
  });
  return seen;
}

const past = (time: number): boolean => time <= harness.clock.now();

/**
 * Three workers, of whom in round 1 the second only beats, which the deadline ends (3 s after the first delivered at once, as
 * neither ever did), and the third falls silent; the clock is set when the round is `after` ms old.
 */
async function oneRound(after: number, step: number): Promise<[string, number][]> {
  harness = await openHarness({ params: { minWorkers: 1 } });
  const { clock } = harness;
  const [a, b, c] = [harness.worker("31"), harness.worker("32"), harness.worker("33")];
  for (const each of [a, b, c]) await each.join();
  await a.train();
  await until(() => harness.run.driver.state.round === 1, "round 1");
  const seen = record(harness);
  await a.train();
  await b.assigned();
  await c.assigned();
  const pass = async (seconds: number): Promise<void> => {
    for (let second = 0; second < seconds; second++) {
      await b.session.heartbeat({ round: null, step: 0, loss: null, tokensPerSecond: null, uploading: false });
      await clock.advance(1_000);
      await new Promise(setImmediate);
    }
  };
  await pass(after / 1_000);
  clock.step(step);
  await pass(70);
  await until(() => harness.run.driver.state.round === 2, "round 2");
  return seen;
}

// foundation 8
describe("the wall clock, set by an hour", () => {
  it("forward or back, ends no round and no membership earlier or later", async () => {
    const undisturbed = await oneRound(2_000, 0);
    expect(undisturbed.map(([type]) => type)).toEqual(expect.arrayContaining(["TimerFired", "MemberSilent"]));
    for (const step of [HOUR, -HOUR]) {
      await harness.close();
      expect(await oneRound(2_000, step)).toEqual(undisturbed);
      const { state } = harness.run.driver;
      // The newest event is of the last minute that passed, and not an hour off.
      expect(state.at).toBeGreaterThanOrEqual(harness.clock.now() - 60_000);
      expect(past(state.at)).toBe(true);
      expect(state.recent.every(({ openedAt, durableAt }) => past(openedAt) && past(durableAt))).toBe(true);
      const longest = Math.max(...state.recent.map(({ openedAt, durableAt }) => durableAt - openedAt));
      expect(longest).toBeLessThan(100_000);
    }
  });

  it("and back again before anybody looked, is not noticed at all", async () => {
    harness = await openHarness();
    const { seq } = harness.run.driver;
    harness.clock.step(HOUR);
    harness.clock.step(-HOUR);
    await harness.clock.advance(5_000);
    expect(harness.run.driver.seq).toBe(seq);
  });

  it("shuts nobody out: a join is judged by the clock as it is now, and each counts once", async () => {
    harness = await openHarness();
    const { clock } = harness;
    const a = harness.worker("31");
    clock.step(HOUR);
    await clock.advance(2_000);
    const ahead = BigInt(clock.now());
    await a.join({ issuedAt: ahead });
    clock.step(-HOUR);
    await clock.advance(2_000);
    await expect(a.join({ issuedAt: ahead })).rejects.toMatchObject({ code: "CLOCK_SKEW" });
    const now = BigInt(clock.now());
    await a.join({ issuedAt: now });
    await expect(a.join({ issuedAt: now })).rejects.toMatchObject({ code: "STALE_JOIN" });
    await expect(a.join({ issuedAt: now - 1n })).rejects.toMatchObject({ code: "STALE_JOIN" });
    // When the time has come that the clock once showed too early, the join of then is still a used one.
    clock.step(HOUR);
    await clock.advance(2_000);
    await expect(a.join({ issuedAt: ahead })).rejects.toMatchObject({ code: "STALE_JOIN" });
  });
});

it("who waits in line for a place keeps it when the clock is set an hour forward", async () => {
  harness = await openHarness({ params: { minWorkers: 1, maxWorkers: 1 } });
  const { clock } = harness;
  const [a, b, c] = [harness.worker("31"), harness.worker("32"), harness.worker("33")];
  await a.join();
  await expect(b.join()).rejects.toMatchObject({ code: "RUN_FULL" });
  clock.step(HOUR);
  await clock.advance(2_000);
  await expect(c.join()).rejects.toMatchObject({ code: "RUN_FULL" });
  await a.session.leave();
  await expect(c.join()).rejects.toMatchObject({ code: "RUN_FULL" });
  await b.join();
});

describe("an acknowledgement", () => {
  it.each([HOUR, -HOUR])("stays as it was signed when the clock is set by %i ms", async (step) => {
    harness = await openHarness({ params: { minWorkers: 2 } });
    const { clock } = harness;
    const [a, b] = [harness.worker("31"), harness.worker("32")];
    await a.join();
    await b.join();
    const prepared = a.prepare(await a.assigned());
    await a.upload(prepared);
    const first = await a.submit(prepared);
    clock.step(step);
    await clock.advance(2_000);
    expect(await a.submit(prepared)).toEqual(first);
    // Who comes later is later, whatever the clock says.
    const later = b.prepare(await b.assigned());
    await b.upload(later);
    const second = await b.submit(later);
    expect(Number(second.ack.acceptedAt)).toBeGreaterThan(Number(first.ack.acceptedAt));
  });
});

describe("a coordinator that was down", () => {
  it.each([
    ["an hour", HOUR],
    ["and finds the clock set back an hour", -HOUR],
  ])("for a while (%s) gives a round the time that was left of it", async (_, step) => {
    harness = await openHarness();
    const { clock } = harness;
    const [a, b] = [harness.worker("31"), harness.worker("32")];
    await a.join();
    await b.join();
    const { deadline } = harness.run.driver.state.current!;
    await clock.advance(10_000);
    clock.step(step);
    await harness.restart();
    const { state } = harness.run.driver;
    expect(past(state.current!.openedAt)).toBe(true);
    expect(Object.values(state.members).every(({ joinedAt }) => past(joinedAt))).toBe(true);
    // The time since the last event is written down every five seconds.
    const left = deadline - START - 10_000;
    expect(state.current!.deadline - clock.now()).toBeGreaterThanOrEqual(left);
    expect(state.current!.deadline - clock.now()).toBeLessThanOrEqual(left + 6_000);
  });
});
