/** What `market rent --coordinator` proves before it spends, what its machines are given, and what keeper and coordinator tell each other. */
import { join } from "node:path";

import { asDigest, leaseOfPass, machineOf, parsePass, type SignedPass } from "@cotrain/sdk/protocol";
import { afterEach, describe, expect, test } from "vitest";

import { understood } from "./lines.ts";
import { documentOf, leaseRows } from "../../../offchain/src/cli/leases.ts";
import { createMeeting, endAllPasses } from "../../../offchain/src/cli/meeting.ts";
import { joiningOptions, openRentedRun } from "../../../offchain/src/cli/rentedRun.ts";
import { openSoftware, type Software } from "../../../offchain/src/coordinator/software.ts";
import { type Keeper, notedPasses } from "../../../offchain/src/market/index.ts";
import { emptyKept, type Lease, newLease, openBook } from "../../../offchain/src/market/leases/state.ts";
import { ensureKeystore, resolveConfig, SCRYPT_N_LOCAL, silentLogger } from "../../../offchain/src/service/index.ts";
import { elapse, type Harness, lower, openHarness, poster, runId, START } from "../coordinator/harness.ts";
import { kinds } from "../market/leases/world.ts";
import { offerOf } from "../market/offers.ts";
import { temporaryDirectory } from "./support.ts";

const IMAGE = `ghcr.io/cotrain/worker@sha256:${"ab".repeat(32)}`;
const LABEL = "ct-0a1b2c3d-00000001-1";
const ENDS = START + 3_600_000;
const BENEFICIARY = `0x${"be".repeat(20)}` as const;

let harness: Harness | undefined;
afterEach(async () => {
  await harness?.close();
  harness = undefined;
});

/** Options as a command line gives them. */
function optionsOf(...flags: readonly string[]) {
  const line = understood(["market", "rent", ...flags]);
  const known = Object.fromEntries(Object.entries(line?.flags ?? {}).filter(([key]) => key in joiningOptions));
  return resolveConfig(joiningOptions, { flags: known, environment: {} }).values;
}

/** A coordinator on loopback, and a renter that it takes. */
async function stage({
  isKnown = true,
  serves = true,
  shape = {},
  served = async (software: Software) => software.packed(),
} = {}) {
  const directory = temporaryDirectory();
  const [keystore, passphrase] = [join(directory, "wallet.json"), join(directory, "passphrase")];
  const renter = await ensureKeystore({ keystore, passphrase, scryptN: SCRYPT_N_LOCAL });
  const software = await openSoftware(join(directory, "software"), silentLogger());
  const opened = await openHarness({
    model: shape,
    renters: [lower(isKnown ? renter.address : poster.address)],
    ...(serves && { software: { store: software.store, packed: () => served(software) } }),
  });
  harness = opened;
  const coordinator = await opened.app.listen({ port: 0, host: "127.0.0.1" });
  const flags = [`--coordinator=${coordinator}`, `--wallet=${keystore}`, `--wallet-passphrase=${passphrase}`];
  const faults: string[] = [];
  const onFault = (sentence: string) => void faults.push(sentence);
  const leases = join(directory, "leases");
  const open = (own: boolean, ...more: readonly string[]) =>
    openRentedRun(optionsOf(...flags, ...more), {
      image: IMAGE,
      sshKey: undefined,
      own,
      endsAt: ENDS,
      leases,
    });
  return { harness: opened, renter, coordinator, open, faults, onFault, leases };
}

const offer = (count: number) => offerOf({ id: "own:box", provider: "own", count });
const lease = (change: Partial<Lease> = {}): Lease => ({
  ...newLease,
  label: LABEL,
  cluster: "c1",
  slot: 0,
  attempt: 1,
  account: "own",
  identity: "own",
  offer: "own:box",
  machine: "",
  host: "box",
  state: "provisioning",
  since: START,
  perHour: 0n,
  maximum: 0n,
  instance: "i1",
  terms: kinds[0]!,
  ...change,
});

/** A keeper that notes what it is told of one lease. */
function keeperOf(change: Partial<Lease> = {}) {
  const told: unknown[] = [];
  let held = lease(change);
  const keeper: Keeper = {
    book: () => ({ ...openBook("0a1b2c3d", emptyKept), leases: { [LABEL]: held } }),
    tell: async (event) => void told.push(event),
    look: () => Promise.resolve(),
  };
  return { keeper, told: () => told.splice(0), becomes: (next: Partial<Lease>) => void (held = lease(next)) };
}

describe("before anything is spent", () => {
  test.each([
    ["http://train.example.org", "over TLS at a public address alone"],
    ["https://127.0.0.1:7700", "over TLS at a public address alone"],
    ["https://10.0.0.7", "over TLS at a public address alone"],
  ])("a coordinator at %s is refused for machines of others", async (coordinator, sentence) => {
    const machine = { image: IMAGE, sshKey: undefined, own: false, endsAt: ENDS, leases: "/nowhere" };
    const opened = openRentedRun(optionsOf(`--coordinator=${coordinator}`, "--state=/nowhere"), machine);
    await expect(opened).rejects.toMatchObject({ code: "UNREACHABLE_FROM_OUTSIDE" });
    await expect(opened).rejects.toThrow(sentence);
  });

  test("one that does not answer is refused for own machines too", async () => {
    const machine = { image: IMAGE, sshKey: undefined, own: true, endsAt: ENDS, leases: "/nowhere" };
    const opened = openRentedRun(optionsOf("--coordinator=http://127.0.0.1:1"), machine);
    await expect(opened).rejects.toMatchObject({ code: "UNREACHABLE_FROM_OUTSIDE" });
  });

  test("one on loopback is for own machines alone, by a renter that it knows, and where it serves its software", async () => {
    const { open } = await stage();
    await expect(open(false)).rejects.toMatchObject({ code: "UNREACHABLE_FROM_OUTSIDE" });
    await expect(open(true, `--run=0x${"99".repeat(32)}`)).rejects.toMatchObject({ code: "RUN_UNKNOWN" });
    expect(await open(true)).toBeDefined();
    await harness?.close();
    const { open: unknown } = await stage({ isKnown: false });
    await expect(unknown(true)).rejects.toMatchObject({ code: "RENTER_UNKNOWN" });
    await harness?.close();
    const { open: serving } = await stage({ serves: false });
    await expect(serving(true)).rejects.toMatchObject({ code: "SOFTWARE_NONE" });
  });
});

describe("a machine", () => {
  test("gets a pass for each GPU, for the beneficiary, and a script that holds the software against its digest", async () => {
    const { open, renter, harness: opened } = await stage();
    const { prepare } = await open(true, `--beneficiary=${BENEFICIARY}`, `--run=${runId}`);
    const { image, environment, script } = await prepare(lease(), offer(2));
    expect(image).toBe(IMAGE);
    const passes = Object.values(environment).map(parsePass);
    expect(Object.keys(environment)).toEqual(["JOIN_PASS_0", "JOIN_PASS_1"]);
    for (const [index, { pass }] of passes.entries())
      expect(pass).toMatchObject({
        runId,
        renter: lower(renter.address),
        machine: machineOf(LABEL),
        index,
        beneficiary: BENEFICIARY,
        notAfter: String(ENDS + 3_600_000),
      });
    const { software } = await opened.client.lease(runId, { pass: passes[0]! });
    expect(script).toContain(`echo "${software?.digest.slice(2)}  fetched" | sha256sum -c -`);
    expect(script).not.toContain(environment["JOIN_PASS_0"]);
    expect(Buffer.byteLength(script)).toBeLessThan(4_000);
  });

  test("starts the version that the coordinator has by then; while it is away, the last that was seen", async () => {
    let digest = asDigest(`0x${"11".repeat(32)}`);
    const { open, harness: opened } = await stage({ served: async () => ({ digest, bytes: 7 }) });
    const { prepare } = await open(true);
    const checked = async () => /echo "([0-9a-f]{64})  fetched"/.exec((await prepare(lease(), offer(1))).script)?.[1];
    expect(await checked()).toBe("11".repeat(32));
    digest = asDigest(`0x${"22".repeat(32)}`);
    expect(await checked()).toBe("22".repeat(32));
    await opened.app.close();
    expect(await checked()).toBe("22".repeat(32));
  });
});

async function meeting(options: Parameters<typeof stage>[0] = {}, gpus = 1) {
  const all = await stage(options);
  const { prepare } = await all.open(true);
  const { environment } = await prepare(lease(), offer(gpus));
  const pass: SignedPass = parsePass(environment["JOIN_PASS_0"] ?? "");
  // Whoever keeps the leases has the directory, and nothing of the process that rented.
  const meet = createMeeting(all.leases, all.onFault, () => all.harness.clock.now());
  return { ...all, pass, meet };
}

describe("keeper and coordinator", () => {
  test("a machine whose worker joined and is alive beats; one that is silent does not", async () => {
    const { harness: opened, pass, meet } = await meeting();
    const { keeper, told } = keeperOf();
    await meet(keeper);
    expect(told()).toEqual([]);
    await opened.worker("31").joinBy(pass);
    await meet(keeper);
    expect(told()).toMatchObject([{ type: "beat", label: LABEL }]);
    await opened.clock.advance(11_000);
    await meet(keeper);
    expect(told()).toEqual([]);
    expect(opened.run.driver.state.leases?.[leaseOfPass(pass)]).toMatchObject({ ended: false });
  });

  test("what the coordinator measured of one is told, once it has trained", async () => {
    const { harness: opened, pass, meet } = await meeting({ shape: { layers: 2, width: 8 } });
    const { keeper, told } = keeperOf();
    const [rented, own] = [opened.worker("31", { beneficiary: pass.pass.beneficiary }), opened.worker("32")];
    await rented.joinBy(pass);
    await own.join();
    const prepared = rented.prepare(await rented.assigned());
    await meet(keeper);
    expect(told()).toEqual([{ type: "beat", label: LABEL }]);
    await opened.clock.advance(4_000);
    await rented.upload(prepared);
    await rented.submit(prepared);
    await meet(keeper);
    const flops: unknown = expect.any(Number);
    expect(told()).toEqual([
      { type: "beat", label: LABEL },
      { type: "measured", label: LABEL, measured: { flops, up: null, down: null } },
    ]);
  });

  test("of several workers one that trains does not speak for those that do not", async () => {
    const shape = { layers: 2, width: 8 };
    const measured = async (gpus: number) => {
      const { harness: opened, pass, meet } = await meeting({ shape }, gpus);
      const { keeper, told } = keeperOf();
      const [rented, own] = [opened.worker("31", { beneficiary: pass.pass.beneficiary }), opened.worker("32")];
      await rented.joinBy(pass);
      await own.join();
      const prepared = rented.prepare(await rented.assigned());
      await opened.clock.advance(4_000);
      await rented.upload(prepared);
      await rented.submit(prepared);
      for (let look = 1; look < gpus; look++) await meet(keeper);
      expect(told()).toEqual(Array.from({ length: gpus - 1 }, () => ({ type: "beat", label: LABEL })));
      await meet(keeper);
      const [, last] = told() as readonly { readonly measured: { readonly flops: number } }[];
      await opened.close();
      return last!.measured.flops;
    };
    const alone = await measured(1);
    expect(await measured(4)).toBe(Math.round(alone / 4));
  });

  test("one whose run has no work for it is idle, and is not while one of its workers has some", async () => {
    const { harness: opened, pass, meet, leases } = await meeting({}, 2);
    const { keeper, told } = keeperOf();
    const [first, second, own] = ["31", "32", "33"].map((byte) =>
      opened.worker(byte, { beneficiary: pass.pass.beneficiary }),
    );
    const passes = (await notedPasses(leases)).get(LABEL)!.passes.map(parsePass);
    await first!.joinBy(passes[0]!);
    await meet(keeper);
    expect(told()).toEqual([{ type: "beat", label: LABEL, idle: true }]);
    // The round opens without the first, whose pass was ended elsewhere.
    await opened.client.lease(runId, { pass: passes[0]!, end: true });
    await own!.join();
    await second!.joinBy(passes[1]!);
    await second!.assigned();
    await meet(keeper);
    expect(told()).toEqual([{ type: "beat", label: LABEL }]);
  });

  test("how long it has been idle stands in the list, once that was told", () => {
    const idle = { since: START, seenAt: START + 3_600_000, told: true };
    const cells = (change: Partial<Lease>) => leaseRows([lease(change)], START + 5_400_000)[1];
    expect(cells({ state: "joined", idle })).toContain("1:30:00");
    expect(cells({ state: "joined", idle: { ...idle, told: false } })).not.toContain("1:30:00");
    expect(documentOf(lease({ idle }), START).idleSince).toBe(new Date(START).toISOString());
    expect(documentOf(lease(), START).idleSince).toBeNull();
  });

  test("one on which nothing trains is told", async () => {
    const { harness: opened, pass, meet } = await meeting();
    const { keeper, told } = keeperOf();
    const device = { name: "cpu", tokensPerSecond: 900, missing: null };
    await opened.client.lease(runId, { pass, report: { devices: [device] } });
    await meet(keeper);
    expect(told()).toEqual([]);
    const lacking = { name: "cpu", tokensPerSecond: null, missing: "This processor lacks AVX2." };
    await opened.client.lease(runId, { pass, report: { devices: [lacking] } });
    await meet(keeper);
    const words = "No device of it trains: This processor lacks AVX2.";
    expect(told()).toEqual([{ type: "unfit", label: LABEL, words }]);
  });

  test("one that drains is drained once its worker has left", async () => {
    const { harness: opened, pass, meet } = await meeting();
    const worker = opened.worker("31");
    await worker.joinBy(pass);
    const doomed = { reason: "stopped", words: "", at: START } as const;
    const { keeper, told } = keeperOf({ state: "draining", doomed, drainUntil: ENDS });
    await meet(keeper);
    expect(told()).toEqual([{ type: "beat", label: LABEL }]);
    expect(await worker.work()).toMatchObject({ kind: "leave" });
    await worker.session.leave();
    await meet(keeper);
    expect(told()).toEqual([{ type: "drained", label: LABEL }]);
  });

  test.each(["terminating", "gone"] as const)("the pass of one that is %s is ended", async (state) => {
    const { harness: opened, pass, meet } = await meeting();
    const { keeper, told } = keeperOf({ state, doomed: { reason: "late", words: "", at: START } });
    await meet(keeper);
    expect(told()).toEqual([]);
    await expect(opened.worker("31").joinBy(pass)).rejects.toMatchObject({ code: "LEASE_ENDED" });
  });

  test("what ended is not asked about again, and passes that the ledger does not know are ended", async () => {
    const { harness: opened, pass, meet, leases } = await meeting();
    const { keeper } = keeperOf();
    const strangers = { ...keeper, book: () => openBook("0a1b2c3d", emptyKept) };
    expect([...(await notedPasses(leases)).keys()]).toEqual([LABEL]);
    await meet(strangers);
    expect(await notedPasses(leases)).toEqual(new Map());
    await expect(opened.worker("31").joinBy(pass)).rejects.toMatchObject({ code: "LEASE_ENDED" });
  });

  test("a coordinator that is away is told of, and hears of the end when it is back", async () => {
    const { harness: opened, meet, faults, leases } = await meeting();
    const { keeper } = keeperOf({ state: "gone" });
    await opened.app.close();
    await meet(keeper);
    expect(faults[0]).toContain(`The coordinator, about ${LABEL}: `);
    expect([...(await notedPasses(leases)).keys()]).toEqual([LABEL]);
  });

  test("passes that are over end with nobody's word", async () => {
    const { harness: opened, meet, faults, leases } = await meeting();
    const { keeper } = keeperOf({ state: "gone" });
    await opened.app.close();
    await opened.clock.advance(3 * 3_600_000);
    await meet(keeper);
    expect(faults).toEqual([]);
    expect(await notedPasses(leases)).toEqual(new Map());
  });

  test("a run that is over ends the clusters that were rented for it", async () => {
    const { harness: opened, meet } = await meeting();
    const { keeper, told } = keeperOf();
    await opened.run.driver.submit({ type: "RunFinished" });
    await elapse(opened, () => opened.run.driver.state.phase === "Finished", "the end of the run");
    await meet(keeper);
    const words = "Its run is over.";
    expect(told()).toEqual([{ type: "stop", cluster: "c1", reason: "stopped", words, drainMs: 0 }]);
  });

  test("a watchdog, which has no ledger, ends all passes", async () => {
    const { harness: opened, pass, leases, onFault, faults } = await meeting();
    await endAllPasses(leases, onFault, START);
    expect(faults).toEqual([]);
    await expect(opened.worker("31").joinBy(pass)).rejects.toMatchObject({ code: "LEASE_ENDED" });
  });
});
