/** From the address of a coordinator to a worker that is ready to join: run, documents, build, data, session. */
import {
  asAddress,
  batchOf,
  type CoordinatorClient,
  createCoordinatorClient,
  type Digest,
  domainFor,
  MAX_BUILD_BYTES,
  type RunId,
  type RunView,
} from "@cotrain/sdk/protocol";

import { type Backoff, type Clock, type OnRetry, type RetryOptions, systemClock, UserError } from "../base/index.ts";
import { stateElements } from "../engine/index.ts";
import { parseBuild } from "../storage/index.ts";
import {
  type AdmittedBuild,
  type Artefacts,
  createArtefacts,
  createRemote,
  describeRun,
  type RunDescription,
} from "./artefacts.ts";
import { type ChosenBuild, chooseBuild } from "./chooseBuild.ts";
import { retryEvent, type WorkerEvent } from "./events.ts";
import { followRun, type Governed } from "./governed.ts";
import { locateRun } from "./locateRun.ts";
import { DEFAULT_BACKOFF, DEFAULT_CACHE_BYTES, type WorkerModules, type WorkerOptions } from "./options.ts";
import { createRequestQueue, type RequestQueue } from "./requestQueue.ts";
import { checkResources, type ModelSize, needsOf } from "./resources.ts";
import type { RoundContext } from "./roundWork.ts";
import { createSessionKeeper, type SessionKeeper } from "./session.ts";

/** What is fixed once a worker is ready to join. */
export interface Prepared extends RoundContext, Governed {
  readonly description: RunDescription;
  readonly artefacts: Artefacts;
  readonly random: () => number;
  readonly backoff: Backoff;
  /** Sequences per inner step of the build that is trained, and of any build of the run. */
  readonly batch: number;
  readonly batchOf: (build: Digest) => Promise<number>;
  readonly sequence: number;
}

/** How a worker reaches its coordinator, and how it tells of that. */
interface CoordinatorAccess {
  readonly client: CoordinatorClient;
  readonly requestQueue: RequestQueue;
  readonly clock: Clock;
  readonly random: () => number;
  readonly backoff: Backoff;
  readonly onEvent: (event: WorkerEvent) => void;
  /** For what is tried until it succeeds or the worker is to stop. */
  readonly retry: (what: string) => RetryOptions & { readonly onRetry: OnRetry };
}

/**
 * Prepares a worker; what it opens is closed by `cleanup`.
 * @throws as `runWorker`; the signal's reason
 */
export async function prepare(
  options: WorkerOptions,
  modules: WorkerModules,
  cleanup: AsyncDisposableStack,
): Promise<Prepared> {
  const access = openAccess(options, modules);
  const { client, clock, random, backoff, onEvent } = access;
  const preparing = (what: string): void => onEvent({ type: "preparing", what });

  preparing(`looking for the run at ${client.url}`);
  const { runId, view } = await locateRun(options, client, { ...access, signal: options.signal });

  const store = await modules.home.openBlobs();
  let member: SessionKeeper | undefined;
  const blobs = createRemote(client, runId, access.retry("blob"), (call) => member?.vouched(call));
  const artefacts = createArtefacts(store, blobs);
  preparing("reading the run's definition");
  const description = await fitting(await describeRun(view, artefacts, modules.chain), options, modules);

  preparing("computing the conformance value");
  const chosen = await chooseBuild(description, artefacts, options, modules);
  const { trainer, build, conformance } = chosen;
  cleanup.defer(() => trainer.close());
  if (trainer.remark !== undefined) preparing(trainer.remark);
  const receipts = await modules.home.openReceipts(clock);
  cleanup.defer(() => receipts.close());
  const stepsOf = await modules.openData(description, artefacts);
  const identity = identityOf(view, options, modules, chosen);
  const session = openSession(identity, chosen, options, access);
  member = session;
  onEvent({
    type: "ready",
    runId,
    worker: identity.worker,
    beneficiary: identity.beneficiary,
    build: build.digest,
    parameters: description.parameters,
    conforms: conformance === build.document.conformance,
  });
  return {
    ...identity,
    ...followRun(view, client, modules.chain, access.retry("parameters")),
    description,
    artefacts,
    random,
    backoff,
    batch: batchOf(build.document),
    batchOf: async (digest) => batchOf(parseBuild(await artefacts.get(digest, MAX_BUILD_BYTES))),
    segmentSteps: build.document.segmentSteps,
    leastSteps: description.definition.screening.copySteps,
    sequence: description.definition.sequence,
    table: description.table,
    layouts: description.layouts,
    tensors: description.definition.table,
    trainer,
    session,
    blobs,
    receipts,
    clock,
    onEvent,
    stepsOf,
  };
}

function openAccess(options: WorkerOptions, modules: WorkerModules): CoordinatorAccess {
  const { signal } = options;
  const clock = modules.clock ?? systemClock;
  const random = modules.random ?? Math.random;
  const backoff = options.backoff ?? DEFAULT_BACKOFF;
  const onEvent = modules.onEvent ?? (() => undefined);
  const requestQueue = createRequestQueue(modules.fetch);
  return {
    client: createCoordinatorClient(options.coordinator, { fetch: requestQueue.fetch }),
    requestQueue,
    clock,
    random,
    backoff,
    onEvent,
    retry: (what) => ({
      clock,
      random,
      backoff,
      signal,
      onRetry: (...tried) => onEvent(retryEvent(what, ...tried)),
    }),
  };
}

/**
 * The run with those of its builds that fit this machine, before anything large is fetched.
 * @throws UserError `MEMORY_SHORT`, `DISK_SHORT` where none does
 */
async function fitting(
  description: RunDescription,
  { cacheBytes = DEFAULT_CACHE_BYTES }: WorkerOptions,
  { home, place, ownMemory }: WorkerModules,
): Promise<RunDescription> {
  const { definition, data, parameters } = description;
  const dataBytes = data.train.shards.reduce((sum, shard) => sum + shard.bytes, 0);
  const cached = Math.min(cacheBytes, dataBytes + (64 << 20));
  const builds: AdmittedBuild[] = [];
  const surroundings = { ...home.surroundings, ownMemory };
  let refusal: unknown;
  for (const build of description.builds) {
    const { microBatch, accumulation, precision } = build.document;
    const size: ModelSize = {
      parameters,
      state: stateElements(definition.innerOptimizer, definition.table),
      vocabulary: data.vocabulary,
      microBatch,
      accumulation,
      sequence: definition.sequence,
      precision,
      model: definition.model,
    };
    try {
      await checkResources(needsOf(size, cached, place), home.place, surroundings);
      builds.push(build);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      refusal ??= error;
    }
  }
  if (builds.length === 0) throw refusal;
  return { ...description, builds };
}

/** Who works here, on what and for whom. */
type Identity = Pick<Prepared, "runId" | "worker" | "beneficiary" | "account" | "domain" | "build">;

function identityOf(
  view: RunView,
  { beneficiary, pass }: WorkerOptions,
  { account }: WorkerModules,
  { build }: ChosenBuild,
): Identity {
  const worker = asAddress(account.address);
  return {
    runId: view.runId as RunId,
    worker,
    beneficiary: asAddress(pass?.pass.beneficiary ?? beneficiary ?? worker),
    account,
    domain: domainFor(view.chainId, view.contracts.runRegistry),
    build: build.digest,
  };
}

function openSession(
  { runId, beneficiary, account, domain, build }: Identity,
  { conformance, trainer }: ChosenBuild,
  { pass, claim }: Pick<WorkerOptions, "pass" | "claim">,
  { client, requestQueue, clock, random, backoff, onEvent }: CoordinatorAccess,
): SessionKeeper {
  return createSessionKeeper({
    client,
    requestQueue,
    account,
    domain,
    membership: { runId, beneficiary, pass, build, conformance, stepMicros: trainer.stepMicros, claim },
    clock,
    random,
    backoff,
    onJoin: ({ heartbeatSeconds, claimFrom }, again) => {
      onEvent({ type: "joined", again, heartbeatSeconds });
      if (claim && !again) onEvent({ type: "claims", from: claimFrom ?? null });
    },
    onRetry: (what, ...tried) => onEvent(retryEvent(what, ...tried)),
  });
}
