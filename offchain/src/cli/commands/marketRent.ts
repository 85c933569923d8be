import { randomBytes } from "node:crypto";

import { countOf, formatDuration, printable, UserError, wrap } from "../../base/index.ts";
import { readFileBounded, shellWords } from "../../base/node/index.ts";
import {
  type ClusterSpec,
  isSettled,
  type Keeper,
  leasesOf,
  microUsdOf,
  type Prepared,
  type RentedAccount,
  requireKeyPair,
  requireSsh,
} from "../../market/index.ts";
import { channelOnStderr, createLogger, resolveConfig, runDaemon } from "../../service/index.ts";
import { askYes } from "../ask.ts";
import { type CommandContext, defineCommand } from "../command.ts";
import { documentOf, keepHere, leaseRows, rentersHere } from "../leases.ts";
import { columnsOf, type Output, tableWithin } from "../output.ts";
import { createsText, isPlan, limitsText, planOptions, type PlanOptions, withPlan } from "../planning.ts";
import { openRentedRun, type RentedRun } from "../rentedRun.ts";
import { planKeys, settingsFor } from "../runYaml.ts";
import {
  besidePlan,
  choiceRows,
  dollars,
  hourOf,
  hourText,
  idleOf,
  rentOptions,
  type RentOptions,
  type Wanted,
  wantedOf,
} from "../wanted.ts";

const DAY = 86_400_000;
const MAX_SCRIPT = 64 << 10;
const MAX_KEY = 16 << 10;

const decoder = new TextDecoder();
const fileText = async (file: string | undefined, most: number): Promise<string | undefined> =>
  file === undefined ? undefined : decoder.decode(await readFileBounded(file, most));

/** Machines of a run, or those that do what a script says. */
interface Work {
  readonly prepare: RentedRun["prepare"];
  readonly joins: boolean;
  /** Which they join. */
  readonly run?: string;
}

/** Whether only of these is rented. */
const isOf = (provider: Wanted["provider"], these: readonly string[]): boolean =>
  provider?.every((name) => these.includes(name)) === true;

/** That it is said what each machine is to do. @throws UserError `USAGE` */
function checkWork(
  { image, start, coordinator, run, drain, autostop }: RentOptions,
  { lasts, provider }: Wanted,
): void {
  const joins = coordinator !== undefined || run !== undefined;
  if ((image === undefined && !isOf(provider, ["community"])) || joins === (start !== undefined))
    throw new UserError(
      "USAGE",
      "Name what the machines are to do: --image, and --coordinator for a run that they join, or --start for a script.",
    );
  if (autostop && !joins)
    throw new UserError("USAGE", "--autostop ends machines that a run has no work for: it takes --coordinator.");
  if (joins && drain >= lasts) throw new UserError("USAGE", "--drain must be shorter than --for.");
}

/** What each machine is to do. @throws as {@link openRentedRun} */
async function workOf(options: RentOptions, { provider }: Wanted, endsAt: number): Promise<Work> {
  const { image = "", start, sshKey } = options;
  const [script, key] = [await fileText(start, MAX_SCRIPT), (await fileText(sshKey, MAX_KEY))?.trim()];
  if (script === undefined) {
    // Those of the fake provider are on this machine; community machines are told whose coordinator they call.
    const own = options.ownNetwork || isOf(provider, ["own", "fake", "community"]);
    const renting = { image, sshKey: key, own, endsAt, leases: options.leases };
    const { prepare, runId } = await openRentedRun(options, renting);
    return { prepare, joins: true, run: runId };
  }
  const prepared: Prepared = { image, script, environment: {}, ...(key === undefined ? {} : { sshKey: key }) };
  return { prepare: () => Promise.resolve(prepared), joins: false };
}

/** That machines which are started over SSH can be. @throws UserError `USAGE`; as {@link requireSsh} */
async function checkStarts(
  { sshKey, identity }: RentOptions,
  { shown }: Wanted,
  accounts: readonly RentedAccount[],
): Promise<void> {
  const account = accounts.find(
    ({ name, terms }) => terms.startsBy === "ssh" && shown.some(({ provider }) => provider === name),
  );
  if (account === undefined) return;
  if (sshKey === undefined)
    throw new UserError(
      "USAGE",
      `Machines of ${account.title} are started over SSH: name the public key that they let in, --ssh-key FILE, or leave them out, --without ${account.name}.`,
    );
  await requireSsh(identity);
  const key = await fileText(sshKey, MAX_KEY);
  if (identity !== undefined && key !== undefined) await requireKeyPair(identity, key.trim());
}

/** Rents, and keeps what is rented until all of it is over. */
async function rent(
  { options, output }: CommandContext<typeof rentOptions>,
  wanted: Wanted,
  signal: AbortSignal,
): Promise<number> {
  const endsAt = Date.now() + wanted.lasts;
  const { prepare, joins, run } = await workOf(options, wanted, endsAt);
  const drainMs = joins ? options.drain : 0;
  const ending = new AbortController();
  const { accounts } = await rentersHere({ ...options, provider: wanted.provider }, ending.signal);
  await checkStarts(options, wanted, accounts);
  const cluster = `c${randomBytes(4).toString("hex")}`;
  const { slots, minimum, budget, maximumPerHour, diskGb, planned, auction } = wanted;
  const begin = async (keeper: Keeper): Promise<void> => {
    const spec: ClusterSpec = {
      id: cluster,
      slots,
      minimum,
      budget,
      maximumPerHour,
      diskGb,
      endsAt,
      joins: joins ? "heartbeat" : "running",
      acceptNoBackstop: options.acceptNoBackstop,
      ...(planned === undefined ? {} : { planned }),
      ...(auction === undefined ? {} : { auction }),
      ...(run === undefined ? {} : { run }),
      ...(joins ? { idle: idleOf(options) } : {}),
    };
    await keeper.tell({ type: "rent", cluster: spec, offers: await wanted.offers() });
    output.notice(`Cluster ${cluster}. Ctrl-C ends its machines and waits until they are gone.`);
  };
  const book = await keepHere(options, output, {
    accounts,
    begin,
    signal: ending.signal,
    quote: ({ id, again = {} }) =>
      id === cluster
        ? wanted.offers(new Set(Object.values(again).flatMap((wish) => wish?.offer ?? [])))
        : Promise.resolve([]),
    prepare,
    hurry: signal,
    before: async (keeper) => {
      const isOver = Date.now() >= endsAt - drainMs;
      if ((signal.aborted || isOver) && keeper.book().clusters[cluster]?.stopping === null) {
        const words = signal.aborted ? "It was interrupted." : "Its time is over.";
        await keeper.tell({ type: "stop", cluster, reason: "stopped", words, drainMs });
      }
    },
    isDone: (now) =>
      now.clusters[cluster]?.stopping !== null &&
      leasesOf(now).every((lease) => lease.cluster !== cluster || isSettled(lease, now.now)),
  });
  const leases = leasesOf(book).filter((lease) => lease.cluster === cluster);
  const now = Date.now();
  output.result({ cluster, leases: leases.map((lease) => documentOf(lease, now)) }, [
    ...tableWithin(columnsOf(process.stdout), leaseRows(leases, now), [4, 5]),
    `Cluster ${cluster} is over: ${book.clusters[cluster]?.stopping?.words ?? ""}`,
  ]);
  return signal.aborted || book.clusters[cluster]?.assembled === true ? 0 : 1;
}

/** What machines are to do, for whom, and who is let in, as far as it is settled: somebody else's file may say it. */
const workSettled = ({ image, start, coordinator, run, beneficiary, sshKey, machines }: RentOptions) => ({
  image: image ?? null,
  start: start ?? null,
  coordinator: coordinator ?? null,
  run: run ?? null,
  beneficiary: beneficiary ?? null,
  sshKey: sshKey ?? null,
  machines: machines ?? null,
});

/** The same in words. */
function workText(options: RentOptions): string {
  const { image, start, coordinator, run, beneficiary, sshKey, machines } = workSettled(options);
  const joins = coordinator !== null || run !== null;
  const parts = [
    `image ${image ?? "none"}`,
    `start ${start ?? (joins ? "of the coordinator's software" : "none")}`,
    `coordinator ${coordinator ?? "none"}`,
    ...(run === null ? [] : [`run ${run}`]),
    `beneficiary ${beneficiary ?? (joins ? "the renter's wallet" : "none")}`,
    `SSH key that is let in ${sshKey ?? "none"}`,
    ...(machines === null ? [] : [`own machines of ${machines}, reached by this user's SSH`]),
  ];
  return `Machines do: ${printable(parts.join(", "))}.`;
}

/** Of an auction nothing fits without a limit, whatever is there. */
const nothingText = ({ auction }: RentOptions): string =>
  `Nothing that can be rented fits.${auction === undefined ? " Machines of an auction, such as Akash, take a limit: --auction PERCENT." : ""}`;

/** What would be rented, as lines. */
const linesOf = (options: RentOptions, wanted: Wanted, columns: number): string[] => [
  ...(wanted.shown.length === 0 ? wrap(nothingText(options), columns) : tableWithin(columns, choiceRows(wanted), [2])),
  "",
  ...wrap(
    `${countOf(wanted.slots, "machine")} for up to ${formatDuration(wanted.lasts)}, ${hourText(wanted)} USD an hour, ${dollars(wanted.budget)} USD at the most.`,
    columns,
  ),
  ...[...limitsText(wanted.shown), ...createsText(wanted.shown, wanted.createsOf), workText(options)].flatMap((line) =>
    wrap(line, columns),
  ),
];

/** Whether it is to be rented: by a word before, or an answer at the terminal. What is not is told. */
async function isWanted(options: RentOptions, wanted: Wanted, output: Output): Promise<boolean> {
  const { yes, dryRun, confirmAbove } = options;
  if (!dryRun && (yes || wanted.budget <= (microUsdOf(confirmAbove, "usd") ?? 0n))) {
    if (wanted.shown.length === 0) output.notice(`${nothingText(options)} It waits until something does.`);
    return true;
  }
  const document = { offers: wanted.shown, perHour: hourOf(wanted), work: workSettled(options) };
  const lines = linesOf(options, wanted, columnsOf(process.stdout));
  if (dryRun || wanted.shown.length === 0 || !process.stdin.isTTY || !process.stderr.isTTY) {
    output.result(document, [...lines, "Nothing was rented: that takes --yes."]);
    return false;
  }
  for (const line of lines) output.notice(line);
  if ((await askYes("Rent it? [y/N] ", process.stdin, process.stderr)) === "yes") return true;
  output.result(document, ["Nothing was rented."]);
  return false;
}

type Context = CommandContext<typeof rentOptions>;

/** Settings that both a plan and its renting take, as they were given here. */
const shared = ({ options, config }: Context): Partial<PlanOptions> =>
  Object.fromEntries(
    Object.entries(options).filter(
      ([key]) => Object.hasOwn(planOptions, key) && config.explicit(key as keyof RentOptions),
    ),
  );

/**
 * The plan that a file asks for, made now, where it says which cluster is best; undefined where it only says what fits.
 * @throws UserError `PLAN_NONE`
 */
async function plannedBy(context: Context): Promise<string | undefined> {
  const { described, output } = context;
  if (described === undefined || !planKeys.some((key) => Object.hasOwn(described.sections.market, key)))
    return undefined;
  const { path, sections } = described;
  const settings = resolveConfig(planOptions, { file: settingsFor(path, "market", sections, planOptions) });
  return withPlan({ ...settings.values, ...shared(context) }, ({ found, id }) => {
    if (id === undefined)
      throw new UserError(
        "PLAN_NONE",
        `There is no plan by ${path} that can be rented: "${shellWords(["npx", "cotrain", "market", "plan", "-f", path])}" says why.`,
      );
    output.notice(`Plan ${id}, by ${path}: ${countOf(isPlan(found) ? found.machines.length : 0, "machine")}.`);
    return id;
  });
}

/** `cotrain market rent`. */
export const marketRentCommand = defineCommand({
  name: "market rent",
  summary: "rent machines within a budget, keep them while this process runs, and end them",
  args: [{ name: "plan", description: "its id, as market plan tells it: exactly its machines", optional: true }],
  options: rentOptions,
  section: "market",
  examples: [
    ["npx cotrain market rent --budget 20 --count 2 --gpu 4090 --for 4h", "shows what would be rented"],
    [
      "npx cotrain market rent --budget 20 --count 2 --gpu 4090 --for 4h --image $IMAGE --start start.sh --yes",
      "rents two with an image that is named by digest, and replaces one that is lost",
    ],
    [
      "npx cotrain market rent --coordinator https://train.example.org --budget 20 --count 2 --gpu 4090 --for 4h --image $IMAGE --yes",
      "rents two that train for a run",
    ],
    [
      "npx cotrain market rent $PLAN --image $IMAGE --start start.sh --confirm-above 25",
      "rents a plan at the prices of now, after a question where it may cost more than 25 dollars",
    ],
    ["npx cotrain market rent -f run.yaml", "shows what a file says of budget, prices and machines, or plans by it"],
  ],
  notes: [
    "Nothing is created unless all that runs, ended as late as can be, fits the budget: a small budget rents nothing. When it would not fit any more, all is ended.",
    `It runs until its machines are gone: when the time is over, when the budget would not last, or after Ctrl-C. After a crash, "${shellWords(["npx", "cotrain", "market", "reconcile"])}" finds and ends them.`,
    "Machines whose bill nothing else ends, all but own ones and those of Shadeform, io.net and Akash, are rented only beside `cotrain market watchdog`, or with --accept-no-backstop.",
    "Machines of Prime Intellect, which runs no script of whoever rents, are started by this process over ssh once they run: they let --ssh-key in, and --identity, an agent or the user's own keys are its private half.",
    "Own machines of --machines are reached by this machine's ssh, whose known hosts must have their keys, and want Docker with NVIDIA's runtime.",
    "A plan is quoted again first. Where a machine of it is not to be had, or all of it has become more than --dearer percent dearer, nothing is rented.",
    "A machine of an auction is rented at the cheapest bid up to the limit that --auction, or the plan, sets; where nobody bids that, the next offer is.",
    "Without a plan the first choice is what costs least by the GPU's hour, what is waited for counted: by its stock, and by what came of creates there in two weeks.",
    "Without --yes it is asked at the terminal, and where nobody can be asked nothing is rented; up to --confirm-above there is no question.",
  ],
  async run(context) {
    const { args, options, output } = context;
    const made = args[0] === undefined ? await plannedBy(context) : undefined;
    const wanted = await wantedOf(made === undefined ? options : besidePlan(options), args[0] ?? made);
    if (!(await isWanted(options, wanted, output))) return wanted.shown.length > 0 ? 0 : 1;
    checkWork(options, wanted);
    return runDaemon(({ signal }) => rent(context, wanted, signal), {
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
