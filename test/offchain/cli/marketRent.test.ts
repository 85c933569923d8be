/**
 * `cotrain market rent` and what looks after its machines, as processes against a fake provider on this machine: rented, replaced,
 * found again after kill -9, ended, and counted as the provider's own meter does.
 */
import type { ChildProcess } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { beforeEach, expect, test, vi } from "vitest";

import { labelOf } from "../../../offchain/src/market/base/labels.ts";
import { openLedger } from "../../../offchain/src/market/leases/ledger.ts";
import { type Lease, newLease } from "../../../offchain/src/market/leases/state.ts";
import type { FakeServer } from "../market/fakeServer.ts";
import { kinds } from "../market/leases/world.ts";
import { type Machine, type RentalServer, rentalServer, USD_PER_HOUR } from "./rentalServer.ts";
import { cotrain, cotrainHere, refusal, temporaryDirectory, verdictOf } from "./support.ts";

const offers = [1, 2, 3].map((id) => ({ id: `m${id}`, gpu: "RTX 4090", gpus: 1, usd_per_hour: String(USD_PER_HOUR) }));
const IMAGE = `ghcr.io/cotrain/worker@sha256:${"ab".repeat(32)}`;

let machines: readonly Machine[];
/** What the webhook was told. */
let posted: RentalServer["posted"];
let server: FakeServer;
let directory: string;
let alive: RentalServer["alive"];
let add: RentalServer["add"];
let meter: RentalServer["meter"];

beforeEach(async () => {
  vi.unstubAllEnvs();
  directory = temporaryDirectory();
  writeFileSync(join(directory, "start.sh"), "echo begins\n");
  writeFileSync(join(directory, "key.pub"), `ssh-ed25519 ${"A".repeat(68)} me@box\n`);
  ({ server, machines, posted, alive, add, meter } = await rentalServer(() => offers));
  writeFileSync(join(directory, "hook"), `${server.url}/hook\n`);
});

const at = () => [
  `--leases=${join(directory, "leases")}`,
  `--endpoint=fake=${server.url}`,
  "--provider=fake",
  "--every=300ms",
  `--keys=${join(directory, "keys")}`,
  `--webhook-file=${join(directory, "hook")}`,
];
const wanted = (...more: readonly string[]): string[] => [
  "market",
  "rent",
  "--budget=5",
  "--count=2",
  `--cache=${join(directory, "cache")}`,
  ...at(),
  ...more,
];
const order = (...more: readonly string[]): string[] =>
  wanted(
    "--yes",
    `--image=${IMAGE}`,
    `--start=${join(directory, "start.sh")}`,
    `--ssh-key=${join(directory, "key.pub")}`,
    ...more,
  );

/** Rents until two machines have joined; then the process gets a signal, once. */
function rentingUntilJoined(signal: "SIGINT" | "SIGKILL", ...more: readonly string[]) {
  let isSent = false;
  return cotrain(order(...more), {
    onStderr: (stderr, child) => {
      if (isSent || joined(stderr) < 2) return;
      isSent = true;
      child.kill(signal);
    },
  });
}

const joined = (stderr: string): number => stderr.match(/ is joined$/gm)?.length ?? 0;

interface Listed {
  readonly leases: readonly { readonly label: string; readonly state: string; readonly billed: string | null }[];
}
async function told<T>(...args: readonly string[]): Promise<T> {
  const { stdout, stderr, code } = await cotrainHere(["market", ...args, "--json"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return JSON.parse(stdout) as T;
}
const ledger = () => `--leases=${join(directory, "leases")}`;
const listed = (...more: readonly string[]) => told<Listed>("list", ledger(), ...more);

test("without --yes, or with --dry-run, it is shown what would be rented, and nothing is", async () => {
  for (const more of [[], ["--yes", "--dry-run"]]) {
    const { code, stdout } = await cotrainHere(wanted(...more));
    expect(code).toBe(0);
    expect(stdout).toContain("Nothing was rented: that takes --yes.");
    expect(stdout.match(/first choice/g)).toHaveLength(2);
  }
  expect(machines).toEqual([]);
  expect(verdictOf(await cotrainHere(["market", "list", ledger()]))).toEqual(refusal(1, /^Nothing was rented from /));
});

test("the first choice is what comes: creates that came to none count, and are told", async () => {
  const both = [
    { ...offers[0]!, id: "often", gpu: "RTX 4090", usd_per_hour: "1.2" },
    { ...offers[0]!, id: "never", gpu: "RTX 3090", usd_per_hour: "1.15" },
  ];
  ({ server } = await rentalServer(() => both));
  const shown = async (): Promise<readonly string[]> => {
    const { stdout } = await cotrainHere(wanted("--count=1", "--for=4h", "--json"));
    return (JSON.parse(stdout) as { offers: readonly { id: string }[] }).offers.map(({ id }) => id);
  };
  expect(await shown()).toEqual(["fake:never", "fake:often"]);
  const book = await openLedger(join(directory, "leases"), () => Date.now());
  await book.read();
  const doomed = { reason: "refused", words: "none left", at: Date.now() } as const;
  for (let attempt = 1; attempt <= 9; attempt++) {
    const label = labelOf({ installation: "0a1b2c3d", lease: "00000001", attempt });
    const lease: Lease = {
      ...newLease,
      label,
      cluster: "c1",
      slot: 0,
      attempt,
      account: "fake",
      identity: "owner",
      offer: "fake:never",
      machine: "1x RTX 3090 24 GB",
      host: "fake:never",
      state: "gone",
      since: Date.now(),
      sentAt: Date.now(),
      perHour: 0n,
      maximum: 0n,
      terms: kinds[0]!,
      doomed,
    };
    await book.append({ type: "refused", at: Date.now(), rows: { leases: { [label]: lease } } });
  }
  await book.close();
  expect(await shown()).toEqual(["fake:often", "fake:never"]);
  const { stdout } = await cotrainHere(wanted("--count=1", "--for=4h"));
  expect(stdout.replaceAll(/\s+/g, " ")).toContain("which count beside the stock: fake, RTX 3090 24 GB: 9 of 9.");
});

test("what is missing is said before anything is sent", async () => {
  expect(verdictOf(await cotrainHere(["market", "rent"]))).toEqual(refusal(1, "Name what may be spent: --budget USD."));
  expect(verdictOf(await cotrainHere(wanted("--yes")))).toEqual(
    refusal(1, /^Name what the machines are to do: --image, and /),
  );
  expect(verdictOf(await cotrainHere(order("--autostop", "--idle=30m")))).toEqual(
    refusal(1, "--autostop ends machines that a run has no work for: it takes --coordinator."),
  );
  expect(verdictOf(await cotrainHere(wanted("--minimum=3")))).toEqual(refusal(1, "--minimum cannot be above --count."));
  expect(machines).toEqual([]);
});

test(
  "machines are rented, one is replaced, kill -9 loses none, and all are ended and billed",
  { timeout: 300_000 },
  async () => {
    let [isTold, isKilled] = [false, false];
    let first = "";
    const ended: Promise<unknown>[] = [];
    const onStderr = (stderr: string, child: ChildProcess): void => {
      if (!isTold && joined(stderr) === 2) {
        isTold = true;
        first = /(ct-\S+) at fake is joined/.exec(stderr)?.[1] ?? "";
        // The process that keeps the leases is told by another.
        ended.push(cotrain(["market", "terminate", first, ...at(), "--drain=0s"]));
      }
      if (!isKilled && joined(stderr) === 3) {
        isKilled = true;
        child.kill("SIGKILL");
      }
    };
    const { code } = await cotrain(order("--for=1h", "--minimum=1"), { onStderr });
    expect(code).toBeNull();
    expect(await Promise.all(ended)).toMatchObject([
      { code: 0, stderr: expect.stringContaining("Another process keeps the leases: it was told") },
    ]);
    expect(alive()).toHaveLength(2);
    expect(alive()[0]?.ordered).toMatchObject({
      image: IMAGE,
      script: "echo begins\n",
      maximum_usd_per_hour: "1.260000",
    });
    const left = await listed();
    expect(left.leases.map(({ state }) => state)).toEqual(["joined", "joined"]);

    const all = await cotrain(["market", "terminate", "--all", ...at()]);
    expect(all).toMatchObject({ code: 0 });
    expect(alive()).toEqual([]);
    expect((await listed()).leases).toEqual([]);
    expect((await listed("--all")).leases).toHaveLength(3);

    // The bills are asked for by the look that follows.
    expect((await cotrain(["market", "reconcile", "--once", ...at()])).code).toBe(0);
    const { sums, clusters } = await told<{
      sums: readonly { cost: string; billed: string }[];
      clusters: readonly unknown[];
    }>("cost", ledger());
    const metered = machines.reduce((sum, machine) => sum + meter(machine), 0n);
    expect(sums).toMatchObject([{ provider: "fake", machines: 3, cost: String(metered), billed: String(metered) }]);
    expect(clusters).toHaveLength(1);
    const { changes } = await told<{ changes: readonly { label: string; state: string }[] }>(
      "history",
      ledger(),
      "--limit=100",
    );
    expect(changes.filter(({ label }) => label === first).map(({ state }) => state)).toEqual([
      "creating",
      "provisioning",
      "joined",
      "terminating",
      "gone",
    ]);
    expect((await told<{ changes: readonly unknown[] }>("history", ledger(), "--limit=1")).changes).toHaveLength(1);
  },
);

test(
  "Ctrl-C ends all machines before the process ends; a stranger of ours is collected, or adopted",
  { timeout: 300_000 },
  async () => {
    const { code, stdout } = await rentingUntilJoined("SIGINT", "--accept-no-backstop", "--json");
    expect(code).toBe(0);
    expect(alive()).toEqual([]);
    const { cluster } = JSON.parse(stdout) as { cluster: string };

    const { installation } = await told<{ installation: string }>("list", ledger());
    const stranger = labelOf({ installation, lease: "deadbeef", attempt: 1 });
    add(stranger);
    add("of-somebody-else");
    expect((await cotrain(["market", "reconcile", "--once", ...at()])).stderr).toContain(
      `${stranger} at fake has a label of ours`,
    );
    expect(posted).toContainEqual(expect.objectContaining({ what: "orphan", label: stranger }));
    expect((await listed()).leases).toMatchObject([{ label: stranger, state: "quarantined" }]);
    // Its cluster is over: it stays where it is.
    const adopted = await cotrain(["market", "adopt", stranger, `--cluster=${cluster}`, ...at()]);
    expect(adopted.code).toBe(0);
    expect((await listed()).leases).toMatchObject([{ label: stranger, state: "quarantined" }]);
    expect((await cotrain(["market", "gc", ...at()])).code).toBe(0);
    expect(alive().map(({ label }) => label)).toEqual(["of-somebody-else"]);
  },
);

test("with nobody left, a watchdog ends what is there", { timeout: 300_000 }, async () => {
  await rentingUntilJoined("SIGKILL", "--for=1h");
  expect(alive()).toHaveLength(2);
  const { stderr } = await cotrain(["market", "watchdog", "--patience=1s", ...at()], {
    onStderr: (text, child) => {
      if (text.match(/was told to end/g)?.length === 2) child.kill("SIGINT");
    },
  });
  expect(stderr).toContain("Watching The fake provider for installation ");
  expect(alive()).toEqual([]);
  const ofWatchdog = posted.filter(({ what }) => what === "watchdog").map(({ label }) => label ?? "");
  expect(ofWatchdog.toSorted()).toEqual(machines.map(({ label }) => label).toSorted());
});

test("a script and a run exclude each other, one of them is due, and a drain is shorter than the whole", async () => {
  const begin = [
    "market",
    "rent",
    "--budget=1",
    "--yes",
    `--image=${IMAGE}`,
    ...at(),
    `--cache=${join(directory, "cache")}`,
  ];
  const due = refusal(1, "--coordinator for a run that they join, or --start for a script.");
  expect(verdictOf(await cotrainHere(begin))).toEqual(due);
  const run = [...begin, "--coordinator=http://127.0.0.1:1"];
  expect(verdictOf(await cotrainHere([...run, "--start=x"]))).toEqual(due);
  expect(verdictOf(await cotrainHere([...run, "--for=5m", "--drain=5m"]))).toEqual(
    refusal(1, "--drain must be shorter than --for."),
  );
});
