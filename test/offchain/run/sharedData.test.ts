/** Two workers of a round have the same sequences by chance alone, in whatever passes their positions lie. */
import { describe, expect, it } from "vitest";

import { createRandom } from "../../../offchain/src/base/index.ts";
import { createLedger, isCountable, issueAssignment } from "../../../offchain/src/data/index.ts";
import { canBeWeighed } from "../../../offchain/src/diloco/index.ts";
import { sharer } from "../../../offchain/src/run/index.ts";
import { addRound } from "../../../offchain/src/run/positions.ts";
import { ranges, receiptsOf, rounds, seed, tokens, worker } from "../../interop/reading.ts";

it.each(ranges)("a range from position %i of %i positions can be counted: %s", (start, count, countable) => {
  expect(isCountable({ start, count })).toBe(countable);
});

it.each(tokens)("%i tokens of a round can be weighed: %s", (count, weighable) => {
  expect(canBeWeighed(count)).toBe(weighable);
});

describe("workers of one round", () => {
  it.each(rounds)("share data: $name", async ({ n, works, sharer: due }) => {
    expect((await sharer(receiptsOf(works), seed, n)) ?? null).toBe(due);
  });

  it("are not looked at where nothing can be told of what they have", async () => {
    const halves = [
      { worker: worker(1), ranges: [{ start: 0, count: 2 ** 52 }] },
      { worker: worker(2), ranges: [{ start: 2 ** 52, count: 2 ** 52 - 1 }] },
    ];
    expect(await sharer(receiptsOf(halves), seed, 1_000)).toBeUndefined();
  });

  it("are not compared where that would take minutes, however much they share", async () => {
    const count = 2 ** 23 + 1;
    const works = [0, 2 ** 30].map((start, i) => ({ worker: worker(i), ranges: [{ start, count }] }));
    let turned = false;
    setImmediate(() => (turned = true));
    expect(await sharer(receiptsOf(works), seed, 2 ** 30)).toBeUndefined();
    expect(turned).toBe(false);
  });

  it("are looked at in turns with what else there is to do", async () => {
    const size = 2 ** 14;
    const works = [0, 1].map((i) => ({ worker: worker(i), ranges: [{ start: i * 8 * size, count: size }] }));
    let turns = 0;
    setImmediate(() => (turns += 1));
    expect(await sharer(receiptsOf(works), seed, 8 * size)).toBeUndefined();
    expect(turns).toBe(1);
  });

  it("are never taken for sharers where the ledger drew their data, over many passes of few", async () => {
    for (const [n, size] of [
      [500, 64],
      [1_000, 100],
      [20_000, 1_152],
    ] as const) {
      let ledger = createLedger();
      for (let round = 0; round < 30; round++) {
        const works = [0, 1, 2, 3].map((index) => {
          const random = createRandom("secret").split(`${n} ${round} ${index}`);
          const issued = issueAssignment(ledger, { worker: worker(index), steps: 1, batch: size }, random);
          ({ ledger } = issued);
          return { worker: worker(index), ranges: issued.assignment.ranges };
        });
        expect(await sharer(receiptsOf(works), seed, n)).toBeUndefined();
        ledger = { ...ledger, open: [] };
      }
      expect(ledger.nextPosition).toBeGreaterThan(2 * n);
    }
  });
});

/** Positions of which no two are neighbours. */
const pieces = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => ({ start: 2 * (from + i), count: 1, worker: worker(1) }));

// foundation 2
it("the data of a run lie in so many pieces and no more", () => {
  const most = addRound([], pieces(0, 65_536));
  expect([most.sum.length, most.problem]).toEqual([65_536, ""]);
  const more = addRound(most.sum, pieces(65_536, 1));
  expect([more.sum.length, more.problem]).toEqual([65_536, "the run's data lie in 65537 pieces, 65536 at most may be"]);
  // One that closes a gap makes none.
  expect(addRound(most.sum, [{ start: 1, count: 1, worker: worker(2) }])).toMatchObject({ problem: "" });
});
