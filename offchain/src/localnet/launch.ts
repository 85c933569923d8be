/** Starts coordinator, validators and workers of a run that stands. */
import { X509Certificate } from "node:crypto";
import { hostname } from "node:os";
import { join } from "node:path";

import { CotrainError } from "@cotrain/sdk/errors";
import {
  asDigest,
  type CoordinatorClient,
  createCoordinatorClient,
  type Digest,
  type RunId,
} from "@cotrain/sdk/protocol";

import { type Clock, retrying, steady, UserError } from "../base/index.ts";
import { commandFor, freshCommand } from "../base/node/index.ts";
import { blobsLocation, findPort, loadTls, type RunFile, type Supervisor, writeRunFile } from "../service/index.ts";
import { type BlobStore, checkBlobs } from "../storage/index.ts";
import { isAway, joinCommandFor, layout, readDeployment, urlHere } from "../run/index.ts";
import { coordinatorProcess, validatorProcess, workerProcess } from "./processes.ts";
import type { Wallets } from "./chain.ts";
import type { LocalnetContext } from "./context.ts";
import type { RentedWorkers } from "./rented.ts";

/** Reads and hashes all of the checkpoint that training goes on from: workers could do no more than wait for a good one. */
export async function checkCheckpoint(state: string, blobs: BlobStore, digest: Digest): Promise<void> {
  try {
    await checkBlobs(blobs, digest);
  } catch (error) {
    // What is away has not said that anything is damaged, and to start anew would lose a sound run.
    if (!(error instanceof CotrainError) || isAway(error)) throw error;
    const file = error.details?.["file"];
    throw new UserError(
      "CHECKPOINT_DAMAGED",
      `Checkpoint ${digest}, from which training goes on, is damaged${typeof file === "string" ? ` in ${file}` : ""}: put a copy back with "${commandFor(state, "checkpoint", "import", "FILE")}", or start anew with "${freshCommand(state)}".`,
      { cause: error },
    );
  }
}

export interface Launched {
  readonly coordinator: CoordinatorClient;
  /** The command line with which others join. */
  readonly joinCommand: string;
  /** The coordinator's URL for programs on this machine, where others use another. */
  readonly urlHere: string | undefined;
  /** Where the coordinator listens. */
  readonly port: number;
}

/** How others reach the coordinator: as told, by the name in its certificate, at the address it listens on, or through its proxy. */
export async function addressFor(
  {
    host,
    tlsCert,
    tlsKey,
    behindProxy,
    publicUrl,
  }: Pick<LocalnetContext["options"], "host" | "tlsCert" | "tlsKey" | "behindProxy" | "publicUrl">,
  port: number,
): Promise<string> {
  if (publicUrl !== undefined) return publicUrl.replace(/\/+$/, "");
  if (behindProxy) return "https://YOUR-PROXY";
  const wildcard = host === "0.0.0.0" || host === "::";
  const tls = await loadTls(tlsCert, tlsKey);
  if (!tls) return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
  const name = /DNS:([^,\s]+)/.exec(new X509Certificate(tls.cert).subjectAltName ?? "")?.[1];
  return `https://${name ?? (wildcard ? hostname() : host)}:${port}`;
}

/**
 * What is to be said of a port that is not the usual one: another program has that, or it was so when the run began, and those
 * elsewhere know the run by the port that it got then.
 * @param kept the one of earlier starts
 */
export function portLine(
  what: string,
  flag: string,
  { wanted, got, kept }: { readonly wanted: number; readonly got: number; readonly kept: number | undefined },
): string | undefined {
  if (got === wanted || wanted === 0) return undefined;
  return got === kept
    ? `${what[0]?.toUpperCase()}${what.slice(1)} keeps port ${got}, by which others know it; ${flag} ${wanted} takes the usual one.`
    : `Port ${kept ?? wanted} is taken: ${what} listens on ${got}.`;
}

/** Which ports are not the usual ones, and what a join line lacks. @param chain port of the embedded chain */
export function addressLines(
  options: LocalnetContext["options"],
  file: Pick<RunFile, "ports"> | undefined,
  chain: number | undefined,
  coordinator: number,
): readonly string[] {
  const lines = [
    portLine("the coordinator", "--port", { wanted: options.port, got: coordinator, kept: file?.ports["coordinator"] }),
    chain === undefined
      ? undefined
      : portLine("the chain", "--chain-port", { wanted: options.chainPort, got: chain, kept: file?.ports["chain"] }),
    options.behindProxy && options.publicUrl === undefined
      ? "The join line lacks the proxy's address: name it with --public-url."
      : undefined,
  ];
  return lines.filter((line) => line !== undefined);
}

/** What processes of a run are started with. */
export interface Launch {
  readonly context: LocalnetContext;
  readonly state: string;
  readonly supervisor: Supervisor;
  readonly blobs: BlobStore;
  readonly wallets: Wallets;
  readonly run: RunFile & { readonly runId: RunId };
  readonly operatorToken: string;
  /** What workers compute with: each takes the next entry, of which the first that works. */
  readonly devices: readonly (readonly string[])[];
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** This start has registered the model: none of its validators' keys has signed for it. */
  readonly fresh: boolean;
  /** The run is over: nobody trains it. */
  readonly over: boolean;
  /** Undefined: workers are processes of this start. */
  readonly rented: RentedWorkers | undefined;
}

/** How long a coordinator that is away, being started again, is asked, ms. */
const AWAY_MS = 60_000;

/** Asks it until it answers. @throws what it last failed by, a minute later; what does not pass at once */
const asked = <T>({ clock, signal }: Pick<Launch, "clock" | "signal">, ask: () => Promise<T>): Promise<T> =>
  retrying(ask, { clock, signal, ...steady(500), within: AWAY_MS });

/** Has all of them join while the run rests, so that the first round is everyone's. */
export async function joinAtRest(
  { control }: Pick<CoordinatorClient, "control">,
  launch: Pick<Launch, "clock" | "signal" | "operatorToken"> & { readonly run: Pick<Launch["run"], "runId"> },
  join: () => Promise<unknown>,
): Promise<void> {
  const { run, operatorToken } = launch;
  await asked(launch, () => control(run.runId, operatorToken, { action: "pause" }));
  await join();
  await asked(launch, () => control(run.runId, operatorToken, { action: "resume" }));
}

/** Ports of the coordinator. One that was found is kept, so that workers elsewhere find it again after a restart. */
async function coordinatorPorts({ context: { options, config }, run }: Launch) {
  const explicit = config.explicit("port");
  const port = await findPort({
    port: explicit ? options.port : (run.ports["coordinator"] ?? options.port),
    explicit,
    host: options.host,
    purpose: "the coordinator",
    flag: "--port",
  });
  if (!options.tlsCert) return { port, loopbackPort: undefined };
  // This machine's own processes need no certificate, whose name they could not know.
  const loopbackPort = await findPort({
    port: run.ports["loopback"] ?? port + 1,
    explicit: false,
    exclude: new Set([port]),
    purpose: "this machine's processes",
  });
  return { port, loopbackPort };
}

/** How often ports are looked for: each time another program took one between the look and the listening. */
const PORT_TRIES = 4;

/**
 * Starts a process on ports that are found for it, and on others where another program, such as a session that began in the same
 * second, has taken one meanwhile. Where the user named it, the next look says that it is taken.
 * @throws what looking for ports and starting throw
 */
export async function startOnPorts<P, T>(find: () => Promise<P>, start: (ports: P) => Promise<T>) {
  for (let tried = 1; ; tried++) {
    const ports = await find();
    try {
      return { ports, started: await start(ports) };
    } catch (error) {
      if (!(error instanceof UserError) || error.code !== "PORT_TAKEN" || tried === PORT_TRIES) throw error;
    }
  }
}

/** Starts the coordinator. `run.json` names its URL from then on. */
async function startCoordinator(launch: Launch) {
  const { context, state, supervisor, run } = launch;
  const { options } = context;
  const { host, tlsCert, tlsKey, behindProxy, maxFee, bondAtMost, publicRpc } = options;
  const { keepPayloads, keepCheckpoints, keepBytes } = options;
  // On the embedded chain a wallet of its own posts; elsewhere the organiser's does.
  const { wallet, passphraseFile } = run.chain.embedded ? {} : options;
  const blobs = await blobsLocation(state);
  const kept = { keepPayloads, keepCheckpoints, keepBytes };
  // One that is started again meanwhile goes on with what all others here go on with.
  const flags = {
    state,
    run: run.runId,
    blobs,
    host,
    tlsCert,
    tlsKey,
    behindProxy,
    maxFee,
    bondAtMost,
    publicRpc,
    ...kept,
  };
  const {
    ports: { port, loopbackPort },
    started: status,
  } = await startOnPorts(
    () => coordinatorPorts(launch),
    (ports) => supervisor.start(coordinatorProcess(context.program, { ...flags, ...ports, wallet, passphraseFile })),
  );
  const bound = Number(status.details["port"] ?? port);
  const url = String(status.details["url"]);
  const address = await addressFor(options, bound);
  const urls = { coordinator: url, join: address };
  await writeRunFile(state, {
    ...run,
    ports: { ...run.ports, coordinator: bound, ...(loopbackPort === undefined ? {} : { loopback: loopbackPort }) },
    urls,
  });
  return { url, address, port: bound, here: urlHere(urls) };
}

/** Starts coordinator, then validators and workers. */
export async function startProcesses(launch: Launch): Promise<Launched> {
  const { context, state, supervisor, blobs, wallets, run, devices, fresh, over, rented } = launch;
  if (!(await readDeployment(state)))
    throw new UserError(
      "STATE_CORRUPTED",
      `${layout(state).deployment} is gone: start anew with "${freshCommand(state)}".`,
    );
  const { url, address, port, here } = await startCoordinator(launch);
  const coordinator = createCoordinatorClient(url);
  const view = await asked(launch, () => coordinator.run(run.runId));
  await checkCheckpoint(state, blobs, asDigest(view.checkpoint.digest));
  // Where the run's blobs are is no matter of theirs, though COTRAIN_BLOBS may tell it.
  const shared = (role: string) => ({ state, role, coordinator: url, blobs: layout(join(state, role)).blobs });
  const trainers = rented === undefined && !over ? wallets.workers : [];
  const members = [
    ...wallets.validators.map((_, index) =>
      validatorProcess(context.program, { ...shared(`validator-${index + 1}`), ...(fresh && { first: true }) }),
    ),
    ...trainers.map((_, index) =>
      workerProcess(context.program, {
        ...shared(`worker-${index + 1}`),
        device: devices[index % devices.length] ?? ["cpu"],
        threads: 1,
      }),
    ),
  ];
  await joinAtRest(coordinator, launch, async () => {
    await supervisor.startGroup(members);
    await rented?.begin(url);
  });
  return { coordinator, joinCommand: joinCommandFor(address, run.runId, view.rpcUrl), urlHere: here, port };
}
