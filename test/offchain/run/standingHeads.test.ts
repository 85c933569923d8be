/** Which heads of a run stand, and rollbacks that lead to no checkpoint of it. */
import { expect, it } from "vitest";

import { listedLines } from "../../../offchain/src/cli/commands/checkpointList.ts";
import { rollbacksToNowhere, rolledBackHeads, standingHeads } from "../../../offchain/src/run/index.ts";

it("a rollback to a checkpoint that the run does not have leads nowhere, until another takes it back", () => {
  const heads = [
    [0, "a"],
    [1, "b"],
    [2, "c"],
    [1, "none"],
    [2, "on it"],
    [1, "b"],
    [2, "d"],
  ].map(([round, checkpointDigest]) => ({ round: Number(round), checkpointDigest: String(checkpointDigest) }));
  const names = (of: Iterable<(typeof heads)[number]>) => [...of].map(({ checkpointDigest }) => checkpointDigest);
  expect(names(rollbacksToNowhere(heads))).toEqual(["none"]);
  expect(names(rollbacksToNowhere(heads.slice(0, 3)))).toEqual([]);
  expect(names(standingHeads(heads))).toEqual(["a", "b", "d"]);
  expect(names(rolledBackHeads(heads))).toEqual(["c", "on it", "none"]);
});

it("a list of checkpoints says so", () => {
  const head = { digest: "0xd1", transaction: "0x7a", block: 5 };
  const nowhere = { ...head, round: 1, rollback: true, nowhere: true } as const;
  const [, first, second] = listedLines([nowhere, { ...nowhere, rolledBack: true }], Infinity);
  expect(first).toMatch(/^ *back to 1 \(not the run's: led nowhere\) /);
  expect(second).toMatch(/^ *back to 1 \(not the run's: led nowhere, rolled back\) /);
});
