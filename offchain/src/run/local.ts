/**
 * The state that `cotrain up` keeps, as other commands see it: where things are (`run.json`), which contracts
 * (`deployment.json`), which wallets, which blobs. A command that finds the local chain down starts it for as long as it
 * needs it.
 */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";

import {
  Address20,
  asDigest,
  ContractAddresses,
  type Digest,
  asModelId,
  asRunId,
  type ModelId,
  type RunId,
} from "@cotrain/sdk/protocol";
import { type Static, Type } from "typebox";
import { BaseError } from "viem";

import { type Clock, errnoOf, RetryableError, systemClock, UserError } from "../base/index.ts";
import { commandFor, describeErrno, freshCommand, startCommand } from "../base/node/index.ts";
import {
  anvilCommand,
  type ChainConnection,
  type ChainDoor,
  chainError,
  connect,
  DEVELOPMENT_CHAIN_ID,
  openChainDoor,
  openNodeLink,
} from "../chain/index.ts";
import {
  createSupervisor,
  openBlobs,
  openRoleDirectory,
  readRunFile,
  readStateFile,
  type RunFile,
  silentLogger,
  stateExists,
  stateInUse,
  writeStateFile,
} from "../service/index.ts";
import { type BlobStore } from "../storage/index.ts";

/** Where things lie under a state directory. */
export const layout = (state: string) => ({
  deployment: join(state, "deployment.json"),
  summary: join(state, "summary.json"),
  loss: join(state, "loss.json"),
  model: join(state, "model.json"),
  blobs: join(state, "blobs"),
  logs: join(state, "logs"),
  /** Of a session, from its first moment on. */
  sessionLog: join(state, "logs", "up.log"),
  /** Of `run create`, likewise. */
  createLog: join(state, "logs", "create.log"),
  chain: join(state, "chain"),
  chainState: join(state, "chain", "state.json"),
  operatorToken: join(state, "keys", "operator-token"),
  /** Beside the wallet that was asked for it: who begins anew keeps both. */
  namedSum: join(state, "keys", "named-sum.json"),
});

/** `deployment.json`: what other commands need of a deployment. The records of deploy/deployments hold that and more. */
export const DeploymentFile = Type.Object({
  chainId: Type.Integer({ minimum: 1 }),
  profile: Type.Union([Type.Literal("local"), Type.Literal("public")]),
  addresses: ContractAddresses,
  /** What every model's clones run: with a model's id they say where its own contracts are. */
  implementations: Type.Object({ modelShares: Address20, modelGovernor: Address20, modelTimelock: Address20 }),
  codeGrants: Address20,
  capitalSale: Address20,
  stakeManager: Address20,
  revenueDeposits: Address20,
  computeBudget: Address20,
  /** What pays for rented machines; absent in states from before there was one. */
  computeEscrow: Type.Optional(Address20),
  /** What shares and machines are paid with on development chains. */
  testDollar: Type.Optional(Address20),
  blocks: Type.Record(Type.String(), Type.Integer({ minimum: 0 })),
});
export type DeploymentFile = Static<typeof DeploymentFile>;

export const writeDeployment = (state: string, deployment: DeploymentFile): Promise<void> =>
  writeStateFile(layout(state).deployment, DeploymentFile, deployment);

export const readDeployment = (state: string): Promise<DeploymentFile | undefined> =>
  readStateFile(layout(state).deployment, DeploymentFile);

/**
 * A deployment that the user names, whose word counts more than a coordinator's.
 * @throws UserError `FILE_UNREADABLE`, `STATE_CORRUPTED`
 */
export async function readNamedDeployment(path: string): Promise<DeploymentFile> {
  const remedy = "name a deployment.json that cotrain up wrote, or a record of deploy/deployments, with --deployment";
  const deployment = await readStateFile(path, DeploymentFile, remedy);
  if (!deployment) throw new UserError("FILE_UNREADABLE", `${path} does not exist: ${remedy}.`);
  return deployment;
}

/** A run that `cotrain up` made. */
export interface LocalRun {
  readonly state: string;
  readonly file: RunFile;
  readonly deployment: DeploymentFile;
  readonly modelId: ModelId;
  readonly runId: RunId;
  /** Runs of the model that it trained before, oldest first. */
  readonly earlier: readonly RunId[];
  readonly blobs: BlobStore;
}

/** @throws UserError `STATE_UNREADABLE` for a directory that this user may not look into */
async function requireReadable(state: string): Promise<void> {
  try {
    await readFile(join(state, "VERSION"));
  } catch (error) {
    const code = errnoOf(error);
    if (code === "ENOENT" || code === "ENOTDIR") return;
    throw new UserError(
      "STATE_UNREADABLE",
      `${state} ${describeErrno(error)}: become the user who began it, or name another directory with --state.`,
      { cause: error },
    );
  }
}

/**
 * @param wanted where its blobs are, for who insists
 * @throws UserError `NO_LOCAL_RUN`, `STATE_UNREADABLE`, `STATE_CORRUPTED`, `SETTING_KEPT`; RetryableError `RUN_STARTING`
 */
export async function openLocalRun(directory: string, wanted?: string): Promise<LocalRun> {
  const state = resolve(directory);
  await requireReadable(state);
  const file = stateExists(state) ? await readRunFile(state) : undefined;
  const deployment = file && (await readDeployment(state));
  if (!file?.runId && existsSync(layout(state).model))
    throw new UserError(
      "NO_LOCAL_RUN",
      `${state} holds an imported model and no run: let it write with "${commandFor(state, "generate")}", compare it with its chain with "${commandFor(state, "verify", "--rpc", "URL")}".`,
    );
  if (!file?.runId || !file.modelId || !deployment) {
    if (existsSync(layout(state).sessionLog) && stateInUse(state))
      throw new RetryableError(
        "RUN_STARTING",
        `A session is starting in ${state}, and has made no run yet: ask again once it says that it trains.`,
      );
    if (existsSync(layout(state).createLog) && stateInUse(state))
      throw new RetryableError("RUN_STARTING", `A run is being made in ${state}: ask again once that is done.`);
    throw new UserError(
      "NO_LOCAL_RUN",
      `${state} holds no run: start one with "${startCommand(state)}", or name another directory with --state.`,
    );
  }
  const blobs = await openBlobs(state, wanted);
  const earlier = (file.earlier ?? []).map(asRunId);
  return { state, file, deployment, modelId: asModelId(file.modelId), runId: asRunId(file.runId), earlier, blobs };
}

/** The run of this state that is named, which may be one that it trained before. @throws UserError `RUN_UNKNOWN` where it holds no such run */
export function runNamed(run: LocalRun, named: string | undefined, directory?: string): LocalRun {
  const runId = run.earlier.find((each) => each === named?.toLowerCase());
  if (runId !== undefined) return { ...run, runId };
  requireRun(run, named, directory);
  return run;
}

/** @throws UserError `RUN_UNKNOWN` when this state's run is not the one that is named */
export function requireRun(run: LocalRun, named: string | undefined, directory = "another directory"): void {
  if (named === undefined || asRunId(named) === run.runId) return;
  throw new UserError(
    "RUN_UNKNOWN",
    `${run.state} holds run ${run.runId}, not ${named}: leave --run out, or name ${directory} with --state.`,
  );
}

/** A worker or validator of somebody else's run has a directory of its own. @throws UserError `STATE_OF_RUN` */
export function refuseRunDirectory(state: string): void {
  if (!existsSync(join(state, "run.json")) && !existsSync(layout(state).model)) return;
  throw new UserError(
    "STATE_OF_RUN",
    `${state} holds a run or a model of its own: name another directory with --state, which is made if it is not there.`,
  );
}

/**
 * Runs `work` with a connection to the run's chain. Where that is the embedded one and it is down, it is started from its
 * state, without a clock of its own, and ended afterwards.
 * @param rpc another RPC of the same chain, instead of the one that the run was made with
 * @param ticking its clock goes while it is up: votes begin and end by it
 * @throws RetryableError `CHAIN_UNREACHABLE` where it is somebody else's chain; UserError `WRONG_CHAIN`
 */
export async function withChain<T>(
  run: LocalRun,
  work: (connection: ChainConnection) => Promise<T>,
  rpc?: string,
  ticking = false,
): Promise<T> {
  const { chainId, rpcUrl, embedded } = run.file.chain;
  if (rpc !== undefined) return workOn(await connect({ rpcUrl: rpc, chainId }), work);
  if (!embedded) return workOn(await connect({ rpcUrl, chainId }), work);
  const running = await runningChain(run);
  if (running) return workOn(running, work);
  const lock = await openRoleDirectory(run.state, "chain");
  let door: ChainDoor | undefined;
  const supervisor = createSupervisor({ logger: silentLogger(), logDirectory: layout(run.state).logs });
  try {
    const stateFile = layout(run.state).chainState;
    const node = anvilCommand({ stateFile, chainId: DEVELOPMENT_CHAIN_ID, blockTime: ticking ? 1 : 0 });
    await supervisor.start({ name: "chain", command: node.command, args: node.args, ready: node.ready });
    door = await openChainDoor({
      link: openNodeLink(node.socket),
      port: { port: run.file.ports["chain"] ?? 8545, explicit: false, purpose: "the chain" },
    });
    const connection = await connect({ rpcUrl: door.url, chainId });
    if (ticking) await untilBlock(connection, systemClock);
    return await workOn(connection, work);
  } finally {
    await door?.close();
    await supervisor.stopAll();
    lock.close();
  }
}

/** How long a chain that was just started may take for a block, ms. */
const BLOCK_MS = 60_000;

/** A chain that stood for a while tells the time of its last block until there is another. @throws RetryableError `CHAIN_STANDS` */
async function untilBlock({ client }: ChainConnection, clock: Clock): Promise<void> {
  const end = clock.monotonic() + BLOCK_MS;
  const before = await client.getBlockNumber({ cacheTime: 0 });
  while ((await client.getBlockNumber({ cacheTime: 0 })) === before) {
    if (clock.monotonic() > end)
      throw new RetryableError("CHAIN_STANDS", "The local chain made no block for a minute: try again.");
    await clock.sleep(50);
  }
}

/** The embedded chain if it runs. What answers at its address may be another state's, which lacks this one's contracts. */
async function runningChain({ file, deployment }: LocalRun): Promise<ChainConnection | undefined> {
  try {
    const { chainId, rpcUrl } = file.chain;
    const connection = await connect({ rpcUrl, chainId, retries: 0, timeout: 5_000 });
    const code = await connection.client.getCode({ address: deployment.addresses.runRegistry });
    return code === undefined || code === "0x" ? undefined : connection;
  } catch {
    return undefined;
  }
}

/** Runs `work` on a chain; what the chain's client throws is told in our terms. */
export async function workOn<T>(
  connection: ChainConnection,
  work: (connection: ChainConnection) => Promise<T>,
): Promise<T> {
  try {
    return await work(connection);
  } catch (error) {
    throw error instanceof BaseError ? chainError(connection.url, error, connection.chainId) : error;
  }
}

/** The build that the run was made with. @throws UserError `NO_LOCAL_RUN` */
export function ownBuild(run: LocalRun): Digest {
  const digest = run.file.settings?.["build"];
  if (typeof digest === "string") return asDigest(digest);
  throw new UserError(
    "NO_LOCAL_RUN",
    `${run.state} does not say which programs its run has: start anew with "${freshCommand(run.state)}".`,
  );
}
