/** `cotrain market list`, `cost` and `history`: what the ledger says; nobody is asked. */
import { toggle, integer } from "../../service/index.ts";
import { costOf, isOpen, type Lease, leasesOf } from "../../market/index.ts";
import { defineCommand } from "../command.ts";
import { leasesOption, withLedger } from "../ledger.ts";
import { documentOf, leaseRows, usd } from "../leases.ts";
import { columnsOf, tableWithin } from "../output.ts";

/** `cotrain market list`. */
export const marketListCommand = defineCommand({
  name: "market list",
  summary: "machines that are rented, as the ledger has them",
  options: {
    leases: leasesOption,
    all: toggle({ description: "those that are gone too", default: false }),
  },
  examples: [["npx cotrain market list", "those that cost something, or may"]],
  notes: [
    "It asks nobody: whoever keeps the leases does (`cotrain market rent`, `cotrain market reconcile`). What is not gone is counted, whatever its state.",
  ],
  run: ({ options, output }) =>
    withLedger(options.leases, async (book, ledger) => {
      const now = Date.now();
      const leases = leasesOf(options.all ? await ledger.whole() : book).filter(
        (lease) => options.all || isOpen(lease),
      );
      output.result({ installation: book.installation, leases: leases.map((lease) => documentOf(lease, now)) }, [
        ...(leases.length === 0
          ? ["Nothing is rented."]
          : tableWithin(columnsOf(process.stdout), leaseRows(leases, now), [4, 5])),
      ]);
    }),
});

/** Of which sum a lease is part. */
const groupOf = ({ cluster, account, sentAt, since }: Lease): string =>
  JSON.stringify([cluster ?? "", account, new Date(sentAt ?? since).toISOString().slice(0, 10)]);

const sumOf = (leases: readonly Lease[], amount: (lease: Lease) => bigint): bigint =>
  leases.reduce((sum, lease) => sum + amount(lease), 0n);

/** `cotrain market cost`. */
export const marketCostCommand = defineCommand({
  name: "market cost",
  summary: "what machines have cost, by cluster, provider and the day on which they were rented, and by run",
  options: { leases: leasesOption },
  examples: [["npx cotrain market cost --json", "in millionths of a dollar"]],
  notes: [
    "What a provider has billed counts as billed; all else is counted under its rounding from the moment of sending to the first complete listing without the machine, so never below the bill.",
  ],
  run: ({ options, output }) =>
    withLedger(options.leases, async (_, ledger) => {
      const now = Date.now();
      const book = await ledger.whole();
      const sums = [...Map.groupBy(leasesOf(book), groupOf)].map(([key, leases]) => {
        const [cluster = "", provider = "", day = ""] = JSON.parse(key) as string[];
        return {
          cluster: cluster === "" ? null : cluster,
          provider,
          day,
          machines: leases.filter(({ instance }) => instance !== null).length,
          cost: sumOf(leases, (lease) => costOf(lease, now)),
          billed: sumOf(leases, ({ billed }) => billed ?? 0n),
        };
      });
      const clusters = Object.values(book.clusters).map(({ id, budget, run }) => ({
        cluster: id,
        run: run ?? null,
        budget,
        cost: sumOf(
          leasesOf(book).filter((lease) => lease.cluster === id),
          (lease) => costOf(lease, now),
        ),
      }));
      const runs = [...Map.groupBy(clusters, ({ run }) => run)].map(([run, own]) => ({
        run,
        cost: own.reduce((sum, { cost }) => sum + cost, 0n),
      }));
      output.result({ sums, clusters, runs }, [
        ...tableWithin(
          columnsOf(process.stdout),
          [
            ["cluster", "provider", "day", "machines", "USD", "of it billed"],
            ...sums.map(({ cluster, provider, day, machines, cost, billed }) => [
              cluster ?? "none",
              provider,
              day,
              String(machines),
              usd(cost),
              usd(billed),
            ]),
          ],
          [3, 4, 5],
        ),
        "",
        ...clusters.map(({ cluster, cost, budget }) => `Cluster ${cluster}: ${usd(cost)} of ${usd(budget)} USD.`),
        ...runs.flatMap(({ run, cost }) => (run === null ? [] : [`Run ${run}: ${usd(cost)} USD.`])),
      ]);
    }),
});

/** `cotrain market history`. */
export const marketHistoryCommand = defineCommand({
  name: "market history",
  summary: "what happened to leases, the newest last",
  options: {
    leases: leasesOption,
    limit: integer(1, 1_000_000, { description: "changes to show", default: 50 }),
  },
  examples: [["npx cotrain market history --limit 10", "the last ten changes"]],
  run: ({ options, output }) =>
    withLedger(options.leases, async (_, ledger) => {
      const changes: { at: string; label: string; state: string; why: string | null }[] = [];
      const states = new Map<string, string>();
      for await (const { at, rows } of ledger.history()) {
        for (const { label, state, doomed } of Object.values(rows.leases ?? {})) {
          if (states.get(label) === state) continue;
          states.set(label, state);
          changes.push({ at: new Date(at).toISOString(), label, state, why: doomed?.words ?? null });
        }
        changes.splice(0, changes.length - options.limit);
      }
      output.result({ changes }, [
        ...tableWithin(columnsOf(process.stdout), [
          ["when", "lease", "state", ""],
          ...changes.map(({ at, label, state, why }) => [at, label, state, why ?? ""]),
        ]),
      ]);
    }),
});
