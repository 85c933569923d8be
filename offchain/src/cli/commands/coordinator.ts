import { type Address, asAddress, asRunId, type RunId } from "@cotrain/sdk/protocol";

import { UserError, weiOf } from "../../base/index.ts";
import { readFileBounded } from "../../base/node/index.ts";
import {
  createLogger,
  type Logger,
  loadTls,
  openRoleDirectory,
  runDaemon,
  channelOnStderr,
} from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import {
  coordinatorOptions,
  publicRpcOf,
  layout,
  type LocalRun,
  openLocalRun,
  namedWallet,
  openWallet,
  readerOptions,
  takeUpNextRun,
} from "../../run/index.ts";
import { outlines } from "./outlines.ts";

/** Whose rented machines may join. */
const rentersOf = (named: readonly string[] | undefined, poster: string, organiser: string | undefined): Address[] =>
  (named ?? [poster, ...(organiser === undefined ? [] : [organiser])]).map((address) => asAddress(address));

/** The runs that this directory trained before the one that is named. It may name the next one, which `run.json` does not know yet. */
function runsBefore({ runId, earlier }: LocalRun, named: RunId): readonly RunId[] {
  return earlier.includes(named) || named === runId ? earlier.filter((each) => each !== named) : [...earlier, runId];
}

/** The run that is named, else the model's newest that this directory knows, with those before it. */
async function goesOnWith(run: LocalRun, named: string | undefined, rpcUrl: string, logger: Logger) {
  if (named !== undefined) {
    const runId = asRunId(named);
    return { run: { ...run, runId, earlier: runsBefore(run, runId) }, keep: undefined };
  }
  const { run: taken, said, keep } = await takeUpNextRun(run, rpcUrl);
  if (said !== undefined) logger.warn(said);
  return { run: taken, keep };
}

async function tokenIn(file: string): Promise<string> {
  const token = new TextDecoder().decode(await readFileBounded(file, 4_096)).trim();
  if (token.length >= 32) return token;
  throw new UserError("OPERATOR_TOKEN", `The operator's token in ${file} must have 32 characters at least.`);
}

/** `cotrain coordinator`: runs the rounds of the run that a state directory holds. */
export const coordinatorCommand = defineCommand({
  ...outlines.coordinator,
  options: coordinatorOptions,
  examples: [
    ["npx cotrain coordinator", "go on with this directory's run on a chain of its own (cotrain up --rpc)"],
    ["npx cotrain coordinator --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem", "for workers elsewhere"],
  ],
  notes: [
    "The local chain lives in cotrain up alone, which has a coordinator of its own: this command is for a run on another chain, or one whose RPC --rpc names.",
  ],
  async run({ options, config, output }) {
    const logger = createLogger({ component: "coordinator", level: options.logLevel });
    return runDaemon(
      async (daemon) => {
        const opened = await openLocalRun(options.state, options.blobs);
        // Before run.json may be written: of a directory that another serves nothing is changed.
        const state = await openRoleDirectory(opened.state, "coordinator", { create: true });
        daemon.onShutdown("state directory", () => state.close());
        const rpcUrl = options.rpc ?? opened.file.chain.rpcUrl;
        const { run, keep } = await goesOnWith(opened, options.run, rpcUrl, logger);
        const poster =
          (await namedWallet(options)) ??
          (await openWallet(run.state, run.file.chain.embedded ? "poster" : "organiser"));
        const tokenFile = options.operatorTokenFile ?? layout(run.state).operatorToken;
        const operatorToken = await tokenIn(tokenFile);
        const renters = rentersOf(options.renters, poster.address, run.file.wallets?.["organiser"]);
        const { runId } = run;
        const { profile, blocks } = run.deployment;
        const { startCoordinator } = await import("../../coordinator/index.ts");
        const coordinator = await startCoordinator({
          state,
          blobs: run.blobs,
          runs: [{ runId, renters }, ...run.earlier.map((each) => ({ runId: each, earlier: true }))],
          operatorToken,
          retention: {
            ...(options.keepPayloads !== undefined && { payloads: options.keepPayloads }),
            ...(options.keepCheckpoints !== undefined && { checkpoints: options.keepCheckpoints }),
            ...(options.keepBytes !== undefined && { checkpointBytes: options.keepBytes }),
          },
          chain: {
            ...readerOptions(rpcUrl, run.deployment.chainId, run.deployment),
            maxFee: weiOf(options.maxFee),
            bondAtMost: weiOf(options.bondAtMost),
          },
          revenueAtLeast: options.revenueAtLeast,
          claimFrom: options.claimFrom === undefined ? undefined : weiOf(options.claimFrom),
          claimRevenueFrom: options.claimRevenueFrom,
          announced: { rpcUrl: options.publicRpc ?? publicRpcOf(rpcUrl) ?? null, profile, blocks },
          poster,
          http: {
            host: options.host,
            port: options.port,
            explicitPort: config.explicit("port"),
            tls: await loadTls(options.tlsCert, options.tlsKey),
            behindProxy: options.behindProxy,
            loopbackPort: options.loopbackPort,
            purpose: "the coordinator",
            flag: "--port",
          },
          logger,
        });
        daemon.onShutdown("coordinator", () => coordinator.stop());
        // All runs have opened: what cannot be opened changes nothing of the directory.
        await keep?.();
        daemon.ready({ port: coordinator.port, url: coordinator.url });
        await Promise.race([
          coordinator.failed,
          new Promise<void>((resolve) => {
            if (daemon.signal.aborted) resolve();
            daemon.signal.addEventListener("abort", () => resolve(), { once: true });
          }),
        ]);
      },
      { name: "cotrain coordinator", logger, report: output.complain, channel: channelOnStderr() },
    );
  },
});
