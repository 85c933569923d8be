/**
 * Holders take a run back while it trains, as real processes over a real chain: heads, a vote, the rollback, the rounds after it, and
 * what is said of the work that was lost. Validators stand still meanwhile, so that no root pays for it before.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { createCoordinatorClient } from "@cotrain/sdk/protocol";
import { afterAll, beforeAll, expect, it } from "vitest";

import type { RunState } from "../../offchain/src/coordinator/index.ts";
import { layout, openLocalRun } from "../../offchain/src/run/index.ts";
import { readManifest } from "../../offchain/src/storage/index.ts";
import { openBlobStore } from "../../offchain/src/storage/node/index.ts";
import { follow, freePort, freeze, openStage, openWatch, type Running, signal, type Stage, until } from "./harness.ts";

const VALIDATORS = ["validator-1", "validator-2", "validator-3"] as const;

let stage: Stage;
let up: Running;
let port: number;

beforeAll(async () => {
  stage = openStage();
  port = await freePort();
  up = stage.cotrain([
    "up",
    `--state=${stage.state}`,
    "--preset=0.1m",
    "--workers=2",
    "--for=600s",
    "--no-vote",
    "--json",
    `--port=${port}`,
    `--chain-port=${await freePort()}`,
    "--keep-checkpoints=1000",
  ]);
  await until(
    "training",
    () => {
      const exit = up.exit();
      if (exit) assert.fail(`cotrain up ended with ${exit.code ?? exit.signal}: ${up.stderr()}`);
      return up.stderr().includes("Training · round");
    },
    { context: up.stderr },
  );
});
afterAll(() => stage?.close());

/** What a command tells; with `again` it may say that it is too early, and is asked again. */
async function documentOf<T>(args: readonly string[], again = false): Promise<T> {
  for (;;) {
    const running = stage.cotrain([...args, `--state=${stage.state}`, "--json"]);
    const { code } = await running.exited;
    if (code === 75 && again) continue;
    assert(code === 0, running.stderr());
    return JSON.parse(running.stdout()) as T;
  }
}

const isAnchored = ({ heads }: RunState): boolean => heads.every(({ anchor }) => anchor !== null);
const anchoredRound = ({ heads }: RunState): number => heads.findLast(({ anchor }) => anchor !== null)!.round;

it("holders take a run back: it goes on from there, and work that was lost earns nothing and says why", async () => {
  const watch = openWatch(stage.state);
  await follow(watch, "an active root", ({ settledEpoch }) => settledEpoch > 0);
  await documentOf(["rewards", "claim"]);

  // From here on no root is signed, so that what is anchored now is not paid before it is taken back.
  for (const name of VALIDATORS) await freeze(stage.pidOf(name));
  watch.look();
  const kept = anchoredRound(watch.state());
  await follow(watch, "a head after it", (state) => anchoredRound(state) > kept);
  const { runId } = await openLocalRun(stage.state);
  const token = readFileSync(join(stage.state, "keys", "operator-token"), "utf8").trim();
  const client = createCoordinatorClient(`http://127.0.0.1:${port}`);
  await client.control(runId, token, { action: "pause" });
  await follow(watch, "the pause", (state) => state.phase === "Paused" && isAnchored(state));
  const lost = watch.state().heads.filter(({ round }) => round > kept);

  const proposed = await documentOf<{ proposal: { proposalId: string } }>([
    "checkpoint",
    "rollback",
    String(kept),
    "--vote",
  ]);
  const step = ["proposals", "execute", proposed.proposal.proposalId];
  expect(await documentOf(step, true)).toMatchObject({ step: "queue" });
  expect(await documentOf(step, true)).toMatchObject({ step: "execute", state: "executed" });

  // The coordinator carries it out by itself.
  await follow(watch, "the rollback", ({ rollbacks }) => rollbacks === 1);
  const target = watch.state().heads.find(({ round }) => round === kept)!;
  expect(watch.state()).toMatchObject({ round: kept, checkpoint: { round: kept, digest: target.checkpoint } });
  const back = watch.state().heads.at(-1)!;
  await client.control(runId, token, { action: "resume" });
  const next = await follow(watch, "the next head", ({ heads }) =>
    heads.find(({ sequence, anchor }) => sequence > back.sequence && anchor !== null),
  );
  expect(next).toMatchObject({ round: kept + 1, parentHead: back.head });
  const blobs = await openBlobStore(layout(stage.state).blobs);
  expect((await readManifest(blobs, next.checkpoint)).parent).toBe(target.checkpoint);

  // What was lost earns nothing by the next root, and what took its place does.
  for (const name of VALIDATORS) signal(stage.pidOf(name), "SIGCONT");
  await follow(watch, "the root that covers both", ({ settledEpoch }) => settledEpoch >= next.anchor!.epoch);
  const rows = await documentOf<{ unpaid: { round: number; reason: string }[] }[]>(["rewards", "list"]);
  const rolledBack = rows
    .flatMap(({ unpaid }) => unpaid)
    .filter(({ reason }) => reason === "rolledBack")
    .map(({ round }) => round);
  expect(new Set(rolledBack)).toEqual(new Set(lost.map(({ round }) => round)));
  const lines = stage.cotrain(["rewards", "list", `--state=${stage.state}`]);
  expect((await lines.exited).code).toBe(0);
  expect(lines.stdout().replaceAll(/\s+/g, " ")).toContain("the run went back behind the round before it was paid");

  const verified = await documentOf(["verify"]);
  expect(verified).toMatchObject({ sound: true, rolledBack: lost.length, mismatch: 0, missing: 0 });
  watch.close();
});
