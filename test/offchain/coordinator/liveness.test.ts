import { describe, expect, it } from "vitest";

import { createRandom } from "../../../offchain/src/base/index.ts";
import { GRACE_MS } from "../../../offchain/src/coordinator/machine/dealing.ts";
import { MAX_STRETCH } from "../../../offchain/src/coordinator/machine/pace.ts";
import { type Actor, HOSTILE, play } from "./liveness.ts";

const SEEDS = Number(process.env["COTRAIN_SEEDS"] ?? 60);
const R = 20;
const LIMIT = MAX_STRETCH * R * 1_000 + GRACE_MS;

// point 3
describe("a round beside members that do everything but deliver", () => {
  it(
    `closes, and who is ready has work within two deadlines, whatever ${SEEDS} seeds bring`,
    () => {
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
        const context = `seed ${seed}: ${JSON.stringify({ minWorkers, honest, hostile: hostile.map(({ kind }) => kind), round: state.round, longestWait, longestRound, paid })}`;
        expect(longestWait, context).toBeLessThanOrEqual(2);
        expect(longestRound, context).toBeLessThanOrEqual(2 * LIMIT);
        expect(state.round, context).toBeGreaterThanOrEqual(8);
        for (const [index] of honest.entries()) expect(paid[index]!.rounds, context).toBeGreaterThan(state.round / 3);
      }
    },
    SEEDS * 2_000,
  );
});
