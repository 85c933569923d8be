/** `npm start -- --market demo`: workers are rented from a fake provider, train, and are ended; the summary says what they cost. */
import { join } from "node:path";

import { Value } from "typebox/value";
import { afterEach, beforeEach, expect, it } from "vitest";

import { Summary } from "../../offchain/src/cli/up/summary.ts";
import { endsWell, openStage, type Stage } from "./harness.ts";

let stage: Stage;
beforeEach(() => {
  stage = openStage();
});
afterEach(() => stage.close());

it("rents its workers, shows what they cost by ledger and meter, and leaves none", async () => {
  const up = stage.cotrain(
    [
      "up",
      `--state=${stage.state}`,
      "--market=demo",
      "--preset=0.1m",
      "--workers=2",
      "--for=30s",
      "--no-vote",
      "--exit",
      "--json",
    ],
    ["env", "-u", "npm_execpath", "-u", "npm_lifecycle_event"],
  );
  await endsWell(up);
  const summary: unknown = JSON.parse(up.stdout());
  if (!Value.Check(Summary, summary)) throw new TypeError(up.stdout());
  const { rented, training, wallets } = summary;
  expect(rented?.machines).toHaveLength(2);
  expect(rented?.left).toEqual({ ledger: 0, provider: 0 });
  for (const { state, cost, billed } of rented?.machines ?? []) {
    expect(state).toBe("gone");
    expect(billed).toBe(cost);
  }
  expect(Number(rented?.cost)).toBeGreaterThan(0);
  expect(rented?.meter).toBe((Number(rented?.cost) / 1e6).toFixed(6));
  expect(training.rounds).toBeGreaterThan(0);
  // Rented workers have keys of their own; what they earn is the first worker's.
  expect(wallets.filter(({ tokens }) => tokens !== "0").map(({ name }) => name)).toEqual(["worker-1"]);
  expect(up.stderr()).toContain("Rented from the fake provider");
  await stage.empty(30);
});

it("is refused on a chain that is not its own, before anything is written", async () => {
  const up = stage.cotrain([
    "up",
    `--state=${join(stage.directory, "other")}`,
    "--market=demo",
    "--rpc=http://127.0.0.1:1",
  ]);
  expect(await up.exited).toMatchObject({ code: 1 });
  expect(up.stderr()).toContain("for the chain that npm start embeds");
});
