/** What commands on leases share: where they lie, whose accounts are asked, how they are kept, and how they are shown. */
import { formatDuration, formatUsd, systemClock, unlessAborted, UserError } from "../base/index.ts";
import {
  type Book,
  costOf,
  createWebhook,
  defaultRules,
  isOpen,
  keepLeases,
  type Keeper,
  type KeepingOptions,
  type Lease,
  leasesOf,
  type Notice,
  type Renters,
  rentersOf,
  webhookIn,
} from "../market/index.ts";
import { type ConfigOf, duration, text, wordsOf } from "../service/index.ts";
import { communityOption, endpointOption, keptKeys, keysOptions, machinesOption, random, reachOf } from "./market.ts";
import { leasesOption } from "./ledger.ts";
import { createMeeting } from "./meeting.ts";
import type { Output } from "./output.ts";

/** Options of commands that ask providers. */
export const keepingOptions = {
  leases: leasesOption,
  machines: machinesOption,
  community: communityOption,
  endpoint: endpointOption,
  ...keysOptions,
  every: duration({ description: "time between two looks at all accounts", default: defaultRules.lookEvery }),
  webhookFile: text({
    value: "file",
    description: "file with the address that is told of lost machines, orphans, prices and the budget",
  }),
} as const;
type Keeping = ConfigOf<typeof keepingOptions> & { readonly identity?: string | undefined };

export const identityOption = text({
  value: "file",
  description:
    "private key for ssh (default: the agent's keys and the user's own; of own machines what --machines says)",
});

export const accountsOption = wordsOf(/^[a-z]{1,20}$/, "the name of a provider such as vast or lambda", {
  description: "providers whose accounts are looked at (default: all whose keys are set, and `own` with --machines)",
});

export const usd = (money: bigint): string => formatUsd(money);

/** A lease as a document. */
export const documentOf = (lease: Lease, at: number) => ({
  label: lease.label,
  state: lease.state,
  since: new Date(lease.since).toISOString(),
  cluster: lease.cluster,
  slot: lease.slot,
  account: lease.account,
  instance: lease.instance,
  offer: lease.offer,
  machine: lease.machine,
  perHour: lease.perHour,
  cost: costOf(lease, at),
  billed: lease.billed,
  idleSince: lease.idle?.told === true ? new Date(lease.idle.since).toISOString() : null,
  why: lease.doomed,
  ssh: lease.ssh,
  measured: lease.measured ?? null,
});

/** How long a machine has been idle, once that was told. */
const idleText = ({ idle, state }: Lease, at: number): string =>
  idle?.told === true && state !== "gone" ? formatDuration(Math.max(0, at - idle.since)) : "";

/** Why it ends, or does not begin. */
const whyText = ({ doomed, starting, state }: Lease): string => {
  if (doomed !== null) return doomed.words;
  const isWaiting = state === "provisioning" && starting !== undefined && starting.doneAt === null;
  return isWaiting && starting.words !== "" ? `not started yet: ${starting.words}` : "";
};

/** Rows of a table of leases. */
export const leaseRows = (leases: readonly Lease[], at: number): string[][] => [
  ["lease", "state", "machine", "provider", "USD/h", "USD", "idle", "ssh", ""],
  ...leases.map((lease) => [
    lease.label,
    lease.state,
    lease.machine,
    lease.account,
    usd(lease.perHour),
    usd(costOf(lease, at)),
    idleText(lease, at),
    lease.ssh === null ? "" : `${lease.ssh.user}@${lease.ssh.host}:${lease.ssh.port}`,
    whyText(lease),
  ]),
];

/** Tells each change of a lease's state once. */
function createTelling(output: Output): (book: Book) => void {
  const told = new Map<string, string>();
  return (book) => {
    for (const lease of leasesOf(book)) {
      if (told.get(lease.label) === lease.state) continue;
      // Those that were over before are no news.
      if (told.has(lease.label) || isOpen(lease)) {
        const why = lease.doomed === null ? "" : `: ${lease.doomed.words}`;
        output.notice(`${lease.label} at ${lease.account} is ${lease.state}${why}`);
      }
      told.set(lease.label, lease.state);
    }
  };
}

/** After the end, for a webhook that is slow. */
const WEBHOOK_REST = 20_000;

/**
 * Somebody who is told by a webhook, where one is named, while something runs.
 * @throws as webhookIn; what the work throws
 */
export async function withWebhook<T>(
  { webhookFile }: Pick<Keeping, "webhookFile">,
  output: Output,
  work: (tell: (notice: Omit<Notice, "at">) => void) => Promise<T>,
): Promise<T> {
  if (webhookFile === undefined) return work(() => undefined);
  const ending = new AbortController();
  const webhook = createWebhook({
    url: await webhookIn(webhookFile),
    clock: systemClock,
    random,
    signal: ending.signal,
    onFault: (sentence) => output.notice(sentence),
  });
  try {
    return await work((notice) => webhook.tell({ ...notice, at: new Date().toISOString() }));
  } finally {
    await unlessAborted(webhook.settled(), AbortSignal.timeout(WEBHOOK_REST)).catch(() => undefined);
    ending.abort();
  }
}

/** Keeps the leases of a directory, and tells what happens. */
export const keepHere = (
  options: Keeping,
  output: Output,
  parts: Pick<KeepingOptions, "isDone" | "begin" | "before" | "hurry" | "signal" | "accounts" | "quote" | "prepare">,
): Promise<Book> => withWebhook(options, output, (tell) => keepTelling(options, output, parts, tell));

function keepTelling(
  options: Keeping,
  output: Output,
  parts: Parameters<typeof keepHere>[2],
  tell: (notice: Omit<Notice, "at">) => void,
): Promise<Book> {
  const tellStates = createTelling(output);
  const { leases: directory, every, identity } = options;
  const meet = createMeeting(directory, output.notice);
  return keepLeases({
    ...parts,
    directory,
    identity,
    clock: systemClock,
    rules: { ...defaultRules, lookEvery: every },
    before: async (keeper) => {
      await parts.before?.(keeper);
      await meet(keeper);
    },
    isDone: async (book: Book, keeper: Keeper) => {
      tellStates(book);
      const isDone = await parts.isDone(book, keeper);
      // What ended with the last look is told, too.
      if (isDone) await meet(keeper);
      return isDone;
    },
    onAlarm: ({ what, cluster, label, sentence }) => {
      output.notice(sentence);
      tell({ what, cluster, label, sentence });
    },
    onFault: (sentence) => output.notice(sentence),
  });
}

/** For commands that end and look, and rent nothing. */
export const rentsNothing = {
  quote: () => Promise.resolve([]),
  prepare: () => Promise.reject(new UserError("RENTS_NOTHING", "Nothing is rented by this command.")),
} as const;

/** The accounts that are rented from, with their keys. @throws as {@link rentersOf} and {@link keptKeys} */
export const rentersHere = async (
  options: Pick<Keeping, "endpoint" | "keys" | "passphraseFile" | "machines" | "community" | "leases"> & {
    readonly provider?: readonly string[] | undefined;
  },
  signal: AbortSignal,
): Promise<Renters> =>
  rentersOf(
    options.provider,
    reachOf(options.endpoint, signal, await keptKeys(options)),
    options.machines,
    options.community === undefined ? undefined : { file: options.community, leases: options.leases },
  );
