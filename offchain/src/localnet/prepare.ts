/**
 * Everything that must stand before the first round: state directory, wallets, contracts, chain, run, processes. Each part is
 * found again by the next start; a start that was cut short is gone on with.
 */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";

import type { Definition } from "@cotrain/sdk/protocol";
import {
  asDigest,
  asModelId,
  asRunId,
  type ContractAddresses,
  type CoordinatorClient,
  type DataManifest,
  type ModelId,
  type RunId,
  runStatus,
  MAX_DEFINITION_BYTES,
} from "@cotrain/sdk/protocol";

import { ensureBuilt } from "../../../deploy/deployment.ts";
import { type Clock, unlessAborted } from "../base/index.ts";
import { commandFor, writeFileDurable } from "../base/node/index.ts";
import { type ChainConnection, type ChainReader, connect, createReader } from "../chain/index.ts";
import { readDataManifest } from "../data/index.ts";
import { parameterCount, presetOf } from "../engine/index.ts";
import {
  createSupervisor,
  type DaemonContext,
  openBlobs,
  type RunFile,
  type Supervisor,
  writeRunFile,
} from "../service/index.ts";
import { type BlobStore, parseDefinition } from "../storage/index.ts";
import {
  chainFacts,
  type ChainFacts,
  demoParamsOf,
  prepareRun,
  layout,
  openLocalRun,
  type Pins,
  type Recipe,
  type RunMaterial,
  takeUpNextRun,
} from "../run/index.ts";
import { type EmbeddedChain, openChain, type OpenedChain, type Wallets } from "./chain.ts";
import { deployContracts, type Deployed, registerRun, saltOf } from "./contracts.ts";
import { keptDevice, workerDevices } from "./devices.ts";
import { addressLines, type Launch, startProcesses } from "./launch.ts";
import { type RentedWorkers, rentedWorkers, startingText } from "./rented.ts";
import { saleLine } from "./sale.ts";
import { type Owner, ownerOf } from "./owners.ts";
import { type Players, playersOf } from "./players.ts";
import { watchProcesses } from "./processes.ts";
import type { LocalnetContext } from "./context.ts";
import type { OpenedState } from "./opened.ts";
import type { SessionDisplay } from "./display.ts";

export interface Prepared {
  readonly state: string;
  readonly local: boolean;
  /** The embedded chain, undefined where another was named. */
  readonly embedded: EmbeddedChain | undefined;
  readonly rpcUrl: string;
  readonly chainId: number;
  readonly addresses: Readonly<ContractAddresses>;
  readonly pins: Pins;
  /** Where the run stands on-chain, for people. */
  readonly facts: ChainFacts;
  readonly modelId: ModelId;
  readonly runId: RunId;
  readonly preset: string;
  readonly recipe: Recipe;
  readonly data: DataManifest;
  readonly definition: Definition;
  readonly blobs: BlobStore;
  /** The first block that has anything of the deployment. */
  readonly fromBlock: number;
  readonly reader: ChainReader;
  /** It was ended on-chain, and its model has no other that this directory knows: nothing is trained. */
  readonly over: boolean;
  /** For how long a root of the model can be disputed, s. */
  readonly window: number;
  readonly connection: ChainConnection;
  readonly coordinator: CoordinatorClient;
  /** The command line with which others join. */
  readonly joinCommand: string;
  /** The coordinator's URL for programs on this machine, where others use another. */
  readonly urlHere: string | undefined;
  readonly operatorToken: string;
  /** Of contributions: who trains, then who buys and who writes code. */
  readonly owners: readonly Owner[];
  /** Who contributes capital and who code, of the owners, and who pays revenue; on a development chain alone. */
  readonly contributors: Readonly<Record<"buyer" | "author" | "customer", Owner>> | undefined;
  /** Whose keys a dispute is shown with; undefined where none is asked for. */
  readonly players: Players | undefined;
  /** Where workers are rented. */
  readonly rented: RentedWorkers | undefined;
  readonly supervisor: Supervisor;
  /** Aborted, with why, once the coordinator or the chain was given up: nothing goes on without them. */
  readonly lost: AbortSignal;
}

async function readOperatorToken(state: string): Promise<string> {
  const file = layout(state).operatorToken;
  if (!existsSync(file)) await writeFileDurable(file, `${randomBytes(32).toString("hex")}\n`, { mode: 0o600 });
  return (await readFile(file, "utf8")).trim();
}

async function readDefinition(blobs: BlobStore, digest: string): Promise<Definition> {
  return parseDefinition(await blobs.get(asDigest(digest), MAX_DEFINITION_BYTES));
}

/** What is done before and with the contracts; those of a run that stands are only looked up. */
export const activitiesOf = (file: Pick<RunFile, "runId"> | undefined) =>
  file?.runId
    ? { before: "Opening the chain", contracts: "Finding the contracts" }
    : { before: "Compiling the contracts, preparing data and programs", contracts: "Deploying the contracts" };

/** What all parts of a start use. */
interface Start {
  readonly context: LocalnetContext;
  readonly daemon: DaemonContext;
  readonly opened: OpenedState;
  readonly display: SessionDisplay;
  readonly clock: Clock;
  readonly state: string;
  readonly supervisor: Supervisor;
  readonly blobs: BlobStore;
  /** What workers compute with: each takes the next entry, of which the first that works. */
  readonly devices: readonly (readonly string[])[];
}

function superviseProcesses(daemon: DaemonContext, state: string, clock: Clock): Supervisor {
  const supervisor = createSupervisor({ logger: daemon.logger, logDirectory: layout(state).logs, clock });
  daemon.onShutdown("processes", () => supervisor.stopAll());
  return supervisor;
}

/** The chain; beside it the contracts are compiled and, for a new run, data and programs are made. */
async function openParts(start: Start) {
  const { context, daemon, opened, state, supervisor, blobs, display, devices } = start;
  const { file, request } = opened;
  const { preset, dataFile, recipe, rpc } = request;
  const opening = openChain({ context, devices, daemon, state, supervisor, rpc, file });
  // Who has to pay first is told before minutes are spent; otherwise the three need nothing of each other.
  if (rpc !== undefined) await opening;
  const described = file?.runId
    ? undefined
    : prepareRun(blobs, {
        preset,
        dataFile,
        recipe,
        seed: "cotrain",
        devices: devices.flatMap(([first]) => first ?? []),
        notice: (sentence) => display.announce(sentence),
      });
  const [chain, , material] = await Promise.all([opening, ensureBuilt(daemon.signal), described]);
  return { chain, material };
}

/** `run.json` as this start begins. */
function runFileOf({ context, opened: { file, request }, clock }: Start, chain: OpenedChain): RunFile {
  const { preset, dataFile, asked, rpc } = request;
  return {
    version: 1,
    startedAt: new Date(clock.now()).toISOString(),
    chain: { chainId: chain.chainId, rpcUrl: chain.url, embedded: rpc === undefined },
    // The coordinator's port is kept, so that workers elsewhere find it again.
    ports: { ...file?.ports, ...(chain.embedded && { chain: chain.embedded.door.port }) },
    urls: {},
    wallets: Object.fromEntries(walletEntries(chain.wallets)),
    settings: {
      ...file?.settings,
      ...asked,
      preset,
      salt: saltOf(file),
      device: keptDevice(context),
      ...(dataFile === undefined ? {} : { data: dataFile }),
      ...(rpc === undefined ? {} : { rpc }),
    },
    ...(file?.modelId && file.runId ? { modelId: file.modelId, runId: file.runId } : {}),
    ...(file?.earlier && { earlier: file.earlier }),
  };
}

type StandingRun = RunFile & { readonly modelId: ModelId; readonly runId: RunId };

/** The run, registered if it is a new one. `run.json` names it from then on. */
async function standingRun(
  start: Start,
  chain: OpenedChain,
  deployed: Deployed,
  material: RunMaterial | undefined,
): Promise<StandingRun> {
  const { state, blobs, display, opened } = start;
  let run = runFileOf(start, chain);
  await writeRunFile(state, run);
  let ids: { readonly modelId?: string | undefined; readonly runId?: string | undefined } = run;
  if (material) {
    display.update({ activity: "Registering model and run" });
    const { preset, recipe, founders, sale } = opened.request;
    if (sale) display.say([saleLine(sale)]);
    ids = await registerRun(blobs, material, {
      chain,
      deployed,
      params: demoParamsOf(preset, recipe),
      salt: saltOf(run),
      founders,
      sale: sale?.settings,
    });
    run = { ...run, settings: { ...run.settings, build: material.buildDigest } };
  }
  const standing = { ...run, modelId: asModelId(ids.modelId ?? ""), runId: asRunId(ids.runId ?? "") };
  await writeRunFile(state, standing);
  if (material) return standing;
  // `run.json` names what is taken up once the coordinator has opened it, when it gets the coordinator's address.
  const { run: taken, said } = await takeUpNextRun(await openLocalRun(state, start.context.options.blobs), chain.url);
  if (said !== undefined) display.say([said]);
  return { ...taken.file, modelId: taken.modelId, runId: taken.runId };
}

/** What the contracts and the published documents say of a run. */
async function readRun({ blobs }: Start, chain: OpenedChain, { addresses, blocks }: Deployed, run: StandingRun) {
  const { url: rpcUrl, chainId } = chain;
  const fromBlock = Math.min(...Object.values(blocks));
  const connection = await connect({ rpcUrl, chainId });
  const reader = createReader(connection, { contracts: { ...addresses }, fromBlock });
  const organiser = ownerOf("organiser", chain, chain.wallets.organiser);
  const [record, { window }, facts] = await Promise.all([
    reader.run(run.runId),
    reader.schedule(run.modelId),
    chainFacts(organiser.client, { chainId, rpcUrl, addresses, modelId: run.modelId }),
  ]);
  const definition = await readDefinition(blobs, record.definition);
  const data = await readDataManifest(blobs, asDigest(definition.data));
  const over = record.status === runStatus.finished;
  return { fromBlock, connection, reader, window, facts, definition, data, over };
}

/** Who owns shares, or will, of the wallets here. */
function ownersOf(chain: OpenedChain): Pick<Prepared, "owners" | "contributors"> {
  const { workers, contributors: accounts } = chain.wallets;
  const trainers = workers.map((account, index) => ownerOf(`worker-${index + 1}`, chain, account));
  if (!accounts) return { owners: trainers, contributors: undefined };
  const of = (role: keyof typeof accounts): Owner => ownerOf(role, chain, accounts[role]);
  const contributors = { buyer: of("buyer"), author: of("author"), customer: of("customer") };
  return { owners: [...trainers, contributors.buyer, contributors.author], contributors };
}

/** What processes are started with, and machines rented. */
function launchOf(
  start: Start,
  { wallets }: OpenedChain,
  rest: Pick<Launch, "run" | "operatorToken" | "fresh" | "over" | "signal">,
): Launch {
  const { runId } = rest.run;
  const rented = rest.over
    ? undefined
    : rentedWorkers({ ...start, runId, trainers: wallets.workers, signal: rest.signal });
  return { ...start, wallets, rented, ...rest };
}

/** Chain, contracts and run, found or made, and what supervises the processes of them. */
async function stand(
  context: LocalnetContext,
  daemon: DaemonContext,
  opened: OpenedState,
  display: SessionDisplay,
  clock: Clock,
) {
  const state = opened.directory.path;
  const supervisor = superviseProcesses(daemon, state, clock);
  const lost = watchProcesses(supervisor.events, display);
  const blobs = await openBlobs(state, context.options.blobs);
  const devices = await workerDevices(context.options.device, display, daemon.signal);
  const start: Start = { context, daemon, opened, display, clock, state, supervisor, blobs, devices };

  const activities = activitiesOf(opened.file);
  display.update({ activity: activities.before });
  const { chain, material } = await openParts(start);
  display.update({ activity: activities.contracts, chainId: chain.chainId });
  const embedded = opened.request.rpc === undefined;
  const { deployments } = context.options;
  const deployed = await deployContracts({ state, chain, embedded, deployments, say: display.say });
  const run = await standingRun(start, chain, deployed, material);
  const operatorToken = await readOperatorToken(state);
  return { start, lost, chain, deployed, run, operatorToken, fresh: material !== undefined };
}

/** A run that was made and that nobody trains yet. */
interface CreatedRun extends Pick<StandingRun, "modelId" | "runId"> {
  readonly chainId: number;
  readonly addresses: Readonly<ContractAddresses>;
}

/** Makes all that a run is, and starts none of its processes but the chain, which ends with the daemon. */
export async function createRun(...parts: Parameters<typeof stand>): Promise<CreatedRun> {
  const { chain, deployed, run } = await stand(...parts);
  return { modelId: run.modelId, runId: run.runId, chainId: chain.chainId, addresses: deployed.addresses };
}

/** Everything that must stand before the first round; see the head of this file. */
export async function prepare(
  context: LocalnetContext,
  daemon: DaemonContext,
  opened: OpenedState,
  display: SessionDisplay,
  clock: Clock,
): Promise<Prepared> {
  const { preset, recipe } = opened.request;
  const { start, lost, chain, deployed, run, operatorToken, fresh } = await stand(
    context,
    daemon,
    opened,
    display,
    clock,
  );
  const { state, supervisor, blobs } = start;
  const seen = await readRun(start, chain, deployed, run);
  const { facts, definition, data, over } = seen;

  display.update({
    activity: startingText(context),
    model: data.source,
    parameters: parameterCount(presetOf(preset).model),
    bytesPerToken: data.train.bytes / data.train.tokens,
    sequence: definition.sequence,
    rpc: facts.rpc,
  });
  const signal = AbortSignal.any([daemon.signal, lost]);
  const parts = launchOf(start, chain, { run, operatorToken, fresh, over, signal });
  const launched = await unlessAborted(startProcesses(parts), signal);
  const { coordinator, joinCommand, urlHere } = launched;
  const listCommand = commandFor(state, "checkpoint", "list");
  display.update({ joinCommand, statusCommand: commandFor(state, "status"), listCommand });
  display.say(addressLines(context.options, opened.file, chain.embedded?.door.port, launched.port));
  chain.embedded?.door.admit(new URL(coordinator.url).origin);
  return {
    ...seen,
    state,
    local: chain.local,
    embedded: chain.embedded,
    rpcUrl: chain.url,
    chainId: chain.chainId,
    addresses: deployed.addresses,
    pins: deployed.pins,
    modelId: run.modelId,
    runId: run.runId,
    preset,
    recipe,
    blobs,
    coordinator,
    joinCommand,
    urlHere,
    operatorToken,
    ...ownersOf(chain),
    players: playersOf(chain.wallets),
    rented: parts.rented,
    supervisor,
    lost,
  };
}

const walletEntries = (wallets: Wallets): [string, string][] => [
  ["organiser", wallets.organiser.address],
  ["poster", wallets.poster.address],
  ...wallets.validators.map(({ address }, index): [string, string] => [`validator-${index + 1}`, address]),
  ...wallets.workers.map(({ address }, index): [string, string] => [`worker-${index + 1}`, address]),
  ...Object.entries({ ...wallets.contributors, ...wallets.players }).map(([role, { address }]): [string, string] => [
    role,
    address,
  ]),
];
