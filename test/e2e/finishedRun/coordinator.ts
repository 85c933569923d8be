/** What a coordinator of its own serves to others, who verify and claim with two URLs. */
import type { ChildProcess } from "node:child_process";
import { cpSync, mkdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { asRunId, createCoordinatorClient } from "@cotrain/sdk/protocol";
import { getAddress } from "viem";
import { expect, test } from "vitest";

import { openLocalRun, withChain } from "../../../offchain/src/run/index.ts";
import { findPort } from "../../../offchain/src/service/index.ts";
import { cotrain, cotrainHere, refusal, verdictOf } from "../../offchain/cli/support.ts";
import {
  directory,
  environment,
  jsonOf,
  me,
  nothingLeft,
  passphrase,
  summary,
  unclaimed,
  wallet,
  writeLiar,
} from "./harness.ts";

/** Without a deployment of one's own the contracts are a coordinator's word, and that is said. */
async function verifyFrom(coordinator: string, rpc: string, deployment: string): Promise<void> {
  const verify = ["verify", "--coordinator", coordinator, "--rpc", rpc];
  const { addresses } = JSON.parse(readFileSync(deployment, "utf8")) as { addresses: { runRegistry: string } };
  const believed = await cotrainHere(verify);
  expect(believed.stdout).toMatch(/^The contracts are the coordinator's word alone/);
  for (const each of [summary.model.runId, ...Object.values(summary.contracts)])
    expect(believed.stdout).toContain(each);
  const { runId } = summary.model;
  expect(JSON.parse((await cotrainHere([...verify, "--json"])).stdout)).toMatchObject({
    contractsFrom: "coordinator",
    runId,
    contracts: summary.contracts,
  });
  const pinned = await cotrainHere([...verify, "--deployment", deployment]);
  expect(pinned.code).toBe(0);
  expect(pinned.stdout).toMatch(/^ok +checkpoint 0/);
  const liar = writeLiar(dirname(deployment));
  const where = verify.slice(1);
  const params = await cotrainHere(["params", ...where, "--deployment", deployment, "--json"]);
  expect(JSON.parse(params.stdout)).toEqual(await jsonOf("params"));
  for (const command of [verify, ["params", ...where], ["rewards", "claim", ...where]])
    expect(verdictOf(await cotrainHere([...command, "--deployment", liar]))).toEqual(
      refusal(1, `names the runRegistry ${getAddress(addresses.runRegistry)}, but ${liar} has 0x${"9".repeat(40)}`),
    );
}

/** A worker elsewhere has its directory and two URLs; its wallet has never had coins. */
async function claimFrom(coordinator: string, rpc: string, deployment: string): Promise<void> {
  const elsewhere = join(directory, "elsewhere");
  mkdirSync(elsewhere);
  cpSync(wallet, join(elsewhere, "wallet.json"));
  cpSync(passphrase, join(elsewhere, "passphrase"));
  const where = ["--coordinator", coordinator, "--rpc", rpc, "--run", summary.model.runId, "--json"];
  const json = async (...args: readonly string[]): Promise<unknown> => {
    const { code, stdout, stderr } = await cotrainHere([...args, ...where]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    return JSON.parse(stdout);
  };
  const [mine, other] = (await json("rewards", "list", "--state", elsewhere)) as Record<string, string>[];
  expect(mine).toMatchObject({ name: "wallet", account: me, claimed: "0", claimable: mine?.["earned"] });
  expect(other).toMatchObject({ name: "elsewhere", account: summary.wallets[0]?.account });
  expect(verdictOf(await cotrainHere(["rewards", "claim", ...where, "--state", join(directory, "nobody")]))).toEqual(
    refusal(1, "holds no worker's wallet"),
  );
  expect(verdictOf(await cotrainHere(["rewards", "list", "--state", elsewhere]))).toEqual(
    refusal(1, "name its coordinator and chain with --coordinator and --rpc"),
  );
  const claim = ["rewards", "claim", "--state", elsewhere, "--deployment", deployment];
  expect(await json(...claim)).toMatchObject([{ account: me, amount: mine?.["earned"] }]);
  expect(await json("rewards", "list", "--state", elsewhere)).toMatchObject([
    { account: me, claimed: mine?.["earned"], claimable: "0", votes: mine?.["earned"] },
    {},
  ]);
}

export function ownCoordinator(): void {
  test("serves status, verify and rewards to others, and ends by Ctrl-C with 130", async () => {
    const copy = unclaimed;
    const port = String(await findPort({ port: 0, explicit: true }));
    const coordinator = `http://127.0.0.1:${port}`;
    await withChain(await openLocalRun(copy), async ({ url }) => {
      let child: ChildProcess | undefined;
      const keep = ["--keep-payloads", "1d", "--keep-checkpoints", "9", "--keep-bytes", "1GiB"];
      const serving = cotrain(["coordinator", "--state", copy, "--rpc", url, "--port", port, ...keep], {
        environment,
        onStart: (started) => (child = started),
      });
      try {
        await expect
          .poll(
            () =>
              fetch(`${coordinator}/health`).then(
                ({ ok }) => ok,
                () => false,
              ),
            { timeout: 60_000 },
          )
          .toBe(true);
        const { runId } = summary.model;
        const status = ["status", "--coordinator", coordinator, "--json"];
        const asked = await cotrainHere([...status, "--run", runId]);
        expect(JSON.parse(asked.stdout)).toMatchObject({
          running: true,
          runId,
          phase: "Paused",
          round: summary.training.rounds,
        });
        expect((await cotrainHere(status)).stdout).toBe(asked.stdout);
        expect((await createCoordinatorClient(coordinator).run(asRunId(runId))).kept).toEqual({
          payloadSeconds: 86_400,
          checkpoints: 9,
          checkpointBytes: 2 ** 30,
        });
        expect((await cotrainHere([...status, "--run", `0x${"ab".repeat(32)}`])).code).toBe(1);

        const verify = ["verify", "--coordinator", coordinator, "--json"];
        const verified = await cotrainHere([...verify, "--rpc", url, "--run", runId]);
        expect(JSON.parse(verified.stdout)).toMatchObject({ sound: true, ok: summary.checkpoints.length });
        expect(verdictOf(await cotrainHere(verify))).toEqual(refusal(1, "--coordinator needs --rpc"));
        const car = join(directory, "served.car");
        const imported = join(directory, "imported");
        expect((await cotrainHere(["checkpoint", "export", car, "--state", copy])).code).toBe(0);
        expect((await cotrainHere(["checkpoint", "import", car, "--state", imported])).code).toBe(0);
        const both = await cotrainHere([...verify, "--rpc", url, "--state", imported]);
        expect(JSON.parse(both.stdout)).toMatchObject({
          sound: true,
          runId,
          model: { verdictsRead: true, round: summary.training.rounds },
        });
        await verifyFrom(coordinator, url, join(copy, "deployment.json"));
        await claimFrom(coordinator, url, join(copy, "deployment.json"));
      } finally {
        child?.kill("SIGINT");
      }
      expect((await serving).code).toBe(130);
    });
    expect(verdictOf(await cotrainHere(["status", "--coordinator", coordinator]))).toEqual(refusal(75, coordinator));
    await nothingLeft();
  });
}
