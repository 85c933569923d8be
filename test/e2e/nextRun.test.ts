/** The model's next run, by real processes: holders end the one and register the other, and a plain start goes on with it. */
import { asDigest, type Digest } from "@cotrain/sdk/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";

import type { Summary } from "../../offchain/src/cli/up/summary.ts";
import { openLocalRun } from "../../offchain/src/run/index.ts";
import { readManifest } from "../../offchain/src/storage/index.ts";
import { cotrain, cotrainHere } from "../offchain/cli/support.ts";
import {
  copyOf,
  environment,
  makeRun,
  me,
  newest,
  nothingLeft,
  passphrase,
  removeRun,
  summary,
  wallet,
} from "./finishedRun/harness.ts";
import { until } from "./harness.ts";

/** How far two measurements of one checkpoint's loss on held-out text may be apart, of it: samples may differ. */
const SAME = 0.02;

/** By the first worker, under all active roots. */
const earnedIn = ({ wallets }: Summary): bigint => BigInt(wallets[0]?.earned ?? 0);

beforeAll(makeRun);
afterAll(removeRun);

test("goes on from the bits that the last one ended with; that one's pay is claimed, and both verify", async () => {
  const copy = copyOf();
  const json = async <T>(...line: readonly string[]): Promise<T> => {
    const { code, stdout, stderr } = await cotrainHere([...line, "--state", copy, "--json"]);
    expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
    return JSON.parse(stdout) as T;
  };
  /** Proposed, voted for, queued and executed. */
  const decided = async <T>(...line: readonly string[]): Promise<T> => {
    const made = await json<T & { proposal: { proposalId: string } }>(...line, "--vote");
    for (const step of ["queue", "execute"])
      await until(step, async () => {
        const execute = ["proposals", "execute", made.proposal.proposalId, "--state", copy, "--json"];
        const { code, stdout } = await cotrainHere(execute);
        if (code === 75) return false;
        expect(JSON.parse(stdout)).toMatchObject({ step });
        return true;
      });
    return made;
  };
  const trained = async (): Promise<Summary> => {
    const { code, stdout, stderr } = await cotrain(["up", "--state", copy, "--for", "5s", "--exit", "--json"], {
      environment,
    });
    if (code !== 0) throw new Error(`up ended with ${code}: ${stderr.slice(-2_000)}`);
    return JSON.parse(stdout) as Summary;
  };
  const shardsOf = async (checkpoint: Digest) =>
    (await readManifest((await openLocalRun(copy)).blobs, checkpoint)).fragments;

  // What its workers claimed in a short session may not be enough for holders to decide that.
  await until("the end of bootstrap", async () => {
    if ((await cotrainHere(["bootstrap", "--end", "--state", copy])).code === 0) return true;
    await trained();
    return false;
  });
  await decided("run", "propose", "end");
  // A start trains nothing then, and settles what the session before it may have left.
  expect((await trained()).training.rounds).toBe(summary.training.rounds);
  const { runId, initialCheckpoint } = await decided<{ runId: string; initialCheckpoint: string }>("run", "next");
  const second = await trained();
  expect(second.model).toMatchObject({ runId, modelId: summary.model.modelId });
  expect(second.training.rounds).toBeGreaterThan(0);
  expect(second.checkpoints[0]?.digest).toBe(initialCheckpoint);
  expect(await shardsOf(asDigest(initialCheckpoint))).toEqual(await shardsOf(newest()));
  const [last, begun] = [summary.heldOut.after ?? NaN, second.heldOut.initial ?? NaN];
  expect(Math.abs(begun - last)).toBeLessThan(SAME * last);

  // Roots go on over both runs, and what the first one earned waits for who earned it.
  // A busy machine may have no time to settle an epoch before its session ends: the next start does.
  if (earnedIn(second) <= earnedIn(summary))
    await until("the next run's pay", async () => earnedIn(await trained()) > earnedIn(summary));
  const line = ["rewards", "claim", "--wallet", wallet, "--passphrase-file", passphrase];
  const [claim] = await json<{ amount: string }[]>(...line);
  expect(claim).toMatchObject({ account: me });
  const mine = summary.wallets.find(({ account }) => account === me);
  expect(BigInt(claim?.amount ?? 0)).toBeGreaterThanOrEqual(BigInt(mine?.earned ?? -1));
  expect(BigInt(claim?.amount ?? 0)).toBeGreaterThan(0n);

  const origin = { after: summary.model.runId, round: summary.training.rounds, continues: true };
  expect(await json("verify")).toMatchObject({ sound: true, runId, origin, missing: 0 });
  const old = await json("verify", "--run", summary.model.runId);
  expect(old).toMatchObject({ sound: true, origin: null, heads: summary.checkpoints.length });
  await nothingLeft();
});
