/** One run as the coordinator holds it: its documents, its state and everything that its effects and routes need. */
import { randomBytes } from "node:crypto";

import type { Build, Definition } from "@cotrain/sdk/protocol";
import {
  type Address,
  canonicalJson,
  type CheckpointManifest,
  type Digest,
  digestOfJson,
  domainFor,
  type Domain,
  elementsOf,
  type ModelId,
  type RunContracts,
  type RunId,
  type RunParams,
  runParamsToWire,
  type StructName,
  type Struct,
  tableDigest,
  type TensorEntry,
  typedDataOf,
  type Hex,
  type SigningAccount,
  MAX_DEFINITION_BYTES,
} from "@cotrain/sdk/protocol";
import pLimit, { type LimitFunction } from "p-limit";

import { type Clock, InternalError, RetryableError, UserError } from "../base/index.ts";
import type { PostedHead } from "../chain/index.ts";
import { blobSourceOf, problemOfPrograms, type RevenueAccounts, type RunChain } from "../run/index.ts";
import { type BlobStore, readManifest, parseDefinition } from "../storage/index.ts";
import type { Database, Logger } from "../service/index.ts";
import { type Admission, createAdmission } from "./admission.ts";
import { type AnchorAges, createAnchorAges } from "./anchorAges.ts";
import { type Arriving, createArriving } from "./arriving.ts";
import { type Driver, openDriver } from "./driver.ts";
import { createLine, type Line } from "./line.ts";
import type { RunCreated, Unstamped } from "./machine/events.ts";
import type { RunFacts } from "./machine/state.ts";
import type { RetentionOptions } from "./retentionRules.ts";
import { type Contradicted, openContradicted } from "./contradicted.ts";
import { createGateMeter, type GateMeter } from "./gateMeter.ts";
import { createIdleReceipts, type IdleReceipts } from "./idleReceipts.ts";
import type { Machines } from "./machines.ts";
import { createPasses, type Passes } from "./passes.ts";
import { Presence, type PresenceOptions } from "./presence.ts";
import { createOffences, createPayloadScans, type Offences, type PayloadScans } from "./scans.ts";
import { createBuilds, type Builds } from "./builds.ts";
import { type ClaimDuty, createClaimDuty } from "./claimDuty.ts";
import { createRevenueDuty, type RevenueDuty } from "./revenue.ts";
import type { RewardTrees } from "./rewardTrees.ts";
import type { Signatures } from "./signatures.ts";
import { lostBefore } from "./payloads.ts";
import { createProjections, type Projections } from "./projections.ts";
import type { CoordinatorSchema } from "./projectionTables.ts";
import { noteEarlierShards } from "./shards.ts";
import { createTransfers, type Transfers } from "./transfers.ts";

/** Which run to coordinate; all else comes from the chain and, by digest, from the blob store. */
export interface RunOptions {
  readonly runId: RunId;
  /** Block from which the run's heads are looked for; default 0. */
  readonly fromBlock?: number;
  /** It is over, and its model has another: it is served for what was trained. */
  readonly earlier?: boolean;
  /** Refusals that a member is forgiven before it is not heard for a while; default 8. */
  readonly forgiven?: number;
  /** Whose rented machines may join by a pass; default the poster's alone. */
  readonly renters?: readonly Address[] | undefined;
}

/** What all runs of a coordinator have in common. */
export interface RunSettings {
  readonly presence: PresenceOptions;
  readonly retention: RetentionOptions;
  readonly announced: Announced;
  /** See `RevenueAccounts.next`. */
  readonly revenueAtLeast: number;
  /** Share wei that an account must be owed before the poster claims for it, where it asked; undefined: for nobody. */
  readonly claimFrom?: bigint | undefined;
  /** The same of revenue, in whole tokens of the model's. */
  readonly claimRevenueFrom?: number | undefined;
}

/** What joiners are told of the chain beside its id and the contracts. */
export interface Announced {
  /** An RPC that they may ask; null for none. */
  readonly rpcUrl: string | null;
  readonly profile: string;
  /** First block of each contract. */
  readonly blocks: Readonly<Record<string, number>>;
}

/** What a run needs from outside. */
export interface RunModules {
  readonly chain: RunChain;
  readonly blobs: BlobStore;
  readonly database: Database<CoordinatorSchema>;
  readonly poster: SigningAccount;
  readonly clock: Clock;
  readonly logger: Logger;
  /** One for all runs; so are the trees. */
  readonly signatures: Signatures;
  readonly rewardTrees: RewardTrees;
  /** Without it no root of revenue is made. */
  readonly revenue?: RevenueAccounts | undefined;
  /** Measures held-out loss for the gate; by default the run's own program does. */
  readonly gate?: ((definition: Definition) => GateMeter) | undefined;
  /** What does not fit of a build's programs; by default they are read. */
  readonly problemOf?: ((build: Build) => Promise<string>) | undefined;
  /** 32 bytes that nobody can foretell; by default from the system. */
  readonly secret?: (() => Hex) | undefined;
  /** Where statements are written down by which validators contradicted themselves; default nowhere. */
  readonly conflicts?: string | undefined;
}

export interface Run {
  readonly runId: RunId;
  /** Its model has another, which who joins is to find: nobody becomes its member, whether the journal knows yet that it has ended or not. */
  readonly earlier: boolean;
  readonly facts: RunFacts;
  readonly definitionDigest: Digest;
  readonly definition: Definition;
  readonly table: readonly TensorEntry[];
  readonly builds: Builds;
  readonly admission: Admission;
  readonly contracts: RunContracts;
  /** Domain of Join, Receipt, Ack, Verdict. */
  readonly domain: Domain;
  /** Domain of Attestation. */
  readonly rewardsDomain: Domain;
  readonly driver: Driver;
  readonly gate: GateMeter;
  readonly presence: Presence;
  readonly passes: Passes;
  readonly transfers: Transfers;
  /** Community machines that call. */
  readonly machines: Machines;
  readonly line: Line;
  readonly anchorAges: AnchorAges;
  readonly projections: Projections;
  readonly retention: RetentionOptions;
  readonly announced: Announced;
  /** Runs work on tensors one piece at a time: it is the processor's anyway, and together its memory would add up. */
  readonly alone: LimitFunction;
  readonly scans: PayloadScans;
  readonly offences: Offences;
  readonly contradicted: Contradicted;
  readonly idleReceipts: IdleReceipts;
  readonly arriving: Arriving;
  readonly revenue: RevenueDuty | undefined;
  readonly claims: ClaimDuty | undefined;
  /** How many receipts of its open work each member had looked at closely. */
  readonly receiptTries: Map<Address, { readonly assignment: Digest; count: number }>;
  /** Fragments of payloads that were found lost, or given up: what is sent again too late does not bring them back. */
  readonly lost: Set<Digest>;
  readonly modules: RunModules;
}

/** Nobody becomes a member of it any more. */
export const isOver = ({ earlier, driver }: Pick<Run, "earlier" | "driver">): boolean =>
  earlier || driver.state.finished;

/** Signs as the poster; lower-case hex. */
export async function signAsPoster<N extends StructName>(run: Run, name: N, struct: Struct<N>): Promise<Hex> {
  const signature = await run.modules.poster.signTypedData(typedDataOf(run.domain, name, struct));
  return signature.toLowerCase() as Hex;
}

const noneOfUse = (runId: RunId): UserError =>
  new UserError(
    "NO_BUILD",
    `Run ${runId} admits no build whose document and programs are among the run's blobs and fit each other.`,
  );

const readingPrograms =
  (runId: RunId, blobs: BlobStore, definition: Definition): NonNullable<RunModules["problemOf"]> =>
  (build) =>
    problemOfPrograms(blobSourceOf(blobs), runId, build, definition);

/**
 * Opens a run: its documents, its log, its state.
 * @throws UserError `RUN_UNKNOWN`, `FOREIGN_POSTER`, `NO_BUILD`, `STATE_LOST`, LOGIC_VERSION; BlobError for documents
 *   that are missing; RetryableError while the chain is away
 */
export async function openRun(options: RunOptions, settings: RunSettings, modules: RunModules): Promise<Run> {
  const [{ runId }, { chain, blobs, clock, logger }] = [options, modules];
  const { chainId, contracts } = chain;
  const record = await chain.run(runId);
  if (record.poster.toLowerCase() !== modules.poster.address.toLowerCase()) {
    throw new UserError(
      "FOREIGN_POSTER",
      `Run ${runId} is posted by ${record.poster}; this coordinator has the key of ${modules.poster.address}.`,
    );
  }
  const definition = parseDefinition(await blobs.get(record.definition, MAX_DEFINITION_BYTES));
  const [arriving, projections] = [createArriving(), createProjections(modules.database, runId)];
  const problemOf = modules.problemOf ?? readingPrograms(runId, blobs, definition);
  const builds = createBuilds(runId, record.definition, { ...modules, arriving, projections, problemOf });
  const useless = await builds.findAdmitted();
  if (builds.known.length === 0) {
    if (useless > 0) throw noneOfUse(runId);
    // What was trained is served, paid and posted all the same, and a round that is open waits for a build that its gate is measured
    // with. An RPC that lags may not know of one yet.
    logger.warn({ runId }, "no build of the run is admitted now: nobody can join until the holders admit one");
  }
  const facts = factsOf(runId, record.modelId, chain, definition);
  requireFragments(runId, record.fragments, facts.elements.length);
  const driver = await openDriver({
    runId,
    database: modules.database,
    clock,
    logger,
    create: () => created(options, facts, modules),
  });
  if (digestOfJson(driver.state.facts.elements) !== digestOfJson(facts.elements)) {
    throw new InternalError("FACTS_MISMATCH", `The log of run ${runId} was written for another definition.`);
  }
  await noteEarlierShards(modules, driver.state);
  return {
    runId,
    earlier: options.earlier ?? false,
    facts: driver.state.facts,
    definitionDigest: record.definition,
    definition,
    table: definition.table,
    builds,
    admission: createAdmission(record.modelId, modules),
    contracts: await contractsOf(chain, record.modelId),
    domain: domainFor(chainId, contracts.runRegistry),
    rewardsDomain: domainFor(chainId, contracts.computeRewards),
    driver,
    gate: modules.gate?.(definition) ?? createGateMeter(blobs, definition, builds),
    presence: new Presence(driver, clock, logger, settings.presence),
    machines: new Map(),
    transfers: createTransfers(clock),
    passes: createPasses(options.renters ?? [modules.poster.address]),
    line: createLine(),
    anchorAges: createAnchorAges(driver, clock),
    projections,
    retention: settings.retention,
    announced: settings.announced,
    alone: pLimit(1),
    scans: createPayloadScans(blobs),
    offences: createOffences(clock, options.forgiven),
    contradicted: await openContradicted({ directory: modules.conflicts, logger, chainId, contracts, runId }),
    idleReceipts: createIdleReceipts(clock),
    arriving,
    revenue: revenueDutyOf(record, settings, modules),
    claims: claimDutyOf(record, settings, modules),
    receiptTries: new Map(),
    lost: await lostBefore(blobs, driver.state),
    modules,
  };
}

function requireFragments(runId: RunId, onChain: number, inDefinition: number): void {
  if (onChain === inDefinition) return;
  throw new UserError(
    "DEFINITION_MISMATCH",
    `Run ${runId} has ${onChain} fragments on-chain and ${inDefinition} in its definition.`,
  );
}

const revenueDutyOf = (
  run: Parameters<typeof createRevenueDuty>[0],
  { revenueAtLeast }: Pick<RunSettings, "revenueAtLeast">,
  { chain, logger, revenue }: Pick<RunModules, "chain" | "logger" | "revenue">,
): RevenueDuty | undefined => revenue && createRevenueDuty(run, revenueAtLeast, { chain, logger, accounts: revenue });

function claimDutyOf(
  run: Parameters<typeof createClaimDuty>[0],
  { claimFrom: shares, claimRevenueFrom: from }: Pick<RunSettings, "claimFrom" | "claimRevenueFrom">,
  modules: RunModules,
): ClaimDuty | undefined {
  const { revenue: accounts } = modules;
  const revenue = from === undefined || accounts === undefined ? undefined : { from, accounts };
  return shares === undefined && revenue === undefined ? undefined : createClaimDuty(run, { shares, revenue }, modules);
}

/** Every contract that a run of the model lives in. */
const contractsOf = async (chain: RunChain, modelId: ModelId): Promise<RunContracts> => ({
  ...(await chain.modelContracts(modelId)),
  ...chain.contracts,
  ...(await chain.distributors()),
});

function factsOf(runId: RunId, modelId: RunFacts["modelId"], chain: RunChain, definition: Definition): RunFacts {
  const fragments = definition.table.reduce((most, { fragment }) => Math.max(most, fragment + 1), 0);
  const elements = Array.from({ length: fragments }, (_, index) =>
    definition.table
      .filter(({ fragment }) => fragment === index)
      .reduce((sum, { shape }) => sum + elementsOf(shape), 0),
  );
  return {
    runId,
    modelId,
    chainId: chain.chainId,
    checkpointRegistry: chain.contracts.checkpointRegistry.toLowerCase() as Address,
    table: tableDigest(definition.table),
    elements,
    sequence: definition.sequence,
    // Anybody can compute the order of the data from the run alone.
    seed: runId,
    screening: definition.screening,
  };
}

/** The first event of a log: checkpoint 0, as registerRun anchored it. */
async function created(options: RunOptions, facts: RunFacts, modules: RunModules): Promise<Unstamped<RunCreated>> {
  const { chain, blobs } = modules;
  const heads = await chain.headsSince(facts.runId, options.fromBlock ?? 0);
  const [first] = heads;
  if (!first || first.sequence !== 0) {
    throw new UserError(
      "RUN_UNKNOWN",
      `The chain holds no checkpoint 0 of run ${facts.runId} since block ${options.fromBlock ?? 0}.`,
    );
  }
  if (heads.length > 1) {
    throw new UserError(
      "STATE_LOST",
      `Run ${facts.runId} has ${heads.length - 1} rounds on-chain, but this coordinator has no log of them: use the state directory of the coordinator that posted them.`,
    );
  }
  const manifest: CheckpointManifest = await readManifest(blobs, first.checkpointDigest);
  // Those that it was registered with, whatever one look shows: later versions are believed as any change is.
  const version = manifest.paramsVersion;
  const params = await seenTwice(chain, facts.runId, version);
  const anchored = await anchorOf(chain, facts.modelId, first);
  return {
    type: "RunCreated",
    facts,
    params: runParamsToWire(params),
    paramsVersion: version,
    checkpoint: {
      round: manifest.round,
      digest: first.checkpointDigest,
      step: manifest.step,
      tokens: Number(manifest.tokens),
      paramsVersion: manifest.paramsVersion,
      fragments: manifest.fragments,
    },
    head: first.head,
    ...anchored,
    secret: secretOf(modules),
  };
}

/**
 * Where a head stands. Its epoch is in the log for good: its time lies between that of the head before and the newest block's.
 * @throws RetryableError CHAIN_MOVED where it does not; all is read anew then
 */
export async function anchorOf(chain: RunChain, modelId: ModelId, posted: PostedHead, notBefore = 0) {
  const { transaction, block, anchoredAt } = posted;
  const now = await chain.chainTime();
  if (anchoredAt < notBefore || anchoredAt > now) {
    // A node that lags says that it is earlier than it is: for that nothing is read anew but the head itself.
    chain.forget(posted.runId, anchoredAt > now ? block : 0);
    throw new RetryableError(
      "CHAIN_MOVED",
      `The RPC says that it is ${now}, and that head ${posted.head} was anchored at ${anchoredAt}, not before ${notBefore}.`,
    );
  }
  const epoch = await chain.epochOf(modelId, anchoredAt);
  return { anchor: { transaction, block, anchoredAt, epoch }, epochEnd: await chain.epochEnd(modelId, epoch) };
}

/** Parameters of which two looks say the same. @throws RetryableError CHAIN_MOVED */
async function seenTwice(chain: RunChain, runId: RunId, version: number): Promise<RunParams> {
  const [params, again] = [await chain.paramsOf(runId, version), await chain.paramsOf(runId, version)];
  if (canonicalJson(runParamsToWire(params)) === canonicalJson(runParamsToWire(again))) return params;
  throw new RetryableError(
    "CHAIN_MOVED",
    `The RPC names two sets of parameters as version ${version} of run ${runId}.`,
  );
}

/** What the data of the next round are drawn from. */
export const secretOf = ({ secret }: RunModules): Hex => secret?.() ?? `0x${randomBytes(32).toString("hex")}`;
