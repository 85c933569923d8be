/** `--fresh` on a chain that is not ours: the wallets, on which coins lie, go on, whenever the process ends. */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

import { beforeEach, expect, test, vi } from "vitest";

import { systemClock } from "../../../offchain/src/base/index.ts";
import { findPutAside, remove } from "../../../offchain/src/cli/putAside.ts";
import { prepareHeir, takeUpHeir } from "../../../offchain/src/localnet/funds.ts";
import { openState } from "../../../offchain/src/localnet/index.ts";
import { openLedger } from "../../../offchain/src/market/index.ts";
import { type Lease, newLease } from "../../../offchain/src/market/leases/state.ts";
import { openStateDirectory, writeRunFile } from "../../../offchain/src/service/index.ts";
import { temporaryDirectory } from "../cli/support.ts";
import { clusterOf, kinds } from "../market/leases/world.ts";
import { NOW } from "../market/offers.ts";

const asked = vi.hoisted(() => ({ rpc: undefined as string | undefined }));
vi.mock("../../../offchain/src/localnet/request.ts", () => ({ checkRequest: async () => asked }));

let state: string;
let said: string[];
beforeEach(async () => {
  state = join(temporaryDirectory(), "state");
  said = [];
  asked.rpc = "http://127.0.0.1:1";
  (await openStateDirectory(state, { create: true })).close();
  mkdirSync(join(state, "keys"), { mode: 0o700 });
  writeFileSync(join(state, "keys", "organiser.json"), "with coins", { mode: 0o600 });
});

const key = () => readFileSync(join(state, "keys", "organiser.json"), "utf8");

/** @param killed whether the process ends once the old state was put aside */
async function start(fresh: boolean, killed = false): Promise<void> {
  const notice = (line: string): void => {
    said.push(line);
    if (killed && line.startsWith("The old state was put aside")) throw new Error("killed");
  };
  const { directory } = await openState({ options: { state, fresh }, notice } as never, systemClock);
  directory.close();
}

test("wallets are kept, and nothing is left beside the state", async () => {
  await start(true);
  expect(key()).toBe("with coins");
  expect(said.at(-1)).toBe("Its wallets are kept.");
  expect(existsSync(`${state}.next`)).toBe(false);
});

test("a start that ends once the old state is out of the way loses no wallet: the next one has them", async () => {
  await expect(start(true, true)).rejects.toThrow("killed");
  expect(existsSync(state)).toBe(false);
  await start(false);
  expect(key()).toBe("with coins");
});

test("one that is refused leaves nothing beside the state", async () => {
  const used = await openStateDirectory(state);
  await expect(start(true)).rejects.toMatchObject({ code: "STATE_LOCKED" });
  used.close();
  expect(existsSync(`${state}.next`)).toBe(false);
  expect(key()).toBe("with coins");
});

test("a run for which machines are rented is not put aside", async () => {
  const runId = `0x${"ab".repeat(32)}` as const;
  const chain = { chainId: 1, rpcUrl: "http://127.0.0.1:1", embedded: false };
  await writeRunFile(state, { version: 1, startedAt: "2026-01-01T00:00:00Z", chain, ports: {}, urls: {}, runId });
  const ledger = await openLedger(join(dirname(state), ".cotrain-leases"), () => NOW);
  await ledger.read();
  const clusters = {
    c1: { ...clusterOf({ run: runId }), rentedAt: NOW, assembled: true, stopping: null, warned: 0 },
    c2: { ...clusterOf({ id: "c2" }), rentedAt: NOW, assembled: true, stopping: null, warned: 0 },
  };
  const is = (cluster: string, of: Lease["state"]) => {
    const lease: Lease = {
      ...newLease,
      label: "ct-0a1b2c3d-4e5f6071-1",
      cluster,
      slot: 0,
      attempt: 1,
      account: "vast",
      identity: "owner",
      offer: "vast:1",
      machine: "",
      host: "m1",
      state: of,
      since: NOW,
      perHour: 1n,
      maximum: 1n,
      instance: "i1",
      terms: kinds[0]!,
    };
    return ledger.append({ type: "tick", at: NOW, rows: { clusters, leases: { [lease.label]: lease } } });
  };
  await is("c1", "terminating");
  await expect(start(true)).rejects.toMatchObject({ code: "LEASES_OPEN" });
  expect(existsSync(join(state, "run.json"))).toBe(true);
  // One that is rented for the run that this one followed would go on to cost as well.
  const next = { runId: `0x${"c3".repeat(32)}`, earlier: [runId] };
  await writeRunFile(state, { version: 1, startedAt: "2026-01-01T00:00:00Z", chain, ports: {}, urls: {}, ...next });
  await expect(start(true)).rejects.toMatchObject({ code: "LEASES_OPEN" });
  // A machine of another's, and one that is gone, keep nobody.
  await is("c2", "joined");
  await start(false);
  await start(true);
  await writeRunFile(state, { version: 1, startedAt: "2026-01-01T00:00:00Z", chain, ports: {}, urls: {}, runId });
  await is("c1", "gone");
  await start(true);
  expect(existsSync(join(state, "run.json"))).toBe(false);
  await ledger.close();
});

test("on the local chain a new start has new wallets", async () => {
  asked.rpc = undefined;
  await start(true);
  expect(existsSync(join(state, "keys"))).toBe(false);
});

test("wallets of a state that still stands are not left beside it, nor taken to the local chain", async () => {
  // A start was killed before it had put the state aside.
  (await prepareHeir(state))?.close();
  await start(false);
  expect(existsSync(`${state}.next`)).toBe(false);
  expect(key()).toBe("with coins");
  (await prepareHeir(state))?.close();
  asked.rpc = undefined;
  await start(true);
  expect(existsSync(`${state}.next`)).toBe(false);
  expect(existsSync(join(state, "keys"))).toBe(false);
});

/** A start with --fresh after so many turns of the loop. */
async function openAfter(turns: number) {
  for (let n = 0; n < turns; n++) await new Promise((done) => setImmediate(done));
  const options = { state, fresh: true };
  return (await openState({ options, notice: () => undefined } as never, systemClock)).directory;
}

test("of two that begin anew at once one begins, with the wallets", async () => {
  for (let turns = 0; turns < 40; turns++) {
    const both = await Promise.allSettled([openAfter(0), openAfter(turns)]);
    const opened = both.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    expect(opened.length, `${turns} turns apart`).toBe(1);
    expect(key()).toBe("with coins");
    expect(existsSync(`${state}.next`)).toBe(false);
    opened[0]!.close();
  }
});

test("clean beside a start that begins anew takes no wallet", async () => {
  const heir = await prepareHeir(state);
  const left = await findPutAside(state);
  expect(left).toMatchObject([{ path: `${state}.next` }]);
  const locked = { code: "STATE_LOCKED" };
  await expect(remove(left[0]!, state)).rejects.toMatchObject(locked);
  // The start goes on, or ends here: the next one takes it up.
  renameSync(state, `${state}.old`);
  await expect(remove(left[0]!, state)).rejects.toMatchObject(locked);
  heir!.close();
  expect(await remove(left[0]!, state)).toBe(false);
  expect(await takeUpHeir(state)).toBe(true);
  expect(key()).toBe("with coins");
  for (let turns = 0; turns < 40; turns++) {
    const opening = openAfter(0);
    for (let n = 0; n < turns; n++) await new Promise((done) => setImmediate(done));
    const cleaning = findPutAside(state).then((found) => Promise.allSettled(found.map((each) => remove(each, state))));
    // It may be in the way of the start, which is refused then.
    const [opened] = await Promise.allSettled([opening, cleaning]);
    const reason: unknown = opened.status === "fulfilled" ? opened.value.close() : opened.reason;
    expect(reason ?? locked, `${turns} turns later`).toMatchObject(locked);
    expect(key(), `${turns} turns later`).toBe("with coins");
  }
});

test("a start whose state another puts aside meanwhile makes none in its place, without the wallets", async () => {
  const opening = start(false);
  renameSync(state, `${state}.old`);
  await expect(opening).rejects.toMatchObject({ code: "STATE_MISSING" });
  expect(existsSync(state)).toBe(false);
});

test("where the blobs cannot be kept as asked, the old state is not put aside", async () => {
  const options = { state, fresh: true, blobs: temporaryDirectory() };
  writeFileSync(join(options.blobs, "another's"), "");
  const opening = openState({ options, notice: () => undefined } as never, systemClock);
  await expect(opening).rejects.toMatchObject({ code: "SETTING_KEPT" });
  expect(key()).toBe("with coins");
});
