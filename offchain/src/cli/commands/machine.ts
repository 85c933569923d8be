import { join, resolve } from "node:path";

import {
  asRunId,
  createCoordinatorClient,
  type MachineReport,
  MAX_PASS_TEXT,
  parsePass,
  passText,
  reportBounds,
  type SignedPass,
} from "@cotrain/sdk/protocol";

import { countOf, pause, retrying, steady, systemClock, UserError } from "../../base/index.ts";
import { makeDirectories, readFileBounded, writeFileDurable } from "../../base/node/index.ts";
import { type Probe, probeDevices } from "../../engine/runtime/node/index.ts";
import { MOST_PASSES } from "../../market/index.ts";
import { workerOptions } from "../../run/index.ts";
import {
  commandLineOf,
  createLogger,
  createSupervisor,
  type DaemonContext,
  type ProcessSpec,
  runDaemon,
  text,
} from "../../service/index.ts";
import { type CommandContext, defineCommand } from "../command.ts";
import { outlines } from "./outlines.ts";

const MEASURE_MS = 1_500;
/** What a worker may take to fetch the run, to prove its devices and to wait for a place, ms. */
const JOINING_MS = 1_200_000;
const HOUR = 3_600_000;

const machineOptions = {
  coordinator: workerOptions.coordinator,
  run: workerOptions.run,
  passes: text({ value: "file", description: "passes of this machine's workers, one a line" }),
  state: { ...workerOptions.state, default: ".cotrain-machine" },
  logLevel: workerOptions.logLevel,
} as const;
type Context = CommandContext<typeof machineOptions>;

/** @throws UserError `USAGE`; ProtocolError MALFORMED_PASS */
async function passesOf({ passes }: Context["options"]): Promise<readonly SignedPass[]> {
  if (passes === undefined) throw new UserError("USAGE", "Name the file of this machine's passes: --passes.");
  const lines = new TextDecoder().decode(await readFileBounded(passes, (MAX_PASS_TEXT + 1) * MOST_PASSES)).split("\n");
  const found = lines.filter((line) => line.trim() !== "").map((line) => parsePass(line.trim()));
  if (found.length > 0) return found.toSorted((a, b) => a.pass.index - b.pass.index);
  throw new UserError("USAGE", `There is no pass in ${passes}.`);
}

const reportOf = (probes: readonly Probe[]): MachineReport => ({
  devices: probes.slice(0, reportBounds.devices).map(({ device, tokensPerSecond, missing }) => ({
    name: device.name.slice(0, reportBounds.name),
    tokensPerSecond: tokensPerSecond === undefined ? null : Math.round(tokensPerSecond),
    missing: missing?.slice(0, reportBounds.words) ?? null,
  })),
});

/** Workers, each with a pass, a directory and, where there are several, a GPU of its own. */
async function workersOf({ options }: Context, passes: readonly SignedPass[], state: string): Promise<ProcessSpec[]> {
  const program = process.argv[1] ?? "";
  const { coordinator, run, logLevel } = options;
  return Promise.all(
    passes.map(async (pass) => {
      const { index } = pass.pass;
      const name = `worker-${index}`;
      const file = join(state, `${name}.pass`);
      await writeFileDurable(file, passText(pass), { mode: 0o600 });
      const flags = commandLineOf(workerOptions, {
        coordinator,
        run,
        pass: file,
        state: join(state, name),
        device: ["auto"],
        log: "json",
        logLevel,
      });
      return {
        name,
        command: process.execPath,
        args: [...process.execArgv, program, "worker", ...flags],
        ready: { kind: "message" },
        readyTimeout: JOINING_MS,
        ...(passes.length > 1 && { env: { CUDA_VISIBLE_DEVICES: String(index) } }),
      } as const;
    }),
  );
}

/** Says what the machine is, and trains until its leases are ended. */
async function work(context: Context, { signal, logger, onShutdown }: DaemonContext): Promise<void> {
  const { options } = context;
  const passes = await passesOf(options);
  const state = resolve(options.state);
  makeDirectories(state, 0o700);
  const client = createCoordinatorClient(options.coordinator);
  const probes = await probeDevices({ milliseconds: MEASURE_MS, signal });
  const report = reportOf(probes);
  for (const pass of passes) {
    const tell = () => client.lease(asRunId(pass.pass.runId), { pass, report });
    await retrying(tell, { clock: systemClock, signal, ...steady(5_000) });
  }
  if (report.devices.every(({ tokensPerSecond }) => tokensPerSecond === null))
    logger.error({ devices: report.devices }, "nothing here can train: this machine is to be ended");
  else {
    const supervisor = createSupervisor({ logger, logDirectory: join(state, "logs"), restartDelay: 5_000 });
    onShutdown("workers", () => supervisor.stopAll());
    const over = Promise.withResolvers<void>();
    supervisor.events.on("state", () => {
      if (supervisor.status().every((each) => each.state === "stopped" || each.state === "failed")) over.resolve();
    });
    logger.info(`${countOf(passes.length, "worker")} begin`);
    const started = supervisor.startGroup(await workersOf(context, passes, state));
    // One that is given up is told by the supervisor; the others go on.
    started.catch((error: unknown) => logger.error({ err: error }, "a worker did not come up"));
    signal.addEventListener("abort", () => over.resolve(), { once: true });
    if (!signal.aborted) await over.promise;
    logger.info("the work of this machine is over");
  }
  // A container that ended would be started again, or taken for one that was taken away: whoever rents the machine ends it.
  while (!signal.aborted) await pause(systemClock, HOUR, signal);
}

/** `cotrain machine`. */
export const machineCommand = defineCommand({
  ...outlines.machine,
  options: machineOptions,
  examples: [
    [
      "npx cotrain machine --coordinator https://train.example.org --passes passes",
      "as the start script of market rent has it",
    ],
  ],
  notes: [
    "Each pass is for one worker, with a directory of its own in the state and, of several, the GPU of its number alone. When their leases are ended the workers finish what they have and leave; the machine then waits to be ended.",
  ],
  async run(context) {
    const logger = createLogger({ component: "machine", level: context.options.logLevel, pretty: false });
    return runDaemon((daemon) => work(context, daemon), {
      name: "cotrain machine",
      logger,
      report: context.output.complain,
      channel: "log",
      shutdownDeadline: 30_000,
    });
  },
});
