/** `cotrain market terminate`, `reconcile`, `adopt` and `gc`: what is rented is brought in order; nothing is rented. */
import { CotrainError } from "@cotrain/sdk/errors";

import { UserError } from "../../base/index.ts";
import { type Book, isOpen, type Lease, type LeaseRequest, leasesOf, leaveRequest } from "../../market/index.ts";
import {
  channelOnStderr,
  type ConfigOf,
  createLogger,
  duration,
  runDaemon,
  text,
  toggle,
} from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { requireLeases, withLedger } from "../ledger.ts";
import {
  accountsOption,
  documentOf,
  identityOption,
  keepHere,
  keepingOptions,
  leaseRows,
  rentersHere,
  rentsNothing,
} from "../leases.ts";
import { columnsOf, type Output, tableWithin } from "../output.ts";

const options = { ...keepingOptions, identity: identityOption, provider: accountsOption } as const;
type Options = ConfigOf<typeof options>;

interface Wish {
  readonly requests: readonly LeaseRequest[];
  /** Which leases are told of at the end. */
  readonly about: (lease: Lease) => boolean;
  readonly isDone: (book: Book) => boolean;
}

/** Leases whose account is not looked at, so that nothing can be done about them. */
function sayUnreached(book: Book, names: readonly string[], output: Output): void {
  for (const { label, account } of leasesOf(book).filter((lease) => isOpen(lease) && !names.includes(lease.account)))
    output.notice(
      `${label} is at ${account}, which is not named, or whose key or --machines is not given: nothing is done about it.`,
    );
}

/** Brings about what is wished, or leaves it to the process that keeps the leases. */
async function bringAbout(given: Options, output: Output, wish: Wish): Promise<number> {
  const { leases: directory } = given;
  requireLeases(directory);
  const work = async (signal: AbortSignal): Promise<number> => {
    const { accounts } = await rentersHere(given, signal);
    for (const request of wish.requests) await leaveRequest(directory, request);
    try {
      const book = await keepHere(given, output, {
        ...rentsNothing,
        accounts,
        signal,
        begin: async (keeper) =>
          sayUnreached(
            keeper.book(),
            accounts.map(({ name }) => name),
            output,
          ),
        isDone: wish.isDone,
      });
      return tell(book, output, wish);
    } catch (error) {
      if (!(error instanceof CotrainError) || error.code !== "LEASES_KEPT" || wish.requests.length === 0) throw error;
      output.notice("Another process keeps the leases: it was told, and does it at its next look.");
      return withLedger(directory, (book) => tell(book, output, wish));
    }
  };
  return runDaemonFor(work, output);
}

const runDaemonFor = (work: (signal: AbortSignal) => Promise<number>, output: Output): Promise<never> =>
  runDaemon(({ signal }) => work(signal), {
    name: "cotrain market",
    logger: createLogger({ component: "market", level: "warn" }),
    report: output.complain,
    channel: channelOnStderr(),
  });

function tell(book: Book, output: Output, { about }: Wish): number {
  const leases = leasesOf(book).filter(about);
  const now = Date.now();
  output.result({ leases: leases.map((lease) => documentOf(lease, now)) }, [
    ...(leases.length === 0
      ? ["There is no such lease."]
      : tableWithin(columnsOf(process.stdout), leaseRows(leases, now), [4, 5])),
  ]);
  return 0;
}

const nothingLeft = (leases: readonly Lease[]): boolean => leases.every((lease) => !isOpen(lease));

/** `cotrain market terminate`. */
export const marketTerminateCommand = defineCommand({
  name: "market terminate",
  summary: "end a machine, or all of them, and wait until they are seen to be gone",
  args: [{ name: "lease", description: "as market list shows it", optional: true }],
  options: {
    ...options,
    all: toggle({ description: "all machines and all clusters", default: false }),
    drain: duration({ description: "time that their work has to end", default: 0 }),
  },
  examples: [["npx cotrain market terminate --all", "ends everything, and stays until nothing is left"]],
  notes: [
    "A machine is gone when its provider took its end, two complete listings lack it and the provider says that there is none. Until then it is asked again and again, and counted.",
  ],
  async run({ args: [label], options: given, output }) {
    if ((label === undefined) !== given.all)
      throw new UserError("USAGE", "Name one lease of market list, or give --all.");
    const drainMs = given.drain;
    const requests = await withLedger(given.leases, (book): LeaseRequest[] => {
      if (label !== undefined) {
        if (book.leases[label] === undefined)
          throw new UserError("LEASE_UNKNOWN", `There is no lease "${label}": market list --all shows all of them.`);
        return [{ type: "end", label, drainMs }];
      }
      return [
        ...Object.keys(book.clusters).map((cluster) => ({ type: "stop", cluster, drainMs }) as const),
        ...leasesOf(book).flatMap((lease) =>
          isOpen(lease) ? [{ type: "end", label: lease.label, drainMs } as const] : [],
        ),
      ];
    });
    const about = (lease: Lease): boolean => label === undefined || lease.label === label;
    return bringAbout(given, output, {
      requests,
      about: (lease) =>
        about(lease) &&
        (label !== undefined || requests.some((each) => each.type === "end" && each.label === lease.label)),
      isDone: (book) => nothingLeft(leasesOf(book).filter(about)),
    });
  },
});

/** `cotrain market reconcile`. */
export const marketReconcileCommand = defineCommand({
  name: "market reconcile",
  summary: "take over what another process left: find it, keep it within its budget, and end it",
  options: { ...options, once: toggle({ description: "look twice, and leave the rest as it is", default: false }) },
  examples: [["npx cotrain market reconcile", "after a crash: until nothing is left"]],
  notes: [
    "What a crash left open is looked for in complete listings, and never sent again. Machines go on until their cluster's time or budget is over; lost ones are not replaced.",
    "Machines with a label of this ledger that it does not know are ended after 15 minutes, unless they are adopted; machines of others are not touched.",
  ],
  run: ({ options: given, output }) =>
    bringAbout(given, output, {
      requests: [],
      about: isOpen,
      isDone: (book) => given.once || nothingLeft(leasesOf(book)),
    }),
});

/** `cotrain market adopt`. */
export const marketAdoptCommand = defineCommand({
  name: "market adopt",
  summary: "take a machine with a label of ours that the ledger does not know into a cluster",
  args: [{ name: "lease", description: "as market list shows it, in quarantine" }],
  options: { ...options, cluster: text({ value: "id", description: "the cluster that has a free slot for it" }) },
  examples: [["npx cotrain market adopt ct-0a1b2c3d-4e5f6071-1 --cluster c1a2b3c4", "where its budget has room"]],
  async run({ args: [label = ""], options: given, output }) {
    const { cluster } = given;
    if (cluster === undefined) throw new UserError("USAGE", "Name a cluster of market cost: --cluster ID.");
    await withLedger(given.leases, (book) => {
      if (book.leases[label]?.state !== "quarantined")
        throw new UserError("LEASE_UNKNOWN", `There is no machine "${label}" in quarantine: market list shows those.`);
      if (book.clusters[cluster] === undefined)
        throw new UserError("CLUSTER_UNKNOWN", `There is no cluster "${cluster}": market cost shows all of them.`);
    });
    return bringAbout(given, output, {
      requests: [{ type: "adopt", label, cluster }],
      about: (lease) => lease.label === label,
      isDone: () => true,
    });
  },
});

const strays = (book: Book): string[] =>
  leasesOf(book).flatMap(({ state, label }) => (state === "quarantined" ? [label] : []));

/** `cotrain market gc`. */
export const marketGcCommand = defineCommand({
  name: "market gc",
  summary: "end machines with a label of ours that the ledger does not know, at once",
  options,
  examples: [["npx cotrain market gc", "does not wait for the 15 minutes of their quarantine"]],
  async run({ options: given, output }) {
    const known = await withLedger(given.leases, strays);
    return bringAbout(given, output, {
      requests: known.map((label) => ({ type: "end", label, drainMs: 0 })),
      about: ({ label }) => known.includes(label),
      isDone: (book) => nothingLeft(leasesOf(book).filter(({ label }) => known.includes(label))),
    });
  },
});
