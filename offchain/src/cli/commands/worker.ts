import { resolve } from "node:path";

import { asAddress, asRunId } from "@cotrain/sdk/protocol";

import { UserError } from "../../base/index.ts";
import { createLogger, runDaemon, text, url } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import {
  deploymentOption,
  logLevelOption,
  passphraseFileOption,
  rpcOption,
  runOption,
  stateOption,
  threadsOption,
  walletOption,
} from "../options.ts";
import { ensureOwnWallet, namedWallet, openWallet, type Role } from "../up/wallets.ts";
import { remoteReader } from "../wiring.ts";

/** `cotrain worker`: trains for a coordinator, here or on another machine. */
export const workerCommand = defineCommand({
  name: "worker",
  summary: "train for a coordinator and earn shares",
  options: {
    coordinator: url({ description: "URL of the coordinator to train for", default: "http://127.0.0.1:7700" }),
    run: runOption,
    state: { ...stateOption, default: ".cotrain-worker" },
    wallet: walletOption,
    passphraseFile: passphraseFileOption,
    beneficiary: text({ description: "address that is paid (default: the worker's own wallet)" }),
    rpc: rpcOption,
    deployment: deploymentOption,
    threads: threadsOption,
    role: text({ description: "sub-directory and wallet of a state that cotrain up keeps" }),
    logLevel: logLevelOption,
  },
  examples: [
    [
      "npx cotrain worker --coordinator http://127.0.0.1:7700",
      "one more worker on this machine, with a wallet of its own",
    ],
    ["npx cotrain worker --coordinator https://train.example.org --threads 8", "on another machine"],
    [
      "npx cotrain worker --coordinator https://train.example.org --rpc https://rpc.example.org --deployment deployment.json",
      "checked against the contracts that you know, not those that the coordinator names",
    ],
  ],
  async run({ options, output }) {
    const { role, coordinator, rpc, run, deployment } = options;
    if (deployment !== undefined && rpc === undefined)
      throw new UserError("RPC_MISSING", "--deployment needs --rpc: the contracts that it names are asked there.");
    const logger = createLogger({ component: role ?? "worker", level: options.logLevel });
    return runDaemon(
      async (daemon) => {
        const state = resolve(options.state);
        const named = await namedWallet(options);
        const account = role ? await openWallet(state, role as Role) : (named ?? (await ensureOwnWallet(state)));
        const { workerDaemon } = await import("../../worker/index.ts");
        return workerDaemon(
          {
            coordinator,
            runId: run === undefined ? undefined : asRunId(run),
            state,
            role,
            account,
            beneficiary: options.beneficiary === undefined ? undefined : asAddress(options.beneficiary),
            threads: options.threads,
            chain: rpc === undefined ? undefined : await remoteReader(rpc, { coordinator, run, deployment }),
          },
          daemon,
        );
      },
      { name: "cotrain worker", logger, report: output.complain },
    );
  },
});
