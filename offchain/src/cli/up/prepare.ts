/**
 * Everything that must stand before the first round: state directory, wallets, contracts, chain, run, processes. Each part is
 * found again by the next start; a start that was cut short is gone on with.
 */
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join, resolve } from "node:path";

import {
  asDigest,
  asModelId,
  asRunId,
  type ContractAddresses,
  type CoordinatorClient,
  createCoordinatorClient,
  Definition,
  type DataManifest,
  type Digest,
  type Hex,
  type ModelId,
  parseDocument,
  type RunId,
} from "@cotrain/sdk/protocol";
import { CotrainError } from "@cotrain/sdk/errors";
import type { Address } from "viem";
import type { PrivateKeyAccount } from "viem/accounts";

import { deploy, developmentChainIds, ensureBuilt, profileFor } from "../../../../deploy/deployment.ts";
import { type Clock, parseJsonBounded, RetryableError, UserError, writeFileDurable } from "../../base/index.ts";
import {
  anvilCommand,
  type ChainReader,
  connect,
  developmentChain,
  DEVELOPMENT_CHAIN_ID,
  openReader,
  startStateKeeper,
} from "../../chain/index.ts";
import { readDataManifest } from "../../data/index.ts";
import { parameterCount, presetOf } from "../../engine/index.ts";
import {
  archiveStateDirectory,
  createSupervisor,
  type DaemonContext,
  findPort,
  FRESH_COMMAND,
  openRoleDirectory,
  openStateDirectory,
  readRunFile,
  type RunFile,
  type StateDirectory,
  stateExists,
  type Supervisor,
  writeRunFile,
} from "../../service/index.ts";
import { type BlobStore, exportCheckpoint, openFileStore } from "../../storage/index.ts";
import type { CommandContext } from "../command.ts";
import { demoParams, prepareRun, registerRunOnChain } from "../createRun.ts";
import { layout, readDeployment, writeDeployment } from "../local.ts";
import { cotrainProcess } from "../processes.ts";
import { type Owner, ownerOf } from "./owners.ts";
import type { upOptions } from "./options.ts";
import { chainIdOf, checkRequest, type Request, withRemedy } from "./request.ts";
import type { Screen } from "./screen.ts";
import { ensureWallet, namedWallet, type Role } from "./wallets.ts";

export const VALIDATORS = 3;
const THRESHOLD = 2;

export interface Prepared {
  readonly state: string;
  readonly local: boolean;
  readonly embedded: boolean;
  readonly rpcUrl: string;
  readonly chainId: number;
  readonly addresses: Readonly<ContractAddresses>;
  readonly modelId: ModelId;
  readonly runId: RunId;
  readonly preset: string;
  readonly data: DataManifest;
  readonly definition: Definition;
  readonly blobs: BlobStore;
  readonly reader: ChainReader;
  readonly coordinator: CoordinatorClient;
  readonly operatorToken: string;
  readonly owners: readonly Owner[];
  readonly supervisor: Supervisor;
}

interface Progress {
  readonly update: (change: Partial<Screen>) => void;
  readonly tell: (happening: string) => void;
}

interface Wallets {
  readonly organiser: PrivateKeyAccount;
  readonly poster: PrivateKeyAccount;
  readonly validators: readonly PrivateKeyAccount[];
  readonly workers: readonly PrivateKeyAccount[];
}

const numbered = <T>(count: number, make: (n: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index + 1));

async function openWallets(state: string, context: CommandContext<typeof upOptions>, local: boolean): Promise<Wallets> {
  const ensure = (role: Role): Promise<PrivateKeyAccount> => ensureWallet(state, role, local);
  // The first makes the passphrase that all share.
  const organiser = (await namedWallet(context.options)) ?? (await ensure("organiser"));
  // On a real chain one account pays for everything, so that only one needs funds.
  const poster = local ? await ensure("poster") : organiser;
  const validators = await Promise.all(numbered(VALIDATORS, (n) => ensure(`validator-${n}`)));
  const workers = await Promise.all(numbered(context.options.workers, (n) => ensure(`worker-${n}`)));
  return { organiser, poster, validators, workers };
}

/** Starts the embedded chain, or checks the one that was named. */
async function openChainFor(
  context: CommandContext<typeof upOptions>,
  daemon: DaemonContext,
  state: string,
  supervisor: Supervisor,
  rpc: string | undefined,
  file: RunFile | undefined,
): Promise<{ url: string; port: number | undefined; chainId: number }> {
  if (rpc !== undefined) {
    const chainId = await chainIdOf(rpc);
    if (file && file.chain.chainId !== chainId)
      throw new UserError(
        "WRONG_CHAIN",
        `The RPC at ${rpc} is chain ${chainId}, but this run lives on chain ${file.chain.chainId}: name another RPC.`,
      );
    return { url: rpc, port: undefined, chainId };
  }
  await mkdir(layout(state).chain, { recursive: true, mode: 0o700 });
  const lock = await openRoleDirectory(state, "chain", { create: true });
  daemon.onShutdown("chain lock", () => lock.close());
  const explicit = context.config.explicit("chainPort");
  const port = await findPort({
    port: explicit ? context.options.chainPort : (file?.ports["chain"] ?? context.options.chainPort),
    explicit,
    purpose: "the chain",
    flag: "--chain-port",
  });
  const node = anvilCommand({ stateFile: layout(state).chainState, port });
  daemon.onShutdown("chain state keeper", startStateKeeper(layout(state).chainState));
  await supervisor.start({ name: "chain", command: node.command, args: node.args, ready: node.ready });
  return { url: node.url, port, chainId: DEVELOPMENT_CHAIN_ID };
}

/** The organiser of a real chain must be able to pay. */
async function requireFunds(rpcUrl: string, chainId: number, organiser: Address): Promise<void> {
  const connection = await connect({ rpcUrl, chainId });
  const balance = await connection.call((client) => client.getBalance({ address: organiser }));
  if (balance > 0n) return;
  throw new RetryableError(
    "ORGANISER_UNFUNDED",
    `The organiser's wallet ${organiser} has no coins on chain ${chainId} to pay fees with: send it some, then run the same command again.`,
  );
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

/** The state directory, locked, with the run that it holds and what was asked for. */
export interface OpenedState {
  readonly directory: StateDirectory;
  readonly file: RunFile | undefined;
  readonly request: Request;
}

/**
 * Opens, or makes, the state directory of this command. Comes before everything that writes into it.
 * @throws UserError or RetryableError for what cannot be done or is not ours to use; nothing was made or moved then
 */
export async function openState(context: CommandContext<typeof upOptions>, clock: Clock): Promise<OpenedState> {
  const state = resolve(context.options.state);
  const anew = context.options.fresh || !stateExists(state);
  const first = anew ? await checkRequest(context, undefined) : undefined;
  if (context.options.fresh) {
    const archived = await archiveStateDirectory(state, clock);
    if (archived) context.output.notice(`The old state was put aside as ${archived}.`);
  }
  const directory = await openStateDirectory(state, { create: true, clock }).catch((error: unknown) => {
    throw error instanceof UserError && error.code === "PATH_UNWRITABLE"
      ? withRemedy(error, "name another directory with --state")
      : error;
  });
  try {
    const file = await readRunFile(state);
    return { directory, file, request: first ?? (await checkRequest(context, file)) };
  } catch (error) {
    directory.close();
    throw error;
  }
}

export async function prepare(
  context: CommandContext<typeof upOptions>,
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
    if (status.state === "waiting") progress.tell(`${status.name} ended and is started again`);
  });
  supervisor.events.on("failed", (_, error) => progress.update({ warning: error.message }));

  const blobs = await openFileStore(layout(state).blobs);

  // Compiling, tokenizing and the chain's start need nothing of each other.
  progress.update({ activity: "Compiling the contracts, preparing data and programs" });
  const material = file?.runId ? undefined : prepareRun(blobs, { preset, dataFile, seed: "cotrain" });
  const [chain] = await Promise.all([
    openChainFor(context, daemon, state, supervisor, rpc, file),
    ensureBuilt(),
    material,
  ]);
  const local = developmentChainIds.includes(chain.chainId);
  const wallets = await openWallets(state, context, local);
  if (rpc === undefined)
    await developmentChain(chain.url).fund(
      [wallets.organiser, wallets.poster, ...wallets.validators, ...wallets.workers].map(({ address }) => address),
    );
  else await requireFunds(chain.url, chain.chainId, wallets.organiser.address);

  progress.update({ activity: "Deploying the contracts", chainId: chain.chainId });
  const organiser = ownerOf("organiser", chain.url, wallets.organiser);
  const connection = await connect({ rpcUrl: chain.url, chainId: chain.chainId });
  if (rpc === undefined) await developmentChain(chain.url).mineByInterval(1);
  const profile = profileFor(local ? "local" : "public", chain.chainId);
  const deployment = await deploy({
    walletClient: walletOf(organiser),
    publicClient: connection.client,
    profile: profile.name,
    ...recordOf(options.deployments, rpc === undefined ? layout(state).deployment : undefined, chain.chainId),
  });
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
    ports: chain.port === undefined ? {} : { chain: chain.port },
    urls: {},
    wallets: Object.fromEntries(walletEntries(wallets)),
    settings,
    ...(file?.modelId && file.runId ? { modelId: file.modelId, runId: file.runId } : {}),
  };
  await writeRunFile(state, run);

  let ids = { modelId: file?.modelId, runId: file?.runId };
  if (material) {
    progress.update({ activity: "Registering model and run" });
    const made = await registerRunOnChain(blobs, await material, {
      client: organiser.client,
      chainId: chain.chainId,
      addresses,
      salt: settings.salt,
      poster: wallets.poster.address,
      params: demoParams,
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
    });
    ids = made;
    run.settings = { ...settings, realisation: (await material).realisationDigest };
  }
  const modelId = asModelId(ids.modelId ?? "");
  const runId = asRunId(ids.runId ?? "");
  await writeRunFile(state, { ...run, modelId, runId });

  const reader = await openReader({
    rpcUrl: chain.url,
    chainId: chain.chainId,
    contracts: { ...addresses },
    fromBlock: Math.min(...Object.values(deployment.blocks)),
  });
  const record = await reader.run(runId);
  const definition = await readDefinition(blobs, record.definition);
  const data = await readDataManifest(blobs, asDigest(definition.data));
  const operatorToken = await readOperatorToken(state);

  progress.update({
    activity: "Starting coordinator, validators and workers",
    model: data.source,
    parameters: parameterCount(presetOf(preset).model),
    bytesPerToken: data.train.bytes / data.train.tokens,
  });
  const coordinator = await startProcesses(
    context,
    state,
    supervisor,
    blobs,
    wallets,
    { ...run, modelId, runId },
    operatorToken,
  );
  const owners = wallets.workers.map((account, index) => ownerOf(`worker-${index + 1}`, chain.url, account));
  return {
    state,
    local,
    embedded: rpc === undefined,
    rpcUrl: chain.url,
    chainId: chain.chainId,
    addresses,
    modelId,
    runId,
    preset,
    data,
    definition,
    blobs,
    reader,
    coordinator,
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

/** Reads and hashes all of the checkpoint that training goes on from: workers could do no more than wait for a good one. */
async function checkCheckpoint(blobs: BlobStore, digest: Digest): Promise<void> {
  try {
    for await (const _ of exportCheckpoint(blobs, digest));
  } catch (error) {
    if (!(error instanceof CotrainError)) throw error;
    const file = error.details?.["file"];
    throw new UserError(
      "CHECKPOINT_DAMAGED",
      `Checkpoint ${digest}, from which training goes on, is damaged${typeof file === "string" ? ` in ${file}` : ""}: put a copy back with "npx cotrain checkpoint import FILE", or start anew with "${FRESH_COMMAND}".`,
      { cause: error },
    );
  }
}

/**
 * Starts coordinator, then validators and workers. The run rests until all have joined, so that the first round is everyone's.
 * `run.json` names the coordinator's URL from then on.
 */
async function startProcesses(
  context: CommandContext<typeof upOptions>,
  state: string,
  supervisor: Supervisor,
  blobs: BlobStore,
  wallets: Wallets,
  run: RunFile & { readonly runId: RunId },
  operatorToken: string,
): Promise<CoordinatorClient> {
  const { options, config } = context;
  const known = await readDeployment(state);
  if (!known)
    throw new UserError(
      "STATE_CORRUPTED",
      `${layout(state).deployment} is gone: start anew with "npm start -- --fresh".`,
    );
  // A port that was found once is kept, so that workers elsewhere find the coordinator again after a restart.
  const explicit = config.explicit("port");
  const port = await findPort({
    port: explicit ? options.port : (run.ports["coordinator"] ?? options.port),
    explicit,
    host: options.host,
    purpose: "the coordinator",
    flag: "--port",
  });
  const listen = ["--host", options.host, "--port", String(port)];
  if (options.tlsCert) listen.push("--tls-cert", options.tlsCert);
  if (options.tlsKey) listen.push("--tls-key", options.tlsKey);
  if (options.behindProxy) listen.push("--behind-proxy");
  const keys =
    options.wallet && options.passphraseFile
      ? ["--wallet", options.wallet, "--passphrase-file", options.passphraseFile]
      : [];
  const status = await supervisor.start(
    cotrainProcess("coordinator", ["coordinator", "--state", state, ...listen, ...keys]),
  );
  const scheme = options.tlsCert ? "https" : "http";
  const bound = Number(status.details["port"] ?? port);
  const reachable = ["0.0.0.0", "::"].includes(options.host) ? "127.0.0.1" : options.host;
  const url = `${scheme}://${reachable}:${bound}`;
  await writeRunFile(state, { ...run, ports: { ...run.ports, coordinator: bound }, urls: { coordinator: url } });
  const coordinator = createCoordinatorClient(url);
  await checkCheckpoint(blobs, asDigest((await coordinator.run(run.runId)).checkpoint.digest));
  await coordinator.control(run.runId, operatorToken, { action: "pause" });
  await supervisor.startGroup([
    ...wallets.validators.map((_, index) =>
      cotrainProcess(`validator-${index + 1}`, [
        "validator",
        "--state",
        state,
        "--role",
        `validator-${index + 1}`,
        "--coordinator",
        url,
      ]),
    ),
    ...wallets.workers.map((_, index) =>
      cotrainProcess(`worker-${index + 1}`, [
        "worker",
        "--state",
        state,
        "--role",
        `worker-${index + 1}`,
        "--coordinator",
        url,
        "--threads",
        "1",
      ]),
    ),
  ]);
  await coordinator.control(run.runId, operatorToken, { action: "resume" });
  return coordinator;
}
