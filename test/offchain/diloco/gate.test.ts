/** The loss gate's decisions as functions of published losses (docs/protocol.md, "Loss gate"). */
import { defaultScreening, outcomeCode, type ScreeningRules, weightingCode } from "@cotrain/sdk/protocol";
import { describe, expect, it } from "vitest";

import {
  dropsMomentum,
  gateOutcomes,
  type GatePass,
  gateSample,
  gateSeed,
  passHolds,
  pullOf,
  searchHarm,
  type Suspect,
  type Suspicion,
  type Trial,
} from "../../../offchain/src/diloco/index.ts";

const address = (i: number): `0x${string}` => `0x${i.toString(16).padStart(40, "0")}`;
const rules: ScreeningRules = defaultScreening;
/** The loss of the checkpoint before. */
const before = 2_000_000;

/** The record of a round before, of one payload. */
const recordOf = (outcome: number): Suspicion["past"][number] => ({
  workers: [{ worker: address(1), steps: 4, outcome, copyOf: null, fragments: [] }],
});

/** A seed that gives this place. */
const seedOf = (place: number): string => `0x${place.toString(16).padStart(12, "0")}${"7".repeat(52)}`;

/** Payloads of these weights, or of one each. */
const suspectsOf = (count: number, pulls: readonly number[] = []): Suspect[] =>
  Array.from({ length: count }, (_, i) => ({ worker: address(i + 1), pull: BigInt(pulls[i] ?? 1) }));

/** Goes through a search with the losses of those that are aggregated, by index. */
function searchedBy(count: number, lossOf: (among: readonly number[]) => number | null, over: Partial<Suspicion> = {}) {
  const all = Array.from({ length: count }, (_, i) => i);
  const suspicion = { left: suspectsOf(count), before, after: lossOf(all), earlier: [], past: [], ...over };
  const search = searchHarm(suspicion, rules);
  const tried: GatePass["tried"] = [];
  let step = search.next();
  while (!step.done) {
    const { first, count: size, without } = step.value;
    const loss = lossOf(all.filter((i) => (i >= first && i < first + size) !== without));
    tried.push({ ...step.value, loss });
    step = search.next(loss);
  }
  return { tried, leftOut: step.value };
}

/** One in which the mean of a group does as much harm as these of it, by index, do on average. */
const searched = (count: number, harm: Readonly<Record<number, number>>, over: Partial<Suspicion> = {}) =>
  searchedBy(
    count,
    (among) => {
      const sum = among.reduce((all, i) => all + (harm[i] ?? -10_000), 0);
      return sum === Infinity ? null : 2_000_000 + Math.round(sum / Math.max(1, among.length));
    },
    over,
  );

/** One in which some push alike in a direction in which the loss is a parabola; all of them raise it by `harm`. */
const pushed = (count: number, pushing: readonly number[], harm: number, over: Partial<Suspicion> = {}) =>
  searchedBy(
    count,
    (among) =>
      2_000_000 +
      Math.round(harm * (among.filter((i) => pushing.includes(i)).length / pushing.length) ** 2) -
      Math.round((1_000 * among.length) / count),
    over,
  );

/** A search that is told these losses, one after the other. */
function told(count: number, after: number, losses: readonly (number | null)[], over: Partial<Suspicion> = {}) {
  const search = searchHarm({ left: suspectsOf(count), before, after, earlier: [], past: [], ...over }, rules);
  const trials: Trial[] = [];
  let step = search.next();
  for (const loss of losses) {
    if (step.done) break;
    trials.push(step.value);
    step = search.next(loss);
  }
  return { trials, step };
}

/** The passes of a round of which nothing went before. @returns they, and who is left at its end */
function played(count: number, lossOf: (among: readonly number[]) => number | null) {
  const passes: GatePass[] = [];
  let left = Array.from({ length: count }, (_, i) => i);
  for (;;) {
    const after = lossOf(left);
    if (passHolds(before, after, rules)) return { passes: [...passes, { after, tried: [], leftOut: [] }], left };
    const among = left;
    const found = searchedBy(left.length, (some) => lossOf(some.map((i) => among[i]!)), { after, earlier: passes });
    passes.push({ after, ...found });
    if (found.leftOut.length === 0) return { passes, left };
    left = left.filter((_, i) => !found.leftOut.includes(address(i + 1)));
  }
}

describe("the loss gate", () => {
  const three = suspectsOf(3);

  it("draws a whole number of batches, spread over the split from a place that the receipts give", () => {
    const seed = gateSeed(`0x${"1".repeat(64)}`, 3, [`0x${"2".repeat(64)}`]);
    const sample = gateSample(seed, 1_000, 15, 4);
    expect(sample).toHaveLength(16);
    expect(new Set(sample).size).toBe(16);
    expect(sample.every((index) => index >= 0 && index < 1_000)).toBe(true);
    expect(gateSeed(`0x${"1".repeat(64)}`, 3, [`0x${"3".repeat(64)}`])).not.toBe(seed);
    expect(gateSample(seed, 3, 8, 4).every((index) => index < 3)).toBe(true);
    // sha256 of the run, the round in eight bytes and the receipts' hashes, as another program computed it.
    expect(gateSeed(`0x${"1".repeat(64)}`, 3, [`0x${"2".repeat(64)}`, `0x${"3".repeat(64)}`])).toBe(
      "0xacb5e3aff645bd0e67f526b77bdbc8c6e4a8ac02248a79196ed53fec25d85458",
    );
  });

  it("draws a sample that nobody knows before the receipts, which give its place in the split", () => {
    expect(gateSample(seedOf(0), 1_000, 4, 4)).toEqual([0, 250, 500, 750]);
    expect(gateSample(seedOf(3), 1_000, 4, 4)).toEqual([3, 253, 503, 753]);
    expect(gateSample(seedOf(2_999), 1_000, 4, 4)).toEqual([999, 249, 499, 749]);
  });

  // foundation 2
  it("finds who does harm alone by halving, whatever its norm, in twice as many losses as halvings", () => {
    for (const count of [1, 2, 3, 8, 9, 64, 1_000])
      for (const bad of [0, Math.floor(count / 2), count - 1]) {
        const { tried, leftOut } = searched(count, { [bad]: 1e8 });
        expect(leftOut).toEqual(count === 1 ? [] : [address(bad + 1)]);
        expect(tried.length).toBeLessThanOrEqual(1 + 2 * Math.ceil(Math.log2(count)));
      }
    expect(searched(8, { 5: Infinity }).leftOut).toEqual([address(6)]);
  });

  it("finds several at once, also two that hide each other where neither could be left out alone", () => {
    expect(searched(16, { 2: 1e7, 3: 1e7, 14: 1e7 }).leftOut).toEqual([3, 4, 15].map(address));
    // Each without the other is worse than both: what is without one of them tells nothing.
    const losses = [2_000_000, 2_500_000, 2_500_000, 1_990_000, 9_000_000, 9_000_000, 1_990_000];
    expect(told(4, 2_060_000, losses).step).toEqual({ done: true, value: [2, 3].map(address) });
  });

  it("holds nobody to blame for what the momentum does without any of them", () => {
    const losses = [2_020_000, 2_010_000, 2_400_000, 2_045_000, 2_500_000];
    expect(told(4, 2_300_000, losses).step).toEqual({ done: true, value: [address(4)] });
  });

  // foundation 2
  it("takes the momentum away where it alone does half of the harm that a round may, and then nobody's pay for it", () => {
    const most = before + rules.gateBound / 2;
    const nobody = { first: 0, count: 0, without: false };
    for (const loss of [null, most + 1]) {
      const passes = [{ tried: [{ ...nobody, loss }] }];
      expect(told(4, 3_000_000, [loss])).toEqual({ trials: [nobody], step: { done: true, value: [] } });
      expect(dropsMomentum({ before, passes }, rules)).toBe(true);
      // From then on the round is held against θ itself, and searched as often as any.
      expect(searched(4, { 2: 1e6 }, { earlier: passes })).toMatchObject({
        tried: [{ first: 0, count: 2 }, {}, { first: 2, count: 1 }, {}],
        leftOut: [address(3)],
      });
    }
    expect(told(4, 3_000_000, [most]).step.done).toBe(false);
    expect(dropsMomentum({ before, passes: [{ tried: [{ ...nobody, loss: most }] }] }, rules)).toBe(false);
    expect(dropsMomentum({ before, passes: [] }, rules)).toBe(false);

    // Also of who is alone.
    const dropped = { after: 2_100_000, tried: [{ ...nobody, loss: most + 1 }], leftOut: [] };
    const stood = { after: before, tried: [], leftOut: [] };
    const read = (...passes: GatePass[]) => gateOutcomes(suspectsOf(1), { before, passes }, [], rules);
    expect(read(dropped, stood)).toEqual({ outcomes: new Map(), problem: "" });
    expect(read(dropped).problem).toContain("ends without");
    expect(read(dropped, dropped, stood).problem).toContain("not to be tried");
    expect(read({ ...dropped, leftOut: [address(1)] }, stood).problem).toContain("left out");
    const alone = { after: 2_100_000, tried: [], leftOut: [] };
    expect(read(dropped, alone)).toEqual({
      outcomes: new Map([[address(1), outcomeCode.roundDiscarded]]),
      problem: "",
    });
  });

  it("takes what has a loss beside a checkpoint that has none, and searches where neither has", () => {
    expect(passHolds(null, 2 ** 50, rules)).toBe(true);
    expect(passHolds(null, null, rules)).toBe(false);
    const read = (...passes: GatePass[]) => gateOutcomes(suspectsOf(3), { before: null, passes }, [], rules);
    expect(read({ after: 9_000_000, tried: [], leftOut: [] })).toEqual({ outcomes: new Map(), problem: "" });
    const failed = { after: null, ...searchedBy(3, (some) => (some.includes(1) ? null : 9_000_000), { before: null }) };
    expect(failed.leftOut).toEqual([address(2)]);
    const { problem } = read(failed, { after: 9_000_000, tried: [], leftOut: [] });
    expect(problem).toBe("");
    // Nothing is known of whom to blame where there is no loss without any of them either.
    const dropped = { after: null, ...searchedBy(3, () => null, { before: null }) };
    expect(dropped).toMatchObject({ tried: [{ count: 0 }], leftOut: [] });
    expect(searchedBy(3, () => null, { before: null, earlier: [dropped] }).leftOut).toEqual([]);
    expect(searchedBy(1, () => null, { before: null, earlier: [dropped] })).toEqual({ tried: [], leftOut: [] });
  });

  // foundation 2
  it("leaves out without whom a round has a loss beside a checkpoint that has none, and who has none alone", () => {
    const nobody = { first: 0, count: 0, without: false, loss: null };
    const dropped: GatePass = { after: null, tried: [nobody], leftOut: [] };
    const over = { before: null, earlier: [dropped] };
    for (const [count, bad] of [
      [2, 1],
      [3, 0],
      [9, 6],
      [64, 63],
    ] as const) {
      // Three of the honest, or all there are, bring a loss about.
      const enough = Math.min(3, count - 1);
      const lossOf = (among: readonly number[]): number | null =>
        among.includes(bad) || among.length < enough ? null : 9_000_000 - among.length;
      const { tried, leftOut } = searchedBy(count, lossOf, over);
      expect(leftOut).toEqual([address(bad + 1)]);
      expect(tried.map(({ without }) => without)).toEqual(tried.map((_, i) => i < tried.length - 1));
      const passes = [dropped, { after: null, tried, leftOut }, { after: 9_000_000, tried: [], leftOut: [] }];
      expect(gateOutcomes(suspectsOf(count), { before: null, passes }, [], rules)).toEqual({
        outcomes: new Map([[address(bad + 1), outcomeCode.lossHarm]]),
        problem: "",
      });
    }
    // Who has a loss alone is not to blame for what the sum has not; nor is one of several without whom it has none yet.
    expect(searchedBy(2, (among) => (among.length === 2 ? null : 9_000_000), over).leftOut).toEqual([]);
    expect(searchedBy(8, (among) => (among.some((i) => i < 2) ? null : 9_000_000), over).leftOut).toEqual([]);
  });

  // foundation 2
  it("finds those that push in one steep direction together, each far below what it may alone, while they are fewer than half", () => {
    for (const [count, pushing] of [
      [5, [1, 4]],
      [8, [2, 6]],
      [24, [0, 23]],
      [64, [3, 9, 17, 40, 63]],
      [9, [0, 2, 4, 6]],
    ] as const) {
      // Alone, a half with half of them does a quarter of the harm.
      const { tried, leftOut } = pushed(count, pushing, 1.9 * rules.gateBound);
      expect(leftOut).toHaveLength(1);
      expect(pushing.map((i) => address(i + 1))).toContain(leftOut[0]);
      const without = tried.filter((trial) => trial.without);
      expect(without.length).toBeGreaterThan(0);
      expect(without.length).toBeLessThanOrEqual(2 * Math.ceil(Math.log2(count)));
    }
    // Where more than half of them push, it may be the others that do not.
    expect(pushed(8, [0, 2, 4, 6, 7], 1.9 * rules.gateBound).leftOut).toEqual([]);
    const all = Array.from({ length: 8 }, (_, i) => i);
    expect(pushed(8, all, 1.9 * rules.gateBound).leftOut).toEqual([]);
  });

  it("blames one for the sum's harm from the fall on that one of half of them would make, and no sooner", () => {
    const { trials } = told(4, 2_060_000, [2_000_000, 2_010_000, 2_010_000, 2_050_000, 2_050_000]);
    expect(trials.slice(3).map(({ first, count, without }) => [first, count, without])).toEqual([
      [0, 2, true],
      [2, 2, true],
    ]);
    // Of four 3/4 of 60,000; of equal halves the first is halved, and the lower one of it is to blame.
    const upTo = (loss: number | null, alone: number | null) =>
      told(4, 2_060_000, [2_000_000, 2_010_000, 2_010_000, 2_050_000, 2_050_000, 2_040_000, loss, alone]).step.value;
    const falls = 2_015_000 - rules.gateTolerance;
    const harms = 2_000_001 + rules.gateTolerance;
    expect(upTo(falls, harms)).toEqual([]);
    expect(upTo(falls - 1, harms)).toEqual([address(2)]);
    expect(upTo(falls - 1, null)).toEqual([address(2)]);
    // It does no harm alone that another machine would have to find.
    expect(upTo(falls - 1, harms - 1)).toEqual([]);
    expect(upTo(null, harms)).toEqual([]);
    expect(told(4, 2_060_000, [2_000_000, 1, 1, null, null, null, null]).step.value).toEqual([]);
  });

  // foundation 2
  it("weighs by the run's weighting, and blames nobody who has half of all weight, whatever the others gain", () => {
    const share = { worker: address(1), tokens: 4_096, steps: 4 };
    expect(pullOf(share)).toBe(4_096n);
    expect(pullOf(share, weightingCode.tokens)).toBe(4_096n);
    expect(pullOf(share, weightingCode.uniform)).toBe(1n);
    expect(pullOf(share, weightingCode.normalised)).toBe(1_024n);
    const losses = [2_000_000, 2_010_000, 2_010_000, 1_900_000, 2_050_000, 2_500_000];
    for (const [pulls, found] of [
      [[1, 1], []],
      [[3, 2], []],
      [[2, 3], [address(1)]],
    ] as const)
      expect(told(2, 2_060_000, losses, { left: suspectsOf(2, pulls) }).step).toEqual({ done: true, value: found });
  });

  it("blames none of those that are honest and overshoot together, nor for noise beside a momentum that does harm", () => {
    for (const [count, rho] of [
      [3, 0.65],
      [8, 0.7],
      [24, 0.7],
      [24, 0.9],
    ] as const) {
      const overshot = (among: readonly number[]): number => {
        const s = among.length / count;
        return 2_000_000 + Math.round(1e6 * (s * s - rho * s));
      };
      expect(searchedBy(count, overshot).leftOut).toEqual([]);
    }
    // Beside a momentum that is at the minimum already each does harm alone, and who trained most the most.
    for (const pulls of [
      [3, 1, 1, 1, 1, 1, 1, 1],
      [1, 1, 1, 1, 1, 10, 10, 10, 10, 10, 13],
    ]) {
      const all = pulls.reduce((sum, pull) => sum + pull, 0);
      const steady = (among: readonly number[]): number => {
        const s = among.reduce((sum, i) => sum + pulls[i]!, 0) / all;
        return 2_000_000 + Math.round(60_000 * s * s);
      };
      const left = suspectsOf(pulls.length, pulls);
      const { tried, leftOut } = searchedBy(pulls.length, steady, { left });
      expect(tried.some(({ without }) => without)).toBe(true);
      expect(leftOut).toEqual([]);
    }
  });

  it("does not find those that do harm in proportion to what they push while they are so many", () => {
    for (const [some, most] of [
      [2, 6],
      [3, 11],
      [4, 16],
      [5, 21],
      [8, 36],
    ] as const) {
      const pushed = (count: number) =>
        searchedBy(count, (among) => {
          const pushing = among.filter((i) => i < some).length;
          const harm = Math.round((51_000 * pushing) / some);
          return before + (pushing === 1 ? Math.min(harm, rules.gateBound / 2) : harm);
        }).leftOut;
      expect(pushed(most)).toEqual([]);
      expect(pushed(most + 1)).toHaveLength(1);
    }
  });

  // foundation 2
  it("ends with a sum that stands and only those left out that push, in one round, however the rounds before went", () => {
    for (const [count, some] of [
      [8, 2],
      [24, 3],
      [64, 3],
      [64, 6],
      [64, 8],
      [256, 2],
    ] as const) {
      const pushing = new Set(Array.from({ length: some }, (_, i) => Math.floor((i * count) / some)));
      const lossOf = (among: readonly number[]): number =>
        2_000_000 + Math.round(1.9 * rules.gateBound * (among.filter((i) => pushing.has(i)).length / some) ** 2);
      const { passes, left } = played(count, lossOf);
      expect(passHolds(before, passes.at(-1)!.after, rules)).toBe(true);
      expect(left.length).toBeGreaterThanOrEqual(count - some);
      expect(Array.from({ length: count }, (_, i) => i).filter((i) => !pushing.has(i) && !left.includes(i))).toEqual(
        [],
      );
      const tried = passes.reduce((sum, pass) => sum + pass.tried.length, 0);
      expect(tried).toBeLessThanOrEqual(rules.gateTrials + 16 * (2 * Math.ceil(Math.log2(count)) + 1));
    }
  });

  it("takes for harmful without whom alone the sum is finite", () => {
    const { leftOut } = searchedBy(8, (among) =>
      among.includes(1) && among.includes(4) ? null : 2_000_000 + 2_000 * among.length,
    );
    expect([2, 5].map(address)).toContain(leftOut[0]);
    expect(leftOut).toHaveLength(1);
  });

  it("blames nobody where most do harm, or none alone", () => {
    expect(searched(5, { 0: 1e7, 1: 1e7, 2: 1e7 }).leftOut).toEqual([]);
    expect(searched(5, { 0: 1e7, 1: 1e7 }).leftOut).toEqual([1, 2].map(address));
  });

  it("takes for harm what raises the loss by more than half of what the aggregate may", () => {
    const most = before + rules.gateBound / 2;
    for (const [loss, found] of [
      [most, []],
      [most + 1, [address(1)]],
    ] as const)
      expect(told(2, 2_100_000, [before, loss, before, 2_100_000, 2_100_000]).step.value).toEqual(found);
  });

  it("searches in so many passes of a round and no more, whatever losses are left to it", () => {
    const passes = Array.from({ length: rules.gatePasses }, () => ({
      tried: [{ first: 0, count: 0, without: false, loss: 2_000_000 }],
    }));
    expect(searched(8, { 5: 1e8 }, { earlier: passes.slice(1) }).tried[0]).toMatchObject({ without: false });
    // From then on one at a time is found by what the others do without it.
    expect(searched(8, { 5: 1e8 }, { earlier: passes }).tried[0]).toMatchObject({ without: true });
    // The one that dropped the momentum is none of them.
    const dropped = { tried: [{ first: 0, count: 0, without: false, loss: null }] };
    expect(searched(8, { 5: 1e8 }, { earlier: [dropped, ...passes.slice(1)] }).tried[0]).toMatchObject({
      without: false,
    });
    const together = passes.map(({ tried }) => ({ tried: [...tried, { ...tried[0]!, without: true }] }));
    // Passes after one that found somebody so go on so.
    expect(searched(8, { 5: 1e8 }, { earlier: together.slice(0, 1) }).tried[0]).toMatchObject({ without: true });
    const ofThese = (count: number) => Array.from({ length: count }, (_, i) => together[i % together.length]!);
    expect(searched(8, { 5: 1e8 }, { earlier: ofThese(15) }).leftOut).toEqual([address(6)]);
    expect(searched(8, { 5: 1e8 }, { earlier: ofThese(16) })).toEqual({ tried: [], leftOut: [] });
    expect(searched(8, { 5: 1e8 }, { earlier: [dropped, ...ofThese(15)] }).leftOut).toEqual([address(6)]);
    expect(searched(8, { 5: 1e8 }, { earlier: [dropped, ...ofThese(16)] })).toEqual({ tried: [], leftOut: [] });
  });

  it("takes no more losses than the rules allow a round to find them alone, but all that it takes after a round that was discarded", () => {
    const spread = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [5 * i, 1e9]));
    const bounded = searched(64, spread);
    expect(bounded.tried.length).toBe(rules.gateTrials - 1);
    expect(bounded.leftOut.length).toBeGreaterThan(1);
    // Where none are left, one is found by what the others do without it.
    const further = searched(64, spread, { earlier: [bounded] });
    expect(new Set(further.tried.slice(0, -1).map(({ without }) => without))).toEqual(new Set([true]));
    expect(further.leftOut).toEqual([address(1)]);
    const [stood, discarded] = [recordOf(outcomeCode.aggregated), recordOf(outcomeCode.roundDiscarded)];
    expect(searched(64, spread, { past: [stood, discarded] }).leftOut).toEqual(
      Array.from({ length: 12 }, (_, i) => address(5 * i + 1)),
    );
    const sound = Array.from({ length: rules.history }, () => stood);
    expect(searched(64, spread, { past: [...sound.slice(1), discarded] }).leftOut).toHaveLength(12);
    expect(searched(64, spread, { past: [...sound, discarded] })).toEqual(bounded);
  });

  it("takes a record for what its losses say, and no other", () => {
    const failed = { after: 3_000_000, ...searched(3, { 0: 3e6 }) };
    expect(failed.tried).toHaveLength(5);
    const stood = { after: 2_000_000, tried: [], leftOut: [] };
    const read = (passes: readonly GatePass[], of: number | null = before) =>
      gateOutcomes(three, { before: of, passes: [...passes] }, [], rules);
    expect(read([failed, stood])).toEqual({
      outcomes: new Map([[address(1), outcomeCode.lossHarm]]),
      problem: "",
    });
    const problemOf = (passes: readonly GatePass[], of?: number | null): string => read(passes, of).problem;
    expect(problemOf([{ ...failed, leftOut: [address(2)] }, stood])).toContain("left out");
    expect(problemOf([failed])).toContain("ends without");
    expect(problemOf([{ ...failed, tried: failed.tried.slice(1) }, stood])).toContain("not to be tried");
    expect(problemOf([{ ...failed, tried: failed.tried.slice(0, 3) }, stood])).toContain("did not try 1");
    expect(problemOf([{ ...failed, tried: [...failed.tried, failed.tried[0]!] }, stood])).toContain("not to be tried");
    expect(problemOf([stood, failed])).toContain("not the last");
    expect(problemOf([{ ...stood, after: 2_050_001 }, stood])).toContain("did not try");
    expect(problemOf([failed, { ...stood, tried: failed.tried.slice(0, 1) }])).toContain("not the last");
    const hopeless = { after: 3_000_000, ...searched(3, { 0: 3e6, 1: 3e6, 2: 3e6 }) };
    expect(problemOf([hopeless, stood])).toContain("discarded the round and is not the last");
    expect(read([hopeless])).toEqual({
      outcomes: new Map(three.map(({ worker }) => [worker, outcomeCode.roundDiscarded])),
      problem: "",
    });
  });
});
