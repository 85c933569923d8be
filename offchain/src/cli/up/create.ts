/** `cotrain run create`: what the first start of `cotrain up` makes before it trains, and no more. */
import { systemClock, UserError } from "../../base/index.ts";
import { commandFor, freshCommand, startCommand } from "../../base/node/index.ts";
import {
  createRun,
  diskError,
  type LocalnetContext,
  type OpenedState,
  openState,
  type SessionDisplay,
} from "../../localnet/index.ts";
import { type DaemonContext, runDaemon } from "../../service/index.ts";
import type { Output } from "../output.ts";
import { program } from "./program.ts";
import { openCreateLog } from "./sessionLog.ts";

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

async function create(
  context: LocalnetContext,
  output: Output,
  daemon: DaemonContext,
  opened: OpenedState,
): Promise<number> {
  daemon.onShutdown("state", () => opened.directory.close());
  const { path } = opened.directory;
  const run = await createRun(context, daemon, opened, linesOf(output), systemClock).catch(async (error: unknown) => {
    // Whatever fails after a stop failed because of it.
    throw daemon.signal.aborted ? daemon.signal.reason : await diskError(path, error);
  });
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

/** Makes a run by what is asked for, in a state directory that has none. */
export async function createHere(asked: Omit<LocalnetContext, "program">, output: Output): Promise<number> {
  const context = { ...asked, program };
  const opened = await openState(context, systemClock);
  refuseOther(opened);
  const logger = openCreateLog(opened.directory.path);
  return runDaemon((daemon) => create(context, output, daemon, opened), {
    name: "cotrain run create",
    logger,
    shutdownDeadline: 30_000,
    report: output.complain,
  });
}
