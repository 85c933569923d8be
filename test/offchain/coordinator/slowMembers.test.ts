/** Members that are many times slower than the others: they hold nobody up, and earn. */
import { expect, it } from "vitest";

import { type Actor, play } from "./liveness.ts";
import { type Beside, roundsBeside, roundsOf, type Shape, shapes, slowMembers } from "./slowRounds.ts";

// foundation 19
it.each(
  shapes.flatMap((shape) => ["the truth", "nothing", "too little", "so late"].map((says) => ({ ...shape, says }))),
)(
  "a round is no longer beside one at a twentieth of the speed, which counts and earns ($name, says $says)",
  ({ says, ...shape }) => {
    const over: Partial<Actor> = {
      ...(says === "nothing" && { claim: null }),
      ...(says === "too little" && { claim: 1 }),
      ...(says === "so late" && { from: 3 * shape.innerSteps * shape.pace }),
    };
    const alone = roundsOf(shape, {});
    const beside = roundsOf(shape, { pace: 20 * shape.pace, ...over });
    expect(beside.usual / alone.usual).toBeLessThanOrEqual(1.1);
    // One round shows how slow it is, where it did not say so.
    expect(beside.mean / alone.mean).toBeLessThanOrEqual(1.1);
    expect(beside.lost).toBeLessThanOrEqual(1);
    expect(beside.missing).toBeLessThanOrEqual(says === "so late" ? 6 : 2);
  },
);

// foundation 19
it.each(shapes)("a round is a quarter longer at most where payloads shall be comparable ($name)", (shape) => {
  const alone = roundsOf(shape, {});
  const ratios = [5, 7, 9].map((times) => roundsOf(shape, { pace: times * shape.pace }).mean / alone.mean);
  expect(Math.max(...ratios)).toBeLessThanOrEqual(1.25);
});

// foundation 19
it("rounds are longer now and then beside one for whom a step takes longer, by a tenth in the mean, and that earns, too", () => {
  const few: Shape = { name: "few", innerSteps: 12, pace: 1_000, overhead: 500, roundDeadline: 60 };
  const alone = roundsOf(few, {}, 100);
  const beside = roundsOf(few, { pace: 17_000 }, 100);
  expect(beside.usual).toBe(alone.usual);
  expect(beside.mean / alone.mean).toBeLessThanOrEqual(1.1);
  expect(beside.rounds).toBeGreaterThanOrEqual(10);
  // It is there in each where the round would have too few without it.
  expect(roundsOf(few, { pace: 17_000 }, 100, 3).missing).toBeLessThanOrEqual(2);
});

// foundation 19
it("the more such members, the longer are only those rounds that all of them work in", () => {
  const [alone, one, nine] = [0, 1, 9].map((count) => roundsBeside(slowMembers(count))) as [Beside, Beside, Beside];
  expect(one.mean / alone.mean).toBeLessThanOrEqual(1.1);
  expect(nine.mean / alone.mean).toBeLessThanOrEqual(1.15);
  expect(Math.min(...nine.paid)).toBeGreaterThanOrEqual(5);
});

// foundation 19
it("nor do they spread over other rounds by when they come", () => {
  // Each works in one of eight. All but two are away when that opens, and back by another one of the eight.
  const spread = Array.from({ length: 9 }, (_, i) => ({
    pace: 17_000 + 300 * i,
    away: (round: number) => (round + 1) % 8 < i % 8,
  }));
  const [alone, beside] = [[], spread].map((each) => roundsBeside(each)) as [Beside, Beside];
  expect(beside.mean / alone.mean).toBeLessThanOrEqual(1.15);
  expect(Math.max(...beside.paid.slice(10))).toBeGreaterThanOrEqual(5);
});

// foundation 19
it("rounds are longer by what members of different paces add up to, and by no more", () => {
  const [alone, ...each] = [[], [15_700], [20_700], [27_000], [15_700, 20_700, 27_000]].map((paces) =>
    roundsBeside(
      paces.map((pace) => ({ pace })),
      850_000,
    ),
  ) as [Beside, Beside, Beside, Beside, Beside];
  const [first, second, third, all] = each.map(({ mean }) => mean / alone.mean) as [number, number, number, number];
  expect(all).toBeGreaterThan(Math.max(first, second, third) + 0.03);
  expect(all).toBeLessThanOrEqual(1.2);
});

const few: Actor = { kind: "honest", pace: 100, overhead: 500 };

// foundation 3
it("a round that cannot close without a slow member waits for one step of it, which it is paid for", () => {
  const params = { minWorkers: 2, innerSteps: 72, roundDeadline: 60 };
  const { state, paid, longestRound } = play({
    actors: [few, { ...few, pace: 20_000 }],
    params,
    elements: [300, 256, 256, 256],
    time: 1_200_000,
  });
  expect(state.round).toBeGreaterThan(20);
  expect(paid[1]!.rounds).toBeGreaterThan(15);
  expect(longestRound).toBeLessThan(4 * params.roundDeadline * 1_000);
});

// foundation 3
it("somebody who takes work and leaves, again and again, makes rounds no longer than a slow member's one step", () => {
  const closed: number[] = [];
  const lengths = (leaver: readonly Actor[]): number => {
    closed.length = 0;
    play({
      actors: [few, { ...few, pace: 10_000 }, ...leaver],
      params: { minWorkers: 2, innerSteps: 72, roundDeadline: 60 },
      elements: [300, 256, 256, 256],
      time: 1_200_000,
      each: ({ round }, now) => void (closed.length < round && closed.push(now)),
    });
    return (closed.at(-1)! - closed[0]!) / (closed.length - 1);
  };
  const alone = lengths([]);
  expect(lengths([{ kind: "stranger", pace: 100 }]) / alone).toBeLessThan(4);
  expect(lengths([{ kind: "flapper", pace: 100 }]) / alone).toBeLessThan(4);
});
