/** `cotrain market keys`: what is kept, shown and forgotten, and who uses it. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

import { beforeEach, expect, test, vi } from "vitest";

import { keepKey, type Lease, openLedger } from "../../../offchain/src/market/index.ts";
import { newLease } from "../../../offchain/src/market/leases/state.ts";
import { kinds } from "../market/leases/world.ts";
import { NOW } from "../market/offers.ts";
import { fakeServer } from "../market/fakeServer.ts";
import { fakeProviders, SECRET } from "../market/providers.ts";
import { cotrain, cotrainHere, temporaryDirectory } from "./support.ts";

let keys: string;

beforeEach(() => {
  vi.unstubAllEnvs();
  vi.stubEnv("VAST_API_KEY", "");
  keys = join(temporaryDirectory(), "keys");
});

const keep = (name: string, key: string, passphrase?: string): Promise<boolean> =>
  keepKey(keys, { name, read: () => Promise.resolve(key), passphrase });

test("a key is read from a pipe, kept so that no file shows it, listed by name, and forgotten", async () => {
  const added = await cotrain(["market", "keys", "add", "vast", `--keys=${keys}`], { input: `${SECRET}\n` });
  expect(added).toEqual({ code: 0, stdout: `The key of vast is kept in ${keys}.\n`, stderr: "" });
  for (const file of ["providers.json", "passphrase"]) {
    expect(readFileSync(join(keys, file), "utf8")).not.toContain(SECRET);
    expect(statSync(join(keys, file)).mode & 0o777).toBe(0o600);
  }
  expect(await keep("lambda", "another-key")).toBe(false);
  expect(await keep("lambda", "a-third-key")).toBe(true);
  expect((await cotrainHere(["market", "keys", "list", `--keys=${keys}`])).stdout).toBe("lambda\nvast\n");
  const removed = await cotrainHere(["market", "keys", "remove", "vast", `--keys=${keys}`, "--json"]);
  expect([removed.code, JSON.parse(removed.stdout)]).toEqual([0, { removed: "vast" }]);
  expect((await cotrainHere(["market", "keys", "remove", "vast", `--keys=${keys}`])).stderr).toContain(
    "No key of Vast.ai is in",
  );
});

test("a key is not forgotten while a machine is rented by it that is not gone", async () => {
  await keep("vast", SECRET);
  await keep("lambda", "another-key");
  const leases = join(keys, "leases");
  const ledger = await openLedger(leases, () => NOW);
  await ledger.read();
  const lease: Lease = {
    ...newLease,
    label: "ct-0a1b2c3d-4e5f6071-1",
    cluster: "c1",
    slot: 0,
    attempt: 1,
    account: "vast",
    identity: "owner",
    offer: "vast:1",
    machine: "",
    host: "m1",
    state: "terminating",
    since: NOW,
    perHour: 1n,
    maximum: 1n,
    instance: "i1",
    terms: kinds[0]!,
  };
  const is = (state: Lease["state"]) =>
    ledger.append({ type: "tick", at: NOW, rows: { leases: { [lease.label]: { ...lease, state } } } });
  await is("terminating");
  const remove = (name: string) =>
    cotrainHere(["market", "keys", "remove", name, `--keys=${keys}`, `--leases=${leases}`]);
  const refused = await remove("vast");
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toContain("ct-0a1b2c3d-4e5f6071-1 is terminating");
  expect((await remove("lambda")).code).toBe(0);
  await is("gone");
  expect((await remove("vast")).code).toBe(0);
  await ledger.close();
});

test("its provider is asked with it, by a passphrase that lies elsewhere too; a key in the environment goes before it", async () => {
  const provider = fakeProviders["vast"];
  if (provider === undefined) throw new TypeError("there is a fake Vast.ai");
  const { url } = await fakeServer(provider.server);
  const passphrase = join(temporaryDirectory(), "elsewhere");
  await keep("vast", SECRET, passphrase);
  expect(readdirSync(keys).filter((name) => !name.includes("lock"))).toEqual(["providers.json"]);
  const asked = [`--endpoint=vast=${url}${provider.base}`, `--keys=${keys}`, `--passphrase-file=${passphrase}`];
  const doctor = ["market", "doctor", "--provider=vast", ...asked];
  expect((await cotrainHere(doctor)).stdout).toContain("Vast.ai: works");
  const cache = `--cache=${join(keys, "cache")}`;
  expect((await cotrainHere(["market", "offers", "--provider=vast", cache, ...asked])).stdout).toContain("vast:7001");
  const plan = ["market", "plan", "--provider=vast", "--budget=5", cache, ...asked];
  expect((await cotrainHere(plan)).stderr).not.toContain("KEY");
  vi.stubEnv("VAST_API_KEY", "a-wrong-key-of-the-environment");
  expect((await cotrainHere(doctor)).stdout).toContain("does not take the key");
});

test("what cannot be kept is refused in a sentence without the key", async () => {
  await expect(keep("vast", "two words")).rejects.toThrow("What was typed must be Vast.ai's key: one word of ASCII");
  await expect(keep("vast", "")).rejects.toMatchObject({ code: "PROVIDER_KEY" });
  const errorOf = async (...args: readonly string[]) =>
    (await cotrainHere(["market", "keys", ...args, `--keys=${keys}`])).stderr;
  expect(await errorOf("add", "vats")).toContain('No provider "vats" takes a key');
  expect(await errorOf("add")).toContain("Name a provider: vast, runpod, ");
  expect(await errorOf("show", "vast")).toContain('market keys can add, list and remove, not "show".');
  expect((await cotrainHere(["market", "keys", "list", `--keys=${keys}`])).stdout).toBe(`No keys are in ${keys}.\n`);
});
