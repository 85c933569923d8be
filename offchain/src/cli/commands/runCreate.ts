import { systemClock, UserError } from "../../base/index.ts";
import { commandFor, freshCommand, startCommand } from "../../base/node/index.ts";
import type { OpenedState, SessionDisplay } from "../../localnet/index.ts";
import { layout, localnetOptions } from "../../run/index.ts";
import { createLogger, type DaemonContext, openLogFile, resolveConfig, runDaemon } from "../../service/index.ts";
import { type CommandContext, defineCommand } from "../command.ts";
import type { Output } from "../output.ts";
import { fileOption } from "../runYaml.ts";

const { state, blobs, preset, data, innerSteps, optimizer, schedule, warmupSteps, totalSteps, decaySteps } =
  localnetOptions;
const { lrFloor, microBatches, recompute, founders, device, rpc, maxFee, deployments, wallet, passphraseFile, yes } =
  localnetOptions;
const options = {
  file: fileOption,
  state,
  blobs,
  preset,
  data,
  innerSteps,
  optimizer,
  schedule,
  warmupSteps,
  totalSteps,
  decaySteps,
  lrFloor,
  microBatches,
  recompute,
  founders,
  device,
  rpc,
  maxFee,
  deployments,
  wallet,
  passphraseFile,
  yes,
} as const;
type Context = CommandContext<typeof options>;

/** Lines alone: each thing that is done, once. */
function linesOf({ notice }: Output): SessionDisplay {
  let last = "";
  return {
    update: ({ activity }) => {
      if (activity !== undefined && activity !== last) notice(`${activity} …`);
      last = activity ?? last;
    },
    announce: (sentence) => notice(sentence),
    withdraw: () => undefined,
    say: (lines) => {
      for (const line of lines) notice(line);
    },
  };
}

/** Whose run is there stays what it is. @throws UserError `RUN_EXISTS` */
function refuseOther({ directory, file }: OpenedState): void {
  if (file?.runId === undefined) return;
  directory.close();
  throw new UserError(
    "RUN_EXISTS",
    `${directory.path} holds the run ${file.runId}: name another directory with --state, or put it aside with "${freshCommand(directory.path)}".`,
  );
}

async function create(context: Context, daemon: DaemonContext, opened: OpenedState): Promise<number> {
  const { output } = context;
  const { createRun } = await import("../../localnet/index.ts");
  daemon.onShutdown("state", () => opened.directory.close());
  const { path } = opened.directory;
  const run = await createRun(localnetContext(context), daemon, opened, linesOf(output), systemClock);
  const embedded = opened.request.rpc === undefined;
  output.result({ state: path, ...run }, [
    `Model ${run.modelId}`,
    `Run   ${run.runId}, on chain ${run.chainId}`,
    embedded
      ? `"${startCommand(path)}" trains it on this machine, whose chain it is on.`
      : `"${commandFor(path, "coordinator")}" serves it to workers.`,
  ]);
  return 0;
}

/** As `cotrain up` would be asked, whose other options have their defaults. */
const localnetContext = ({ options: given, config, output }: Context) => {
  const { values, origins } = resolveConfig(localnetOptions, { environment: {} });
  return {
    options: { ...values, ...given },
    config: {
      origins: { ...origins, ...config.origins },
      explicit: (key: keyof typeof localnetOptions) =>
        Object.hasOwn(options, key) && config.explicit(key as keyof typeof options),
    },
    notice: output.notice,
    program: process.argv[1] ?? "",
  };
};

/** `cotrain run create`. */
export const runCreateCommand = defineCommand({
  name: "run create",
  summary: "make a run: data, programs and checkpoint 0, contracts where there are none, model and run; trains nothing",
  options,
  section: "run",
  examples: [
    ["npx cotrain run create -f run.yaml", "what a file says of model, text and chain"],
    ["npx cotrain run create --preset 3.5m --rpc https://rpc.example.org", "a run on a chain that has an RPC"],
  ],
  notes: [
    "The same as the first start of `cotrain up` does before it trains: without --rpc the run is on the chain that npm start embeds. A run that was cut short is gone on with by the same line.",
    "The file has two sections, run and market, whose keys are options of this command, and of `cotrain market plan` and `cotrain market rent`. What is typed comes before what stands in it.",
  ],
  async run(context) {
    const { output } = context;
    const { openState } = await import("../../localnet/index.ts");
    const opened = await openState(localnetContext(context), systemClock);
    refuseOther(opened);
    const file = openLogFile(`${layout(opened.directory.path).logs}/create.log`);
    return runDaemon((daemon) => create(context, daemon, opened), {
      name: "cotrain run create",
      logger: createLogger({ component: "create", destination: file }),
      shutdownDeadline: 30_000,
      report: output.complain,
    });
  },
});
