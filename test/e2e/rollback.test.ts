/**
 * Holders take a run back while it trains, as real processes over a real chain: heads, a vote, the rollback, the rounds after it, and
 * what is said of the work that was lost. Validators stand still meanwhile, so that no root pays for it before. Then the chain itself
 * goes back behind a rollback.
 */
import assert from "node:assert/strict";
import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { CotrainError } from "@cotrain/sdk/errors";
import { createCoordinatorClient } from "@cotrain/sdk/protocol";
import { afterAll, beforeAll, expect, it } from "vitest";

import { type ChainReader, openReader } from "../../offchain/src/chain/index.ts";
import type { RunState } from "../../offchain/src/coordinator/index.ts";
import { layout, openLocalRun, readerOptions } from "../../offchain/src/run/index.ts";
import { readManifest } from "../../offchain/src/storage/index.ts";
import { openBlobStore } from "../../offchain/src/storage/node/index.ts";
import {
  follow,
  freePort,
  freeze,
  openStage,
  openWatch,
  type Running,
  setBackChain,
  signal,
  type Stage,
  until,
  type Watch,
} from "./harness.ts";

const VALIDATORS = ["validator-1", "validator-2", "validator-3"] as const;

let stage: Stage;
let up: Running;
let port: number;
let chainPort: number;

beforeAll(async () => {
  stage = openStage();
  port = await freePort();
  chainPort = await freePort();
  up = stage.cotrain([
    "up",
    `--state=${stage.state}`,
    "--preset=0.1m",
    "--workers=2",
    "--for=600s",
    "--no-vote",
    "--json",
    `--port=${port}`,
    `--chain-port=${chainPort}`,
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

const client = () => createCoordinatorClient(`http://127.0.0.1:${port}`);
async function control(action: "pause" | "resume"): Promise<void> {
  const { runId } = await openLocalRun(stage.state);
  const token = readFileSync(join(stage.state, "keys", "operator-token"), "utf8").trim();
  await client().control(runId, token, { action });
}

/** Holders have voted, and the rollback may be carried out. @returns the checkpoint to which it goes, and the command that does it */
async function voteToGoBack(watch: Watch) {
  // From here on no root is signed, so that what is anchored now is not paid before it is taken back.
  for (const name of VALIDATORS) await freeze(stage.pidOf(name));
  watch.look();
  const kept = anchoredRound(watch.state());
  await follow(watch, "a head after it", (state) => anchoredRound(state) > kept);
  await control("pause");
  await follow(watch, "the pause", (state) => state.phase === "Paused" && isAnchored(state));
  const lost = watch.state().heads.filter(({ round }) => round > kept);
  const asked = ["checkpoint", "rollback", String(kept), "--vote"];
  const proposed = await documentOf<{ proposal: { proposalId: string } }>(asked);
  const step = ["proposals", "execute", proposed.proposal.proposalId];
  expect(await documentOf(step, true)).toMatchObject({ step: "queue" });
  return { kept, lost, step };
}

/** The run goes on from where the coordinator went back to by itself. @returns that head, and the next one */
async function goOn(watch: Watch, rollbacks: number) {
  await follow(watch, "the rollback", (state) => state.rollbacks === rollbacks);
  const back = watch.state().heads.at(-1)!;
  await control("resume");
  const next = await follow(watch, "the next head", ({ heads }) =>
    heads.find(({ sequence, anchor }) => sequence > back.sequence && anchor !== null),
  );
  return { back, next };
}

it("holders take a run back: it goes on from there, and work that was lost earns nothing and says why", async () => {
  const watch = openWatch(stage.state);
  await follow(watch, "an active root", ({ settledEpoch }) => settledEpoch > 0);
  await documentOf(["rewards", "claim"]);

  const { kept, lost, step } = await voteToGoBack(watch);
  expect(await documentOf(step, true)).toMatchObject({ step: "execute", state: "executed" });

  // The coordinator carries it out by itself.
  await follow(watch, "the rollback", ({ rollbacks }) => rollbacks === 1);
  const target = watch.state().heads.find(({ round }) => round === kept)!;
  expect(watch.state()).toMatchObject({ round: kept, checkpoint: { round: kept, digest: target.checkpoint } });
  const { back, next } = await goOn(watch, 1);
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

/** A copy of the chain as it stood at a block or later, and before what is done next. */
async function chainFrom(block: number): Promise<string> {
  const file = layout(stage.state).chainState;
  const copy = `${file}.kept`;
  let found: unknown;
  await until(
    "a whole dump of the chain",
    () => {
      copyFileSync(file, copy);
      try {
        found = (JSON.parse(readFileSync(copy, "utf8")) as { best_block_number: unknown }).best_block_number;
      } catch {
        return false;
      }
      return Number(found) >= block;
    },
    { every: 200, context: () => `The newest is of block ${String(found)}, not of ${block}.` },
  );
  return copy;
}

/** What is found on the chain, which may be away for a while. */
async function onChain<T>(what: string, look: (reader: ChainReader) => Promise<T | undefined>): Promise<T> {
  const { deployment } = await openLocalRun(stage.state);
  const options = readerOptions(`http://127.0.0.1:${chainPort}`, deployment.chainId, deployment);
  let why = "";
  return until(
    what,
    async () => {
      try {
        return await look(await openReader(options));
      } catch (error) {
        if (!(error instanceof CotrainError) || !error.retryable) throw error;
        why = error.message;
        return undefined;
      }
    },
    { every: 200, context: () => why },
  );
}

it("a chain that lost a rollback has it again, and the heads behind it", async () => {
  const watch = openWatch(stage.state);
  watch.look();
  const { runId, modelId } = await openLocalRun(stage.state);
  const { step } = await voteToGoBack(watch);
  const { block } = await onChain("the newest block", (reader) => reader.tip());
  const before = await chainFrom(block);
  expect(await documentOf(step, true)).toMatchObject({ step: "execute", state: "executed" });
  const { back, next } = await goOn(watch, 2);

  await setBackChain(stage, before);
  // The chain's door sends again what the node lost of it: the holders' execution, which no poster could make good.
  const again = await onChain("the heads behind it", async (reader) =>
    (await reader.headsSince(runId, 0)).find(({ head }) => head === next.head),
  );
  expect(again.anchoredAt).toBeGreaterThan(next.anchor!.anchoredAt);
  // Of what came again in the same epoch nothing has changed for the run; in another it is moved there.
  const epoch = await onChain("the epoch of its new anchor", (reader) => reader.epochOf(modelId, again.anchoredAt));
  const anchor = await follow(watch, "the head's anchor in that epoch", ({ heads }) => {
    const found = heads.find(({ head }) => head === next.head)?.anchor;
    return found?.epoch === epoch ? found : undefined;
  });
  // It is the same rollback, which was carried out here already: no round is lost a second time.
  expect(watch.state()).toMatchObject({ rollbacks: 2 });
  expect(watch.state().heads.find(({ sequence }) => sequence === back.sequence)).toMatchObject({ head: back.head });
  const { round } = watch.state();
  await follow(watch, "training that goes on", (state) => state.round > round);
  for (const name of VALIDATORS) signal(stage.pidOf(name), "SIGCONT");
  await follow(watch, "a root that pays for it", ({ settledEpoch }) => settledEpoch >= anchor.epoch);
  expect(await documentOf(["verify"])).toMatchObject({ sound: true, mismatch: 0, missing: 0 });
  watch.close();
});
