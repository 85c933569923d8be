/** A machine of tests of the planner: one that never dies, is always to be had, and boots as fast as it says. */
import type { Machine } from "../../../offchain/src/market/planner/model.ts";

export const machine: Machine = {
  id: "a",
  gpus: 1,
  workers: 1,
  speed: 50_000,
  up: 1.25e8,
  down: 1.25e8,
  price: 556,
  storage: 6,
  upPrice: 0,
  downPrice: 0,
  granularity: 1,
  minTerm: 0,
  bootBilled: false,
  provisioning: 120,
  deathRate: 0,
  kill: 10,
  replace: 60,
  ends: Infinity,
  missing: 0,
  retry: 600,
  bootSpread: 0,
  priceSpread: 0,
  island: "one",
};
