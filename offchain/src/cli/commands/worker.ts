import { join, resolve } from "node:path";

import { asRunId, MAX_PASS_TEXT, parsePass } from "@cotrain/sdk/protocol";

import { systemClock, UserError } from "../../base/index.ts";
import { readFileBounded } from "../../base/node/index.ts";
import { createLogger, type LogFile, openLogFile, runDaemon } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { workerOptions, refuseRunDirectory, namedWallet, openWorkplace, remoteReader } from "../../run/index.ts";
import { outlines } from "./outlines.ts";

const DEFAULT_STATE = ".cotrain-worker";

/** The pass in a file. */
async function passIn(file: string | undefined) {
  if (file === undefined) return undefined;
  return parsePass(new TextDecoder().decode(await readFileBounded(file, MAX_PASS_TEXT)).trim());
}

/** `cotrain worker`: trains for a coordinator, here or on another machine. */
export const workerCommand = defineCommand({
  ...outlines.worker,
  options: workerOptions,
  examples: [
    [
      "npx cotrain worker --coordinator http://127.0.0.1:7700",
      "one more worker on this machine, with a wallet of its own",
    ],
    ["npx cotrain worker --coordinator https://train.example.org --threads 8", "on another machine"],
    ["npx cotrain worker --log json", "every event as a line of JSON, for machines"],
    [
      "npx cotrain worker --coordinator https://train.example.org --rpc https://rpc.example.org --deployment deployment.json",
      "checked against the contracts that you know, not those that the coordinator names",
    ],
  ],
  notes: ["In the JSON log rounds count from 1, as on the screen: round n makes checkpoint n."],
  async run({ options, output }) {
    const { role, coordinator, rpc, run, deployment } = options;
    if (deployment !== undefined && rpc === undefined)
      throw new UserError("RPC_MISSING", "--deployment needs --rpc: the contracts that it names are asked there.");
    if (options.pass !== undefined && options.beneficiary !== undefined)
      throw new UserError("USAGE", "--pass names who is paid: leave --beneficiary out.");
    const component = role ?? "worker";
    const people = (options.log ?? (process.stderr.isTTY && role === undefined ? "text" : "json")) === "text";
    // What people see is the terminal's; the log goes to a file of the state, as soon as that is there.
    let file: LogFile | undefined;
    const logger = people
      ? createLogger({ component, level: options.logLevel, destination: { write: (line) => file?.write(line) } })
      : createLogger({ component, level: options.logLevel, pretty: false });
    return runDaemon(
      async (daemon) => {
        const state = resolve(options.state);
        if (role === undefined) refuseRunDirectory(state);
        const named = await namedWallet(options);
        const { directory, account } = await openWorkplace(state, { role, named });
        daemon.onShutdown("state directory", () => directory.close());
        const { workerDaemon } = await import("../../worker/node/index.ts");
        if (people) file = openLogFile(join(state, "logs", `${component}.log`));
        const { openWorkerTerminal } = await import("../workerTerminal.ts");
        const terminal = people
          ? openWorkerTerminal({
              output,
              clock: systemClock,
              terminal: process.stderr,
              coordinator,
              runId: run === undefined ? undefined : asRunId(run),
              rpc,
              deployment,
              state: options.state === DEFAULT_STATE ? undefined : options.state,
              signal: daemon.signal,
            })
          : undefined;
        try {
          return await workerDaemon(
            {
              ...(terminal ? { onEvent: terminal.onEvent } : {}),
              coordinator,
              runId: run === undefined ? undefined : asRunId(run),
              directory,
              role,
              blobs: options.blobs,
              account,
              beneficiary: options.beneficiary,
              pass: await passIn(options.pass),
              claim: options.claim,
              device: options.device,
              threads: options.threads,
              chain: rpc === undefined ? undefined : await remoteReader(rpc, { coordinator, run, deployment }),
            },
            daemon,
          );
        } finally {
          terminal?.close();
        }
      },
      { name: "cotrain worker", logger, report: output.complain, channel: people ? "both" : "log" },
    );
  },
});
