import { type Address, defaultScreening, outcomeCode } from "@cotrain/sdk/protocol";
import { describe, expect, it } from "vitest";

import { createRandom } from "../../../offchain/src/base/index.ts";
import { createLine } from "../../../offchain/src/coordinator/line.ts";
import { candidates, countMiss, GRACE_MS, outstandingOf } from "../../../offchain/src/coordinator/machine/dealing.ts";
import { step } from "../../../offchain/src/coordinator/machine/machine.ts";
import { isIdle, openPlaces } from "../../../offchain/src/coordinator/machine/members.ts";
import { MAX_STRETCH } from "../../../offchain/src/coordinator/machine/pace.ts";
import { keyOf } from "../../../offchain/src/coordinator/machine/effects.ts";
import type { Member, RunState } from "../../../offchain/src/coordinator/machine/state.ts";
import { type Actor, addressOf, HOSTILE, joined, left, play } from "./liveness.ts";

/** Each takes as long as fifty of simulation.test.ts, of which there are as many as the variable says. */
const SEEDS = Math.ceil(Number(process.env["COTRAIN_SEEDS"] ?? 800) / 50);
const R = 20;
const LIMIT = MAX_STRETCH * R * 1_000 + GRACE_MS;

// foundation 3
describe("a round beside members that do everything but deliver", () => {
  it(
    `closes, and who is ready has work within two deadlines, whatever ${SEEDS} seeds bring`,
    () => {
      const failed: unknown[] = [];
      for (let seed = 1; seed <= SEEDS; seed++) {
        const random = createRandom(`cast/${seed}`);
        const honest: Actor[] = Array.from({ length: 2 + random.below(4) }, () => ({
          kind: "honest",
          pace: 100 + random.below(150),
          overhead: random.below(1_500),
          from: random.below(30_000),
          crash: random.below(2) * 0.005,
        }));
        const hostile: Actor[] = Array.from({ length: 1 + random.below(6) }, () => ({
          kind: random.pick(HOSTILE),
          pace: 200,
          from: random.below(60_000),
          claim: random.pick([1, 3_600_000_000, null, 200_000]),
        }));
        const minWorkers = 1 + random.below(honest.length);
        const { state, longestWait, longestRound, paid } = play({
          seed,
          actors: [...honest, ...hostile],
          params: { minWorkers, maxWorkers: 16, roundDeadline: R },
          time: 600_000,
        });
        const least = Math.min(...honest.map((_, index) => paid[index]!.rounds));
        const fine = longestWait <= 2 && longestRound <= 2 * LIMIT && state.round >= 8 && least > state.round / 3;
        const kinds = hostile.map(({ kind }) => kind);
        if (!fine) failed.push({ seed, round: state.round, longestWait, longestRound, least, kinds });
      }
      expect(failed).toEqual([]);
    },
    SEEDS * 10_000,
  );
});

// foundation 2
it("a member that poisons each round is left out of it, round after round, until that costs its place, and stops nobody", () => {
  const honest = Array.from({ length: 7 }, (): Actor => ({ kind: "honest", pace: 150, overhead: 500 }));
  const actors: Actor[] = [...honest.slice(0, 4), { kind: "poisoner", pace: 150, overhead: 500 }, ...honest.slice(4)];
  const poisoner = addressOf(4);
  let strikes = 0;
  const each = (now: { strikes: Readonly<Record<Address, number>> }): void => {
    strikes = Math.max(strikes, now.strikes[poisoner] ?? 0);
  };
  const params = { minWorkers: 4, maxWorkers: 8, roundDeadline: R };
  const { excluded, state, paid } = play({ actors, params, time: 300_000, each });
  expect(state.round).toBeGreaterThan(8);
  expect(new Set([...excluded.values()].flatMap((round) => Object.keys(round)))).toEqual(new Set([poisoner]));
  expect(new Set([...excluded.values()].flatMap((round) => Object.values(round)))).toEqual(
    new Set([outcomeCode.lossHarm]),
  );
  expect(paid[4]!.rounds).toBeGreaterThan(2);
  expect(strikes).toBeGreaterThanOrEqual(defaultScreening.strikes);
});

/** Each is played once, however many tests look at it. */
function once<K, V>(work: (key: K) => V): (key: K) => V {
  const known = new Map<K, V>();
  return (key) => {
    const found = known.get(key) ?? work(key);
    known.set(key, found);
    return found;
  };
}

const equal = (count: number, pace: number, over: Partial<Actor> = {}): Actor[] =>
  Array.from({ length: count }, () => ({ kind: "honest", pace, overhead: 500, ...over }));

// foundation 2
describe("who is left out for what it sent", () => {
  const states: RunState[] = [];
  play({
    actors: equal(2, 50),
    params: { minWorkers: 2, roundDeadline: R },
    time: 20_000,
    each: (now) => void states.push(now),
  });
  const storing = states.find(({ pending }) => "storeCheckpoint/0" in pending)!;
  const worker = addressOf(0);
  const digest = storing.checkpoint.digest;
  const afterwards = (outcome: number, strikes: number): RunState =>
    step(
      {
        ...storing,
        strikes: { [worker]: strikes },
        current: { ...storing.current!, excluded: { [worker]: outcome } },
      },
      {
        type: "CheckpointStored",
        at: storing.at,
        key: "storeCheckpoint/0",
        round: 0,
        digest,
        receipts: digest,
        receiptsRoot: digest,
        secret: digest,
      },
    ).state;
  const last = defaultScreening.strikes - 1;

  it.each(["payloadMalformed", "nonFinite", "normTooLarge", "lossHarm", "empty", "copy"] as const)(
    "so many times in a row loses its place (%s)",
    (name) => {
      expect(afterwards(outcomeCode[name], last - 1).members[worker]).toBeDefined();
      expect(afterwards(outcomeCode[name], last).members[worker]).toBeUndefined();
    },
  );

  it("counts as one that never delivered", () => {
    expect(afterwards(outcomeCode.aggregated, 0).members[worker]).toMatchObject({ measured: true, misses: 0 });
    expect(afterwards(outcomeCode.empty, 0).members[worker]).toMatchObject({ measured: false, misses: 1 });
    expect(afterwards(outcomeCode.roundDiscarded, 0).members[worker]).toMatchObject({ measured: true, misses: 0 });
  });

  it.each(["payloadMissing", "late", "roundDiscarded"] as const)(
    "but not for what is no fault of its own (%s)",
    (name) => {
      const after = afterwards(outcomeCode[name], last);
      expect(after.members[worker]).toBeDefined();
      expect(after.strikes).toEqual({ [worker]: last });
    },
  );
});

// foundation 3
describe("who holds rounds up again and again", () => {
  const TIME = 1_200_000;
  const besides = once((kind: Actor["kind"]) =>
    play({ actors: [...equal(3, 100), { kind, pace: 200 }], params: { minWorkers: 1, roundDeadline: R }, time: TIME }),
  );

  it.each(["idle", "leaver", "rejoiner"] as const)("is benched, whatever it does to be forgiven (%s)", (kind) => {
    const { state } = besides(kind);
    const worker = addressOf(3);
    const counted = state.members[worker] ?? state.absent[worker];
    expect(counted!.misses).toBeGreaterThanOrEqual(4);
    expect(counted!.benchedUntil).toBeGreaterThan(state.at - R * 1_000);
    // Alone, the honest three make a round in 7 s.
    expect(state.round).toBeGreaterThan(130);
  });

  it("is forgiven when it delivers, and forgotten when it stayed away for as long as the longest bench", () => {
    const leaver = addressOf(3);
    let { state } = besides("leaver");
    if (state.members[leaver]) state = step(state, left(leaver, state.at)).state;
    const { misses, keptUntil } = state.absent[leaver]!;
    expect(keptUntil - state.at).toBeLessThanOrEqual(64 * R * 1_000);
    expect(step(state, joined(leaver, state.at)).state.members[leaver]!.misses).toBe(misses);
    expect(step(state, joined(leaver, keptUntil)).state.members[leaver]).toMatchObject({ misses: 0, benchedUntil: 0 });
  });

  it("is remembered within bounds, and throw-away members that left do not wash it out", () => {
    const { state } = play({ actors: equal(3, 100), params: { minWorkers: 1, roundDeadline: R }, time: 10_000 });
    const [often, newer] = [addressOf(900), addressOf(901)];
    const absence = (misses: number, minutes: number) => ({
      misses,
      benchedUntil: state.at,
      keptUntil: state.at + minutes * 60_000,
    });
    const crowd = Array.from({ length: 1_023 }, (_, i) => [addressOf(2_000 + i), absence(1, 2)] as const);
    const absent = Object.fromEntries([...crowd, [often, absence(9, 1)]]);
    let full: RunState = { ...state, absent };
    full = step(full, joined(newer, full.at)).state;
    const dealt = full.members[newer]!;
    full = step(
      { ...full, members: { ...full.members, [newer]: { ...dealt, misses: 1 } } },
      left(newer, full.at),
    ).state;
    expect(Object.keys(full.absent)).toHaveLength(1_024);
    expect(full.absent[often]!.misses).toBe(9);
    expect(full.absent[newer]!.misses).toBe(1);
    expect(full.absent[addressOf(2_000)]).toBeUndefined();
  });

  it("is told from who leaves without work, or while the run rests", () => {
    const { state } = play({ actors: equal(3, 100), params: { minWorkers: 1, roundDeadline: R }, time: 3_000 });
    const working = outstandingOf(state.current!)[0]!.assignment.worker;
    const waiting = (Object.keys(state.members) as Address[]).find((worker) => !state.current!.work[worker])!;
    expect(step(state, left(working, state.at)).state.absent).toMatchObject({ [working]: { misses: 1 } });
    expect(step(state, left(waiting, state.at)).state.absent).toEqual({});
    const paused = step(state, { type: "PauseRequested", by: "operator", at: state.at }).state;
    expect(step(paused, left(working, state.at)).state.absent).toEqual({});
  });
});

/** How long the rounds take, once those are over in which everybody is new. */
const lengthsOf = (actors: readonly Actor[]): number[] => {
  const closed: number[] = [];
  let last = -1;
  const each = ({ round }: RunState, now: number): void => {
    if (round !== last) closed.push(now);
    last = round;
  };
  play({ actors, params: { minWorkers: 2, maxWorkers: 32, roundDeadline: 60 }, time: 600_000, each });
  return closed.slice(1).flatMap((at, i) => (at - closed[0]! > 2 * 60_000 ? [at - closed[i]!] : []));
};

/** The same of three equal workers who are by themselves. */
const lengthsAlone = once((pace: number) => lengthsOf(equal(3, pace)));

describe("who delivered once, and then delivers as late as it is waited for,", () => {
  it.each([
    { pace: 100, dawdlers: 1 },
    { pace: 100, dawdlers: 2 },
    { pace: 300, dawdlers: 1 },
  ])(
    "makes no round longer than four times what the others need ($dawdlers, $pace ms a step)",
    ({ pace, dawdlers }) => {
      const alone = lengthsAlone(pace);
      const beset = lengthsOf([...equal(3, pace), ...equal(dawdlers, pace, { kind: "dawdler" })]);
      expect(Math.max(...beset)).toBeGreaterThan(1.5 * Math.max(...alone));
      expect(Math.max(...beset)).toBeLessThanOrEqual(4 * Math.max(...alone) + GRACE_MS + 1_000);
    },
  );
});

describe("strangers with throw-away keys, who take work and say that they are nearly done,", () => {
  it.each([
    { pace: 100, strangers: 1 },
    { pace: 100, strangers: 2 },
    { pace: 100, strangers: 25 },
    { pace: 600, strangers: 4 },
  ])("make no round longer than half as long again and 3 s ($strangers, $pace ms a step)", ({ pace, strangers }) => {
    const hostile = Array.from({ length: strangers }, (_, i): Actor => {
      const claim = [1, 3_600_000_000, null, pace * 1_000][i % 4]!;
      return { kind: "stranger", pace: 200, from: 30_000 + 500 * i, claim };
    });
    const alone = lengthsAlone(pace);
    const beset = lengthsOf([...equal(3, pace), ...hostile]);
    // Ticks of the simulation come on top, one for each decision.
    expect(Math.max(...beset)).toBeLessThanOrEqual(1.5 * Math.max(...alone) + 3_000 + 1_000);
    expect(beset.length).toBeGreaterThanOrEqual(alone.length / 2);
  });

  it.each([
    { pace: 100, claim: 100_000 },
    { pace: 300, claim: 100_000 },
    { pace: 600, claim: 600_000 },
    { pace: 800, claim: null },
  ])("do not keep an honest newcomer out, however slow ($pace ms a step, says $claim µs)", ({ pace, claim }) => {
    const newcomer: Actor = { kind: "honest", pace, claim, overhead: 1_500, from: 60_000 };
    const strangers = equal(2, 100, { kind: "stranger", from: 30_000 });
    const from: number[] = [];
    const { state, paid, lost } = play({
      actors: [...equal(2, 100), newcomer, ...strangers],
      params: { minWorkers: 1, maxWorkers: 8, roundDeadline: 60 },
      time: 400_000,
      each: (now) => void (now.members[addressOf(2)] && from.push(now.round)),
    });
    expect(lost[2]).toBeLessThanOrEqual(1);
    expect(paid[2]!.rounds).toBeGreaterThanOrEqual(state.round - from[0]! - 3);
  });
});

const working = ({ current }: RunState): string[] => Object.keys(current!.work).toSorted();

// foundation 3
describe("an open round", () => {
  const [a, b, c] = [addressOf(0), addressOf(1), addressOf(2)];
  /** Two members that have work which neither has delivered, and a third that comes now; `over` is about the second. */
  function dealt(over: Partial<Member> = {}, maxWorkers = 8): RunState {
    const params = { minWorkers: 2, maxWorkers: 8, roundDeadline: R };
    const { state } = play({ actors: equal(2, 100), params, time: 1_000 });
    const { members, current } = state;
    expect(outstandingOf(current!).map(({ assignment: { worker } }) => worker)).toEqual([a, b]);
    const changed = {
      ...state,
      members: { ...members, [b]: { ...members[b]!, ...over } },
      current: { ...current!, params: { ...current!.params, maxWorkers } },
    };
    return step(changed, joined(c, state.at)).state;
  }

  it("takes in who waits for one that is silent, or missed again and again, and for nobody else", () => {
    expect(working(dealt())).toEqual([a, b]);
    expect(working(dealt({ misses: 1 }))).toEqual([a, b]);
    expect(working(dealt({ misses: 2 }))).toEqual([a, b, c]);
    expect(working(dealt({ silent: true }))).toEqual([a, b, c]);
  });

  it("has work for no more than the run's maximum", () => {
    expect(working(dealt({ silent: true }, 3))).toEqual([a, b, c]);
    expect(working(dealt({ silent: true }, 2))).toEqual([a, b]);
  });

  it("is held open by who says that it is nearly done, unless it missed the last deadline and has not delivered since", () => {
    const after = (misses: number): RunState => {
      const state = dealt({ misses });
      const { round, deadlines, deadline } = state.current!;
      const reports = { [b]: { step: 63, uploading: false } };
      const key = keyOf("setTimer", "deadline", round, deadlines);
      return step(state, { type: "TimerFired", at: deadline, key, reports }).state;
    };
    expect(after(0).members[b]!.misses).toBe(0);
    expect(after(0).current!.deadline).toBeGreaterThan(dealt().current!.deadline);
    expect(after(1).members[b]!.misses).toBe(2);
  });

  it("goes to those first that missed less, and to who is on the bench only as far as there are too few", () => {
    const { members, at } = dealt();
    const state = {
      current: null,
      members: { [a]: { ...members[a]!, misses: 1 }, [b]: members[b]!, [c]: { ...members[c]!, benchedUntil: at + 1 } },
    };
    const round = dealt().current!;
    const first = (needed: number): Address[] => candidates(state, round, needed, at).map(({ worker }) => worker);
    expect(first(2)).toEqual([b, a]);
    expect(first(3)).toEqual([b, a, c]);
  });

  it("is missed from the bench for four deadlines, eight, and so on, at most 64", () => {
    const member = { misses: 0, benchedUntil: 0 };
    const benched = Array.from({ length: 40 }, () => {
      countMiss(member, 1_000, { roundDeadline: R });
      return (member.benchedUntil - 1_000) / (R * 1_000);
    });
    expect(benched.slice(1, 8)).toEqual([4, 8, 16, 32, 64, 64, 64]);
    expect(Math.max(...benched)).toBe(64);
  });
});

/** Rounds in which somebody had work and was not paid, and how far the paid rounds are apart. */
const shortfall = ({ lost, paid }: ReturnType<typeof play>): { lost: number; apart: number } => {
  const rounds = paid.map((each) => each.rounds);
  return { lost: Math.max(...lost), apart: Math.max(...rounds) - Math.min(...rounds) };
};

/** Two members of whom the second needs so long to send what it trained. */
const sending = (overhead: number) => {
  const { paid, state } = play({
    actors: [
      { kind: "honest", pace: 400, overhead: 0 },
      // Trained in time; its upload, which nobody can foresee, is not through when the round ends.
      { kind: "honest", pace: 400, overhead },
    ],
    params: { minWorkers: 1, roundDeadline: 5, innerSteps: 8 },
    time: 120_000,
  });
  return { paid: paid[1]!.rounds, state };
};

// foundation 19
describe("time for a round", () => {
  it("is enough for workers of equal speed on a machine that is too slow for the deadline", () => {
    // 64 steps of 340 ms are 22 s where the holders allow 20; alone, before the others began, a step took a third of it.
    const actors = equal(3, 340, { claim: 113_000 }).map((actor, i) => ({ ...actor, overhead: 500 + 1_400 * i }));
    const outcome = play({ actors, params: { minWorkers: 1, roundDeadline: R }, time: 300_000 });
    expect(outcome.state.round).toBeGreaterThan(8);
    expect(shortfall(outcome).lost).toBe(0);
    // The first worker may have begun alone, the others in the round after.
    expect(shortfall(outcome).apart).toBeLessThanOrEqual(1);
  });

  it("is enough for one at a third of the speed, which gets fewer inner steps and waits for nobody", () => {
    const actors = [...equal(2, 100), ...equal(1, 300)];
    const outcome = play({ actors, params: { minWorkers: 3, roundDeadline: R }, time: 300_000 });
    expect(outcome.state.round).toBeGreaterThan(20);
    expect(shortfall(outcome).lost).toBe(0);
    expect(shortfall(outcome).apart).toBeLessThanOrEqual(1);
    const perRound = outcome.paid.map(({ steps, rounds }) => steps / rounds);
    expect(perRound.slice(0, 2)).toEqual([64, 64]);
    expect(perRound[2]).toBeGreaterThanOrEqual(16);
    expect(perRound[2]).toBeLessThanOrEqual(40);
  });

  it("is enough for one that is so slow that not even a quarter of the steps fits, which gets what does", () => {
    const actors = [...equal(2, 100), ...equal(1, 1_000)];
    const outcome = play({ actors, params: { minWorkers: 1, roundDeadline: R }, time: 300_000 });
    expect(outcome.state.round).toBeGreaterThan(20);
    expect(outcome.lost[2]).toBeLessThanOrEqual(1);
    expect(outcome.paid[2]!.rounds).toBeGreaterThanOrEqual(outcome.state.round - 3);
  });

  it("is found where nobody said how fast it is, and the holders thought of faster machines", () => {
    // A whole round would take three deadlines.
    const actors = equal(2, 940, { claim: null });
    const { paid, state } = play({ actors, params: { minWorkers: 2, roundDeadline: R }, time: 900_000 });
    expect(state.round).toBeGreaterThan(10);
    for (const { rounds } of paid) expect(rounds).toBeGreaterThan(10);
  });

  it("does not follow what one member says of itself", () => {
    const actors: Actor[] = [...equal(3, 100), { kind: "idle", pace: 1, claim: 3_600_000_000, from: 60_000 }];
    const { state } = play({ actors, params: { minWorkers: 1, roundDeadline: R }, time: 300_000 });
    // Rounds of 7 s; the idle one costs two deadlines before it sits on the bench.
    expect(state.round).toBeGreaterThan(25);
  });

  it("has a moment more for what is being sent, after which the round closes", () => {
    expect(sending(3_000).paid).toBeGreaterThan(5);
    // What never comes is waited for no longer than the holders allow.
    const never = sending(1_000_000);
    expect(never.paid).toBe(0);
    expect(never.state.round).toBeGreaterThan(10);
  });
});

// foundation 5
describe("places", () => {
  it("go to who delivers: newcomers that ask get in although throw-away members had taken nearly all", () => {
    const hostile: Actor[] = Array.from({ length: 63 }, () => ({ kind: "idle", pace: 100, claim: 100_000 }));
    const first: Actor = { kind: "honest", pace: 100 };
    const newcomers: Actor[] = Array.from({ length: 10 }, () => ({ kind: "honest", pace: 120, from: 30_000 }));
    const joinedAt = new Map<number, number>();
    const actors = [first, ...hostile, ...newcomers];
    const { state, paid } = play({
      actors,
      params: { minWorkers: 1, maxWorkers: 64, roundDeadline: R },
      time: 150_000,
      each: (now, at) => {
        for (const [i] of newcomers.entries()) {
          if (now.members[addressOf(64 + i)] && !joinedAt.has(i)) joinedAt.set(i, at);
        }
      },
    });
    expect(joinedAt.size).toBe(10);
    for (const [i] of newcomers.entries()) expect(paid[64 + i]!.rounds).toBeGreaterThan(3);
    // Who delivers has kept its place all the time.
    expect(state.members[addressOf(0)]?.joinedAt).toBe(1_790_000_000_000);
    expect(paid[0]!.rounds).toBeGreaterThanOrEqual(state.round - 1);
  });

  it("are lost after two rounds without an accepted receipt, also by who missed no deadline; who waited longest goes first", () => {
    const [a, b, c, newcomer] = [addressOf(0), addressOf(1), addressOf(2), addressOf(9)];
    const params = { minWorkers: 1, maxWorkers: 3, roundDeadline: R };
    const { state } = play({ actors: equal(3, 100), params, time: 60_000 });
    /** So many rounds ago the members had their last receipt accepted, or joined. */
    const since = (...rounds: number[]): RunState => {
      const members = [a, b, c].map(
        (worker, i) => [worker, { ...state.members[worker]!, misses: 0, since: state.round - rounds[i]! }] as const,
      );
      return { ...state, members: Object.fromEntries(members) };
    };
    const after = (from: RunState): string[] =>
      Object.keys(step(from, joined(newcomer, from.at)).state.members).toSorted();
    expect(openPlaces(since(0, 1, 1))).toBe(0);
    expect(openPlaces(since(0, 2, 3))).toBe(2);
    expect(after(since(0, 2, 0))).toEqual([a, c, newcomer]);
    expect(after(since(0, 2, 3))).toEqual([a, b, newcomer]);
  });

  it("are not lost by joining again, nor won back by it", () => {
    const { state } = play({
      actors: [
        { kind: "honest", pace: 100 },
        { kind: "restarter", pace: 100 },
      ],
      params: { minWorkers: 1, maxWorkers: 2, roundDeadline: R },
      time: 200_000,
    });
    const restarter = state.members[addressOf(1)]!;
    expect(restarter.joinedAt).toBeGreaterThan(1_790_000_000_000);
    expect(isIdle(state, restarter)).toBe(true);
    expect(isIdle(state, state.members[addressOf(0)]!)).toBe(false);
    expect(openPlaces(state)).toBe(1);
  });

  it("that become free go to the first who still asks", () => {
    const line = createLine();
    const [a, b, c] = [addressOf(1), addressOf(2), addressOf(3)];
    const turn = (worker: Address, places: number, now: number) => line.turn(worker, "192.0.2.1", places, now);
    expect(turn(a, 1, 0)).toBe(true);
    expect([turn(b, 0, 0), turn(c, 0, 1)]).toEqual([false, false]);
    // However often c asks, b came first.
    for (let at = 2; at < 30_000; at += 1_000) expect(turn(c, 1, at)).toBe(false);
    expect(turn(b, 1, 30_000)).toBe(true);
    expect(turn(c, 1, 30_001)).toBe(true);
    // Who does not come back holds nobody up for more than a minute.
    expect([turn(b, 0, 40_000), turn(c, 1, 99_000)]).toEqual([false, false]);
    expect(turn(c, 1, 100_001)).toBe(true);
  });

  it("that become free go to addresses in turn, however many ask from one of them", () => {
    const line = createLine();
    const [crowd, one, two] = ["192.0.2.1", "198.51.100.2", "2001:db8::1"];
    for (let i = 0; i < 10; i++) expect(line.turn(addressOf(i), crowd, 0, i)).toBe(false);
    expect([line.turn(addressOf(20), one, 0, 10), line.turn(addressOf(30), two, 0, 11)]).toEqual([false, false]);
    // The first of the crowd, then the two others, then the second of the crowd.
    expect(line.turn(addressOf(20), one, 1, 12)).toBe(false);
    expect(line.turn(addressOf(1), crowd, 3, 12)).toBe(false);
    expect(line.turn(addressOf(0), crowd, 1, 12)).toBe(true);
    expect([line.turn(addressOf(1), crowd, 2, 13), line.turn(addressOf(30), two, 1, 13)]).toEqual([false, false]);
    expect(line.turn(addressOf(20), one, 1, 13)).toBe(true);
    // Who was served before it left the line stands at the end when it comes back.
    expect(line.turn(addressOf(21), one, 2, 14)).toBe(false);
    expect(line.turn(addressOf(30), two, 1, 15)).toBe(true);
    expect(line.turn(addressOf(1), crowd, 1, 15)).toBe(true);
    // Another address gives it neither a second place in the line nor a new one.
    expect(line.turn(addressOf(5), two, 4, 16)).toBe(false);
    expect(line.turn(addressOf(5), two, 5, 16)).toBe(true);
  });

  it.each([
    ["a /48", (n: number) => `2001:db8:1:${n.toString(16)}::1`, "2001:db8:2::1"],
    ["a /32", (n: number) => `2001:db8:${n.toString(16)}::1`, "2001:db9::1"],
    ["a /24 of IPv4", (n: number) => `198.51.100.${n % 256}`, "203.0.113.9"],
  ])("that become free go to a newcomer beside a crowd that owns %s and fills the line", (_what, from, elsewhere) => {
    const line = createLine();
    for (let i = 0; i < 1_024; i++) expect(line.turn(addressOf(i), from(i), 0, 0)).toBe(false);
    // One of the crowd more finds no room; a newcomer does, and comes second.
    expect(line.turn(addressOf(2_000), from(2_000), 0, 0)).toBe(false);
    expect(line.turn(addressOf(2_000), from(2_000), 1_024, 0)).toBe(false);
    expect(line.turn(addressOf(40_000), elsewhere, 0, 1)).toBe(false);
    expect(line.turn(addressOf(40_000), elsewhere, 1, 1)).toBe(false);
    expect(line.turn(addressOf(1), from(1), 1, 2)).toBe(false);
    const first = Array.from({ length: 1_024 }, (_, i) => i).find((i) => line.turn(addressOf(i), from(i), 1, 3));
    expect(first).toBe(0);
    expect(line.turn(addressOf(1), from(1), 1, 4)).toBe(false);
    expect(line.turn(addressOf(40_000), elsewhere, 1, 5)).toBe(true);
    expect(line.turn(addressOf(1), from(1), 1, 6)).toBe(true);
  });

  it.each([
    ["addresses", (n: number) => `2001:db8:1:${n.toString(16)}::1`],
    ["keys", () => "198.51.100.7"],
  ])("that become free go to a newcomer beside new %s that never ask again", (_what, from) => {
    const line = createLine();
    expect([line.turn(addressOf(0), from(0), 0, 0), line.turn(addressOf(40_000), "203.0.113.9", 0, 1)]).toEqual([
      false,
      false,
    ]);
    let [second, served] = [0, false];
    while (!served && second < 600) {
      second += 1;
      line.turn(addressOf(second), from(second), 1, 1_000 * second);
      served = line.turn(addressOf(40_000), "203.0.113.9", 1, 1_000 * second);
    }
    expect(second).toBeLessThanOrEqual(61);
  });

  it("have a line with a bound for each address and in all, in which the longest queue makes room", () => {
    const line = createLine();
    for (let i = 0; i < 100; i++) line.turn(addressOf(i), "192.0.2.1", 0, 0);
    // Of the crowd 64 wait: who comes then is behind them all, and not written down.
    expect(line.turn(addressOf(99), "192.0.2.1", 64, 0)).toBe(false);
    expect(line.turn(addressOf(63), "192.0.2.1", 63, 0)).toBe(false);
    for (let address = 2; address <= 16; address++)
      for (let i = 0; i < 64; i++) line.turn(addressOf(1_000 * address + i), `192.0.2.${address}`, 0, 0);
    // 1,024 wait. A newcomer of another address gets in, and comes to its turn after one of each of the 16.
    expect(line.turn(addressOf(40_000), "192.0.2.99", 0, 0)).toBe(false);
    expect(line.turn(addressOf(40_000), "192.0.2.99", 16, 0)).toBe(false);
    expect(line.turn(addressOf(63), "192.0.2.1", 0, 0)).toBe(false);
    expect(line.turn(addressOf(40_000), "192.0.2.99", 17, 0)).toBe(true);
  });
});
