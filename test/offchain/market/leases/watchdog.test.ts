/** The watchdog: whose machines it ends, and when; and whose sign of life is believed. */
import { expect, test } from "vitest";

import { createRandom, RetryableError } from "../../../../offchain/src/base/index.ts";
import { labelOf } from "../../../../offchain/src/market/base/labels.ts";
import { createWatchdog, sinceChange } from "../../../../offchain/src/market/leases/watchdog.ts";
import { NOW, offerOf } from "../offers.ts";
import { cloudOf, worldClock } from "./cloud.ts";
import { INSTALLATION, kinds } from "./world.ts";

const PATIENCE = 60_000;

async function watching() {
  const clock = worldClock(NOW);
  const cloud = cloudOf({ name: "cloud", terms: kinds[0]!, clock, random: createRandom("watchdog") });
  const labels = [
    labelOf({ installation: INSTALLATION, lease: "00000001", attempt: 1 }),
    labelOf({ installation: "ffffffff", lease: "00000001", attempt: 1 }),
    "web-server",
  ];
  for (const label of labels)
    await cloud
      .account()
      .create({ label, offer: offerOf(), diskGb: 1, image: "", script: "", environment: {}, maximumPerHour: 1n });
  clock.pass(PATIENCE);
  let count = 0;
  const look = createWatchdog({
    installation: INSTALLATION,
    accounts: [cloud.account()],
    clock,
    sign: () => Promise.resolve({ installation: INSTALLATION, count }),
    patience: PATIENCE,
  });
  return { clock, cloud, look, live: () => void count++, labels };
}

test("nothing is ended while somebody keeps the leases", async () => {
  const { look, clock, live, cloud } = await watching();
  for (let times = 0; times < 5; times++) {
    live();
    expect((await look()).alone).toBe(false);
    clock.pass(PATIENCE);
  }
  expect(cloud.machines.every((machine) => cloud.isAlive(machine))).toBe(true);
});

test("then all machines of the installation are, until they are gone, and nobody else's", async () => {
  const { look, clock, cloud, labels } = await watching();
  await look();
  clock.pass(PATIENCE + 1);
  expect(await look()).toMatchObject({ alone: true, ended: [{ account: "cloud", label: labels[0] }], unseen: [] });
  clock.pass(60_000);
  expect(cloud.machines.map((machine) => cloud.isAlive(machine))).toEqual([false, true, true]);
  expect((await look()).ended).toEqual([]);
});

test("an account that does not answer is told, and looked at again", async () => {
  const { look, clock, cloud } = await watching();
  clock.pass(PATIENCE + 1);
  cloud.faults = 1;
  expect((await look()).unseen).toEqual(["cloud"]);
  cloud.faults = 0;
  expect((await look()).ended).toHaveLength(1);
});

test("a machine that does not answer keeps the others from nothing, and is told", async () => {
  const { clock, cloud } = await watching();
  const account = cloud.account();
  const error = new RetryableError("PROVIDER_AWAY", "box does not answer.");
  const silent = [{ offer: "cloud:9", ids: "box/", error }];
  const faults: string[] = [];
  const look = createWatchdog({
    installation: INSTALLATION,
    accounts: [{ ...account, listAnswering: async () => ({ instances: await account.list(), silent }) }],
    clock,
    sign: () => Promise.resolve(undefined),
    patience: PATIENCE,
    onFault: (sentence) => void faults.push(sentence),
  });
  clock.pass(PATIENCE + 1);
  expect(await look()).toMatchObject({ alone: true, ended: [{ account: "cloud" }], unseen: ["cloud"] });
  expect(faults).toEqual([expect.stringContaining("box does not answer.")]);
});

test("a sign is a life only once it has changed", async () => {
  const clock = worldClock(NOW);
  let sign: { installation: string; count: number } | undefined;
  const since = sinceChange(clock, () => Promise.resolve(sign));
  expect(await since()).toBeUndefined();
  sign = { installation: INSTALLATION, count: 7 };
  expect(await since()).toBeUndefined();
  clock.pass(1_000);
  expect(await since()).toBeUndefined();
  sign = { ...sign, count: 8 };
  expect(await since()).toBe(0);
  clock.pass(5_000);
  expect(await since()).toBe(5_000);
});
