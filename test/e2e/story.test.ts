/**
 * A plan is rented over three providers, and trains a run whatever goes wrong: a create succeeds without an answer, a machine is taken
 * away, its provider has no more, the coordinator is killed. In the end nothing is left, and it cost what the providers' meters say. Commands,
 * workers and machines are processes; the providers are servers that answer as theirs do.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";

import { afterEach, beforeEach, expect, it } from "vitest";

import type { RunState } from "../../offchain/src/coordinator/index.ts";
import { openLocalRun } from "../../offchain/src/run/index.ts";
import { word } from "../offchain/market/renting/dialect.ts";
import {
  endsWell,
  follow,
  openStage,
  openWatch,
  type Running,
  signal,
  type Stage,
  until,
  type Watch,
} from "./harness.ts";
import { openShops, type Shops } from "./shops.ts";

const IMAGE = `docker.io/library/node@sha256:${"ab".repeat(32)}`;

let stage: Stage;
let shops: Shops;
let watch: Watch | undefined;
beforeEach(async () => {
  stage = openStage();
  shops = await openShops(join(stage.directory, "machines"));
});
afterEach(async () => {
  watch?.close();
  await shops.close();
  await stage.close();
});

interface Planned {
  readonly id: string;
  readonly machines: readonly { readonly offer: string }[];
}
interface Listed {
  readonly leases: readonly {
    readonly label: string;
    readonly state: string;
    readonly account: string;
    readonly instance: string | null;
    readonly cost: string;
    readonly billed: string | null;
  }[];
}
interface Cost {
  readonly clusters: readonly { readonly cost: string; readonly budget: string }[];
}

async function documentOf<T>(running: Running): Promise<T> {
  await endsWell(running);
  return JSON.parse(running.stdout()) as T;
}

/** What rented workers have trained, by key. */
const trained = ({ leases = {}, totals }: RunState): Map<string, number> =>
  new Map(
    Object.values(leases)
      .flatMap(({ worker }) => worker ?? [])
      .map((worker): [string, number] => [worker, totals[worker] ?? 0])
      .filter(([, tokens]) => tokens > 0),
  );

it("a plan over three providers trains through what goes wrong, leaves nothing, and costs what the meters say", async () => {
  const { vast, runpod, ionet } = shops;
  const up = stage.cotrain([
    "up",
    `--state=${stage.state}`,
    "--preset=0.1m",
    "--workers=1",
    "--for=3000s",
    "--no-vote",
  ]);
  const at = (name: string): string => join(stage.directory, name);
  const market = (...args: readonly string[]): Running =>
    stage.cotrain(["market", ...args], ["env", "-u", "npm_execpath", "-u", "npm_lifecycle_event", ...shops.keys]);
  const reach = [`--endpoint=${shops.all.map(({ endpoint }) => endpoint).join(",")}`, `--keys=${at("keys")}`];

  const plan = await documentOf<Planned>(
    market(
      "plan",
      "--preset=0.1m",
      "--budget=5",
      "--deadline=1h",
      "--most-gpus=3",
      "--provider=vast,runpod,ionet",
      ...reach,
      `--cache=${at("cache")}`,
      "--json",
    ),
  );
  expect(plan.machines.map(({ offer }) => offer.split(":")[0] ?? "").toSorted()).toEqual(["ionet", "runpod", "vast"]);

  await until("the run", () => {
    assert(up.exit() === undefined, up.stderr());
    return up.stderr().includes("Training · round");
  });
  const run = await openLocalRun(stage.state);
  watch = openWatch(stage.state);
  shops.openEurope();
  // Vast.ai makes the machine, and never says so.
  vast.server.failAt(vast.dialect.creates, "mute");
  const rent = market(
    "rent",
    plan.id,
    `--coordinator=${run.file.urls["coordinator"]}`,
    "--own-network",
    `--run=${run.runId}`,
    `--state=${stage.state}`,
    "--every=3s",
    `--image=${IMAGE}`,
    ...reach,
    `--cache=${at("cache")}`,
    `--leases=${at("leases")}`,
    "--yes",
  );
  const said = (): string => {
    assert(rent.exit() === undefined, rent.stderr());
    return rent.stderr();
  };
  await until("a sign of life", () => said() !== "" && existsSync(join(at("leases"), "keeper.sign.json")));
  const watchdog = market(
    "watchdog",
    `--leases=${at("leases")}`,
    "--provider=vast,runpod,ionet",
    "--every=3s",
    ...reach,
  );

  const first = await follow(
    watch,
    "work of all three",
    (state) => {
      said();
      return trained(state).size >= 3 && trained(state);
    },
    900,
  );
  expect(said()).toMatch(/ at vast is ambiguous/);
  expect(vast.server.asked.filter(({ method, path }) => vast.dialect.creates.test(`${method} ${path}`))).toHaveLength(
    1,
  );

  const [lost] = ionet.cloud.machines;
  assert(lost !== undefined);
  await shops.takeAway(lost);
  signal(stage.pidOf("coordinator"), "SIGKILL");
  const { round } = watch.state();
  await until("its restart", () => up.stderr().includes("coordinator ended and is started again"));

  await follow(
    watch,
    "work of the machine in its place, and of the two that stayed",
    (state) => {
      said();
      const now = trained(state);
      const grown = [...first].filter(([worker, tokens]) => (now.get(worker) ?? 0) > tokens);
      return now.size >= 4 && grown.length >= 2;
    },
    900,
  );
  expect(said()).toContain("was taken away");
  expect(runpod.cloud.machines.map(({ ordered }) => word(ordered, "dataCenterIds.0"))).toEqual(["US-KS-2", "EU-RO-1"]);
  expect(watch.state().round).toBeGreaterThan(round);

  rent.kill("SIGINT");
  await endsWell(rent);
  watchdog.kill("SIGINT");
  await watchdog.exited;

  const { leases } = await documentOf<Listed>(market("list", "--all", "--json", `--leases=${at("leases")}`));
  const { clusters } = await documentOf<Cost>(market("cost", "--json", `--leases=${at("leases")}`));
  const machines = shops.all.flatMap((shop) => shop.cloud.machines.map((machine) => ({ shop, machine })));
  expect(leases.map(({ state }) => state)).toEqual(leases.map(() => "gone"));
  // None that the ledger does not know, none twice.
  expect(leases.flatMap(({ instance }) => instance ?? []).toSorted()).toEqual(
    machines.map(({ machine }) => machine.id).toSorted(),
  );
  for (const { shop, machine } of machines) {
    expect(machine.endsAt).toBeLessThan(Date.now());
    const row = leases.find(({ account, instance }) => account === shop.name && instance === machine.id);
    expect(row).toMatchObject({ cost: String(shop.charged(machine)), billed: String(shop.charged(machine)) });
  }
  const charged = machines.reduce((sum, { shop, machine }) => sum + shop.charged(machine), 0n);
  expect(clusters).toMatchObject([{ cost: String(charged) }]);
  expect(charged).toBeLessThanOrEqual(BigInt(clusters[0]?.budget ?? 0));

  watch.look();
  expect(Object.values(watch.state().leases ?? {}).filter(({ ended }) => !ended)).toEqual([]);
  up.kill("SIGINT");
  await up.exited;
  await stage.empty(30);
});
