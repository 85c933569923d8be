/** The watcher of a session that shows a dispute looks at roots of revenue, too, on a real node. */
import { join } from "node:path";

import { disputeOf } from "@cotrain/sdk/actions";
import { asAddress } from "@cotrain/sdk/protocol";
import { expect, onTestFinished, test } from "vitest";

import { connect, createReader } from "../../../offchain/src/chain/index.ts";
import { type DisputePlace, followDispute, revenueText } from "../../../offchain/src/localnet/dispute.ts";
import type { LocalModel } from "../../../offchain/src/localnet/owners.ts";
import { playersOf, shortWindowText, SHOWN_WINDOW, shownWith } from "../../../offchain/src/localnet/players.ts";
import { pinsOf, rewardTreeOf } from "../../../offchain/src/run/index.ts";
import { openStateDirectory, silentLogger } from "../../../offchain/src/service/index.ts";
import { accountOf, validators } from "../chain/world.ts";
import { postRevenue } from "../cli/revenueStage.ts";
import { staged } from "../cli/staged.ts";
import { temporaryDirectory } from "../cli/support.ts";
import { createManualClock } from "../manualClock.ts";

const stage = staged(["stranger"]);
const [thief, watcher] = [accountOf("thief"), accountOf("watcher")];

async function placeOf(): Promise<DisputePlace> {
  const { chainId, contracts: addresses, fromBlock, modelId, runId, deployment, store: blobs } = stage.world;
  for (const { address } of [thief, watcher]) await stage.client.setBalance({ address, value: 10n ** 18n });
  const state = join(temporaryDirectory(), "state");
  (await openStateDirectory(state, { create: true })).close();
  const connection = await connect({ rpcUrl: stage.node.url, chainId });
  const reader = createReader(connection, { contracts: addresses, fromBlock });
  const players = playersOf({ validators, players: { thief, watcher } } as Parameters<typeof playersOf>[0])!;
  const at = { chainId, connection, addresses, fromBlock, modelId, runId, reader, blobs, state };
  return { ...at, pins: pinsOf(deployment), players };
}

test("a false root of revenue is disputed while the session trains, and that is told once", async () => {
  // Time stands between blocks, however long a step takes.
  await stage.client.setBlockTimestampInterval({ interval: 1 });
  const over = new AbortController();
  onTestFinished(() => over.abort());
  const posted = Promise.withResolvers<void>();
  let looks = 0;
  const sleep = async (): Promise<void> => {
    looks += 1;
    await posted.promise;
    over.signal.throwIfAborted();
    await stage.client.mine({ blocks: 1 });
  };
  const clock = { ...createManualClock(), sleep };
  const model = { clock, signal: over.signal, owners: [] } as unknown as LocalModel;
  const said: string[] = [];
  const follower = followDispute(await placeOf(), model, silentLogger(), (line) => said.push(line));
  follower.begin();
  await expect.poll(() => looks, { timeout: 60_000 }).toBe(1);

  const digest = await postRevenue(stage, ({ struct, computation }) => {
    const leaves = [{ account: asAddress(thief.address), amount: struct.total.toString() }];
    return { ...struct, root: rewardTreeOf({ ...computation.rewards, leaves }).root };
  });
  posted.resolve();
  const line = "the watcher recomputed root 1 of revenue, found it false, and disputed it";
  await expect.poll(() => said, { timeout: 60_000 }).toContain(line);
  const { contracts: addresses } = stage.world;
  expect(await disputeOf(stage.client, { addresses, digest })).toMatchObject({ disputer: watcher.address });
  const before = looks;
  await expect.poll(() => looks, { timeout: 60_000 }).toBeGreaterThan(before + 2);
  expect(said.filter((each) => each === line)).toHaveLength(1);
}, 120_000);

test("what holds is told as well, and what is still to be looked at is not", () => {
  const digest = `0x${"d1".repeat(32)}` as const;
  expect(revenueText({ state: "holds", digest, index: 3 })).toBe(
    "the watcher recomputed root 3 of revenue: it shares out what arrived",
  );
  expect(revenueText({ state: "suspect", digest, index: 3, reason: "" })).toBeUndefined();
  expect(revenueText({ state: "idle" })).toBeUndefined();
});

test("a model whose session shows a dispute has a longer window, and no other one has", () => {
  const model = { window: 4, epochLength: 16 };
  expect(shownWith(undefined, model)).toBe(model);
  expect(shownWith({ thief, watcher } as never, model)).toEqual({ ...model, window: SHOWN_WINDOW });
  expect(SHOWN_WINDOW).toBeGreaterThan(4 * model.window);
  expect(shortWindowText(SHOWN_WINDOW)).toEqual([]);
  expect(shortWindowText(model.window)).toEqual([expect.stringContaining("--fresh makes a model with 20 seconds.")]);
});
