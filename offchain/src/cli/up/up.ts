/**
 * `cotrain up`: the whole main job on one machine. Prepares the run (prepare.ts), supervises chain, coordinator, validators
 * and workers as processes, shows what happens (display.ts), trains and lets the owners claim and decide (session.ts), and
 * closes with the summary (summary.ts).
 */
import { type Clock, systemClock, unlessAborted } from "../../base/index.ts";
import { startCommand } from "../../base/node/index.ts";
import { runDaemon, type DaemonContext, readRunFile } from "../../service/index.ts";
import type { CommandContext } from "../command.ts";
import { factLines } from "../facts.ts";
import { activeRewards, blobSourceOf, knownRewards, type localnetOptions } from "../../run/index.ts";
import { columnsOf } from "../output.ts";
import {
  claimAtRest,
  diskError,
  keepLosses,
  type LocalModel,
  type LocalnetContext,
  type OpenedState,
  openState,
  prepare,
  runSession,
} from "../../localnet/index.ts";
import { type Display, joinLines, openDisplay, restingLines } from "./display.ts";
import { program } from "./program.ts";
import { openSessionLog } from "./sessionLog.ts";
import { answerStop, ENDED } from "./stopping.ts";
import { drawSummary } from "./summary.ts";
import { summarise } from "./summarise.ts";

type UpContext = CommandContext<typeof localnetOptions>;

const localnetContext = ({ options, config, output }: UpContext): LocalnetContext => ({
  options,
  config,
  notice: output.notice,
  program,
});

/** What workers compute with is this machine's, not the run's: the next start is told it again. */
const toldAgain = ({ options, config }: Pick<UpContext, "options" | "config">): string[] =>
  config.explicit("device") ? ["--device", options.device.join(",")] : [];

/** What is true of the state when a session was stopped. */
async function whatIsKept(state: string, again: readonly string[]): Promise<string> {
  const run = await readRunFile(state).catch(() => undefined);
  return run?.runId
    ? `Stopped. The run is kept in ${state}; "${startCommand(state, ...again)}" goes on with it.`
    : "Stopped before there was a run; the next start begins again.";
}

async function conduct(context: UpContext, daemon: DaemonContext, opened: OpenedState): Promise<number> {
  const { output } = context;
  const display = openDisplay({ output, clock: systemClock, terminal: process.stderr });
  const over = answerStop(daemon, {
    clear: () => display.close(),
    kept: () => whatIsKept(opened.directory.path, toldAgain(context)),
    notice: output.notice,
  });
  daemon.onShutdown("state", () => opened.directory.close());
  try {
    return await present(context, daemon, systemClock, display, opened);
  } catch (error) {
    // Before anything is told: the picture would be cleared together with the sentence below it.
    display.close();
    if (!daemon.signal.aborted) throw await diskError(opened.directory.path, error);
    // Whatever failed since then failed because of it: a compiler that got the same Ctrl-C, say.
    if (error !== daemon.signal.reason) daemon.logger.info({ err: error }, "ended by the stop");
    throw daemon.signal.reason;
  } finally {
    over();
  }
}

async function present(
  context: UpContext,
  daemon: DaemonContext,
  clock: Clock,
  display: Display,
  opened: OpenedState,
): Promise<number> {
  const { options, output } = context;
  // Whatever is under way may be cut short at any moment: the next start takes it up.
  const localnet = localnetContext(context);
  const prepared = await unlessAborted(prepare(localnet, daemon, opened, display, clock), daemon.signal);
  display.say([
    ...factLines(prepared.facts),
    ...joinLines(prepared.joinCommand, columnsOf(process.stderr), prepared.urlHere),
    "",
  ]);
  const known = knownRewards(prepared.owners.map(({ client }) => client.account.address));
  const localModel: LocalModel = {
    connection: prepared.connection,
    addresses: prepared.addresses,
    pins: prepared.pins,
    modelId: prepared.modelId,
    runId: prepared.runId,
    rewards: () => activeRewards(prepared.modelId, blobSourceOf(prepared.blobs), prepared.reader, known),
    owners: prepared.owners,
    clock,
    signal: daemon.signal,
    announce: display.announce,
  };
  const session = await runSession(prepared, localModel, display, {
    goal: options.for,
    vote: options.vote,
    logger: daemon.logger,
  });
  const rented = await unlessAborted(prepared.rented?.end(display) ?? Promise.resolve(undefined), daemon.signal);
  display.update({ activity: "Writing the summary" });
  // Without coordinator or chain there is nothing to sum up, and nothing that could stay up.
  const signal = AbortSignal.any([daemon.signal, prepared.lost]);
  const again = toldAgain(context);
  const summary = await unlessAborted(summarise(prepared, session, { clock, signal, again, rented }), signal);
  display.close();
  output.result(summary, drawSummary(summary, output.paint));
  if (options.exit) return 0;
  prepared.embedded?.pace.rest();
  for (const line of restingLines(prepared.joinCommand, columnsOf(process.stderr), prepared.urlHere))
    output.notice(line);
  await Promise.all([
    claimAtRest(prepared, { ...localModel, signal, announce: output.notice }, daemon.logger),
    keepLosses(prepared, { clock, signal }),
  ]);
  if (!daemon.signal.aborted) signal.throwIfAborted();
  // Ctrl-C is how a run that stays up is meant to end.
  return 0;
}

/** Runs until the summary (`--exit`) or Ctrl-C; ends the process. */
export async function up(context: UpContext): Promise<never> {
  const opened = await openState(localnetContext(context), systemClock);
  const logger = openSessionLog(opened.directory.path);
  return runDaemon((daemon) => conduct(context, daemon, opened), {
    name: "cotrain up",
    logger,
    shutdownDeadline: 30_000,
    report: context.output.complain,
    onSecondInterrupt: () => context.output.notice(ENDED),
  });
}
