/**
 * One session of training: from the first round after a start to the pause, then what follows from it on-chain. `--for` bounds
 * the training; settling has half a minute of its own.
 */
import { CotrainError } from "@cotrain/sdk/errors";
import type { RunView } from "@cotrain/sdk/protocol";

import { RetryableError, retrying, roundNumber, steady, unlessAborted } from "../base/index.ts";
import type { Logger } from "../service/index.ts";
import { heldOutUntrained, layout, lossKeeper } from "../run/index.ts";
import { createCollector, patiently } from "./collector.ts";
import { followDecision } from "./decision.ts";
import type { SessionDisplay } from "./display.ts";
import { claimAll, type LocalModel, type PaidClaim, type ProposalProgress } from "./owners.ts";
import { followDispute } from "./dispute.ts";
import { followContributors } from "./contributors.ts";
import { type DisputePlay, shortWindowText } from "./players.ts";
import { beginsBy, isResting, NO_VOTE_OVER, RUN_OVER } from "./over.ts";
import type { Prepared } from "./prepare.ts";

/** What a session of training left behind for the summary. */
export interface TrainingSession {
  readonly first: RunView;
  /** From the first round's opening to the last round's close. */
  readonly milliseconds: number;
  /** Trained in that time. */
  readonly tokens: bigint;
  readonly claims: ReadonlyMap<string, PaidClaim>;
  readonly decision: ProposalProgress | undefined;
  /** Why there was no decision. */
  readonly noVote: string | undefined;
  /** First round that ran under the decision, counted from 1. */
  readonly appliedInRound: number | undefined;
  /** Why nothing was bought, and why nothing was granted, where that is known. */
  readonly noCapital: string | undefined;
  readonly noCode: string | undefined;
  /** The same of stake and of revenue. */
  readonly noStake: string | undefined;
  readonly noRevenue: string | undefined;
  /** The dispute that was shown, as far as it came, and why no further; undefined where none was asked for. */
  readonly dispute: { readonly play: DisputePlay; readonly why: string | undefined } | undefined;
}

export interface SessionOptions {
  /** How long to train, ms. */
  readonly goal: number;
  /** Whether holders decide in this session; undefined: in each that is long enough, until they have once. */
  readonly vote: boolean | undefined;
  readonly logger: Logger;
}

/** After the last round's close: how long the epoch may take to be settled, and the last checkpoint to be measured. */
export const SETTLE_MS = 30_000;
/** The window that this counts on, s. That of a model which was made to show a dispute is longer. */
const COUNTED_WINDOW = 4;
/** Of which the last claims have at least this, whatever else never comes. */
const CLAIM_MS = 5_000;
/** What is told of claims that did not go through by then. */
export const UNCLAIMED = "what was earned or bought last could not be claimed in time and can be claimed later";
/** Why there is nothing of what costs money where that is worth something. */
const UNDONE = {
  noCapital: "npm start buys no shares on this chain",
  noCode: undefined,
  noStake: "npm start puts nothing at stake on this chain",
  noRevenue: "npm start pays no revenue on this chain",
} as const;
/** Sooner than this nobody has claimed, voted and seen a round under the result. */
const VOTE_LEAST_MS = 90_000;
/** How long after the end of --for the round that is open then may take. */
const CLOSE_MS = 60_000;
const FIRST_ROUND_MS = 120_000;
/** How long a dispute that is shown may take, after the last round's close: of two roots' windows, a vote, and what a busy machine adds. */
const DISPUTE_MS = 150_000;
/** What is told when one is to be shown: nobody is to take it for what a run does. */
const PLAYED =
  "This session plays a corrupt coordinator and validators (--demo dispute): their keys, which are on this machine, sign a false reward root once.";
const POLL_MS = 500;
/** Why training ends before its time. */
export const LAST_ROUND = "the open round is the last: another one would not end within --for";
const LAST_ROUND_KIND = "last round";
const COLLECT_EVERY_MS = 2_000;

/** Elsewhere nobody waits for windows of days. */
const settlingOf = ({ local, window }: Pick<Prepared, "local" | "window">): number =>
  SETTLE_MS + (local ? Math.max(0, window - COUNTED_WINDOW) * 1_000 : 0);

/** Why no vote is held, undefined where one is. */
export function reasonAgainstVote(
  vote: boolean | undefined,
  goal: number,
  local: boolean,
  paramsVersion: number,
): string | undefined {
  if (!local) return "a vote takes days on this chain";
  if (vote !== undefined) return vote ? undefined : "no vote, as --no-vote asks";
  if (paramsVersion > 1) return "the holders decided before; --vote lets them decide again";
  return goal < VOTE_LEAST_MS
    ? `a session shorter than ${VOTE_LEAST_MS / 1_000}s has no time for a vote; --vote begins one all the same`
    : undefined;
}

/** Whether one more round after the open one would end later than the session may. */
export function isLastRound(progress: {
  readonly elapsed: number;
  /** Of this session. */
  readonly completed: number;
  /** When the open round was first seen. */
  readonly roundSince: number;
  readonly goal: number;
}): boolean {
  const { elapsed, completed, roundSince, goal } = progress;
  if (elapsed >= goal) return true;
  const usual = completed === 0 ? 0 : roundSince / completed;
  return roundSince + 2 * Math.max(usual, elapsed - roundSince) > goal;
}

/** Undefined while the coordinator is away: it is being restarted. */
export async function currentView({ coordinator, runId }: Prepared): Promise<RunView | undefined> {
  try {
    return await coordinator.run(runId);
  } catch {
    return undefined;
  }
}

/** Whether a picture is as wanted, or what it still waits for: nothing is as wanted. */
type Wanted = boolean | readonly string[];

/** Nobody knows, while the chain that is asked is away: it is being restarted. */
async function held(answer: Wanted | Promise<Wanted>): Promise<Wanted | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof CotrainError && error.retryable) return undefined;
    throw error;
  }
}

/**
 * Polls until the picture of the run is as wanted. Shows it meanwhile, together with what it waits for: the two change at once.
 * @returns a function that answers undefined when `until`, monotonic ms, passed before
 */
function followView(prepared: Prepared, { clock, signal }: LocalModel, display: SessionDisplay) {
  const keepLoss = lossKeeper({ state: prepared.state, sequence: prepared.definition.sequence });
  return async (wanted: (view: RunView) => Wanted | Promise<Wanted>, until: number): Promise<RunView | undefined> => {
    for (;;) {
      signal.throwIfAborted();
      const view = await currentView(prepared);
      if (view) {
        await keepLoss(view);
        const found = await held(wanted(view));
        const waitsFor = typeof found === "object" ? found : [];
        display.update({ view, ...(found !== undefined && { waitsFor }) });
        if (found === true || (found && waitsFor.length === 0)) return view;
      }
      if (clock.monotonic() >= until) return undefined;
      await clock.sleep(POLL_MS, signal);
    }
  };
}

/** @throws what the coordinator or the chain was given up by, as soon as one is; RetryableError `NO_TRAINING` */
export function runSession(
  prepared: Prepared,
  localModel: LocalModel,
  display: SessionDisplay,
  options: SessionOptions,
): Promise<TrainingSession> {
  const signal = AbortSignal.any([localModel.signal, prepared.lost]);
  return unlessAborted(train(prepared, { ...localModel, signal }, display, options), signal);
}

async function train(
  prepared: Prepared,
  localModel: LocalModel,
  display: SessionDisplay,
  options: SessionOptions,
): Promise<TrainingSession> {
  const { clock } = localModel;
  const { logger } = options;
  const goal = prepared.over ? 0 : options.goal;

  const viewWhen = followView(prepared, localModel, display);

  display.update({ activity: "Waiting for workers" });
  const first = await viewWhen(beginsBy(prepared), clock.monotonic() + FIRST_ROUND_MS);
  if (!first)
    throw new RetryableError(
      "NO_TRAINING",
      `No round began within two minutes: see the logs in ${layout(prepared.state).logs}.`,
    );
  const started = clock.monotonic();
  const against = whyNoVote(prepared, options.vote, goal, first);
  const owners = followOwners(prepared, localModel, logger, against === undefined);
  if (against !== undefined) localModel.announce(prepared.over ? RUN_OVER : against);
  if (prepared.players) display.say([PLAYED, ...shortWindowText(prepared.window)]);

  display.update({ activity: "Training", goal });
  let open = { round: first.round, since: 0 };
  await viewWhen((view) => {
    const elapsed = clock.monotonic() - started;
    if (view.round !== open.round) open = { round: view.round, since: elapsed };
    owners.look(view);
    return isLastRound({ elapsed, completed: view.round - first.round, roundSince: open.since, goal });
  }, started + goal);

  if (clock.monotonic() - started < goal) localModel.announce(LAST_ROUND, LAST_ROUND_KIND);
  await pauseRun(prepared, localModel);
  // A coordinator that was away took it later than that: the round has its minute from then on.
  const until = Math.max(clock.monotonic(), started + goal);
  const paused = await closeLastRound(viewWhen, display, owners, until);
  display.withdraw(LAST_ROUND_KIND);
  const end = paused ?? (await currentView(prepared)) ?? first;
  // A round that did not close by then may close meanwhile: then its tokens, and the time that they took, are of this session.
  let trained = { tokens: end.tokens, milliseconds: clock.monotonic() - started };

  await closeDispute(viewWhen, display, owners, clock.monotonic() + DISPUTE_MS);
  const settling = settlingOf(prepared);
  const settled = clock.monotonic() + settling;
  display.update({ activity: "Settling", goal: settling });
  await viewWhen(
    async (view) => {
      owners.look(view);
      if (view.tokens !== trained.tokens) trained = { tokens: view.tokens, milliseconds: clock.monotonic() - started };
      const onChain = prepared.local ? [...(await unsettled(prepared, view)), ...owners.waitsFor()] : [];
      return [...outstanding(view), ...onChain, ...unmeasured(view, first.round === 0)];
    },
    settled - (prepared.local ? CLAIM_MS : 0),
  );
  if (prepared.local) {
    display.update({ waitsFor: ["the claims of what was earned", ...owners.waitsFor()] });
    if (!(await owners.finish(settled))) localModel.announce(UNCLAIMED);
  }
  const seen = owners.seen();
  const noVote = seen.decision ? undefined : (against ?? "there was no time for a vote within --for");
  const { milliseconds } = trained;
  const tokens = BigInt(trained.tokens) - BigInt(first.tokens);
  return { first, milliseconds, tokens, ...seen, noVote, noCode: seen.noCode ?? noVote };
}

/**
 * The last round is trained as those before it: only what is left of it at the end of --for is waited for, for a minute at most.
 * @param until that end, monotonic ms
 */
async function closeLastRound(
  viewWhen: ReturnType<typeof followView>,
  display: SessionDisplay,
  owners: Pick<ReturnType<typeof followOwners>, "look">,
  until: number,
): Promise<RunView | undefined> {
  const inTime = await viewWhen((view) => {
    owners.look(view);
    return view.current === null && isResting(view);
  }, until);
  if (inTime) return inTime;
  display.update({ activity: "Closing the last round", goal: CLOSE_MS });
  return viewWhen((view) => {
    owners.look(view);
    const waitsFor = outstanding(view);
    return waitsFor.length > 0 ? waitsFor : isResting(view);
  }, until + CLOSE_MS);
}

/** What a dispute shows is about the root that pays for the last checkpoint. @param until monotonic ms */
async function closeDispute(
  viewWhen: ReturnType<typeof followView>,
  display: SessionDisplay,
  owners: Pick<ReturnType<typeof followOwners>, "look" | "rest" | "disputes">,
  until: number,
): Promise<void> {
  if (owners.disputes().length === 0) return;
  display.update({ activity: "Showing a dispute", goal: DISPUTE_MS });
  await viewWhen((view) => {
    owners.look(view);
    if (view.anchored !== null && view.anchored.round >= view.checkpoint.round) owners.rest();
    return owners.disputes();
  }, until);
}

/** The coordinator may be away just then: it is asked again as long as the round may take. */
async function pauseRun({ coordinator, runId, operatorToken }: Prepared, model: LocalModel): Promise<void> {
  const { clock, signal } = model;
  const pause = () => coordinator.control(runId, operatorToken, { action: "pause" });
  await retrying(pause, { clock, signal, ...steady(POLL_MS), within: CLOSE_MS });
}

const whyNoVote = (
  { over, local }: Prepared,
  vote: boolean | undefined,
  goal: number,
  { paramsVersion }: RunView,
): string | undefined => (over ? NO_VOTE_OVER : reasonAgainstVote(vote, goal, local, paramsVersion));

/** Of whom the open round waits. */
export function outstanding({ current }: Pick<RunView, "current">): string[] {
  if (!current) return [];
  const { assigned, received, round } = current;
  if (received >= assigned) return [`the checkpoint that round ${roundNumber(round)} makes`];
  return [`${assigned - received} of ${assigned} workers in round ${roundNumber(round)}`];
}

/** What validators have not told yet of where the run stands and, for a session that began with the run, where it began. */
export function unmeasured({ loss, checkpoint }: RunView, fromTheStart: boolean): string[] {
  const newest = loss.heldOut !== null && loss.heldOut.round >= checkpoint.round ? [] : [checkpoint.round];
  const start = fromTheStart && heldOutUntrained(loss) === undefined ? [0] : [];
  return [...new Set([...newest, ...start])].map((round) => `the held-out loss of checkpoint ${round}`);
}

/** What is not on-chain yet of the anchor of the newest checkpoint and the pay of its epoch. */
async function unsettled({ reader, runId, modelId }: Prepared, view: RunView): Promise<string[]> {
  const { round } = view.checkpoint;
  const isAnchored = view.anchored !== null && view.anchored.round >= round;
  const newest = isAnchored ? (await reader.headsSince(runId, 0)).at(-1) : undefined;
  if (!newest || newest.round < round) return [`the anchor of checkpoint ${round} and its epoch's reward root`];
  const epoch = await reader.epochOf(modelId, newest.anchoredAt);
  const active = await reader.activeRoot(modelId);
  return active !== undefined && active.epoch >= epoch ? [] : [`the reward root of epoch ${epoch}`];
}

/** The dispute that is to be shown, where one is. */
function disputeOf(prepared: Prepared, localModel: LocalModel, logger: Logger) {
  const { players } = prepared;
  const say = (line: string): void => localModel.announce(line, "dispute");
  return players && followDispute({ ...prepared, players }, localModel, logger, say);
}

/** The owners beside the training: they claim as often as there is something, buy once, and decide once. */
function followOwners(prepared: Prepared, localModel: LocalModel, logger: Logger, vote: boolean) {
  const { clock } = localModel;
  const claims = new Map<string, PaidClaim>();
  let appliedInRound: number | undefined;
  let collected = -Infinity;

  const claimOnce = async (): Promise<void> => {
    for (const [name, claim] of await claimAll(localModel)) claims.set(name, claim);
    await contributors?.own();
  };
  const collector = createCollector(patiently(claimOnce, "claiming", logger));
  const contributors = followContributors(prepared, localModel, logger);
  const deciding = followDecision(prepared, localModel, logger, contributors);
  /** Whether holders have nothing else to decide in this session: one vote after the other, as people would follow them. */
  const isDecided = (): boolean => !vote || deciding.made()?.executed !== undefined;
  const dispute = disputeOf(prepared, localModel, logger);
  return {
    look(view: RunView): void {
      if (!prepared.local) return;
      const decision = deciding.made();
      if (decision?.executed && appliedInRound === undefined && view.current?.innerSteps === decision.innerSteps)
        appliedInRound = roundNumber(view.current.round);
      if (clock.monotonic() - collected < COLLECT_EVERY_MS) return;
      collected = clock.monotonic();
      void collector.collect();
      contributors?.look(claims.size > 0);
      if (vote && claims.size > 0 && view.phase === "Training") void deciding.govern(view);
      if (isDecided()) dispute?.begin();
    },
    /** All that was trained is on-chain. */
    rest: (): void => {
      dispute?.begin();
      dispute?.rest();
    },
    /** What is to come of a dispute that is shown. */
    disputes: (): readonly string[] => dispute?.waitsFor() ?? [],
    /** What was bought and is not there yet. */
    waitsFor: (): readonly string[] => contributors?.waitsFor() ?? [],
    /** Claims what the last epoch pays, and what else is due. @returns whether that went through in time: a claim may never answer */
    async finish(until: number): Promise<boolean> {
      const over = new AbortController();
      const signal = AbortSignal.any([localModel.signal, over.signal]);
      const again = async (duty: () => Promise<boolean>): Promise<void> => {
        while (!(await duty())) await clock.sleep(POLL_MS, signal);
      };
      const claim = async (): Promise<boolean> => {
        await Promise.all([
          again(() => collector.collectAnew()),
          ...(contributors ? [again(() => contributors.finish())] : []),
        ]);
        return true;
      };
      const late = clock.sleep(until - clock.monotonic(), signal).then(() => false);
      late.catch(() => undefined);
      try {
        return await Promise.race([unlessAborted(claim(), signal), late]);
      } finally {
        over.abort();
      }
    },
    seen: () => ({
      claims,
      decision: deciding.made(),
      appliedInRound,
      dispute: dispute && { play: dispute.seen(), why: dispute.why() },
      ...(contributors?.why() ?? UNDONE),
    }),
  };
}
