/** A validator that lost its journal, on a real chain; and one that is asked to sign what holders voided. */
import { join } from "node:path";

import { afterAll, afterEach, beforeAll, expect, it } from "vitest";

import { UserError } from "../../../offchain/src/base/index.ts";
import type { ChainReader } from "../../../offchain/src/chain/index.ts";
import {
  type DaemonContext,
  lockSigner,
  openDatabase,
  openStateDirectory,
} from "../../../offchain/src/service/index.ts";
import { statementMigrations, type StatementSchema, validatorDaemon } from "../../../offchain/src/validator/index.ts";
import { temporaryDirectory } from "../cli/support.ts";
import { dueEpoch } from "../run/dueEpoch.ts";
import {
  about,
  board,
  chain,
  closeWorld,
  compute,
  development,
  eventually,
  later,
  looked,
  me,
  openWorld,
  post,
  publish,
  start,
  startAnew,
  stop,
  world,
} from "./harness.ts";

beforeAll(openWorld, 60_000);
afterEach(() => stop());
afterAll(closeWorld);

const reasonOf = async (events: Awaited<ReturnType<typeof start>>["events"]): Promise<string> => {
  const found = await eventually("the refusal", () => events.find(({ type }) => type === "refused"));
  return found.type === "refused" ? found.reason : "";
};

it("says nothing about checkpoints that were anchored before, whatever it is shown of them", async () => {
  await post();
  await development().mine({ blocks: 2 });
  await start();
  await eventually("the verdict", () => (about(0).length > 0 ? true : undefined));
  await stop();
  // The one that it gave before: a coordinator that shows it less could have it give another.
  const [before] = board.verdicts.splice(0);
  const { block } = await chain.tip();
  const { events } = await startAnew("lost.sqlite", block);
  await looked();
  expect(board.verdicts).toEqual([]);
  // Nor does it compute in vain.
  expect(events.filter(({ type }) => type !== "looking")).toEqual([]);
  await stop();
  board.verdicts = [before!];
});

it("signs no epoch that pays for these, and says why", async () => {
  await later(16);
  const view = await publish(await compute((await dueEpoch(chain, world.modelId))!, board.verdicts));
  const { block } = await chain.tip();
  board.epochs = [view];
  const { events } = await startAnew("lost.sqlite", block - 1);
  expect(await reasonOf(events)).toMatch(/checkpoint 1, which was anchored before this key's journal|names block \d+/);
  expect(board.attestations).toEqual([]);
});

it("judges what is anchored from then on", async () => {
  board.epochs = [];
  const { block } = await chain.tip();
  await startAnew("lost.sqlite", block);
  await post();
  await development().mine({ blocks: 2 });
  const [signed] = await eventually("the verdict", () => (about(1).length > 0 ? about(1) : undefined));
  expect(signed!.verdict).toMatchObject({ validator: me.address.toLowerCase(), value: "10000" });
});

it("does not sign again a root that holders have voided", async () => {
  await later(16);
  const view = await publish(await compute((await dueEpoch(chain, world.modelId))!, board.verdicts));
  board.epochs = [view];
  const voided: ChainReader = { ...chain, isVoided: async () => true };
  const { events } = await startAnew(`${me.address}.sqlite`, 0, voided);
  expect(await reasonOf(events)).toContain("voided this root by a vote");
  expect(board.attestations).toEqual([]);
  await stop();
  const again = await startAnew(`${me.address}.sqlite`, 0);
  await eventually("the attestation", () => board.attestations[0]);
  expect(again.events).toContainEqual(expect.objectContaining({ type: "attested" }));
});

/** What a process notes of its key's journal: null where the key is said never to have signed. */
async function birthBy(wallet: string, first: boolean): Promise<number | null | undefined> {
  const state = join(temporaryDirectory(), "validator");
  const controller = new AbortController();
  const ends: (() => unknown)[] = [];
  const logger = { warn: () => undefined, info: () => undefined, error: () => undefined };
  const onShutdown = (_: string, work: () => unknown) => void ends.push(work);
  const context = { signal: controller.signal, logger, ready: () => undefined, onShutdown } as unknown as DaemonContext;
  const { chainId, contracts, fromBlock, runId, url: rpcUrl } = world;
  // Its coordinator is away.
  const directory = await openStateDirectory(state, { create: true });
  onShutdown("state directory", () => directory.close());
  const options = { coordinator: "http://127.0.0.1:9", directory, account: me, wallet, first, loss: false, runId };
  const running = validatorDaemon({ ...options, rpcUrl, chainId, contracts, fromBlock }, context);
  running.catch(() => undefined);
  let noted: { readonly block: number | null } | undefined;
  await expect
    .poll(
      async () => {
        const database = await openDatabase<StatementSchema>(join(state, "statements.sqlite"), statementMigrations);
        noted = await database.kysely.selectFrom("births").select("block").executeTakeFirst();
        await database.close();
        return noted;
      },
      { timeout: 30_000 },
    )
    .toBeDefined();
  controller.abort(new UserError("STOPPED", "Stopped."));
  await running.catch(() => undefined);
  for (const work of ends.toReversed()) await work();
  return noted?.block;
}

it("begins with its key where that has never signed, unless the key was used on this machine", async () => {
  const wallet = join(temporaryDirectory(), "wallet.json");
  expect(await birthBy(wallet, true)).toBeNull();
  // Its journal is gone, and whoever starts it says the same again.
  const { block } = await chain.tip();
  expect(await birthBy(wallet, true)).toBeGreaterThanOrEqual(block);
  expect((await lockSigner(wallet, me.address, { wait: 0 }))?.usedBefore).toBe(true);
  expect(await birthBy(join(temporaryDirectory(), "wallet.json"), false)).toBeGreaterThanOrEqual(block);
});
