/** Two workers of a round have the same sequences by chance alone, in whatever passes their positions lie. */
import { describe, expect, it } from "vitest";

import { createRandom } from "../../../offchain/src/base/index.ts";
import { createLedger, issueAssignment } from "../../../offchain/src/data/index.ts";
import { sharer } from "../../../offchain/src/run/index.ts";
import { receiptsOf, rounds, seed, worker } from "../../interop/reading.ts";

describe("workers of one round", () => {
  it.each(rounds)("share data: $name", ({ n, works, sharer: due }) => {
    expect(sharer(receiptsOf(works), seed, n) ?? null).toBe(due);
  });

  it("are never taken for sharers where the ledger drew their data, over many passes of few", () => {
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
        expect(sharer(receiptsOf(works), seed, n)).toBeUndefined();
        ledger = { ...ledger, open: [] };
      }
      expect(ledger.nextPosition).toBeGreaterThan(2 * n);
    }
  });
});
