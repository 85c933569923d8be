/** `cotrain market cost`: what a ledger says of money, by cluster, provider and day, and by the run that machines joined. */
import { join } from "node:path";

import { expect, test } from "vitest";

import { openLedger } from "../../../offchain/src/market/index.ts";
import { type Cluster, type Lease, newLease } from "../../../offchain/src/market/leases/state.ts";
import { clusterOf, kinds } from "../market/leases/world.ts";
import { NOW } from "../market/offers.ts";
import { cotrainHere, temporaryDirectory } from "./support.ts";

const RUN = `0x${"ab".repeat(32)}`;

const cluster = (id: string, run?: string): Cluster => ({
  ...clusterOf({ id, ...(run === undefined ? {} : { run }) }),
  rentedAt: NOW,
  assembled: true,
  stopping: null,
  warned: 0,
});
const leaseOf = (id: string, billed: bigint): Lease => ({
  ...newLease,
  label: `ct-0a1b2c3d-4e5f607${id.slice(-1)}-1`,
  cluster: id,
  slot: 0,
  attempt: 1,
  account: "vast",
  identity: "owner",
  offer: "vast:1",
  machine: "",
  host: "m1",
  state: "gone",
  since: NOW,
  perHour: 1n,
  maximum: 1n,
  instance: id,
  goneAt: NOW,
  sentAt: NOW,
  billed,
  terms: kinds[0]!,
});

/** Of a year ago: whoever keeps the leases has forgotten it. */
const LONG_AGO = Date.now() - 365 * 86_400_000;
const longOver = { rentedAt: LONG_AGO, stopping: { reason: "stopped", words: "", drainMs: 0 } } as const;

test("clusters of a run are one sum, beside those of none, however long ago", async () => {
  const leases = join(temporaryDirectory(), "leases");
  const ledger = await openLedger(leases, () => NOW);
  await ledger.read();
  const rows = {
    clusters: { c1: cluster("c1", RUN), c2: cluster("c2", RUN), c3: { ...cluster("c3"), ...longOver } },
    leases: Object.fromEntries(
      [leaseOf("c1", 1_000_000n), leaseOf("c2", 500_000n), { ...leaseOf("c3", 70_000n), since: LONG_AGO }].map(
        (lease) => [lease.label, lease],
      ),
    ),
  };
  await ledger.append({ type: "tick", at: NOW, rows });
  await ledger.close();
  const { stdout } = await cotrainHere(["market", "cost", `--leases=${leases}`, "--json"]);
  expect(JSON.parse(stdout)).toMatchObject({
    clusters: [
      { cluster: "c1", run: RUN },
      { cluster: "c2", run: RUN },
      { cluster: "c3", run: null },
    ],
    runs: [
      { run: RUN, cost: "1500000" },
      { run: null, cost: "70000" },
    ],
  });
  const { stdout: text } = await cotrainHere(["market", "cost", `--leases=${leases}`]);
  expect(text).toMatch(new RegExp(`^Run ${RUN}: 1\\.50* USD\\.$`, "m"));
});
