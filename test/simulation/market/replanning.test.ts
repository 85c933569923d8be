/** When a policy that plans again looks: as soon as something was measured, and to the end, each time longer after what changed nothing. */
import { expect, test, vi } from "vitest";

import { presetOf } from "../../../offchain/src/engine/index.ts";
import { trainingRunOf } from "../../../offchain/src/market/planner/plan.ts";
import { machine } from "../../offchain/market/machine.ts";
import { offerOf } from "../../offchain/market/offers.ts";
import { Play } from "./playing.ts";
import { playAgain } from "./replanning.ts";

const run = trainingRunOf(presetOf("150m").model, 65_536, 100);
const hub = { inRate: 1.25e9, outRate: 1.25e9, reduceSeconds: 5, cost: 50 };
const DAY = 86_400;

test("a run is looked at to its end, ever more seldom while nothing changes", () => {
  const play = new Play({ run, hub }, "seed", 4 * DAY);
  play.rent([machine], 0);
  const goal = { kind: "least cost", tokens: play.tokensBy(2 * DAY), deadline: 2.2 * DAY } as const;
  const market = [{ machine, offer: offerOf({ id: machine.id }) }];
  const left = vi.spyOn(play, "tokensBy");
  const task = { run, hub, goal, mostGpus: 8 };
  playAgain(play, { believed: market, real: market, task, goal, seed: "seed" }, false);
  const looked = left.mock.calls.map(([at]) => at);
  expect(play.stays.map((stay) => stay.machine)).toEqual([machine]);
  expect(looked[0]).toBeLessThan(DAY / 12);
  expect(looked.at(-1)).toBeGreaterThan(DAY / 2);
  const gaps = looked.slice(1).map((at, index) => at - looked[index]!);
  expect(gaps.length).toBeGreaterThan(4);
  for (const [index, gap] of gaps.slice(1).entries()) expect(gap / gaps[index]!).toBeCloseTo(1.5);
});
