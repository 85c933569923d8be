/** What the duties of one validator share: what it works for and with, and what it knows so far. */
import {
  type Address,
  type CoordinatorClient,
  type Digest,
  domainFor,
  type EpochHead,
  type RunId,
} from "@cotrain/sdk/protocol";
import { CotrainError } from "@cotrain/sdk/errors";
import type { LocalAccount } from "viem";

import { type Clock, retrying, steady, systemClock, unlessAborted, UserError } from "../base/index.ts";
import type { ChainReader, ModelSchedule, RunRecord } from "../chain/index.ts";
import {
  DocumentError,
  type BlobSource,
  createHeadDocumentsCache,
  type HeadDocumentsCache,
  type HeadWithParent,
  type RevenueAccounts,
  type Sortition,
} from "../run/index.ts";
import { type Absences, absenceOf, createAbsences } from "./absence.ts";
import { type Claim, type ClaimModules, type Claims, createClaims } from "./claims.ts";
import { createDescriptions, type Descriptions } from "./descriptions.ts";
import type { EngineSlot } from "./engineSlot.ts";
import type { ValidatorEvent } from "./events.ts";
import type { LossMeter } from "./loss.ts";
import type { Statements } from "./statements.ts";

/** Ms between looks. */
export const POLL_INTERVAL = 2_000;

export interface ValidatorOptions {
  readonly runId: RunId;
  readonly signal: AbortSignal;
  /** Default {@link POLL_INTERVAL}. */
  readonly pollInterval?: number;
  /** Ms that a validator which says nothing of its draw is waited for; default half of the model's posting delay. */
  readonly patience?: number;
  /** Ms after which what the coordinator says that it does not have counts as gone; default {@link absenceOf}. */
  readonly absence?: number;
}

export type ValidatorCoordinator = Pick<
  CoordinatorClient,
  "run" | "epochs" | "blob" | "verdicts" | "submitVerdict" | "submitAttestation"
>;

export interface ValidatorModules {
  readonly reader: ChainReader;
  readonly coordinator: ValidatorCoordinator;
  /** The protocol key. */
  readonly account: Pick<LocalAccount, "address" | "signTypedData">;
  readonly statements: Statements;
  /** Undefined measures nothing. */
  readonly loss?: LossMeter;
  /** Undefined signs no root of revenue. */
  readonly revenue?: Pick<RevenueAccounts, "check" | "checkAgain">;
  readonly clock?: Clock;
  readonly onEvent?: (event: ValidatorEvent) => void;
  /** Called once, when the run was found on-chain and at the coordinator. */
  readonly onReady?: () => void;
}

/** Heads that no active root covers. */
interface KnownHeads {
  readonly links: Map<string, HeadWithParent>;
  /** Those that have this validator's aggregate verdict, and the fragment that it drew of each. */
  readonly judged: Map<string, number>;
  /** Runs whose heads are judged: this one, and others of the model while an epoch pays their heads too. */
  readonly followed: Set<RunId>;
}

/** Of the gates of heads. */
interface Audits {
  /** Heads whose gate this validator measured and found true. */
  readonly sound: Set<string>;
  /** When what did not come to a finding is tried again, by head and fragment, monotonic ms. */
  readonly again: Map<string, number>;
}

/** Epochs that are not signed yet. */
interface OpenEpochs {
  /** Attestations that were refused, by all that is published of each: when they are looked at again, monotonic ms. */
  readonly refused: Map<Digest, number>;
  /** Manifests that would be signed if these heads had a verdict; told once. */
  readonly waiting: Map<string, readonly EpochHead[]>;
  /** Manifests that would be signed if these claims were settled. */
  readonly claimed: Map<string, readonly Claim[]>;
  /** Roots of revenue that one look found to be what the chain says: whether it is time for the second. */
  readonly seen: Map<Digest, () => Promise<boolean>>;
}

export interface Context extends Omit<ValidatorModules, "clock" | "onEvent" | "onReady"> {
  readonly run: RunRecord;
  readonly schedule: ModelSchedule;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** The protocol key's, lower-case. */
  readonly validator: Address;
  readonly patience: number;
  readonly absence: number;
  readonly verdictDomain: ReturnType<typeof domainFor>;
  readonly attestationDomain: ReturnType<typeof domainFor>;
  readonly emit: (event: ValidatorEvent) => void;
  readonly blobs: BlobSource;
  readonly documents: HeadDocumentsCache;
  readonly descriptions: Descriptions;
  /** What everybody drew of a head that no active root covers; undefined while the block that decides it is still to come. */
  readonly sortitionOf: (head: Pick<EpochHead, "head">) => Promise<Sortition | undefined>;
  readonly heads: KnownHeads;
  readonly audits: Audits;
  readonly epochs: OpenEpochs;
  readonly engine: EngineSlot;
  readonly absences: Absences;
  readonly claims: Claims;
}

/**
 * Waits until the run is there.
 * @param examine looks at what another validator drew
 * @throws UserError `RUN_FOREIGN` when the coordinator serves another run than the chain knows
 */
export async function openContext(
  options: ValidatorOptions,
  modules: ValidatorModules,
  examine: ClaimModules["examine"],
): Promise<Context> {
  const { runId, signal } = options;
  const { reader, coordinator, account, statements, loss, revenue } = modules;
  const clock = modules.clock ?? systemClock;
  const blobs: BlobSource = { blob: (run, digest, limit) => coordinator.blob(run, digest, limit) };
  const descriptions = createDescriptions(reader, blobs);
  const { run, schedule } = await findRun(options, modules, descriptions);
  const patience = options.patience ?? schedule.postingDelay * 500;
  const absence = options.absence ?? absenceOf(schedule);
  const links = new Map<string, HeadWithParent>();
  const sortitionOf: Context["sortitionOf"] = async ({ head }) => {
    const link = links.get(head);
    return link && descriptions.sortitionOf(link.head);
  };
  return {
    run,
    schedule,
    signal,
    reader,
    coordinator,
    account,
    statements,
    ...(loss && { loss }),
    ...(revenue && { revenue }),
    clock,
    validator: account.address.toLowerCase() as Address,
    patience,
    absence,
    verdictDomain: domainFor(reader.chainId, reader.contracts.runRegistry),
    attestationDomain: domainFor(reader.chainId, reader.contracts.computeRewards),
    emit: (event) => modules.onEvent?.(event),
    blobs,
    documents: createHeadDocumentsCache(reader),
    descriptions,
    sortitionOf,
    heads: { links, judged: new Map(), followed: new Set([runId]) },
    audits: { sound: new Set(), again: new Map() },
    epochs: { refused: new Map(), waiting: new Map(), claimed: new Map(), seen: new Map() },
    engine: { task: undefined, done: undefined, auditWaits: false },
    absences: createAbsences(clock, absence),
    claims: createClaims({
      reader,
      clock,
      patience,
      measures: loss !== undefined,
      verdicts: async () => (await coordinator.verdicts(runId)).verdicts,
      sortitionOf,
      examine,
    }),
  };
}

/** Tries until it succeeds; only a mistake that waiting cannot mend ends it. */
async function findRun(
  { runId, signal, pollInterval = POLL_INTERVAL }: ValidatorOptions,
  { reader, coordinator, clock = systemClock, onEvent }: ValidatorModules,
  descriptions: Descriptions,
): Promise<Pick<Context, "run" | "schedule">> {
  const find = async () => {
    const [run, view] = await Promise.all([reader.run(runId), coordinator.run(runId)]);
    if (view.definition !== run.definition || view.modelId !== run.modelId)
      throw new UserError(
        "RUN_FOREIGN",
        `The coordinator serves run ${runId} with another definition or model than the chain.`,
      );
    // Nothing is said of heads that cannot be judged, as each look tells; what else there is to sign does not suffer by it.
    await descriptions.of(runId, run).catch((error: unknown) => {
      if (!(error instanceof DocumentError)) throw error;
    });
    return { run, schedule: await reader.schedule(run.modelId) };
  };
  return retrying(() => unlessAborted(find(), signal), {
    clock,
    ...steady(pollInterval),
    signal,
    onRetry: ({ message: reason }) => onEvent?.({ type: "retrying", what: "finding the run", reason }),
  });
}

/**
 * One thing that fails must not keep the others from being done.
 * @returns undefined where it failed
 */
export async function attempt<T>(
  { signal, emit }: Pick<Context, "signal" | "emit">,
  what: string,
  work: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (signal.aborted) throw error;
    if (!(error instanceof CotrainError)) throw error;
    emit({ type: "retrying", what, reason: error.message });
    return undefined;
  }
}
