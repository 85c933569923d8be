import { describe, expect, it } from "vitest";

import { counted, simulate } from "./postingSimulation.ts";

/** Seeds that once found something. */
const FAILED: number[] = [];
/** COTRAIN_SEEDS=5000 for a long search. */
const SEEDS = Number(process.env["COTRAIN_SEEDS"] ?? 300);
const ACTIONS = 2_000;

describe("the machine that posts to the chain", () => {
  it.each(FAILED)("keeps what seed %i once broke", (seed) => {
    expect(simulate(seed, ACTIONS, counted())).toBeGreaterThan(0);
  });

  it(
    `lands each posting once and in order, and forgets none, whatever ${SEEDS} seeds bring`,
    () => {
      const total = counted();
      for (let seed = 1; seed <= SEEDS; seed++) simulate(seed, ACTIONS, total);
      // A simulation in which nothing happens proves nothing.
      const idle = Object.entries(total).filter(([, count]) => count <= SEEDS / 4);
      expect(idle).toEqual([]);
    },
    SEEDS * 1_000,
  );
});
