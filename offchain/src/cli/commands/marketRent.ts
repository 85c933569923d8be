import { randomBytes } from "node:crypto";

import { countOf, formatDuration, UserError, wrap } from "../../base/index.ts";
import { readFileBounded, shellWords } from "../../base/node/index.ts";
import {
  defaultRules,
  isOpen,
  type Keeper,
  leasesOf,
  machineText,
  microUsdOf,
  type Offer,
  type Prepared,
  priceText,
  rank,
  runsScripts,
} from "../../market/index.ts";
import {
  channelOnStderr,
  type ConfigOf,
  createLogger,
  duration,
  integer,
  real,
  runDaemon,
  text,
  toggle,
} from "../../service/index.ts";
import { type CommandContext, defineCommand } from "../command.ts";
import { documentOf, keepHere, keepingOptions, leaseRows, rentersHere } from "../leases.ts";
import { alternativesOf, catalogueOptions, wishOptions, withCatalogue } from "../market.ts";
import { columnsOf, tableWithin } from "../output.ts";
import { joiningOptions, openRentedRun, type RentedRun } from "../rentedRun.ts";

const DAY = 86_400_000;
const MAX_SCRIPT = 64 << 10;
const MAX_KEY = 16 << 10;
/** Offers that stand by for a slot, the best first. */
const STANDING_BY = 40;

const rentOptions = {
  budget: real(0.01, 100_000, { value: "USD", description: "US dollars for all of it, never more" }),
  count: integer(1, 256, { description: "machines", default: 1 }),
  minimum: integer(1, 256, { description: "machines without which all are given up (default: all)" }),
  for: duration({ description: "time after which they are ended", default: DAY }),
  image: text({ value: "reference", description: "container image, by digest" }),
  start: text({ value: "file", description: "script of sh that each machine starts with" }),
  sshKey: text({ value: "file", description: "public key of OpenSSH that may log in" }),
  acceptNoBackstop: toggle({
    description: "rent also where nothing but this process, or a watchdog, ends the bill",
    default: false,
  }),
  dryRun: toggle({ description: "show what would be rented, and rent nothing", default: false }),
  yes: toggle({ description: "rent", default: false }),
  ...joiningOptions,
  ...wishOptions,
  ...catalogueOptions,
  ...keepingOptions,
} as const;
type Options = ConfigOf<typeof rentOptions>;

const decoder = new TextDecoder();
const fileText = async (file: string | undefined, most: number): Promise<string | undefined> =>
  file === undefined ? undefined : decoder.decode(await readFileBounded(file, most));

/** Machines of a run, or those that do what a script says. */
interface Work {
  readonly prepare: RentedRun["prepare"];
  /** Undefined where no run is joined. */
  readonly meet?: RentedRun["meet"];
}

/** What each machine is to do. @throws UserError `USAGE`; as {@link openRentedRun} */
async function workOf(options: Options, endsAt: number, onFault: (sentence: string) => void): Promise<Work> {
  const { image, start, sshKey, coordinator, run, provider } = options;
  const joins = coordinator !== undefined || run !== undefined;
  if (image === undefined || joins === (start !== undefined))
    throw new UserError(
      "USAGE",
      "Name what the machines are to do: --image, and --coordinator for a run that they join, or --start for a script.",
    );
  const [script, key] = [await fileText(start, MAX_SCRIPT), (await fileText(sshKey, MAX_KEY))?.trim()];
  if (script === undefined) {
    if (options.drain >= options.for) throw new UserError("USAGE", "--drain must be shorter than --for.");
    const own = provider?.every((name) => name === "own") === true;
    return openRentedRun(options, { image, sshKey: key, own, endsAt, onFault });
  }
  const prepared: Prepared = { image, script, environment: {}, ...(key === undefined ? {} : { sshKey: key }) };
  return { prepare: () => Promise.resolve(prepared) };
}

/** Offers that can be rented now, the first choice first. */
const offersOf = (options: Options, maxAge = options.maxAge): Promise<readonly Offer[]> =>
  withCatalogue({ ...options, maxAge }, (catalogue, _, now) =>
    rank(catalogue.offers, alternativesOf(options), "price", now)
      .filter(({ offer, never }) => never === undefined && runsScripts(offer.provider))
      .map(({ offer }) => offer)
      .slice(0, STANDING_BY),
  );

const choiceRows = (offers: readonly Offer[], count: number): string[][] => [
  ["", "machine", "USD/h", "what stops its bill", "offer"],
  ...offers.map((offer, index) => [
    index < count ? "first choice" : "stands by",
    machineText(offer),
    priceText(offer.price.perHour),
    offer.backstop,
    offer.id,
  ]),
];

/** Rents, and keeps what is rented until all of it is over. */
async function rent({ options, output }: CommandContext<typeof rentOptions>, signal: AbortSignal): Promise<number> {
  const money = microUsdOf(options.budget, "usd");
  if (money === undefined) throw new UserError("USAGE", "Name what may be spent: --budget USD.");
  const endsAt = Date.now() + options.for;
  const { prepare, meet } = await workOf(options, endsAt, output.notice);
  const drainMs = meet === undefined ? 0 : options.drain;
  const ending = new AbortController();
  const { accounts } = await rentersHere(options, ending.signal);
  const cluster = `c${randomBytes(4).toString("hex")}`;
  const most = options.maxHour === undefined ? undefined : microUsdOf(options.maxHour, "usd");
  const begin = async (keeper: Keeper): Promise<void> => {
    const spec = {
      id: cluster,
      slots: options.count,
      minimum: options.minimum ?? options.count,
      budget: money,
      maximumPerHour: most ?? money,
      diskGb: options.disk ?? 100,
      endsAt,
      joins: meet === undefined ? "running" : "heartbeat",
      acceptNoBackstop: options.acceptNoBackstop,
    } as const;
    await keeper.tell({ type: "rent", cluster: spec, offers: await offersOf(options) });
    output.notice(`Cluster ${cluster}. Ctrl-C ends its machines and waits until they are gone.`);
  };
  const book = await keepHere(options, output, {
    accounts,
    begin,
    signal: ending.signal,
    quote: ({ id }) => (id === cluster ? offersOf(options, defaultRules.quotesFor) : Promise.resolve([])),
    prepare,
    hurry: signal,
    before: async (keeper) => {
      const isOver = Date.now() >= endsAt - drainMs;
      if ((signal.aborted || isOver) && keeper.book().clusters[cluster]?.stopping === null) {
        const words = signal.aborted ? "It was interrupted." : "Its time is over.";
        await keeper.tell({ type: "stop", cluster, reason: "stopped", words, drainMs });
      }
      await meet?.(keeper, cluster);
    },
    isDone: (now) =>
      now.clusters[cluster]?.stopping !== null &&
      !leasesOf(now).some((lease) => lease.cluster === cluster && isOpen(lease)),
  });
  const leases = leasesOf(book).filter((lease) => lease.cluster === cluster);
  const now = Date.now();
  output.result({ cluster, leases: leases.map((lease) => documentOf(lease, now)) }, [
    ...tableWithin(columnsOf(process.stdout), leaseRows(leases, now), [4, 5]),
    `Cluster ${cluster} is over: ${book.clusters[cluster]?.stopping?.words ?? ""}`,
  ]);
  return signal.aborted || book.clusters[cluster]?.assembled === true ? 0 : 1;
}

/** `cotrain market rent`. */
export const marketRentCommand = defineCommand({
  name: "market rent",
  summary: "rent machines within a budget, keep them while this process runs, and end them",
  options: rentOptions,
  examples: [
    ["npx cotrain market rent --budget 20 --count 2 --gpu 4090 --for 4h", "shows what would be rented"],
    [
      "npx cotrain market rent --budget 20 --count 2 --gpu 4090 --for 4h --image $IMAGE --start start.sh --yes",
      "rents two with an image that is named by digest, and replaces one that is lost",
    ],
  ],
  notes: [
    "Nothing is created unless all that runs, ended as late as can be, fits the budget: a small budget rents nothing. When it would not fit any more, all is ended.",
    `It runs until its machines are gone: when the time is over, when the budget would not last, or after Ctrl-C. After a crash, "${shellWords(["npx", "cotrain", "market", "reconcile"])}" finds and ends them.`,
    "Machines whose bill nothing else ends, all but own ones and those of Shadeform and io.net, are rented only beside `cotrain market watchdog`, or with --accept-no-backstop. Those of Prime Intellect, which runs no script of whoever rents, are left out.",
    "Own machines of --machines are reached by this machine's ssh, whose known hosts must have their keys, and want Docker with NVIDIA's runtime.",
    "Without --yes nothing is rented.",
  ],
  async run(context) {
    const { options, output } = context;
    if (options.budget === undefined) throw new UserError("USAGE", "Name what may be spent: --budget USD.");
    if ((options.minimum ?? options.count) > options.count)
      throw new UserError("USAGE", "--minimum cannot be above --count.");
    if (!options.yes || options.dryRun) {
      const offers = await offersOf(options);
      const columns = columnsOf(process.stdout);
      const hour = offers.slice(0, options.count).reduce((sum, { price }) => sum + (price.perHour ?? 0n), 0n);
      output.result({ offers, perHour: hour }, [
        ...(offers.length === 0
          ? ["Nothing that can be rented fits."]
          : tableWithin(columns, choiceRows(offers, options.count), [2])),
        "",
        ...wrap(
          `${countOf(options.count, "machine")} for up to ${formatDuration(options.for)}, ${priceText(hour)} USD an hour, ${options.budget} USD at the most. Nothing was rented: that takes --yes.`,
          columns,
        ),
      ]);
      return offers.length === 0 ? 1 : 0;
    }
    return runDaemon(({ signal }) => rent(context, signal), {
      name: "cotrain market rent",
      logger: createLogger({ component: "market", level: "warn" }),
      report: output.complain,
      channel: channelOnStderr(),
      onSecondInterrupt: () => output.notice(`Machines may be left: "npx cotrain market terminate --all" ends them.`),
      // Ending machines takes as long as their providers take.
      shutdownDeadline: DAY,
    });
  },
});
