/** `cotrain market fake` as a process: machines that it lets run what they are sent, and are metered until they are gone. */
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { type IncomingMessage, request } from "node:http";
import { join } from "node:path";

import { afterEach, beforeEach, expect, test } from "vitest";

import { systemClock } from "../../../offchain/src/base/index.ts";
import { rentedAccountOf } from "../../../offchain/src/market/accounts.ts";
import type { Order, RentedAccount } from "../../../offchain/src/market/base/renting.ts";
import { requireFakeMachines } from "../../../offchain/src/market/index.ts";
import { openStage, type Running, type Stage, until } from "../../e2e/harness.ts";
import { adapterOf } from "../market/asking.ts";
import { offerOf } from "../market/offers.ts";

const IMAGE = `ghcr.io/cotrain/worker@sha256:${"ab".repeat(32)}`;
const LABEL = "ct-0a1b2c3d-00000001-1";

let stage: Stage;
let running: Running;
let account: RentedAccount;
let url: string;
const ending = new AbortController();

beforeEach(async () => {
  stage = openStage();
  running = stage.cotrain([
    "market",
    "fake",
    "--count=1",
    "--price=36",
    "--port=0",
    `--directory=${join(stage.directory, "machines")}`,
    "--log-level=error",
  ]);
  url = await until("its address", () => / fake=(http:\S+)/.exec(running.stderr())?.[1]);
  account = rentedAccountOf(adapterOf("fake"), {
    environment: {},
    endpoints: new Map([["fake", url]]),
    clock: systemClock,
    random: () => 0,
    signal: ending.signal,
  });
});
afterEach(() => stage.close());

const orderOf = (script: string, change: Partial<Order> = {}): Order => ({
  label: LABEL,
  offer: offerOf({ id: "fake:make-believe", provider: "fake", providerId: "make-believe", usd: 36 }),
  diskGb: 1,
  image: IMAGE,
  script,
  environment: { WORD: "it's $HOME" },
  maximumPerHour: 36_000_000n,
  ...change,
});
const totals = async () => (await (await fetch(url)).json()) as { machines: number; left: number; usd: string };
const place = (name: string): string => join(stage.directory, "machines", LABEL, "cache", name);

/** Says its word, and goes on until it is told to end. */
const WORKING = 'trap "exit 0" TERM\nprintf %s "$WORD" >"$JOIN_CACHE/said"\nwhile :; do sleep 0.1; done\n';

test("a machine runs its script with its variables, there is one, and it costs by the second until it is gone", async () => {
  const made = await account.create(orderOf(WORKING));
  expect(made).toMatchObject({ id: "fake-1", label: LABEL, state: "running", perHour: 36_000_000n });
  await until("its word", () => existsSync(place("said")) && readFileSync(place("said"), "utf8") === "it's $HOME");
  await expect(account.create(orderOf(WORKING, { label: "ct-0a1b2c3d-00000002-1" }))).rejects.toMatchObject({
    code: "PROVIDER_CAPACITY",
  });
  expect(await account.list()).toMatchObject([{ id: "fake-1", state: "running" }]);
  expect(await account.terminate("fake-1")).toBe("accepted");
  await until("its end", async () => (await account.list()).length === 0);
  expect(await account.get("fake-1")).toBeUndefined();
  expect(existsSync(place("said"))).toBe(false);
  const billed = await account.bill(made);
  // A cent for each second.
  expect(billed).toBeGreaterThan(0n);
  expect(Number(billed) % 10_000).toBe(0);
  expect(await totals()).toEqual({ machines: 1, left: 0, usd: (Number(billed) / 1e6).toFixed(6) });
});

test("one ends at the time that it was ordered until, and all with their provider", async () => {
  await account.create(orderOf(WORKING, { endsAt: Date.now() }));
  await until("its end", async () => (await account.list()).length === 0);
  await account.create(orderOf(WORKING, { label: "ct-0a1b2c3d-00000001-2" }));
  running.kill("SIGTERM");
  expect(await running.exited).toMatchObject({ code: 0 });
  await stage.empty(30);
});

test("one whose script is wrong has failed", async () => {
  await account.create(orderOf("exit 1\n"));
  const [machine] = await until("its failure", async () => {
    const listed = await account.list();
    return listed[0]?.state !== "running" && listed;
  });
  expect(machine).toMatchObject({ state: "failed" });
});

test("only processes of whoever started it are answered", async () => {
  const { port } = new URL(url);
  // From an address for which the table of sockets names nobody.
  const asked = request({ host: "127.0.0.1", port, localAddress: "127.0.0.2", path: "/offers" });
  const answered = once(asked, "response");
  asked.end();
  const [response] = (await answered) as [IncomingMessage];
  expect(response.statusCode).toBe(403);
  expect((await fetch(new URL("/offers", url))).status).toBe(200);
});

test("a machine that lacks what scripts call is told so before anything begins", () => {
  expect(() => requireFakeMachines({ PATH: "/nowhere" })).toThrow(/need sh, curl, tar, sha256sum/);
});
