/** The worker's life: find the run, prepare, join, work on assignment after assignment, leave. */
import { join } from "node:path";

import { CoordinatorError, CotrainError } from "@cotrain/sdk/errors";
import {
  type Address,
  type Assignment,
  asAddress,
  createCoordinatorClient,
  domainFor,
  type Heartbeat,
  type HeartbeatReply,
  type Hex,
  type RunId,
  type RunParams,
  runParamsFromWire,
  type WorkReply,
} from "@cotrain/sdk/protocol";

import { type Clock, InternalError, RetryableError, roundNumber, systemClock, UserError } from "../base/index.ts";
import { openBlobStore } from "../storage/index.ts";
import {
  type AdmittedBuild,
  type Artefacts,
  createArtefacts,
  createRemote,
  describeRun,
  fetchStepProgram,
  findRun,
  type RunDescription,
  type RunRecordReader,
} from "./artefacts.ts";
import {
  type BackoffOptions,
  defaultBackoff,
  fullJitter,
  type OnRetry,
  type RetryOptions,
  retrying,
  saysRetryable,
} from "./backoff.ts";
import type { WorkerEvent } from "./events.ts";
import { openReceiptJournal } from "./receiptJournal.ts";
import { AcknowledgementError, type SigningAccount } from "./receipt.ts";
import { createResidualLedger } from "./residual.ts";
import { checkResources, type ModelSize, needsOf, type Surroundings } from "./resources.ts";
import { checkAssignment, DivergedError, type Progress, type RoundContext, workRound } from "./round.ts";
import { createSessionKeeper, OWN_MACHINE, type SessionKeeper } from "./session.ts";
import type { InnerSteps, Trainer } from "./trainer.ts";
import { settle } from "./settling.ts";
import { createRequestQueue } from "./requestQueue.ts";

export interface WorkerOptions {
  /** Base URL of the coordinator. */
  readonly coordinator: string;
  /** Default: the coordinator's only run. */
  readonly runId?: RunId;
  /** The worker's own state directory, open and locked by the caller: cache and receipts live in it. */
  readonly directory: string;
  /** Who is paid; default the worker's own wallet. */
  readonly beneficiary?: Address;
  /** Lease of the machine; default none, a machine of one's own. */
  readonly lease?: Hex;
  /** Threads of the engine; default its own choice. */
  readonly threads?: number;
  /** Bytes of artefacts kept on the disk; default 4 GiB. */
  readonly cacheBytes?: number;
  /** How long a coordinator that does not answer is waited for at the start, ms; default 60,000. Later there is no limit. */
  readonly patience?: number;
  /** After the request to stop: how long a round that is past its training may take to be submitted, ms; default 5,000. */
  readonly grace?: number;
  readonly backoff?: BackoffOptions;
  /** Stops the worker: it submits or abandons its assignment, leaves and returns. */
  readonly signal: AbortSignal;
}

/** Opens the trainer of a build; engineTrainer.ts has the default. */
export interface TrainerInput {
  readonly description: RunDescription;
  readonly build: AdmittedBuild;
  /** The step program, verified. */
  readonly program: Uint8Array<ArrayBuffer>;
  readonly threads: number | undefined;
}

/** Turns an assignment into its inner steps. */
export type StepsOf = (assignment: Assignment, firstStep: number) => Promise<InnerSteps>;

export interface WorkerModules {
  /** The machine's key; it signs joins and receipts. */
  readonly account: SigningAccount;
  readonly onEvent?: (event: WorkerEvent) => void;
  /** Where the chain can be asked, the run's documents are checked against it. */
  readonly chain?: RunRecordReader;
  readonly openTrainer: (input: TrainerInput) => Promise<Trainer>;
  readonly openData: (description: RunDescription, artefacts: Artefacts) => Promise<StepsOf>;
  /** Default: the platform's. */
  readonly fetch?: typeof fetch;
  readonly clock?: Clock;
  /** Uniform in [0, 1), for jitter. */
  readonly random?: () => number;
  readonly surroundings?: Surroundings;
}

/** Why a worker ended. */
export interface WorkerEnd {
  /** stopped: by its signal; dismissed: the coordinator said so. */
  readonly kind: "stopped" | "dismissed";
  readonly reason: string;
  /** Acknowledged rounds and their tokens. */
  readonly rounds: number;
  readonly tokens: number;
}

const DEFAULT_PATIENCE_MS = 60_000;
const DEFAULT_CACHE_BYTES = 4 * 2 ** 30;
/** How long one request for work may wait, s. */
const POLL_SECONDS = 20;
/** Refused assignments in a row after which going on is pointless. */
const MAX_REFUSALS = 5;
/** How long leaving may take, ms. */
const LEAVE_MS = 3_000;

/** A round that ended without this worker: the attempt is stale, nothing of it is sent any more. */
class RoundClosed extends UserError {
  override readonly name = "RoundClosed";
}

/**
 * Runs a worker until its signal is aborted or the coordinator dismisses it.
 * @returns why it ended
 * @throws CotrainError retryable (exit 75) when the coordinator stays away at the start; UserError and CoordinatorError
 *   (exit 1) for what it or the user must correct; InternalError (exit 70)
 */
export async function runWorker(options: WorkerOptions, modules: WorkerModules): Promise<WorkerEnd> {
  await using cleanup = new AsyncDisposableStack();
  let prepared: Prepared;
  try {
    prepared = await prepare(options, modules, cleanup);
  } catch (error) {
    if (!options.signal.aborted || error instanceof InternalError) throw error;
    return { kind: "stopped", reason: "It was stopped before it had joined.", rounds: 0, tokens: 0 };
  }
  // Awaited here, so that the trainer and the journal are closed after the work and not before.
  return await work(options, prepared);
}

/** What is fixed once a worker is ready to join. */
interface Prepared extends RoundContext {
  readonly description: RunDescription;
  readonly artefacts: Artefacts;
  readonly random: () => number;
  readonly backoff: BackoffOptions;
  readonly batch: number;
  readonly sequence: number;
  /** The run's parameters of a version; undefined for one that the coordinator tells nothing of, or once the worker is to stop. */
  readonly paramsOf: (version: number) => Promise<RunParams | undefined>;
}

async function prepare(
  options: WorkerOptions,
  modules: WorkerModules,
  cleanup: AsyncDisposableStack,
): Promise<Prepared> {
  const { signal } = options;
  const clock = modules.clock ?? systemClock;
  const random = modules.random ?? Math.random;
  const backoff = options.backoff ?? defaultBackoff;
  const onEvent = modules.onEvent ?? (() => undefined);
  const requestQueue = createRequestQueue(modules.fetch);
  const client = createCoordinatorClient(options.coordinator, { fetch: requestQueue.fetch });
  const onRetry =
    (what: string): OnRetry =>
    (...tried) =>
      onEvent(retryEvent(what, ...tried));
  const retry = { clock, random, backoff, signal };
  const preparing = (what: string): void => onEvent({ type: "preparing", what });

  preparing(`looking for the run at ${client.url}`);
  const patience = options.patience ?? DEFAULT_PATIENCE_MS;
  const { runId, view } = await patiently(client.url, patience, { ...retry, onEvent }, async (found) => {
    const runId = await retrying(() => findRun(client, options.runId), found);
    return { runId, view: await retrying(() => client.run(runId), found) };
  });

  const store = await openBlobStore(join(options.directory, "blobs"));
  let member: SessionKeeper | undefined;
  const blobs = createRemote(client, runId, { ...retry, onRetry: onRetry("blob") }, (call) => member?.vouched(call));
  const artefacts = createArtefacts(store, blobs);
  preparing("reading the run's definition");
  const description = await describeRun(view, artefacts, modules.chain);
  const first = description.builds[0]!;
  const size: ModelSize = {
    parameters: description.parameters,
    vocabulary: description.data.vocabulary,
    microBatch: first.document.microBatch,
    sequence: description.definition.sequence,
    model: description.definition.model,
  };
  const cacheBytes = options.cacheBytes ?? DEFAULT_CACHE_BYTES;
  const dataBytes = description.data.train.shards.reduce((sum, shard) => sum + shard.bytes, 0);
  await checkResources(
    needsOf(size, Math.min(cacheBytes, dataBytes + (64 << 20))),
    options.directory,
    modules.surroundings,
  );

  preparing("computing the conformance value");
  const { trainer, build, conformance } = await chooseBuild(description, artefacts, options, modules);
  cleanup.defer(() => trainer.close());
  const receipts = await openReceiptJournal(join(options.directory, "receipts.sqlite"), clock);
  cleanup.defer(() => receipts.close());
  const stepsOf = await modules.openData(description, artefacts);

  const worker = asAddress(modules.account.address);
  const beneficiary = asAddress(options.beneficiary ?? worker);
  const domain = domainFor(view.chainId, view.contracts.runRegistry);
  const session = createSessionKeeper({
    client,
    requestQueue,
    account: modules.account,
    domain,
    membership: {
      runId,
      beneficiary,
      lease: options.lease ?? OWN_MACHINE,
      build: build.digest,
      conformance,
      stepMicros: trainer.stepMicros,
    },
    clock,
    random,
    backoff,
    onJoin: ({ heartbeatSeconds }, again) => onEvent({ type: "joined", again, heartbeatSeconds }),
    onRetry: (what, ...tried) => onEvent(retryEvent(what, ...tried)),
  });
  member = session;
  onEvent({
    type: "ready",
    runId,
    worker,
    beneficiary,
    build: build.digest,
    parameters: description.parameters,
    conforms: conformance === build.document.conformance,
  });
  let poster = asAddress(view.poster);
  let told = view;
  const asked = { ...retry, onRetry: onRetry("parameters") };
  return {
    description,
    artefacts,
    random,
    backoff,
    runId,
    worker,
    beneficiary,
    build: build.digest,
    batch: build.document.microBatch,
    sequence: description.definition.sequence,
    table: description.table,
    layouts: description.layouts,
    tensors: description.definition.table,
    domain,
    account: modules.account,
    trainer,
    session,
    blobs,
    receipts,
    clock,
    onEvent,
    stepsOf,
    poster: async (refresh) => {
      if (!refresh) return poster;
      const now = asAddress((await client.run(runId)).poster);
      // A new poster is believed from the chain; where it cannot be asked, from the coordinator, as at the start.
      if (!modules.chain || (await modules.chain.postersOf(runId)).includes(now)) poster = now;
      return poster;
    },
    // As with the poster: from the chain, or else the coordinator's word.
    paramsOf: async (version) => {
      try {
        const { chain } = modules;
        if (chain) return await retrying(() => chain.paramsOf(runId, version), asked);
        if (told.paramsVersion !== version) told = await retrying(() => client.run(runId), asked);
        return told.paramsVersion === version ? runParamsFromWire(told.params) : undefined;
      } catch (error) {
        if (signal.aborted) return undefined;
        throw error;
      }
    },
  };
}

/**
 * The first that a worker asks of its coordinator: where nobody answers the address may be wrong, which trying on does not mend.
 * @throws RetryableError `COORDINATOR_AWAY` once it was patient
 */
async function patiently<T>(
  url: string,
  patience: number,
  retry: Omit<RetryOptions, "onRetry" | "retryable"> & { readonly onEvent: (event: WorkerEvent) => void },
  work: (found: RetryOptions) => Promise<T>,
): Promise<T> {
  const { clock, signal, onEvent } = retry;
  const giveUpAt = clock.monotonic() + patience;
  try {
    return await work({
      ...retry,
      onRetry: (...tried) => onEvent({ ...retryEvent("run", ...tried), patienceMs: patience }),
      retryable: (error) => saysRetryable(error) && clock.monotonic() < giveUpAt,
    });
  } catch (error) {
    if (signal.aborted || !saysRetryable(error)) throw error;
    const reason = (error as CotrainError).message.replace(/\.$/, "");
    throw new RetryableError(
      "COORDINATOR_AWAY",
      `${reason}, and it was tried for ${Math.round(patience / 1_000)} s: see whether ${url}/health answers from this machine, ask who runs it, and start the worker again when it does.`,
      { cause: error },
    );
  }
}

function retryEvent(
  what: string,
  ...[error, waitMs, withinMs]: Parameters<OnRetry>
): WorkerEvent & { type: "retrying" } {
  const code = error instanceof CotrainError ? error.code : "UNKNOWN";
  const reason = error instanceof Error ? error.message : String(error);
  return { type: "retrying", what, code, reason, waitMs, withinMs };
}

/** The first build whose conformance value this machine reproduces, else the first. */
async function chooseBuild(
  description: RunDescription,
  artefacts: Artefacts,
  { threads }: WorkerOptions,
  { openTrainer }: WorkerModules,
): Promise<{ trainer: Trainer; build: AdmittedBuild; conformance: Hex }> {
  let fallback: { trainer: Trainer; build: AdmittedBuild; conformance: Hex } | undefined;
  for (const build of description.builds) {
    const program = await fetchStepProgram(artefacts, build);
    const trainer = await openTrainer({ description, build, program, threads });
    const conformance = await trainer.conformance();
    const candidate = { trainer, build, conformance };
    if (conformance === build.document.conformance) {
      await fallback?.trainer.close();
      return candidate;
    }
    if (fallback) await trainer.close();
    else fallback = candidate;
  }
  if (fallback) return fallback;
  throw new InternalError("BUILD_NONE", "A run without builds was accepted.");
}

/** The loop of assignments, beside the loop of heartbeats. */
async function work(options: WorkerOptions, context: Prepared): Promise<WorkerEnd> {
  const { signal } = options;
  const { session, onEvent, clock } = context;
  const progress: Progress = { round: null, step: 0, loss: null, tokensPerSecond: null, uploading: false };
  const residuals = createResidualLedger(context.layouts);
  const ended = new AbortController();
  const tally = { rounds: 0, tokens: 0 };
  /** Aborts what is being worked on; set while there is something. */
  let current: { assignment: Assignment; closed: (reason: RoundClosed) => void } | undefined;
  const heartbeats = keepBeating(context, progress, ended.signal, () => {
    const asked = current;
    return (reply) => {
      // What the coordinator said before this work was given out says nothing about it.
      if (!asked || asked !== current) return;
      const over = supersededBy(reply, asked.assignment, progress);
      if (over) asked.closed(over);
    };
  });

  const finish = async (kind: WorkerEnd["kind"], reason: string): Promise<WorkerEnd> => {
    onEvent({ type: "left", reason });
    return { kind, reason, ...tally };
  };
  try {
    let refusals = 0;
    let idleSince = clock.monotonic();
    let last: Assignment | undefined;
    for (;;) {
      const askedAt = clock.monotonic();
      const reply = await nextWork(session, signal);
      if (reply === undefined) return await finish("stopped", "It was asked to stop.");
      if (reply.kind === "leave") return await finish("dismissed", reply.reason);
      const wait = async (reason: string): Promise<void> => {
        onEvent({ type: "waiting", reason });
        // A coordinator that answers at once, over and over, is not asked in a tight loop.
        if (clock.monotonic() - askedAt < 200)
          await pause(clock, fullJitter(0, context.backoff, context.random), signal);
      };
      if (reply.kind === "wait" || isSame(reply.assignment, last)) {
        await wait(reply.kind === "wait" ? reply.reason : "The round goes on without this worker.");
        continue;
      }
      const { assignment } = reply;
      const { residual, late } = await settle(reply, residuals, context, signal);
      tally.rounds += late.length;
      tally.tokens += late.reduce((sum, tokens) => sum + tokens, 0);
      const params = await context.paramsOf(assignment.paramsVersion);
      if (!params) {
        await wait(`The coordinator does not tell the parameters ${assignment.paramsVersion} of its work.`);
        continue;
      }
      checkAssignment(assignment, { ...context, params });
      const { round, assignmentId, attempt, steps } = assignment;
      const tokens = steps * assignment.batch * assignment.sequence;
      onEvent({ type: "assigned", round, assignmentId, attempt, steps, tokens, residual });
      const controller = new AbortController();
      const stopRound = stopper(options, progress, controller);
      signal.addEventListener("abort", stopRound, { once: true });
      if (signal.aborted) stopRound();
      current = { assignment, closed: (reason) => controller.abort(reason) };
      last = assignment;
      try {
        await workRound(assignment, context, residuals, progress, idleSince, controller.signal);
        tally.rounds += 1;
        tally.tokens += tokens;
        refusals = 0;
      } catch (error) {
        const drop = dropOf(error, controller.signal, residuals.pending !== undefined);
        if (!drop) throw error;
        if (error instanceof DivergedError) {
          await context.trainer.reset();
          residuals.reset();
        }
        onEvent({ type: "dropped", round, assignmentId, code: drop.code, reason: drop.message });
        refusals = drop.stale ? 0 : refusals + 1;
        if (refusals >= MAX_REFUSALS) throw error;
      } finally {
        signal.removeEventListener("abort", stopRound);
        current = undefined;
        Object.assign(progress, { round: null, step: 0, uploading: false });
        idleSince = clock.monotonic();
      }
      await context.artefacts.trim(options.cacheBytes ?? DEFAULT_CACHE_BYTES);
    }
  } catch (error) {
    // A run that ended while this worker was away refuses the join; that is an end like being told to leave.
    if (!(error instanceof CoordinatorError) || error.code !== "RUN_FINISHED") throw error;
    return await finish("dismissed", error.message);
  } finally {
    ended.abort();
    await heartbeats;
    await leave(session);
  }
}

/** Why work is over by what the coordinator says, undefined while it is due. */
function supersededBy(
  { round, work }: HeartbeatReply,
  { round: mine, assignmentId, attempt }: Assignment,
  { uploading }: Progress,
): RoundClosed | undefined {
  if (round > mine)
    return new RoundClosed("ROUND_CLOSED", `Round ${roundNumber(mine)} closed while this worker was in it.`);
  // What is being sent is refused, or taken, by the one who gets it.
  if (uploading || (work?.assignmentId === assignmentId && work.attempt === attempt)) return undefined;
  return new RoundClosed("SUPERSEDED", `Assignment ${assignmentId}, attempt ${attempt}, is not due any more.`);
}

/** The next work, undefined once the worker is to stop. */
async function nextWork(session: SessionKeeper, signal: AbortSignal): Promise<WorkReply | undefined> {
  try {
    if (signal.aborted) return undefined;
    return await session.call("work", (current) => current.work({ waitSeconds: POLL_SECONDS }, signal), signal);
  } catch (error) {
    if (signal.aborted) return undefined;
    throw error;
  }
}

const isSame = (a: Assignment, b: Assignment | undefined): boolean =>
  b !== undefined && a.assignmentId === b.assignmentId && a.attempt === b.attempt;

/** What a request to stop does to a round: abandoned while it trains, given some time when only sending is left. */
function stopper(options: WorkerOptions, progress: Progress, controller: AbortController): () => void {
  return () => {
    const abandon = (): void => controller.abort(options.signal.reason);
    if (!progress.uploading) abandon();
    else setTimeout(abandon, options.grace ?? 5_000).unref();
  };
}

/** How a failed round is dropped, undefined for what ends the worker. `stale`: the round went on, nothing is wrong here. */
function dropOf(
  error: unknown,
  signal: AbortSignal,
  sent: boolean,
): { code: string; message: string; stale: boolean } | undefined {
  if (signal.aborted) {
    const { reason } = signal as { reason: unknown };
    if (sent) {
      const message = "The answer to its receipt had not come yet: what became of it is told with the next work.";
      return { code: "UNANSWERED", message, stale: true };
    }
    if (reason instanceof RoundClosed) return { code: reason.code, message: reason.message, stale: true };
    return { code: "ABANDONED", message: "The worker was asked to stop.", stale: true };
  }
  if (error instanceof DivergedError) return { code: error.code, message: error.message, stale: false };
  if (error instanceof AcknowledgementError || !(error instanceof CoordinatorError)) return undefined;
  // Wrong bytes are a matter of trust, and an answer of something else than a coordinator a matter of configuration.
  if (["BLOB_MISMATCH", "NOT_A_COORDINATOR"].includes(error.code)) return undefined;
  return { code: error.code, message: error.message, stale: [404, 409, 410].includes(error.status) };
}

async function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  await clock.sleep(ms, signal).catch(() => undefined);
}

/** Tells the coordinator every few seconds that the worker lives and how far it is, until the signal is aborted. */
async function keepBeating(
  { session, clock, onEvent }: Prepared,
  progress: Progress,
  signal: AbortSignal,
  /** Called before each heartbeat; what it gives is called with the reply. */
  asking: () => (reply: HeartbeatReply) => void,
): Promise<void> {
  let failing = false;
  while (!signal.aborted) {
    await pause(clock, (session.heartbeatSeconds ?? 1) * 1_000, signal);
    if (signal.aborted) return;
    if (session.heartbeatSeconds === undefined) continue;
    const beat: Heartbeat = { ...progress };
    try {
      const answered = asking();
      const reply = await session.once((current) => current.heartbeat(beat), signal);
      failing = false;
      answered(reply);
    } catch (error) {
      // One word at the beginning of a silence, not one per second of it.
      const waitMs = session.heartbeatSeconds * 1_000;
      if (!signal.aborted && !failing) onEvent(retryEvent("heartbeat", error, waitMs, waitMs));
      failing = true;
    }
  }
}

/** Best effort: a coordinator that is away finds out by itself. */
async function leave(session: SessionKeeper): Promise<void> {
  const done = new AbortController();
  const left = session
    .leave()
    .catch(() => undefined)
    .finally(() => done.abort());
  await Promise.race([left, pause(systemClock, LEAVE_MS, done.signal)]);
}
