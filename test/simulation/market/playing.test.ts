/** What is played of clusters that change: tokens of whole rounds, and the time that each machine is there. */
import { describe, expect, test } from "vitest";

import { presetOf } from "../../../offchain/src/engine/index.ts";
import { clusterOf, loadSeconds, type Machine } from "../../../offchain/src/market/planner/model.ts";
import { trainingRunOf } from "../../../offchain/src/market/planner/plan.ts";
import { machine } from "../../offchain/market/machine.ts";
import { Play } from "./playing.ts";

const run = trainingRunOf(presetOf("150m").model, 65_536, 100);
const hub = { inRate: 1.25e9, outRate: 1.25e9, reduceSeconds: 5, cost: 50 };
const HORIZON = 200_000;
const DAY = 86_400;
const named = (id: string, change: Partial<Machine> = {}): Machine => ({ ...machine, id, ...change });
const [a, b] = [named("a"), named("b")];
const boot = loadSeconds(machine, run);
const playing = (...machines: readonly Machine[]): Play => {
  const play = new Play({ run, hub }, "seed", HORIZON);
  play.rent(machines, 0);
  return play;
};
/** µUSD of so many seconds of a machine that is ended after them. */
const paid = (seconds: number): number => machine.price * (Math.ceil(seconds - boot) + machine.kill);
const disk = (seconds: number): number => machine.storage * (seconds + machine.kill);

describe("what is played", () => {
  test("is whole rounds after the boot, and the time that is billed", () => {
    const play = playing(a);
    const cluster = clusterOf([a], run, hub, HORIZON);
    const rounds = Math.floor((DAY - boot) / (cluster?.roundSeconds ?? 0));
    expect(rounds).toBeGreaterThan(100);
    expect(play.tokensBy(DAY)).toBeCloseTo(
      rounds * (cluster?.members[0]?.steps ?? 0) * run.batchTokens * (cluster?.effectiveness ?? 0),
      3,
    );
    expect(play.tokensBy(boot)).toBe(0);
    expect(Math.abs(play.costBy(DAY) - (hub.cost * DAY + paid(DAY) + disk(DAY)))).toBeLessThan(2 * machine.price);
  });

  test("pays a machine that is let go until then, and the other from then on, with its boot", () => {
    const changed = playing(a);
    changed.rent([b], DAY / 2, 60);
    expect(changed.stays.map((stay) => stay.machine.id)).toEqual(["b"]);
    const both = paid(DAY / 2) + disk(DAY / 2) + paid(DAY / 2 - 60) + disk(DAY / 2 - 60);
    expect(Math.abs(changed.costBy(DAY) - hub.cost * DAY - both)).toBeLessThan(4 * machine.price);
    // While the other boots nothing is trained.
    expect(changed.tokensBy(DAY / 2 + 60 + boot)).toBe(changed.tokensBy(DAY / 2));
    expect(changed.tokensBy(DAY)).toBeLessThan(playing(a).tokensBy(DAY));
  });

  test("goes on with who stays, without a boot", () => {
    const grown = playing(a);
    grown.rent([a, b], DAY / 2);
    expect(grown.tokensBy(DAY)).toBeGreaterThan(1.2 * playing(a).tokensBy(DAY));
    const same = playing(a);
    same.rent([a], DAY / 2);
    // At most the round in which the change falls is lost.
    expect(same.tokensBy(DAY) / playing(a).tokensBy(DAY)).toBeGreaterThan(0.99);
    expect(same.costBy(DAY)).toBe(playing(a).costBy(DAY));
  });

  test("is paid for also where a machine cannot take part", () => {
    const idle = named("c", { speed: 1 });
    expect(playing(a, idle).tokensBy(DAY)).toBeCloseTo(playing(a).tokensBy(DAY), 3);
    expect(playing(a, idle).costBy(DAY)).toBeGreaterThan(1.8 * playing(a).costBy(DAY));
  });

  test("is done when its tokens are there, and never where nothing is trained", () => {
    const play = playing(a);
    const when = play.reaches(play.tokensBy(DAY));
    expect(when).toBeLessThanOrEqual(DAY + 30);
    expect(play.tokensBy(when)).toBeGreaterThanOrEqual(play.tokensBy(DAY));
    expect(play.reaches(10 * play.tokensBy(HORIZON))).toBeCloseTo(10 * HORIZON, 3);
    expect(playing(named("c", { provisioning: 2 * HORIZON })).reaches(1)).toBe(Infinity);
  });
});
