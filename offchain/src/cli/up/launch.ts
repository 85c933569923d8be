/** Starts coordinator, validators and workers of a run that stands. */
import { X509Certificate } from "node:crypto";
import { hostname } from "node:os";

import { CotrainError } from "@cotrain/sdk/errors";
import {
  asDigest,
  type CoordinatorClient,
  createCoordinatorClient,
  type Digest,
  type RunId,
} from "@cotrain/sdk/protocol";

import { commandFor, freshCommand, shellWord, UserError } from "../../base/index.ts";
import {
  findPort,
  loadTls,
  type ProcessSpec,
  type RunFile,
  showDuration,
  type Supervisor,
  writeRunFile,
} from "../../service/index.ts";
import { type BlobStore, checkBlobs } from "../../storage/index.ts";
import type { CommandContext } from "../command.ts";
import { layout, readDeployment } from "../../run/index.ts";
import { cotrainProcess } from "../processes.ts";
import type { Wallets } from "./chain.ts";
import type { upOptions } from "./options.ts";

/** Reads and hashes all of the checkpoint that training goes on from: workers could do no more than wait for a good one. */
async function checkCheckpoint(state: string, blobs: BlobStore, digest: Digest): Promise<void> {
  try {
    await checkBlobs(blobs, digest);
  } catch (error) {
    if (!(error instanceof CotrainError)) throw error;
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
  /** Where the coordinator listens. */
  readonly port: number;
}

/** Whether an address is this machine's alone. */
export const isLoopback = (url: string): boolean => {
  const { hostname: host } = new URL(url);
  return host === "localhost" || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host);
};

/** How others reach the coordinator: by the name in its certificate, at the address it listens on, or through its proxy. */
async function addressFor(
  { host, tlsCert, tlsKey, behindProxy }: CommandContext<typeof upOptions>["options"],
  port: number,
): Promise<string> {
  if (behindProxy) return "https://YOUR-PROXY";
  const wildcard = host === "0.0.0.0" || host === "::";
  const tls = await loadTls(tlsCert, tlsKey);
  if (!tls) return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
  const name = /DNS:([^,\s]+)/.exec(new X509Certificate(tls.cert).subjectAltName ?? "")?.[1];
  return `https://${name ?? (wildcard ? hostname() : host)}:${port}`;
}

/**
 * All that a joiner needs: where the coordinator is, which run, and the chain's RPC to check it against, unless that is an
 * address of this machine and the joiner is not here.
 */
export function joinCommandFor(coordinator: string, runId: RunId, rpcUrl: string | null): string {
  const here = isLoopback(coordinator);
  // It may be a stranger's word, and is copied into a shell.
  const told = rpcUrl !== null && URL.canParse(rpcUrl) && (here || !isLoopback(rpcUrl));
  const rpc = told ? ` --rpc ${shellWord(rpcUrl)}` : "";
  return `npm run cotrain -- worker --coordinator ${coordinator} --run ${runId}${rpc}`;
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

/**
 * Starts coordinator, then validators and workers. The run rests until all have joined, so that the first round is everyone's.
 * `run.json` names the coordinator's URL from then on.
 */
export async function startProcesses(
  context: CommandContext<typeof upOptions>,
  state: string,
  supervisor: Supervisor,
  blobs: BlobStore,
  wallets: Wallets,
  run: RunFile & { readonly runId: RunId },
  operatorToken: string,
): Promise<Launched> {
  const { options, config } = context;
  const known = await readDeployment(state);
  if (!known)
    throw new UserError(
      "STATE_CORRUPTED",
      `${layout(state).deployment} is gone: start anew with "${freshCommand(state)}".`,
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
  // This machine's own processes need no certificate, whose name they could not know.
  const door = options.tlsCert
    ? await findPort({
        port: run.ports["loopback"] ?? port + 1,
        explicit: false,
        exclude: new Set([port]),
        purpose: "this machine's processes",
      })
    : undefined;
  if (door !== undefined) listen.push("--loopback-port", String(door));
  if (options.tlsCert) listen.push("--tls-cert", options.tlsCert);
  if (options.tlsKey) listen.push("--tls-key", options.tlsKey);
  if (options.behindProxy) listen.push("--behind-proxy", options.behindProxy);
  // On the embedded chain a wallet of its own posts; elsewhere the organiser's does.
  const keys =
    !run.chain.embedded && options.wallet && options.passphraseFile
      ? ["--wallet", options.wallet, "--passphrase-file", options.passphraseFile]
      : [];
  const { keepPayloads, keepCheckpoints, keepBytes } = options;
  const keep = [
    ...(keepPayloads === undefined ? [] : ["--keep-payloads", showDuration(keepPayloads)]),
    ...(keepCheckpoints === undefined ? [] : ["--keep-checkpoints", String(keepCheckpoints)]),
    ...(keepBytes === undefined ? [] : ["--keep-bytes", String(keepBytes)]),
  ];
  const fees = ["--max-fee", String(options.maxFee)];
  const announce = options.publicRpc === undefined ? [] : ["--public-rpc", options.publicRpc];
  const status = await supervisor.start(
    cotrainProcess("coordinator", ["coordinator", "--state", state, ...listen, ...announce, ...fees, ...keep, ...keys]),
  );
  const bound = Number(status.details["port"] ?? port);
  const url = String(status.details["url"]);
  const address = await addressFor(options, bound);
  await writeRunFile(state, {
    ...run,
    ports: { ...run.ports, coordinator: bound, ...(door === undefined ? {} : { loopback: door }) },
    urls: { coordinator: url, join: address },
  });
  const coordinator = createCoordinatorClient(url);
  const view = await coordinator.run(run.runId);
  await checkCheckpoint(state, blobs, asDigest(view.checkpoint.digest));
  await coordinator.control(run.runId, operatorToken, { action: "pause" });
  const memberOf = (kind: "validator" | "worker", index: number, ...flags: readonly string[]): ProcessSpec => {
    const role = `${kind}-${index + 1}`;
    return cotrainProcess(role, [kind, "--state", state, "--role", role, "--coordinator", url, ...flags]);
  };
  await supervisor.startGroup([
    ...wallets.validators.map((_, index) => memberOf("validator", index)),
    ...wallets.workers.map((_, index) => memberOf("worker", index, "--threads", "1")),
  ]);
  await coordinator.control(run.runId, operatorToken, { action: "resume" });
  return { coordinator, joinCommand: joinCommandFor(address, run.runId, view.rpcUrl), port: bound };
}
