/**
 * `cotrain up`: the whole main job on one machine. Prepares the run (prepare.ts), supervises chain, coordinator, validators
 * and workers as processes, shows what happens (screen.ts), lets the owners claim and decide (owners.ts), and closes with
 * the summary (summary.ts).
 */
import { CotrainError } from "@cotrain/sdk/errors";
import type { CoordinatorClient, RunView } from "@cotrain/sdk/protocol";
import { createLogUpdate } from "log-update";

import { type Clock, RetryableError, systemClock } from "../../base/index.ts";
import { developmentChain } from "../../chain/index.ts";
import { runDaemon, type DaemonContext, createLogger, openLogFile } from "../../service/index.ts";
import type { CommandContext } from "../command.ts";
import { demoParamsOf } from "../createRun.ts";
import { formatDuration } from "../format.ts";
import { layout } from "../local.ts";
import { type Decision, claimAll, type Claim, decide, type Estate } from "./owners.ts";
import type { upOptions } from "./options.ts";
import { type OpenedState, openState, prepare, type Prepared } from "./prepare.ts";
import { drawScreen, plainLine, type Screen } from "./screen.ts";
import { drawSummary } from "./summary.ts";
import { rewardsOf } from "../wiring.ts";
import type { Session } from "./session.ts";
import { summarise } from "./summarise.ts";

type UpContext = CommandContext<typeof upOptions>;

/** After `--for`: how long training goes on at most, so that a round under the executed change is seen. */
const DECISION_GRACE_MS = 60_000;
/** How long the last epoch may take to be settled, and the last checkpoint to be measured. */
const SETTLE_MS = 90_000;
const MEASURE_MS = 45_000;

/** The picture on the terminal, redrawn in place on a TTY and in plain lines elsewhere. */
interface Display {
  readonly update: (change: Partial<Screen>) => void;
  /** On a TTY a happening of a named kind takes the place of the one before it. */
  readonly tell: (happening: string, kind?: string) => void;
  readonly close: () => void;
}

function openDisplay(context: UpContext, clock: Clock): Display {
  const { output } = context;
  // Some terminals (a job without a window) have no size; a picture cannot be redrawn in place there.
  const live = process.stderr.isTTY && process.stderr.columns > 0 && process.stderr.rows > 0;
  const log = live ? createLogUpdate(process.stderr) : undefined;
  const started = clock.now();
  let screen: Screen = {
    activity: "Starting",
    model: "",
    parameters: 0,
    chainId: 0,
    elapsed: 0,
    goal: context.options.for,
    bytesPerToken: 1,
    view: undefined,
    losses: [],
    happenings: [],
    joinCommand: "",
    warning: undefined,
  };
  let shownRound = -1;
  let shownActivity = "";
  let closed = false;
  const draw = (): void => {
    if (log) {
      log(drawScreen(screen, output.paint, process.stderr.columns));
      return;
    }
    const round = screen.view?.round ?? -1;
    if (round === shownRound && screen.activity === shownActivity) return;
    shownRound = round;
    shownActivity = screen.activity;
    output.notice(`${formatDuration(clock.now() - started)}  ${plainLine(screen)}`);
  };
  const timer = live ? setInterval(draw, 250) : undefined;
  return {
    update(change) {
      const view = change.view;
      const loss = view && view.round !== screen.view?.round ? view.loss.train : null;
      if (!log && change.joinCommand)
        output.notice(`${formatDuration(clock.now() - started)}  others join with: ${change.joinCommand}`);
      screen = { ...screen, ...change, losses: loss === null ? screen.losses : [...screen.losses, loss].slice(-2_000) };
      draw();
    },
    tell(happening, kind) {
      const others = screen.happenings.filter((each) => kind === undefined || each.kind !== kind);
      screen = { ...screen, happenings: [...others, { text: happening, kind }].slice(-20) };
      if (!log) output.notice(`${formatDuration(clock.now() - started)}  ${happening}`);
    },
    close() {
      if (closed) return;
      closed = true;
      clearInterval(timer);
      log?.clear();
      log?.done();
    },
  };
}

/** Polls the coordinator until the picture of the run is as wanted. @returns undefined when `limit` passed before */
async function viewWhen(
  prepared: Prepared,
  clock: Clock,
  signal: AbortSignal,
  wanted: (view: RunView) => boolean | Promise<boolean>,
  limit: number,
  each: (view: RunView) => void,
): Promise<RunView | undefined> {
  const end = clock.now() + limit;
  for (;;) {
    signal.throwIfAborted();
    const view = await currentView(prepared.coordinator, prepared);
    if (view) {
      each(view);
      if (await held(wanted(view))) return view;
    }
    if (clock.now() >= end) return undefined;
    await clock.sleep(500, signal);
  }
}

/** Not yet, while the chain that is asked is away: it is being restarted. */
async function held(answer: boolean | Promise<boolean>): Promise<boolean> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof CotrainError && error.retryable) return false;
    throw error;
  }
}

/** Undefined while the coordinator is away: it is being restarted. */
async function currentView(coordinator: CoordinatorClient, prepared: Prepared): Promise<RunView | undefined> {
  try {
    return await coordinator.run(prepared.runId);
  } catch {
    return undefined;
  }
}

async function train(
  context: UpContext,
  daemon: DaemonContext,
  prepared: Prepared,
  estate: Estate,
  display: Display,
): Promise<Session> {
  const { clock, signal } = estate;
  const { coordinator, local } = prepared;
  const goal = context.options.for;
  const claims = new Map<string, Claim>();
  let decision: Decision | undefined;
  let deciding = false;
  let claiming = false;

  /** Whether it went through. */
  const collect = async (): Promise<boolean> => {
    if (claiming) return false;
    claiming = true;
    try {
      for (const [name, claim] of await claimAll(estate)) claims.set(name, claim);
      return true;
    } catch (error) {
      daemon.logger.warn({ err: error }, "claiming failed and is tried again");
      return false;
    } finally {
      claiming = false;
    }
  };
  const govern = async (view: RunView): Promise<void> => {
    if (deciding || !prepared.local) return;
    deciding = true;
    const from = view.params.innerSteps;
    const usual = demoParamsOf(prepared.preset).innerSteps;
    const to = from === usual ? (usual * 4) / 3 : usual;
    const params = { ...view.params, minStake: BigInt(view.params.minStake), innerSteps: to };
    try {
      // Of two proposals with one text and one effect the second would be the first, executed long ago.
      const title = `${from} → ${to} inner steps per round, proposed in round ${view.round}`;
      decision = await decide(estate, params, title);
    } catch (error) {
      daemon.logger.warn({ err: error }, "the decision failed and is tried again");
      deciding = false;
    }
  };

  display.update({ activity: "Waiting for workers" });
  const first = await viewWhen(
    prepared,
    clock,
    signal,
    (view) => view.current !== null,
    120_000,
    (view) => display.update({ view }),
  );
  if (!first)
    throw new RetryableError(
      "NO_TRAINING",
      `No round began within two minutes: see the logs in ${layout(prepared.state).logs}.`,
    );
  const started = clock.now();
  const roundAtDecision = { current: undefined as number | undefined };
  let collected = 0;
  let jobs: Promise<unknown>[] = [];

  const last = await viewWhen(
    prepared,
    clock,
    signal,
    (view) => {
      const elapsed = clock.now() - started;
      if (decision && roundAtDecision.current === undefined && view.current?.innerSteps === decisionSteps(decision))
        roundAtDecision.current = view.current.round;
      if (elapsed - collected >= 2_000) {
        collected = elapsed;
        jobs.push(collect());
        if (claims.size > 0 || deciding) jobs.push(govern(view));
        jobs = jobs.slice(-64);
      }
      if (elapsed < goal) return false;
      if (!local || elapsed >= goal + DECISION_GRACE_MS) return true;
      return roundAtDecision.current !== undefined && view.round > roundAtDecision.current;
    },
    goal + DECISION_GRACE_MS + 60_000,
    (view) => {
      const elapsed = clock.now() - started;
      display.update({
        activity: elapsed < goal ? "Training" : "Training on until the vote has taken effect",
        view,
        elapsed,
      });
    },
  );
  const milliseconds = clock.now() - started;

  display.update({ activity: "Closing the last round" });
  await coordinator.control(prepared.runId, prepared.operatorToken, { action: "pause" });
  const paused = await viewWhen(
    prepared,
    clock,
    signal,
    (view) => view.phase === "Paused" && view.current === null,
    60_000,
    (view) => display.update({ view }),
  );
  const end = paused ?? last ?? first;

  if (local) {
    display.update({ activity: "Settling the last epoch" });
    const reader = prepared.reader;
    await viewWhen(
      prepared,
      clock,
      signal,
      async (view) => {
        if (view.anchored === null || view.anchored.round < view.checkpoint.round) return false;
        const heads = await reader.headsSince(prepared.runId, 0);
        const newest = heads.at(-1);
        if (!newest || newest.round < view.checkpoint.round) return false;
        const epoch = await reader.epochOf(prepared.modelId, newest.anchoredAt);
        const active = await reader.activeRoot(prepared.modelId);
        return active !== undefined && active.epoch >= epoch;
      },
      SETTLE_MS,
      (view) => display.update({ view }),
    );
    await Promise.all(jobs);
    for (let tries = 0; tries < 10 && !(await collect()); tries++) await clock.sleep(500, signal);
  }
  display.update({ activity: "Measuring the last checkpoint" });
  await viewWhen(
    prepared,
    clock,
    signal,
    (view) => view.loss.heldOut !== null && view.loss.heldOut.round >= view.checkpoint.round,
    MEASURE_MS,
    (view) => display.update({ view }),
  );
  return {
    first,
    milliseconds,
    tokens: BigInt(end.tokens) - BigInt(first.tokens),
    claims,
    decision,
    appliedInRound: roundAtDecision.current,
  };
}

const decisionSteps = (decision: Decision): number => Number(/→ (\d+)/.exec(decision.title)?.[1]);

async function conduct(context: UpContext, daemon: DaemonContext, opened: OpenedState): Promise<number> {
  daemon.onShutdown("state", () => opened.directory.close());
  const display = openDisplay(context, systemClock);
  try {
    return await present(context, daemon, systemClock, display, opened);
  } catch (error) {
    // Before anything is told: the picture would be cleared together with the sentence below it.
    display.close();
    if (daemon.signal.aborted)
      context.output.notice(`Stopped. The run is kept in ${opened.directory.path}; the next start goes on with it.`);
    throw error;
  }
}

async function present(
  context: UpContext,
  daemon: DaemonContext,
  clock: Clock,
  display: Display,
  opened: OpenedState,
): Promise<number> {
  const prepared = await prepare(context, daemon, opened, display, clock);
  const estate: Estate = {
    addresses: prepared.addresses,
    modelId: prepared.modelId,
    runId: prepared.runId,
    reward: (account) => rewardsOf(prepared, prepared.reader, account),
    owners: prepared.owners,
    clock,
    signal: daemon.signal,
    tell: display.tell,
  };
  const session = await train(context, daemon, prepared, estate, display);
  display.update({ activity: "Writing the summary" });
  const summary = await summarise(prepared, session);
  display.close();
  context.output.result(summary, drawSummary(summary, context.output.paint));
  if (context.options.exit) return 0;
  if (prepared.embedded) await developmentChain(prepared.rpcUrl).mineOnDemand();
  context.output.notice("The run is paused. Everything stays up until Ctrl-C; workers may join with");
  context.output.notice(`  ${prepared.joinCommand}`);
  await new Promise<void>((resolve) => {
    if (daemon.signal.aborted) resolve();
    daemon.signal.addEventListener("abort", () => resolve(), { once: true });
  });
  // Ctrl-C is how a run that stays up is meant to end.
  return 0;
}

/** Runs until the summary (`--exit`) or Ctrl-C; ends the process. */
export async function up(context: UpContext): Promise<never> {
  const opened = await openState(context, systemClock);
  const file = openLogFile(`${layout(opened.directory.path).logs}/up.log`);
  const logger = createLogger({ component: "up", destination: file });
  return runDaemon((daemon) => conduct(context, daemon, opened), {
    name: "cotrain up",
    logger,
    shutdownDeadline: 30_000,
    report: context.output.complain,
  });
}
