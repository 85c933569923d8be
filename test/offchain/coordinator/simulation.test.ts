import { describe, expect, it } from "vitest";

import { simulate } from "./simulation.ts";

/** Seeds that once found something. */
const FAILED: number[] = [1018, 2813, 730_067, 730_404, 730_510, 730_807];
/** COTRAIN_SEEDS=5000 for a long search. */
const SEEDS = Number(process.env["COTRAIN_SEEDS"] ?? 200);
const ACTIONS = 300;

describe("the state machine of a run", () => {
  it.each(FAILED)("keeps what seed %i once broke", (seed) => {
    expect(simulate(seed, ACTIONS).state.phase).toBe("Finished");
  });

  it("keeps them where the run is taken back again and again", { timeout: SEEDS * 1_000 }, () => {
    const total = { rollbacks: 0, lost: 0, followed: 0 };
    for (let seed = 1; seed <= SEEDS / 4; seed++) {
      const { log, state } = simulate(`back/${seed}`, ACTIONS, true);
      const backs = log.flatMap((event) => (event.type === "RolledBack" ? [event] : []));
      total.rollbacks += state.rollbacks ?? 0;
      total.lost += backs.filter(({ undoing }) => undoing !== null).length;
      total.followed += backs.filter(({ undoing }) => undoing === null).length;
    }
    expect(Object.entries(total).filter(([, count]) => count <= SEEDS / 16)).toEqual([]);
  });

  it(
    `keeps its invariants, replays and goes on, whatever ${SEEDS} seeds bring`,
    () => {
      const total = { events: 0, restarts: 0, refused: 0, reverts: 0, rounds: 0, settled: 0, disputes: 0 };
      for (let seed = 1; seed <= SEEDS; seed++) {
        const { log, restarts, refused, reverts, disputes, state } = simulate(seed, ACTIONS);
        total.events += log.length;
        total.restarts += restarts;
        total.refused += refused;
        total.reverts += reverts;
        total.rounds += state.round;
        total.settled += state.settledEpoch;
        total.disputes += disputes;
      }
      // A simulation in which nothing happens proves nothing.
      const idle = Object.entries(total).filter(([, count]) => count <= SEEDS / 4);
      expect(idle).toEqual([]);
    },
    SEEDS * 1_000,
  );
});
