/** A whole run that keeps its blobs in a real Kubo, which dies meanwhile and comes back. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

import { readRunFile } from "../../offchain/src/service/index.ts";
import type { Summary } from "../../offchain/src/cli/up/summary.ts";
import { findTool } from "../goTool.ts";
import { KUBO, type KuboDaemon, startKubo } from "../kubo.ts";
import { canRun } from "../needs.ts";
import { endsWell, follow, freePort, openStage, openWatch, type Stage, until } from "./harness.ts";

const command = findTool(KUBO);
const possible = canRun("a run with its blobs in Kubo", "kubo");

let stage: Stage;
let node: KuboDaemon;

beforeAll(async () => {
  if (command === undefined) return;
  stage = openStage();
  node = await startKubo(command);
});
afterAll(async () => {
  await stage?.close();
  await node?.remove();
});

const files = (directory: string): string[] =>
  existsSync(directory) ? readdirSync(directory, { recursive: true, encoding: "utf8" }) : [];

describe.runIf(possible)("a run with its blobs in Kubo", () => {
  it("waits while the node is away, goes on when it is back, and verifies", async () => {
    const up = async (...flags: readonly string[]) =>
      stage.cotrain([
        "up",
        `--state=${stage.state}`,
        "--preset=0.1m",
        "--workers=1",
        `--port=${await freePort()}`,
        ...flags,
      ]);
    // The environment is that of all processes, but the blobs are the run's. It ends when it is told to, however slow all is.
    vi.stubEnv("COTRAIN_BLOBS", `ipfs+http://${node.host}`);
    const first = await up("--for=20m");
    vi.unstubAllEnvs();
    await until("the coordinator", async () => (await readRunFile(stage.state))?.urls["coordinator"]);
    const watch = openWatch(stage.state);
    await follow(watch, "the first rounds", ({ round }) => round >= 2);
    await node.kill();
    const stuck = await follow(watch, "an effect that waits for the node", (_, fresh) =>
      fresh.find(({ event }) => event.type === "EffectFailed" && event.code === "BLOB_STORE_AWAY"),
    );
    // Nothing that was not kept is called done: the round stays open for as long as the node is away.
    const again = await follow(watch, "its next try", (_, fresh) =>
      fresh.find(({ seq, event }) => seq > stuck.seq && event.type === "EffectFailed"),
    );
    expect(again.after.round).toBe(stuck.after.round);
    await node.start();
    await follow(watch, "the round that waited", ({ round }) => round > stuck.after.round);
    watch.close();
    first.kill("SIGINT");
    expect(await first.exited).toEqual({ code: 130, signal: null });

    const second = await up("--for=2s", "--exit", "--json");
    await endsWell(second);
    const summary = JSON.parse(second.stdout()) as Summary;
    expect(summary.training.rounds).toBeGreaterThanOrEqual(3);
    expect(files(join(stage.state, "blobs"))).toEqual([]);
    expect(node.ipfs(["files", "ls", "/cotrain"]).toString().trim()).toMatch(/^[0-9a-f]{16}$/);

    const car = join(stage.directory, "model.car");
    for (const args of [
      ["verify", `--state=${stage.state}`],
      ["checkpoint", "export", car, `--state=${stage.state}`],
      [
        "checkpoint",
        "import",
        car,
        `--state=${join(stage.directory, "imported")}`,
        `--blobs=ipfs+http://${node.host}/mine`,
      ],
    ])
      await endsWell(stage.cotrain(args));
    expect(files(join(stage.directory, "imported")).sort()).toContain("blobs.json");
  });

  it("keeps them where it began to, and they go with the state", async () => {
    const elsewhere = stage.cotrain(["checkpoint", "export", "x.car", `--state=${stage.state}`, "--blobs=other"]);
    expect((await elsewhere.exited).code).toBe(1);
    expect(elsewhere.stderr()).toContain("keeps its blobs in ipfs+http://");
  });
});
