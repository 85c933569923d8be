/** A run that is over beside the one that follows it: served on, and no place for anybody who joins. */
import { asRunId, findRun } from "@cotrain/sdk/protocol";
import { afterEach, expect, test } from "vitest";

import { type Harness, openHarness, openPair, runId, trainFirstEpoch } from "./harness.ts";

let harness: Harness | undefined;
afterEach(async () => {
  await harness?.close();
  harness = undefined;
});

const phases = async ({ client }: Harness) => (await client.runs()).runs.map(({ phase }) => phase);

test("nobody joins it any more, and its journal does not end before the chain says so", async () => {
  const asked = { earlier: false };
  harness = await openHarness(asked);
  await harness.worker("31").join();
  expect(await phases(harness)).toEqual(["Waiting"]);
  asked.earlier = true;
  await harness.restart();
  expect(await phases(harness)).toEqual(["Finished"]);
  // Who joins has what it lacks acknowledged, if anything, and becomes no member.
  const stranger = harness.worker("32");
  await stranger.join();
  expect(harness.run.driver.state.members[stranger.address]).toBeUndefined();
  const next = asRunId(`0x${"b2".repeat(32)}`);
  const { runs } = await harness.client.runs();
  const both = {
    url: "",
    runs: async () => ({ runs: [...runs, { ...runs[0]!, runId: next, phase: "Waiting" as const }] }),
  };
  expect(await findRun(both, undefined)).toBe(next);
  expect(await findRun(both, runId)).toBe(runId);
  // A run that an RPC made the one before by a lie goes on when that is over.
  expect(harness.run.driver.state.finished).toBe(false);
  asked.earlier = false;
  await harness.restart();
  expect(await phases(harness)).toEqual(["Waiting"]);
});

test("what it posted is not taken for what the next one posts: runs of a model have one journal", async () => {
  const pair = await openPair();
  harness = pair.harness;
  await trainFirstEpoch(harness, pair.workers);
  expect(harness.chain.sent).not.toEqual([]);
  for (const key of harness.chain.sent) expect(key).toContain(`/${runId}`);
});

test("where it cannot be opened it is left out, and keeps nobody from the others", async () => {
  const other = `0x${"99".repeat(20)}` as const;
  const asked = {
    earlier: true,
    chain: (chain: Harness["chain"]) => {
      const before = { ...chain };
      chain.run = async (id) => ({ ...(await before.run(id)), poster: other });
    },
  };
  harness = await openHarness(asked);
  expect(await phases(harness)).toEqual([]);
  await expect(openHarness({ ...asked, earlier: false })).rejects.toMatchObject({ code: "FOREIGN_POSTER" });
});
