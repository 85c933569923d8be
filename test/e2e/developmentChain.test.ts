/** A development chain that somebody else runs, named by --rpc: it funds the wallets, and all happens as on the embedded one. */
import { join } from "node:path";

import { Value } from "typebox/value";
import { afterAll, beforeAll, expect, it } from "vitest";

import { anvilCommand } from "../../offchain/src/chain/index.ts";
import { Summary } from "../../offchain/src/cli/up/summary.ts";
import { freePort, openStage, type Stage } from "./harness.ts";

let stage: Stage;
let url: string;

beforeAll(async () => {
  stage = openStage();
  const node = anvilCommand({ stateFile: join(stage.directory, "chain.json"), port: await freePort() });
  url = node.url;
  stage.run(node.command, [...node.args]);
  await node.ready.check(AbortSignal.timeout(60_000));
}, 90_000);
afterAll(() => stage?.close(), 30_000);

it("is trained on, anchored, paid and governed to the end", { timeout: 240_000 }, async () => {
  const running = stage.cotrain([
    "up",
    `--state=${stage.state}`,
    "--preset=0.1m",
    "--workers=1",
    `--rpc=${url}`,
    `--port=${await freePort()}`,
    "--for=1s",
    "--exit",
    "--json",
  ]);
  expect({ ...(await running.exited), stderr: running.stderr() }).toMatchObject({ code: 0, signal: null });
  const summary: unknown = JSON.parse(running.stdout());
  expect(Value.Errors(Summary, summary)).toEqual([]);
  const { checkpoints, wallets, proposal, pending } = summary as Summary;
  expect(checkpoints.every(({ transaction }) => transaction !== null)).toBe(true);
  for (const { earned, claimed } of wallets) {
    expect(BigInt(earned)).toBeGreaterThan(0n);
    expect(claimed).toBe(earned);
  }
  expect(proposal?.state).toBe("executed");
  expect(pending).toEqual([]);
});
