/** `cotrain watch`: recomputes every root and head as they are posted, and disputes what is false or unpublished. */
import { asRunId, createCoordinatorClient, rewardKind } from "@cotrain/sdk/protocol";
import type { PrivateKeyAccount } from "viem/accounts";

import { createRandom, systemClock, UserError, weiOf } from "../../base/index.ts";
import { writeFileDurable } from "../../base/node/index.ts";
import { connect, openChain } from "../../chain/index.ts";
import {
  type BlobSource,
  bondAtMostOption,
  createActsWatch,
  namedWallet,
  patientBlobs,
  refuseRunDirectory,
  revenueAccounts,
} from "../../run/index.ts";
import {
  channelOnStderr,
  createLogger,
  duration,
  integer,
  jobMigrations,
  type JobSchema,
  openDatabase,
  openJobTable,
  openRoleDirectory,
  openStateDirectory,
  real,
  runDaemon,
  type StateDirectory,
  text,
  toggle,
  url,
  wordsOf,
} from "../../service/index.ts";
import type { Evidence, WatchMemory, WhyUnnamed } from "../../validator/index.ts";
import { type CommandContext, defineCommand } from "../command.ts";
import type { Output } from "../output.ts";
import { lookInLoops } from "../looking.ts";
import { openOffences } from "../offences.ts";
import { atPlace, type Place, signingAs, signingOptions } from "../place.ts";
import { decidingAt } from "../proposing.ts";
import {
  costText,
  createTelling,
  depthOf,
  exitCodeOf,
  isSound,
  type RootsLook,
  type Seen,
  type Telling,
} from "../watching.ts";
import { outlines } from "./outlines.ts";

const watchOptions = {
  ...signingOptions,
  state: text({
    value: "directory",
    description:
      "directory of the local state, or with --run, --deployment and --rpc where it remembers (.cotrain-watch)",
  }),
  secondRpc: url({ description: "JSON-RPC of somebody else, which must say the same before anything is disputed" }),
  mirrors: wordsOf(/^https?:\/\/[^\s,]+$/, "a URL that starts with http:// or https://", {
    description: "URLs of others that serve the run's blobs as a coordinator does",
  }),
  next: wordsOf(/^0x[0-9a-fA-F]{64}$/, "an id of 0x and 64 hex digits", {
    description:
      "ids of the model's next runs, or of the run itself where its poster was replaced, that --coordinator or --mirrors publish, too: what is not to be had of them is disputed",
  }),
  maxBond: { ...bondAtMostOption, description: "coins that one dispute may cost as its bond" },
  depth: integer(1, 10_000, {
    description: "blocks between two looks that must find the same (default: 1 on a development chain, else 12)",
  }),
  absent: real(0.05, 1, {
    value: "part",
    description: "part of a root's window after which what is not to be had is disputed",
    default: 0.5,
  }),
  every: duration({ description: "time between looks (default: a sixteenth of the window, 30s at most)" }),
  once: toggle({ description: "look once, and end", default: false }),
  yes: toggle({ description: "dispute and settle; without it, it is only said what would be", default: false }),
};
type Options = CommandContext<typeof watchOptions>["options"];

/** Where it remembers: in the directory of the run, or in one of its own. */
function openDirectory(options: Options, { state }: Place): Promise<StateDirectory> {
  if (state !== undefined) return openRoleDirectory(state, "watch", { create: true });
  const own = options.state ?? ".cotrain-watch";
  refuseRunDirectory(own);
  return openStateDirectory(own, { create: true, lockWait: 5_000 });
}

/** Who else shows what the run published. */
const urlsOf = ({ coordinator, mirrors }: Options): string[] => [
  ...(coordinator === undefined ? [] : [coordinator]),
  ...(mirrors ?? []),
];

/** Where blobs are asked for; each look asks as patiently as the one before. */
function sourcesOf(options: Options, place: Place, output: Output) {
  const remote: BlobSource[] = (options.mirrors ?? []).map((mirror) => createCoordinatorClient(mirror));
  const isLocal = place.state !== undefined;
  if (!isLocal && options.coordinator !== undefined) remote.unshift(createCoordinatorClient(options.coordinator));
  if (!isLocal && remote.length === 0)
    throw new UserError(
      "COORDINATOR_MISSING",
      "Nothing can be recomputed without what the run published: name its coordinator with --coordinator, or others with --mirrors.",
    );
  return (signal: AbortSignal): BlobSource[] => [
    ...(isLocal ? [place.blobs] : []),
    ...remote.map((source) =>
      patientBlobs(source, {
        clock: systemClock,
        random: Math.random,
        signal,
        onRetry: ({ message }) => output.json || output.notice(`${message} Waiting for it.`),
      }),
    ),
  ];
}

/** What spends, and why nothing does where there is none. */
async function spenderOf(
  options: Options,
  place: Place,
  own: PrivateKeyAccount | undefined,
  directory: StateDirectory,
  signal: AbortSignal,
) {
  const [entry] = place.entries;
  const nothing = { spender: undefined, close: async () => undefined };
  if (!own || !entry) return { ...nothing, why: "no wallet is named (--wallet and --passphrase-file)" };
  if (!options.yes) return { ...nothing, why: "--yes is not given" };
  if (!place.pinned)
    throw new UserError(
      "DISPUTE_UNPINNED",
      "Whom the wallet would pay is the coordinator's word alone: name the run with --run and its contracts with --deployment.",
    );
  await signingAs(place, entry, options);
  const { connection, addresses: contracts, fromBlock } = place;
  const database = await openDatabase<JobSchema>(directory.resolve("watch.sqlite"), jobMigrations);
  const chain = await openChain(
    {
      rpcUrl: connection.url,
      chainId: connection.chainId,
      contracts,
      fromBlock,
      maxFee: weiOf(options.maxFee),
      bondAtMost: weiOf(options.maxBond),
      signal,
    },
    {
      account: own,
      jobs: await openJobTable(database, { random: createRandom(`${own.address}/${systemClock.now()}`) }),
    },
  );
  const close = async (): Promise<void> => {
    await chain.close();
    await database.close();
  };
  return { spender: chain, why: "", close };
}

/** Blobs of looks that follow each other: how slow a source was in one says nothing about the next, nor about what is looked at beside it. */
function createBlobsOfLooks(begin: (signal: AbortSignal) => BlobSource) {
  let now = begin(AbortSignal.abort());
  const blobs: BlobSource = { blob: (...request) => now.blob(...request) };
  return { blobs, begin: (signal: AbortSignal): void => void (now = begin(signal)) };
}

/** Who watches, and what it may spend. */
interface Watching {
  readonly options: Options;
  readonly place: Place;
  readonly sources: ReturnType<typeof sourcesOf>;
  readonly directory: StateDirectory;
  readonly spending: Pick<Awaited<ReturnType<typeof spenderOf>>, "spender" | "why">;
}

/** Whose documents the sources must have, by the word of one reader of the chain or of another. */
async function openNaming({ options, place }: Watching, memory: WatchMemory) {
  const { createNaming, namedRuns } = await import("../../validator/index.ts");
  const { reader, runId: watched, state } = place;
  const next = (options.next ?? []).map((id) => asRunId(id.toLowerCase()));
  const sources = state === undefined ? urlsOf(options) : (options.mirrors ?? []);
  const named = await namedRuns(reader, memory, { watched, next, sources });
  return (by: typeof reader): WhyUnnamed => createNaming(by, named);
}

const evidenceIn =
  (directory: StateDirectory) =>
  (digest: string): string =>
    directory.resolve(`evidence-${digest}.json`);

/** What looks at roots and heads, each through sources of its own, and at what else is told. */
async function openLooks(watching: Watching) {
  const { options, place, sources, directory, spending } = watching;
  const { runId, modelId, reader, connection, addresses: contracts, fromBlock } = place;
  const validator = await import("../../validator/index.ts");
  const { anyOf, createHeadWatch, createJudge, createWatch, lookingThrough, untilEnded } = validator;
  const ofLooks = () => createBlobsOfLooks((signal) => untilEnded(anyOf(sources(signal)), signal));
  const [ofRoots, ofHeads] = [ofLooks(), ofLooks()];
  const memory = await validator.openWatchMemory(directory.resolve("watch.json"));
  const namingBy = await openNaming(watching, memory);
  const where = { chainId: connection.chainId, contracts, fromBlock };
  const second = options.secondRpc;
  const modules = {
    reader,
    revenue: revenueAccounts({ reader, connection, fromBlock }),
    whyUnnamed: namingBy(reader),
    openSecond: async () => {
      const looking = lookingThrough(
        second === undefined ? connection : await connect({ ...where, rpcUrl: second }),
        where,
      );
      return { ...looking, whyUnnamed: namingBy(looking.reader) };
    },
    blobs: ofRoots.blobs,
    memory,
    clock: systemClock,
    sound: new Set<string>(),
    writeEvidence: async (found: Evidence) =>
      writeFileDurable(evidenceIn(directory)(found.digest), validator.evidenceText(found)),
    ...spending,
  };
  const depth = depthOf(options.depth, connection.chainId);
  const rootsOf = (kind: number): RootsLook["compute"] => {
    const watch = createWatch({ modelId, kind, depth, absentPart: options.absent }, modules);
    return { root: () => watch.look(), cost: () => reader.rootsOfKind(kind).disputeCost(modelId) };
  };
  const roots: RootsLook = { compute: rootsOf(rewardKind.compute), revenue: rootsOf(rewardKind.revenue) };
  // A judge shares what it is waiting for with whoever asks it for the same: roots have one of their own.
  const { head } = createJudge(modules, ofHeads.blobs, modules.sound);
  const heads = createHeadWatch({ ...modules, blobs: ofHeads.blobs, head }, modelId, runId);
  const acts = createActsWatch(await decidingAt(place));
  const offences = await openOffences(place, urlsOf(options), directory);
  const looksOf = (telling: Telling): ((signal: AbortSignal) => Promise<void>)[] => [
    async (signal) => {
      ofRoots.begin(signal);
      await telling.root("compute", roots.compute);
    },
    // From the chain alone, whoever holds up what a root of work takes.
    () => telling.root("revenue", roots.revenue),
    async (signal) => {
      ofHeads.begin(signal);
      await telling.heads((tell) => heads.look(tell));
    },
    () => telling.acts(() => acts.look()),
    () => telling.offences(() => offences.look()),
  ];
  return { roots, looksOf };
}

/** Looks until it is told to end, or once. */
async function watchAt(
  { options, output }: Pick<CommandContext<typeof watchOptions>, "options" | "output">,
  place: Place,
  own: PrivateKeyAccount | undefined,
  signal: AbortSignal,
): Promise<Seen> {
  const { modelId, reader, connection } = place;
  const sources = sourcesOf(options, place, output);
  const directory = await openDirectory(options, place);
  const { close, ...spending } = await spenderOf(options, place, own, directory, signal);
  try {
    const { roots, looksOf } = await openLooks({ options, place, sources, directory, spending });
    const { window } = await reader.schedule(modelId);
    const every = options.every ?? Math.min(30_000, (window * 1_000) / 16);
    const balance = own && (await connection.call((client) => client.getBalance({ address: own.address })));
    const [cost, ofRevenue] = await Promise.all([roots.compute.cost(), roots.revenue.cost()]);
    const most = weiOf(options.maxBond);
    if (!output.json) output.notice(costText(cost, { revenue: ofRevenue, balance, why: spending.why, most }));
    const telling = createTelling(output, evidenceIn(directory));
    await lookInLoops(looksOf(telling), { every, once: options.once, clock: systemClock, signal });
    return telling.seen();
  } finally {
    await close();
    directory.close();
  }
}

/** What a watcher saw, and where. */
async function watch({ options, output }: CommandContext<typeof watchOptions>, signal: AbortSignal): Promise<number> {
  const own = await namedWallet(options);
  const { facts, seen } = await atPlace(
    options,
    own,
    async (place) => {
      const { runId, modelId, connection } = place;
      const facts = { runId, modelId, chainId: connection.chainId, account: own?.address ?? null };
      return { facts, seen: await watchAt({ options, output }, place, own, signal) };
    },
    () => {
      if (!output.json)
        output.notice("The contracts are the coordinator's word alone: pin them with --deployment and --run.");
    },
    { ticking: true },
  );
  // People were told as it was found.
  output.result({ sound: isSound(seen), ...facts, spends: own !== undefined && options.yes, ...seen }, []);
  return exitCodeOf(seen);
}

/** `cotrain watch`: anybody's, with an RPC, the run's contracts and, where it is to dispute, a wallet. */
export const watchCommand = defineCommand({
  ...outlines.watch,
  options: watchOptions,
  examples: [
    ["npx cotrain watch --once", "one look at this directory's run; says what is wrong, and sends nothing"],
    [
      `npx cotrain watch --run 0x${"a9".repeat(32)} --deployment deployments/8453.json --rpc https://rpc.example.org --coordinator https://train.example.org --wallet me.json --passphrase-file pass --max-bond 0.2 --yes`,
      "somebody else's run, disputed by a wallet that nothing else sends from meanwhile",
    ],
  ],
  notes: [
    "A root is disputed where two looks, some blocks apart, could read all that it takes and found the same wrong; or where something that it takes (its manifest, tree, verdicts, inputs, a document or payload of a round that it pays) was not to be had of any source for a part of its window. An RPC or a source that is away, slow, or says two things makes it dispute nothing.",
    "Of a next run that another poster posts than the run that is named nothing is disputed for what is not to be had, until its coordinator is named (--mirrors) and so is it (--next): that is told at once, with the time until which there is to dispute it.",
    "The same holds of the run itself once holders replaced its poster: whose coordinator was named is remembered over restarts. A new source, or --next with the run itself, names the one of the new poster.",
    "A root of revenue is recomputed from the chain alone, so that nothing of it can be withheld.",
    "A root that somebody else disputed is recomputed as well, and who votes is told what two looks found: that it is false, with what was found beside it, or that it holds.",
    "It says what a bond costs before it puts one up, puts up at most --max-bond coins for each dispute, and needs --yes. Without a wallet or --yes it reports. It settles disputes when they are due.",
    "What it disputes is written down before it is sent: who starts it again sends nothing twice. What it found lies beside that, with the sha256 that stands on-chain; publish it for those who vote.",
    "A false head can be disputed by nobody: it is told loudly, validators suspend its poster (npx cotrain suspend), and holders take the run back (npx cotrain checkpoint rollback). A root that pays for it is disputed, unless what is wrong is a fragment that no validator drew. Losses of the gate are not measured here: validators measure them.",
    "Where a validator signed two statements that contradict each other, as a coordinator shows them or roots were posted with, it writes both down and names the command that reports them; so it does of signatures under a root that holders voided, as long as they cost stake. It reports none itself: whoever does has the fee.",
    "What a young model's organiser announces, carries out and withdraws is told in words, once each.",
    "Name an RPC of somebody else with --second-rpc: one that lies in the same way at each look would be believed.",
    "Ends with 1 where anything was found false, with 75 where another look is needed to tell.",
  ],
  async run(context) {
    const { options, output } = context;
    if (options.once) return watch(context, new AbortController().signal);
    const logger = createLogger({ component: "watch", level: "warn" });
    return runDaemon(async ({ signal }) => watch(context, signal), {
      name: "cotrain watch",
      logger,
      report: output.complain,
      channel: channelOnStderr(),
    });
  },
});
