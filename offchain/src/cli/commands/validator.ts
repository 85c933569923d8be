import { resolve } from "node:path";

import { asRunId } from "@cotrain/sdk/protocol";

import { UserError } from "../../base/index.ts";
import { createLogger, runDaemon, stateExists, channelOnStderr } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import {
  validatorOptions,
  openLocalRun,
  refuseRunDirectory,
  namedWallet,
  openWorkplace,
  openRemoteRun,
  readerOptions,
  requireNamedDeployment,
} from "../../run/index.ts";
import { outlines } from "./outlines.ts";

/** `cotrain validator`: recomputes, measures and signs. */
export const validatorCommand = defineCommand({
  ...outlines.validator,
  options: validatorOptions,
  examples: [
    [
      "npx cotrain validator --coordinator http://127.0.0.1:7700 --rpc http://127.0.0.1:8545 --wallet me.json --passphrase-file pass",
      "with the key that the model's validator set lists",
    ],
  ],
  async run({ options, output }) {
    const { role } = options;
    const logger = createLogger({ component: role ?? "validator", level: options.logLevel });
    return runDaemon(
      async (daemon) => {
        const state = resolve(options.state);
        const ofUp = role !== undefined && stateExists(state);
        // Before a wallet is made for what cannot begin.
        if (!ofUp && options.rpc === undefined)
          throw new UserError("RPC_MISSING", "A validator needs the chain itself: name its JSON-RPC with --rpc.");
        if (!ofUp) refuseRunDirectory(state);
        const named = await namedWallet(options);
        const { directory, account, wallet, isNew } = await openWorkplace(state, { role, named });
        daemon.onShutdown("state directory", () => directory.close());
        const { validatorDaemon } = await import("../../validator/index.ts");
        const shared = {
          coordinator: options.coordinator,
          directory,
          blobs: options.blobs,
          account,
          wallet: wallet ?? options.wallet ?? "",
          // A key that is made here has not signed.
          first: options.first || isNew,
          loss: options.loss,
        };
        if (ofUp) {
          const run = await openLocalRun(state);
          await requireNamedDeployment(run, options.deployment);
          const chain = readerOptions(options.rpc ?? run.file.chain.rpcUrl, run.deployment.chainId, run.deployment);
          const runId = options.run === undefined ? run.runId : asRunId(options.run);
          return validatorDaemon({ ...shared, ...chain, runId }, daemon);
        }
        const { runId, chainId, contracts, fromBlock } = await openRemoteRun(options);
        return validatorDaemon({ ...shared, runId, rpcUrl: options.rpc ?? "", chainId, contracts, fromBlock }, daemon);
      },
      { name: "cotrain validator", logger, report: output.complain, channel: channelOnStderr() },
    );
  },
});
