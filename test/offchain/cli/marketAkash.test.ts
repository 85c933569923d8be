/**
 * Machines of Akash, an auction among hosts, rented by `cotrain market rent` as processes: at a limit, at what the cheapest host bids, for
 * an hour and then for as long as they are wanted; by whoever keeps the leases, and by nobody where nobody does.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { beforeEach, expect, test } from "vitest";

import { openLedger } from "../../../offchain/src/market/leases/ledger.ts";
import { adapterOf } from "../market/asking.ts";
import { type FakeServer, fakeServer } from "../market/fakeServer.ts";
import { SECRET } from "../market/providers.ts";
import { type Cloud, createCloud } from "../market/renting/cloud.ts";
import { part } from "../market/renting/dialect.ts";
import { akash } from "../market/renting/dialects/akash.ts";
import { cotrain, type Ended, temporaryDirectory } from "./support.ts";

const IMAGE = `ghcr.io/cotrain/worker@sha256:${"ab".repeat(32)}`;
const MINUTE = 60_000;
/** Like others paid 1.2 USD an hour. */
const model = {
  vendor: "nvidia",
  model: "h100",
  ram: "80Gi",
  interface: "SXM5",
  availability: { available: 3 },
  price: { currency: "USD", med: 1.2 },
};

let directory: string;
let cloud: Cloud;
let server: FakeServer;

beforeEach(async () => {
  directory = temporaryDirectory();
  writeFileSync(join(directory, "start.sh"), "echo begins\n");
  cloud = createCloud({ now: Date.now }, akash.idOf);
  Object.assign(cloud, { bootFor: 0, killFor: 100, remembers: true } satisfies Partial<Cloud>);
  server = await fakeServer({
    key: ["x-api-key", SECRET],
    routes: { ...akash.routes(cloud), "GET /v1/gpu-prices": () => ({ body: { models: [model] } }) },
  });
});

const ledger = () => join(directory, "leases");
const market = (args: readonly string[], killWhen?: string): Promise<Ended> =>
  cotrain(
    [
      "market",
      ...args,
      `--leases=${ledger()}`,
      `--endpoint=akash=${server.url}`,
      "--provider=akash",
      "--every=1s",
      `--keys=${join(directory, "keys")}`,
    ],
    {
      environment: { [adapterOf("akash").key?.variable ?? ""]: SECRET },
      ...(killWhen !== undefined && {
        onStderr: (stderr, child) => {
          if (stderr.includes(killWhen)) child.kill("SIGKILL");
        },
      }),
    },
  );
const order = (...more: readonly string[]): string[] => [
  "rent",
  "--budget=20",
  "--yes",
  `--image=${IMAGE}`,
  `--start=${join(directory, "start.sh")}`,
  `--cache=${join(directory, "cache")}`,
  ...more,
];
const hours = () => cloud.machines.map(({ ordered }) => part(ordered, "hours"));

const list = async () =>
  (
    JSON.parse((await cotrain(["market", "list", `--leases=${ledger()}`, "--json"])).stdout) as {
      leases: readonly Record<string, unknown>[];
    }
  ).leases;

/** As if so much time had gone by for the machine, its provider and the book. */
async function goBy(ms: number): Promise<void> {
  const book = await openLedger(ledger(), () => Date.now());
  const { leases } = await book.read();
  const [lease] = Object.values(leases);
  if (lease?.sentAt == null || lease.backedUntil === null) throw new Error("There is no lease with a time.");
  const earlier = { ...lease, sentAt: lease.sentAt - ms, backedUntil: lease.backedUntil - ms };
  await book.append({ type: "time", at: Date.now(), rows: { leases: { [lease.label]: earlier } } });
  await book.close();
  const [machine] = cloud.machines;
  Object.assign(machine!, { createdAt: machine!.createdAt - ms, dueAt: (machine!.dueAt ?? 0) - ms });
}

test(
  "the cheapest bid is leased for an hour, for one more while it is wanted, and ends by itself when nobody looks",
  { timeout: 600_000 },
  async () => {
    const { stderr } = await market(order("--auction=50"), "is joined");
    expect(stderr).toContain("at akash is joined");
    expect(cloud.machines).toHaveLength(1);
    expect(hours()).toEqual([1]);
    // What the host bids is paid, below the limit.
    expect(await list()).toMatchObject([{ state: "joined", perHour: "1500000" }]);

    // Not before it is due, and then once.
    for (const [ms, due] of [
      [30 * MINUTE, 1],
      [20 * MINUTE, 2],
      [0, 2],
    ] as const) {
      await goBy(ms);
      expect(await market(["reconcile", "--once"])).toMatchObject({ code: 0 });
      expect(hours()).toEqual([due]);
    }

    // Nobody looks for an hour and a half: its own time closes it.
    await goBy(90 * MINUTE);
    const { stderr: words } = await market(["reconcile", "--once"]);
    expect(words).toContain("is not paid for longer: Akash refuses the request: Deployment is closed.");
    expect(hours()).toEqual([2]);
    expect(server.asked.filter(({ method }) => method === "DELETE")).toEqual([]);
    expect(cloud.machines[0]).toMatchObject({ phase: "gone" });
  },
);

test(
  "a console that does not take the time rents nothing, and is left with nothing",
  { timeout: 600_000 },
  async () => {
    server.failAt(/^GET \/v2\/deployment-settings/, { status: 200, body: { data: { autoTopUpEnabled: true } } });
    const { stderr } = await market(order("--auction=50"), "does not end a deployment by time");
    expect(stderr).toContain("does not end a deployment by time");
    expect(server.asked.filter(({ path }) => path === "/v1/leases")).toEqual([]);
    expect(cloud.machines.map(({ endsAt }) => typeof endsAt)).toEqual(["number"]);
  },
);
