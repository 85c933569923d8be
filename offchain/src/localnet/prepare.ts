/**
 * Everything that must stand before the first round: state directory, wallets, contracts, chain, run, processes. Each part is
 * found again by the next start; a start that was cut short is gone on with.
 */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";

import {
  asDigest,
  asModelId,
  asRunId,
  type ContractAddresses,
  type CoordinatorClient,
  Definition,
  type DataManifest,
  type Hex,
  type ModelId,
  parseDocument,
  type RunId,
} from "@cotrain/sdk/protocol";

import { defaultRecordPath, deploy, ensureBuilt, profileFor } from "../../../deploy/deployment.ts";
import { type Clock, parseJsonBounded, UserError } from "../base/index.ts";
import { commandFor, freshCommand, writeFileDurable } from "../base/node/index.ts";
import { type ChainReader, connect, openReader } from "../chain/index.ts";
import { readDataManifest } from "../data/index.ts";
import { parameterCount, presetOf } from "../engine/index.ts";
import {
  archiveStateDirectory,
  createSupervisor,
  type DaemonContext,
  openStateDirectory,
  readRunFile,
  type RunFile,
  type StateDirectory,
  stateExists,
  type Supervisor,
  writeRunFile,
} from "../service/index.ts";
import { type BlobStore } from "../storage/index.ts";
import { openBlobStore } from "../storage/node/index.ts";
import {
  chainFacts,
  type ChainFacts,
  demoParamsOf,
  prepareRun,
  registerRunOnChain,
  layout,
  workOn,
  writeDeployment,
} from "../run/index.ts";
import { type EmbeddedChain, openChain, type Wallets } from "./chain.ts";
import { keepWallets } from "./funds.ts";
import { portLine, startProcesses } from "./launch.ts";
import { type Owner, ownerOf } from "./owners.ts";
import type { LocalnetContext } from "./context.ts";
import { checkRequest, type Request, withRemedy } from "./request.ts";
import type { Progress } from "./progress.ts";

const THRESHOLD = 2;

export interface Prepared {
  readonly state: string;
  readonly local: boolean;
  /** The embedded chain, undefined where another was named. */
  readonly embedded: EmbeddedChain | undefined;
  readonly rpcUrl: string;
  readonly chainId: number;
  readonly addresses: Readonly<ContractAddresses>;
  /** Where the run stands on-chain, for people. */
  readonly facts: ChainFacts;
  readonly modelId: ModelId;
  readonly runId: RunId;
  readonly preset: string;
  readonly data: DataManifest;
  readonly definition: Definition;
  readonly blobs: BlobStore;
  /** The first block that has anything of the deployment. */
  readonly fromBlock: number;
  readonly reader: ChainReader;
  readonly coordinator: CoordinatorClient;
  /** The command line with which others join. */
  readonly joinCommand: string;
  readonly operatorToken: string;
  readonly owners: readonly Owner[];
  readonly supervisor: Supervisor;
}

async function readOperatorToken(state: string): Promise<string> {
  const file = layout(state).operatorToken;
  if (!existsSync(file)) await writeFileDurable(file, `${randomBytes(32).toString("hex")}\n`, { mode: 0o600 });
  return (await readFile(file, "utf8")).trim();
}

async function readDefinition(blobs: BlobStore, digest: string): Promise<Definition> {
  const bytes = await blobs.get(asDigest(digest), 16 << 20);
  return parseDocument("the definition", Definition, parseJsonBounded(bytes, 16 << 20, "The definition"));
}

/** What is done before and with the contracts; those of a run that stands are only looked up. */
export const activitiesOf = (file: Pick<RunFile, "runId"> | undefined) =>
  file?.runId
    ? { before: "Opening the chain", contracts: "Finding the contracts" }
    : { before: "Compiling the contracts, preparing data and programs", contracts: "Deploying the contracts" };

/** The state directory, locked, with the run that it holds and what was asked for. */
export interface OpenedState {
  readonly directory: StateDirectory;
  readonly file: RunFile | undefined;
  readonly request: Request;
}

/** A run that begins beside an imported model would take its place, untrained. @throws UserError `MODEL_IMPORTED` */
async function refuseImported(state: string): Promise<void> {
  if (!existsSync(layout(state).model) || (await readRunFile(state)) !== undefined) return;
  throw new UserError(
    "MODEL_IMPORTED",
    `${state} holds an imported model, and a run of its own would begin with another, untrained one: name another directory with --state, or put the model aside with "${freshCommand(state)}".`,
  );
}

/**
 * Opens, or makes, the state directory of this command. Comes before everything that writes into it.
 * @throws UserError or RetryableError for what cannot be done or is not ours to use; nothing was made or moved then
 */
export async function openState(context: LocalnetContext, clock: Clock): Promise<OpenedState> {
  const state = resolve(context.options.state);
  const anew = context.options.fresh || !stateExists(state);
  if (!anew) await refuseImported(state);
  const first = anew ? await checkRequest(context, undefined) : undefined;
  let former: string | undefined;
  if (context.options.fresh) {
    const archived = await archiveStateDirectory(state, clock);
    if (archived) context.notice(`The old state was put aside as ${archived}.`);
    former = archived;
  }
  const directory = await openStateDirectory(state, { create: true, clock }).catch((error: unknown) => {
    throw error instanceof UserError && error.code === "PATH_UNWRITABLE"
      ? withRemedy(error, "name another directory with --state")
      : error;
  });
  try {
    // Coins on a chain that is not ours stay with who begins anew.
    if (former !== undefined && first?.rpc !== undefined && (await keepWallets(former, state)))
      context.notice("Its wallets are kept.");
    const file = await readRunFile(state);
    return { directory, file, request: first ?? (await checkRequest(context, file)) };
  } catch (error) {
    directory.close();
    throw error;
  }
}

export async function prepare(
  context: LocalnetContext,
  daemon: DaemonContext,
  { directory, file, request }: OpenedState,
  progress: Progress,
  clock: Clock,
): Promise<Prepared> {
  const { options } = context;
  const { preset, dataFile, rpc } = request;
  const state = directory.path;
  const supervisor = createSupervisor({ logger: daemon.logger, logDirectory: layout(state).logs, clock });
  daemon.onShutdown("processes", () => supervisor.stopAll());
  supervisor.events.on("state", (status) => {
    if (status.state === "waiting") progress.announce(`${status.name} ended and is started again`);
  });
  supervisor.events.on("failed", (_, error) => progress.update({ warning: error.message }));

  const blobs = await openBlobStore(layout(state).blobs);

  const activities = activitiesOf(file);
  progress.update({ activity: activities.before });
  const opening = openChain({ context, daemon, state, supervisor, rpc, file });
  // Who has to pay first is told before minutes are spent; otherwise the three need nothing of each other.
  if (rpc !== undefined) await opening;
  const material = file?.runId ? undefined : prepareRun(blobs, { preset, dataFile, seed: "cotrain" });
  const [chain] = await Promise.all([opening, ensureBuilt(daemon.signal), material]);
  const { local, wallets } = chain;

  progress.update({ activity: activities.contracts, chainId: chain.chainId });
  const organiser = ownerOf("organiser", chain, wallets.organiser);
  const connection = await connect({ rpcUrl: chain.url, chainId: chain.chainId });
  const profile = profileFor(local ? "local" : "public", chain.chainId);
  const place = recordOf(options.deployments, rpc === undefined ? layout(state).deployment : undefined, chain.chainId);
  // A public chain's record lies in the tree of sources, where a new file is a surprise.
  const recordPath = rpc === undefined ? undefined : (place.recordPath ?? defaultRecordPath(chain.chainId));
  const recorded = recordPath !== undefined && existsSync(recordPath);
  const deployment = await workOn(connection, ({ client }) =>
    deploy({ walletClient: walletOf(organiser), publicClient: client, profile: profile.name, ...place }),
  );
  if (recordPath !== undefined && !recorded && existsSync(recordPath))
    progress.say([`The deployment is recorded in ${recordPath}, a new file: keep it with the sources.`]);
  await writeDeployment(state, {
    chainId: deployment.chainId,
    profile: deployment.profile,
    addresses: { ...deployment.addresses },
    blocks: { ...deployment.blocks },
  });
  const addresses = deployment.addresses;

  const settings = {
    ...file?.settings,
    preset,
    salt: saltOf(file),
    ...(dataFile === undefined ? {} : { data: dataFile }),
    ...(rpc === undefined ? {} : { rpc }),
  };
  const run: RunFile = {
    version: 1,
    startedAt: new Date(clock.now()).toISOString(),
    chain: { chainId: chain.chainId, rpcUrl: chain.url, embedded: rpc === undefined },
    // The coordinator's port is kept, so that workers elsewhere find it again.
    ports: { ...file?.ports, ...(chain.embedded && { chain: chain.embedded.door.port }) },
    urls: {},
    wallets: Object.fromEntries(walletEntries(wallets)),
    settings,
    ...(file?.modelId && file.runId ? { modelId: file.modelId, runId: file.runId } : {}),
  };
  await writeRunFile(state, run);

  let ids = { modelId: file?.modelId, runId: file?.runId };
  if (material) {
    progress.update({ activity: "Registering model and run" });
    const described = await material;
    const made = await workOn(connection, () =>
      registerRunOnChain(blobs, described, {
        client: organiser.client,
        chainId: chain.chainId,
        addresses,
        salt: settings.salt,
        poster: wallets.poster.address,
        params: demoParamsOf(preset),
        model: {
          name: "Cotrain Model",
          symbol: "COTRAIN",
          uri: 'data:application/json,{"name":"Cotrain Model"}',
          ...profile.model,
          validators: wallets.validators
            .map(({ address }) => address)
            .sort((a, b) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1)),
          threshold: THRESHOLD,
        },
      }),
    );
    ids = made;
    run.settings = { ...settings, build: described.buildDigest };
  }
  const modelId = asModelId(ids.modelId ?? "");
  const runId = asRunId(ids.runId ?? "");
  await writeRunFile(state, { ...run, modelId, runId });

  const fromBlock = Math.min(...Object.values(deployment.blocks));
  const reader = await openReader({
    rpcUrl: chain.url,
    chainId: chain.chainId,
    contracts: { ...addresses },
    fromBlock,
  });
  const [record, facts] = await Promise.all([
    reader.run(runId),
    chainFacts(organiser.client, { chainId: chain.chainId, rpcUrl: chain.url, addresses, modelId }),
  ]);
  const definition = await readDefinition(blobs, record.definition);
  const data = await readDataManifest(blobs, asDigest(definition.data));
  const operatorToken = await readOperatorToken(state);

  progress.update({
    activity: "Starting coordinator, validators and workers",
    model: data.source,
    parameters: parameterCount(presetOf(preset).model),
    bytesPerToken: data.train.bytes / data.train.tokens,
    sequence: definition.sequence,
    rpc: facts.rpc,
  });
  const {
    coordinator,
    joinCommand,
    port: boundPort,
  } = await startProcesses({
    context,
    state,
    supervisor,
    blobs,
    wallets,
    run: { ...run, modelId, runId },
    operatorToken,
  });
  progress.update({ joinCommand, statusCommand: commandFor(state, "status") });
  progress.say(
    [
      portLine("the coordinator", "--port", { wanted: options.port, got: boundPort, kept: file?.ports["coordinator"] }),
      chain.embedded &&
        portLine("the chain", "--chain-port", {
          wanted: options.chainPort,
          got: chain.embedded.door.port,
          kept: file?.ports["chain"],
        }),
    ].filter((line) => line !== undefined),
  );
  chain.embedded?.door.admit(new URL(coordinator.url).origin);
  const owners = wallets.workers.map((account, index) => ownerOf(`worker-${index + 1}`, chain, account));
  return {
    state,
    local,
    embedded: chain.embedded,
    rpcUrl: chain.url,
    chainId: chain.chainId,
    addresses,
    facts,
    modelId,
    runId,
    preset,
    data,
    definition,
    blobs,
    fromBlock,
    reader,
    coordinator,
    joinCommand,
    operatorToken,
    owners,
    supervisor,
  };
}

/** The embedded chain's deployment belongs to its state; any other is recorded where all that runs on it find it. */
function recordOf(
  directory: string | undefined,
  own: string | undefined,
  chainId: number,
): { readonly recordPath?: string } {
  if (own !== undefined) return { recordPath: own };
  return directory === undefined ? {} : { recordPath: join(resolve(directory), `${chainId}.json`) };
}

function saltOf(file: RunFile | undefined): Hex {
  const kept = file?.settings?.["salt"];
  return typeof kept === "string" ? (kept as Hex) : `0x${randomBytes(32).toString("hex")}`;
}

const walletOf = (owner: Owner) => owner.client as Parameters<typeof deploy>[0]["walletClient"];

const walletEntries = (wallets: Wallets): [string, string][] => [
  ["organiser", wallets.organiser.address],
  ["poster", wallets.poster.address],
  ...wallets.validators.map(({ address }, index): [string, string] => [`validator-${index + 1}`, address]),
  ...wallets.workers.map(({ address }, index): [string, string] => [`worker-${index + 1}`, address]),
];
