/** A run that trains with one worker of its own, as stories of rented machines begin: its chain, its contracts and its coordinator. */
import assert from "node:assert/strict";

import { openLocalRun } from "../../offchain/src/run/index.ts";
import { type Stage, until } from "./harness.ts";

export async function trainingRun(stage: Stage) {
  const up = stage.cotrain([
    "up",
    `--state=${stage.state}`,
    "--preset=0.1m",
    "--workers=1",
    "--for=1800s",
    "--no-vote",
  ]);
  await until("the run", () => {
    assert(up.exit() === undefined, up.stderr());
    return up.stderr().includes("Training · round");
  });
  const run = await openLocalRun(stage.state);
  return { up, run, coordinator: run.file.urls["coordinator"] ?? "" };
}
