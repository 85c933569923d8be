/** A worker's own terminal: its events and what they are worth, as a picture or as lines. */
import { type Address, asAddress, type RunId } from "@cotrain/sdk/protocol";

import { type Clock, countOf, formatDuration, formatShort, isLoopbackUrl, wrap, wrapCommand } from "../base/index.ts";
import { shellWord } from "../base/node/index.ts";
import { connect, createReader, mayBePublic, publicFetch } from "../chain/index.ts";
import type { WorkerEvent } from "../worker/index.ts";
import { columnsOf, type Output } from "./output.ts";
import { openPicture, type Terminal } from "./up/display.ts";
import {
  activeRewards,
  earningsOf,
  type KnownRewards,
  knownRewards,
  openRemoteRun,
  sharedRpcOf,
} from "../run/index.ts";
import { allWork, workOf } from "./work.ts";
import {
  adviceFor,
  afterEvent,
  blankWorker,
  drawWorker,
  elsewhereText,
  type Standing,
  workerLine,
  type WorkerScreen,
} from "./workerScreen.ts";

/** How often the work's worth is asked for: three requests, which count for the address, and 64 terminals may be behind one. */
const STANDING_EVERY_MS = 20_000;

export interface WorkerTerminalOptions {
  readonly output: Pick<Output, "notice" | "paint">;
  readonly clock: Clock;
  readonly terminal: Terminal;
  readonly coordinator: string;
  readonly runId: RunId | undefined;
  readonly rpc: string | undefined;
  readonly deployment: string | undefined;
  /** Where the worker's wallet is, as the claim command names it; undefined for the default. */
  readonly state: string | undefined;
  /** Ends the asking. */
  readonly signal: AbortSignal;
  /** Default: asks coordinator and chain. */
  readonly standing?: (account: { worker: Address; beneficiary: Address }) => Promise<Standing>;
}

export interface WorkerTerminal {
  readonly onEvent: (event: WorkerEvent) => void;
  readonly close: () => void;
}

/** The command that claims what a worker earned; `URL` stands for an RPC that is not known here. */
export const claimCommandFor = (
  coordinator: string,
  rpc: string | undefined,
  runId: RunId | undefined,
  state: string | undefined,
  deployment: string | undefined,
): string =>
  [
    `npm run cotrain -- rewards claim --coordinator ${shellWord(coordinator)} --rpc ${rpc === undefined ? "URL" : shellWord(rpc)}`,
    ...(runId === undefined ? [] : [`--run ${runId}`]),
    ...(state === undefined ? [] : [`--state ${shellWord(state)}`]),
    ...(deployment === undefined ? [] : [`--deployment ${shellWord(deployment)}`]),
  ].join(" ");

/**
 * How an RPC that a coordinator told of is asked; undefined for one that is not. Whoever runs the coordinator may be a stranger, and
 * this machine reaches hosts that the stranger does not: only public ones are asked, and, of a coordinator of this machine, the
 * chain's door beside it, which has no path.
 */
function askingTold(
  coordinator: string,
  rpcUrl: string,
): { readonly fetch?: ReturnType<typeof publicFetch> } | undefined {
  if (mayBePublic(rpcUrl) && !isLoopbackUrl(rpcUrl)) return { fetch: publicFetch() };
  const { pathname, search } = new URL(rpcUrl);
  return isLoopbackUrl(coordinator) && isLoopbackUrl(rpcUrl) && pathname === "/" && search === "" ? {} : undefined;
}

/** Asks the coordinator for the work and, where its RPC can be asked, the chain for the pay. */
function standingFrom(options: WorkerTerminalOptions) {
  const { coordinator, runId: run, deployment } = options;
  let known: KnownRewards | undefined;
  return async ({ worker, beneficiary }: { worker: Address; beneficiary: Address }): Promise<Standing> => {
    const remote = await openRemoteRun({ coordinator, run, deployment });
    const { client, runId, view, chainId, contracts, fromBlock } = remote;
    const rpcUrl = options.rpc ?? sharedRpcOf(coordinator, remote.rpcUrl);
    const work = { tokens: workOf(view, worker), allTokens: allWork(view), rpcUrl: rpcUrl ?? undefined };
    const asking = options.rpc === undefined && rpcUrl !== null ? askingTold(coordinator, rpcUrl) : {};
    if (rpcUrl === null || asking === undefined) return { ...work, earned: undefined, claimable: undefined };
    const connection = await connect({ rpcUrl, chainId, retries: 0, timeout: 5_000, ...asking });
    const reader = createReader(connection, { contracts, fromBlock });
    const { modelId } = await reader.run(runId);
    known ??= knownRewards([beneficiary]);
    const rewards = await activeRewards(modelId, client, reader, known);
    const where = { addresses: contracts, modelId, account: beneficiary };
    const { earned, claimable } = await earningsOf(connection.client, where, rewards);
    return { ...work, earned, claimable, missing: rewards?.missing };
  };
}

export function openWorkerTerminal(options: WorkerTerminalOptions): WorkerTerminal {
  const { output, clock, terminal, signal } = options;
  const started = clock.monotonic();
  const live = terminal.isTTY && terminal.columns > 0 && terminal.rows > 0;
  const claim = claimCommandFor(options.coordinator, options.rpc, options.runId, options.state, options.deployment);
  let screen = blankWorker(options.coordinator, claim, options.rpc !== undefined);
  const picture = live
    ? // One row is the cursor's.
      openPicture(terminal, () =>
        drawWorker(screen, output.paint, terminal.columns, clock.monotonic(), terminal.rows - 1),
      )
    : undefined;
  const say = (line: string): void => output.notice(`${formatDuration(clock.monotonic() - started)}  ${line}`);
  const ask = options.standing ?? standingFrom(options);
  let accounts: { worker: Address; beneficiary: Address } | undefined;
  let advised = false;
  let claimUntold = false;
  const ended = new AbortController();
  signal.addEventListener("abort", () => ended.abort(), { once: true });
  let closed = false;

  const follow = async (): Promise<void> => {
    while (!ended.signal.aborted) {
      // What cannot be asked now is asked again; the work does not wait for it.
      const standing = accounts && (await ask(accounts).catch(() => undefined));
      if (standing) {
        // An RPC that the coordinator told of serves to claim, too.
        const { coordinator, runId, state, deployment } = options;
        const rpc = options.rpc ?? standing.rpcUrl;
        const known = claimCommandFor(coordinator, rpc, runId, state, deployment);
        screen = { ...screen, standing, claimCommand: known, rpcKnown: rpc !== undefined };
        if (claimUntold && !picture) say(`claim what it earns with ${known}`);
        claimUntold = false;
      }
      await clock.sleep(STANDING_EVERY_MS, ended.signal).catch(() => undefined);
    }
  };
  let following = false;
  return {
    onEvent(event) {
      screen = afterEvent(screen, event, clock.monotonic());
      if (event.type === "ready") {
        accounts = { worker: asAddress(event.worker), beneficiary: asAddress(event.beneficiary) };
        if (!following) void follow();
        following = true;
      }
      if (picture) return picture.draw();
      // Its RPC may be told with the first standing: a command without it would not work.
      claimUntold ||= event.type === "joined" && !event.again && !screen.rpcKnown && !screen.beneficiary;
      const line = workerLine(screen, event);
      if (line !== undefined) say(line);
      const advice = adviceFor(screen, clock.monotonic());
      if (advice !== undefined && !advised) say(advice);
      advised = advice !== undefined;
    },
    close() {
      if (closed) return;
      closed = true;
      ended.abort();
      picture?.close();
      if (screen.rounds === 0) return;
      for (const line of farewell(screen, columnsOf(terminal))) output.notice(line);
    },
  };
}

/** What was accepted from a worker that ends, and how to claim what that earned. */
function farewell(screen: WorkerScreen, columns: number): string[] {
  const worked = `${countOf(screen.rounds, "round")} ${screen.rounds === 1 ? "was" : "were"} accepted, ${formatShort(screen.tokens)} tokens.`;
  if (screen.beneficiary) return wrap(`${worked} ${elsewhereText(screen.beneficiary)}`, columns);
  const { earned, claimable } = screen.standing ?? {};
  const advice =
    claimable !== 0n
      ? "Claim what they earned with"
      : earned
        ? "All that is settled is claimed; what is still to be settled, claim with"
        : "Nothing can be claimed yet; when their epoch is settled, claim with";
  const command = wrapCommand(screen.claimCommand, columns - 2);
  return [...wrap(`${worked} ${advice}`, columns), ...command.map((line) => `  ${line}`)];
}
