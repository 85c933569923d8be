import { readFileSync } from "node:fs";

import { defaultScreening, outcomeCode, type ScreeningFile, type ScreeningRules } from "@cotrain/sdk/protocol";
import { describe, expect, it } from "vitest";

import { createRandom } from "../../../offchain/src/base/index.ts";
import {
  bitsOfFp32,
  type MeasuredPayload,
  measureFragment,
  mediansOf,
  reduceFragment,
  screen,
  type ScreeningEntry,
  type ScreeningInput,
  sourceOf,
} from "../../../offchain/src/diloco/index.ts";
import { encodePayload } from "./payloads.ts";

const address = (i: number): `0x${string}` => `0x${i.toString(16).padStart(40, "0")}`;
const rules: ScreeningRules = defaultScreening;
const n = 2_000;

const normal = (seed: string, size = 1e-2): Float32Array<ArrayBuffer> => {
  const random = createRandom(seed);
  return Float32Array.from({ length: n }, () => random.normal() * size);
};
let accepted = 0;

async function payload(worker: number, fragments: readonly Float32Array[], steps = 48): Promise<MeasuredPayload> {
  const measured = await Promise.all(
    fragments.map(async (values, index) => {
      const { bytes } = encodePayload(0, values);
      const digest = `0x${Buffer.from(bytes.subarray(0, 32)).toString("hex")}`;
      return { digest, ...(await measureFragment(0, sourceOf(bytes), values.length, index)) };
    }),
  );
  return { worker: address(worker), steps, acceptedAt: ++accepted, outcome: 0, fragments: measured };
}
const honest = (worker: number, round = 0, size = 1e-2, steps = 48): Promise<MeasuredPayload> =>
  payload(worker, [normal(`${worker}/${round}/0`, size), normal(`${worker}/${round}/1`, size)], steps);

/** Parameters of norm 2 in each fragment, where honest payloads have 0.45. */
const place = { innerLrPpb: 3_000_000, theta: [2, 2].map(bitsOfFp32), elements: [n, n] };
const judge = (payloads: readonly MeasuredPayload[], over: Partial<ScreeningInput> = {}): ScreeningEntry[] =>
  screen({ ...place, rules, round: 5, aggregatorBps: 5_000, payloads, past: [], ...over });
const outcomes = (entries: readonly ScreeningEntry[]): number[] => entries.map(({ outcome }) => outcome);
const clips = (entries: readonly ScreeningEntry[]): number[] =>
  entries.flatMap(({ fragments }) => fragments.map(({ clipPpm }) => clipPpm));
const fileOf = (round: number, workers: ScreeningEntry[]): ScreeningFile => ({
  version: 1,
  runId: `0x${"1".repeat(64)}`,
  round,
  paramsVersion: 1,
  innerLrPpb: place.innerLrPpb,
  theta: place.theta,
  workers,
  medians: mediansOf(workers, 2),
  gate: {
    seed: `0x${"2".repeat(64)}`,
    build: `0x${"3".repeat(64)}`,
    conformance: `0x${"4".repeat(64)}`,
    sequences: [],
    before: null,
    passes: [],
  },
});

const entry = (i: number): ScreeningEntry => ({
  worker: address(i),
  steps: 4,
  outcome: 0,
  copyOf: null,
  fragments: [{ digest: `0x${"0".repeat(64)}`, norm: bitsOfFp32(1), clipPpm: 1_000_000, sketch: "" }],
});
/** The same with a norm, and what is left of it. */
const clipped = (norm: number, clipPpm: number, outcome = 0): ScreeningEntry => ({
  ...entry(1),
  outcome,
  fragments: [{ ...entry(1).fragments[0]!, norm: bitsOfFp32(norm), clipPpm }],
});
describe("measuring", () => {
  it("gives the norm and the sketch of the vectors, which another program wrote", async () => {
    const { round } = JSON.parse(readFileSync(new URL("../../vectors/protocol.json", import.meta.url), "utf8"));
    const of = (name: string) => round.documents.find((each: { name: string }) => each.name === name).document;
    const [worker] = of("ScreeningFile").workers;
    // The payload of the first worker, as the generator makes it: one scale of 2^-7, then a byte per element.
    for (const [index, entry] of worker.fragments.entries()) {
      const elements = index === 0 ? 8 : 10;
      const bytes = new Uint8Array(4 + elements);
      new DataView(bytes.buffer).setFloat32(0, 2 ** -7, true);
      for (let i = 0; i < elements; i++) bytes[4 + i] = (i * 37) % 256;
      expect(await measureFragment(1, sourceOf(bytes), elements, index)).toEqual({
        norm: entry.norm,
        sketch: entry.sketch,
      });
    }
  });

  it("does not depend on how it is read, and refuses a norm beyond fp32", async () => {
    const huge = encodePayload(0, new Float32Array(n).fill(3e37)).bytes;
    await expect(measureFragment(0, sourceOf(huge), n, 0)).rejects.toMatchObject({ code: "PAYLOAD_VALUE" });
  });
});

describe("screening", () => {
  it("lets honest payloads pass whole", async () => {
    const entries = judge([await honest(1), await honest(2), await honest(3)]);
    expect(entries.map(({ outcome, fragments }) => [outcome, ...fragments.map(({ clipPpm }) => clipPpm)])).toEqual(
      [1, 2, 3].map(() => [0, 1_000_000, 1_000_000]),
    );
  });

  it("clips what is beyond the ratio to it, leaves out what is beyond the bound, and neither shrinks the others", async () => {
    const large = await honest(9, 0, 5e-2);
    const entries = judge([await honest(1), await honest(2), large]);
    expect(outcomes(entries)).toEqual([0, 0, 0]);
    // Five times as large as the others, twice are allowed.
    for (const { clipPpm } of entries[2]!.fragments) expect(clipPpm / 1e6).toBeCloseTo(2 / 5, 1);
    expect(entries.slice(0, 2).flatMap(({ fragments }) => fragments.map(({ clipPpm }) => clipPpm))).toEqual(
      Array.from({ length: 4 }, () => 1_000_000),
    );
    for (const size of [1, 1e4, 1e30])
      expect(outcomes(judge([await honest(1), await honest(2), await honest(9, 0, size)]))).toEqual([
        0,
        0,
        outcomeCode.normTooLarge,
      ]);
  });

  it("compares by steps, so that who was given less work is not the measure of the others", async () => {
    const entries = judge([
      await honest(1, 0, 1e-2, 48),
      await honest(2, 0, 1e-2 / 3, 12),
      await honest(3, 0, 1e-2 / 3, 12),
    ]);
    expect(entries[0]!.fragments.every(({ clipPpm }) => clipPpm === 1_000_000)).toBe(true);
  });

  it("takes past rounds as its measure where a tiny or a huge one is the only other", async () => {
    const past = [0, 1, 2].map(async (round) => fileOf(round, judge([await honest(1, round), await honest(2, round)])));
    const files = (await Promise.all(past)).toReversed();
    const [first, tiny] = judge([await honest(1, 9), await honest(2, 9, 1e-9)], { past: files });
    expect(first!.fragments[0]!.clipPpm).toBe(1_000_000);
    expect(tiny!.outcome).toBe(outcomeCode.empty);
    expect(outcomes(judge([await honest(1, 9), await honest(2, 9, 1e3)], { past: files }))).toEqual([
      0,
      outcomeCode.normTooLarge,
    ]);
  });

  // foundation 2
  it("keeps past rounds as its measure through a vote, scaled by what it made of the learning rate", async () => {
    const past = [0, 1, 2].map(async (round) => fileOf(round, judge([await honest(1, round), await honest(2, round)])));
    const files = (await Promise.all(past)).toReversed();
    const faster = { past: files, innerLrPpb: 4 * place.innerLrPpb };
    const payloads = [await honest(1, 9, 4e-2), await honest(2, 9, 4e-2)];
    expect(clips(judge(payloads, faster))).toEqual([1, 1, 1, 1].map(() => 1_000_000));
    const one = payloads.slice(0, 1);
    expect(clips(judge(one, faster))).toEqual([1_000_000, 1_000_000]);
    for (const clip of clips(judge(one, { past: files }))) expect(clip / 1e6).toBeCloseTo(2 / 4, 1);
    expect(outcomes(judge([await honest(1, 9, 4e-2), await honest(2, 9, 1)], faster))).toEqual([
      0,
      outcomeCode.normTooLarge,
    ]);
  });

  // foundation 2
  it("bounds a payload by the checkpoint's own norms where there is nobody and nothing else to compare with", async () => {
    // Three times 2 is allowed; a norm of 0.45 · 40 is three times that.
    const [honestly, large] = judge([await honest(1), await honest(2, 0, 4e-1)]);
    expect(honestly!.fragments.map(({ clipPpm }) => clipPpm)).toEqual([1_000_000, 1_000_000]);
    expect(large!.outcome).toBe(0);
    for (const { clipPpm } of large!.fragments) expect(clipPpm / 1e6).toBeCloseTo(1 / 3, 1);
    for (const size of [4, 1e4, 1e30]) {
      expect(outcomes(judge([await honest(9, 0, size)]))).toEqual([outcomeCode.normTooLarge]);
      expect(outcomes(judge([await honest(1), await honest(9, 0, size)]))).toEqual([0, outcomeCode.normTooLarge]);
    }
  });

  it("measures a fragment that begins at zero, or near it, by the whole", async () => {
    for (const small of [0, 1e-6]) {
      const theta = [2, small].map(bitsOfFp32);
      const [entry] = judge([await honest(1)], { theta });
      expect(entry!.fragments.map(({ clipPpm }) => clipPpm)).toEqual([1_000_000, 1_000_000]);
      expect(outcomes(judge([await honest(1, 0, 1e3)], { theta }))).toEqual([outcomeCode.normTooLarge]);
      // Half of the elements, so √½ of the norm.
      const [large] = judge([await payload(1, [normal("a"), normal("b", 4e-1)])], { theta });
      expect(large!.fragments[1]!.clipPpm / 1e6).toBeCloseTo((3 * 2 * Math.SQRT1_2) / (0.4 * Math.sqrt(n)), 1);
    }
    expect(outcomes(judge([await honest(1)], { theta: [0, 0] }))).toEqual([0]);
  });

  // foundation 2
  it("lets two of three not make the third look empty by what they send", async () => {
    for (const size of [10, 1e3, 1e8]) {
      const entries = judge([await honest(1), await honest(2, 0, size), await honest(3, 0, size)]);
      expect(entries[0]!.outcome).toBe(0);
    }
  });

  it("makes neither of two alone the other's measure", async () => {
    expect(outcomes(judge([await honest(1), await honest(2, 0, 1e-6)]))).toEqual([0, 0]);
  });

  it("gives nothing for zeros", async () => {
    const zeros = await payload(2, [new Float32Array(n), new Float32Array(n)]);
    expect(outcomes(judge([await honest(1), zeros]))).toEqual([0, outcomeCode.empty]);
  });

  it("gives nothing for the later of two that are alike: equal in a fragment, or nearly equal in all", async () => {
    const [a, b] = [normal("a"), normal("b")];
    const original = await payload(7, [a, b]);
    const part = await payload(3, [a, normal("c")]);
    const noisy = (values: Float32Array, seed: string) => {
      const noise = normal(seed, 5e-4);
      return values.map((value, i) => value + noise[i]!);
    };
    const near = await payload(1, [noisy(a, "x"), noisy(b, "y")]);
    const [first, second, third] = judge([original, part, near]);
    expect(third!.outcome).toBe(0);
    expect(second).toMatchObject({ outcome: outcomeCode.copy, copyOf: { round: 5, worker: address(7) } });
    expect(first).toMatchObject({ outcome: outcomeCode.copy, copyOf: { round: 5, worker: address(7) } });
    // Of few steps all payloads point the same way: only equal bytes count, whichever of the two has few.
    for (const [early, late] of [
      [4, 4],
      [4, 48],
      [48, 4],
    ] as const) {
      const pair = judge([
        { ...original, steps: early },
        { ...near, steps: late },
      ]);
      expect(outcomes(pair)).toEqual([0, 0]);
    }
  });

  it("knows a payload of an earlier round again, also scaled, within the rounds that count", async () => {
    const old = await honest(1, 0);
    const past = [fileOf(4, judge([old, await honest(2, 0)]))];
    const again = await payload(
      3,
      [0, 1].map((f) => normal(`1/0/${f}`).map((value) => value * 0.5)),
    );
    const [, entry] = judge([await honest(1, 9), again], { past });
    expect(entry).toMatchObject({ outcome: outcomeCode.copy, copyOf: { round: 4, worker: address(1) } });
    expect(outcomes(judge([await honest(1, 9), again], { past, rules: { ...rules, history: 0 } }))).toEqual([0, 0]);
  });

  it("knows a payload again that was left out itself, in this round or in an earlier one", async () => {
    const [harmful, ...others] = judge([await honest(1), await honest(2)]);
    const past = [fileOf(4, [{ ...harmful!, outcome: outcomeCode.lossHarm }, ...others])];
    const [, again, third] = judge(
      [await honest(2, 9), await honest(3, 9), { ...(await honest(1)), worker: address(4) }],
      {
        past,
      },
    );
    expect(again!.outcome).toBe(0);
    expect(third).toMatchObject({ outcome: outcomeCode.copy, copyOf: { round: 4, worker: address(1) } });
    const huge = await honest(5, 0, 1e3);
    const copied = judge([
      await honest(6),
      await honest(7),
      huge,
      { ...huge, worker: address(8), acceptedAt: ++accepted },
    ]);
    expect(outcomes(copied)).toEqual([outcomeCode.normTooLarge, 0, 0, outcomeCode.copy]);
  });

  it("takes nobody for a copy by a fragment of zeros, which all are alike", async () => {
    const zeros = new Float32Array(n);
    expect(outcomes(judge([await payload(1, [zeros, normal("a")]), await payload(2, [zeros, normal("b")])]))).toEqual([
      0, 0,
    ]);
  });

  it("leaves out for one fragment that is too large, but as empty only where all of them are next to nothing", async () => {
    const others = [await honest(1), await honest(2), await honest(3)];
    const outcomeOf = async (second: number): Promise<number | undefined> =>
      outcomes(judge([...others, await payload(4, [normal("4/0"), normal("4/1", second)])])).at(-1);
    expect(await outcomeOf(1e-2)).toBe(0);
    expect(await outcomeOf(1)).toBe(outcomeCode.normTooLarge);
    expect(await outcomeOf(1e-9)).toBe(0);
    expect(outcomes(judge([...others, await honest(4, 0, 1e-9)])).at(-1)).toBe(outcomeCode.empty);
  });

  it("hands on to later rounds the norms of what was aggregated, as they were clipped", () => {
    // Each of four steps: half of its norm per √step.
    expect(mediansOf([clipped(4, 1_000_000)], 1)).toEqual([bitsOfFp32(2)]);
    expect(mediansOf([clipped(4, 500_000)], 1)).toEqual([bitsOfFp32(1)]);
    expect(mediansOf([clipped(4, 500_000), clipped(8, 1_000_000, outcomeCode.normTooLarge)], 1)).toEqual([
      bitsOfFp32(1),
    ]);
  });

  it("has no false hit among payloads that point the same way by 0.978, the most that honest ones did", async () => {
    const shared = normal("shared");
    const payloads = await Promise.all(
      Array.from({ length: 24 }, (_, i) =>
        payload(
          i + 1,
          [0, 1].map((f) => normal(`own/${i}/${f}`, 1e-2 * Math.sqrt(1 / 0.978 - 1)).map((v, k) => v + shared[k]!)),
        ),
      ),
    );
    expect(outcomes(judge(payloads))).toEqual(payloads.map(() => 0));
  });
});

/** A payload of one fragment whose norm is known; its sketch is like nobody else's. */
function ofNorm(worker: number, norm: number, steps = 64): MeasuredPayload {
  const random = createRandom(`${++accepted}`);
  const sketch = Buffer.from(Array.from({ length: 128 }, () => random.below(256))).toString("base64");
  const fragments = [
    { digest: `0x${String(accepted).padStart(64, "0")}`, norm: bitsOfFp32(Math.fround(norm)), sketch },
  ];
  return { worker: address(worker), steps, acceptedAt: accepted, outcome: 0, fragments };
}

/** Round after round; each is judged over the `history` before it. */
function rounds(count: number, payloadsOf: (round: number) => readonly MeasuredPayload[]): ScreeningEntry[][] {
  const past: ScreeningFile[] = [];
  return Array.from({ length: count }, (_, round) => {
    const entries = judge(payloadsOf(round), { round, past, theta: [bitsOfFp32(2)], elements: [n] });
    past.unshift({ ...fileOf(round, entries), medians: mediansOf(entries, 1) });
    past.splice(rules.history);
    return entries;
  });
}
const members = (count: number, from: number): number[] => Array.from({ length: count }, (_, i) => from + i);

describe("norms", () => {
  const HONEST = 100;
  const of = (entries: readonly ScreeningEntry[], honestly: boolean): ScreeningEntry[] =>
    entries.filter(({ worker }) => Number(worker) >= HONEST === honestly);
  const random = createRandom("norms");
  const around = (norm: number): number => norm * Math.exp(0.3 * random.normal());

  it.each([1e-9, 1e-5, 1e-2, 3, 100, 1e3])(
    "of those who were there first shut out no majority that comes later (%s times the honest ones')",
    (size) => {
      for (const few of [1, 2, 3, 5])
        for (const many of [few + 1, few + 2, 2 * few + 1]) {
          const entries = rounds(24, (round) => [
            ...members(few, 1).map((worker) => ofNorm(worker, around(0.2 * size))),
            ...(round < 8 ? [] : members(many, HONEST).map((worker) => ofNorm(worker, around(0.2)))),
          ]).slice(8);
          expect(outcomes(of(entries.flat(), true))).toEqual(Array.from({ length: 16 * many }, () => 0));
        }
    },
  );

  it("of the past decide between equal halves, and for one that is alone", () => {
    // All of this is within the checkpoint's own norms.
    for (const [size, due] of [
      [1e-4, outcomeCode.empty],
      [100, outcomeCode.normTooLarge],
    ] as const) {
      for (const count of [1, 2, 4]) {
        const entries = rounds(16, (round) => [
          ...members(count, HONEST).map((worker) => ofNorm(worker, around(0.2))),
          ...(round < 8 ? [] : members(count, 1).map((worker) => ofNorm(worker, around(0.2 * size)))),
        ]).slice(8);
        expect(new Set(outcomes(of(entries.flat(), true)))).toEqual(new Set([0]));
        expect(new Set(outcomes(of(entries.flat(), false)))).toEqual(new Set([due]));
      }
      const alone = rounds(9, (round) => [ofNorm(HONEST, around(round < 8 ? 0.2 : 0.2 * size))]);
      expect(outcomes(alone.flat())).toEqual([0, 0, 0, 0, 0, 0, 0, 0, due]);
    }
  });

  it("of honest runs leave nobody out: few or many members, unlike steps, a warm-up, norms that fall", () => {
    for (let run = 0; run < 60; run++) {
      const warmUp = 1 + random.below(6);
      // Steps that point the same way make norms grow as they are many; others as their root.
      const grows = 0.5 + 0.5 * random.float();
      const most = 1 + random.below(9);
      const entries = rounds(30, (round) => {
        const size = (0.3 * Math.min(1, (round + 1) / warmUp)) / Math.sqrt(1 + round / 4);
        return members(1 + random.below(most), 1).map((worker) => {
          const steps = 64 / (1 + random.below(4));
          return ofNorm(worker, around(size * (steps / 64) ** grows), steps);
        });
      });
      expect(new Set(outcomes(entries.flat()))).toEqual(new Set([0]));
    }
  });
});

describe("a clipped payload", () => {
  it("weighs fround(w · fround(clipPpm ÷ 10⁶))", async () => {
    const [one, two] = [normal("one"), normal("two")];
    const reduce = async (clipPpm?: number) =>
      reduceFragment({
        state: { params: new Float32Array(n), outer: new Float32Array(n) },
        rules: {
          codec: 0,
          weighting: 0,
          aggregator: 0,
          outerOptimizer: 0,
          outerLrPpm: 1_000_000,
          outerMomentumPpm: 0,
          rampRounds: 0,
        },
        round: 0,
        payloads: [
          { worker: address(1), tokens: 1, steps: 1, source: sourceOf(encodePayload(0, one).bytes) },
          {
            worker: address(2),
            tokens: 2,
            steps: 1,
            source: sourceOf(encodePayload(0, two).bytes),
            ...(clipPpm !== undefined && { clipPpm }),
          },
        ],
      });
    const [w1, w2] = [Math.fround(1 / 3), Math.fround(Math.fround(2 / 3) * Math.fround(0.4))];
    const due = one.map((value, i) => -Math.fround(Math.fround(w1 * value) + Math.fround(w2 * two[i]!)));
    expect((await reduce(400_000)).params).toEqual(due);
    expect((await reduce(1_000_000)).params).toEqual((await reduce()).params);
  });
});
