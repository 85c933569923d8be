/** A deployment with a model, a run and everybody's keys, and rounds of that run made and published for real. */
import { join } from "node:path";

import { createModel, registerRun } from "@cotrain/sdk/actions";
import {
  defaultRunBounds,
  defaultRunParams,
  commitmentLeaves,
  EXACT_SEGMENT_STEPS,
  defaultScreening,
  type Ack,
  type Address,
  asDigest,
  asModelId,
  asRunId,
  type Assignment,
  type CheckpointManifest,
  codecCode,
  weightingCode,
  type ContractAddresses,
  type DataManifest,
  type Definition,
  type Digest,
  digestOfJson,
  domainFor,
  type Hex,
  hashReceipt,
  innerStepsOf,
  type ModelId,
  outcomeCode,
  type PayloadHeader,
  type Receipt,
  type ReceiptLeaf,
  type Build,
  type ReceiptsFile,
  type ScreeningFile,
  type ScreeningRules,
  receiptsRoot,
  type RunId,
  runIdOf,
  type RunParams,
  tableDigest,
  type TensorEntry,
  toWire,
  typedDataOf,
  zeroHash,
} from "@cotrain/sdk/protocol";
import {
  createPublicClient,
  createWalletClient,
  http,
  keccak256,
  type LocalAccount,
  type PublicClient,
  stringToHex,
} from "viem";
import { mnemonicToAccount, privateKeyToAccount } from "viem/accounts";

import { deploy, type DeploymentRecord, profileFor } from "../../../deploy/deployment.ts";
import { createRandom } from "../../../offchain/src/base/index.ts";
import { type HeadFields, developmentChain } from "../../../offchain/src/chain/index.ts";
import { type BlobSource, blobSourceOf, checkpointZero } from "../../../offchain/src/run/index.ts";
import {
  codecOf,
  fragmentLayouts,
  gateSample,
  gateSeed,
  type MeasuredPayload,
  measureFragment,
  mediansOf,
  parametersNorm,
  reduceFragment,
  screen,
  sourceOf,
} from "../../../offchain/src/diloco/index.ts";
import type { BlobStore, CheckpointFacts, FragmentState } from "../../../offchain/src/storage/index.ts";
import { putDocument } from "../../../offchain/src/storage/index.ts";
import { encodePayload } from "../diloco/payloads.ts";
import { endBootstrapAt } from "../../grownUp.ts";
import { writeCheckpoint } from "../storage/checkpoints.ts";
import { DROPPED, triedInVain } from "./gatePasses.ts";
import { modelOf, type WorldSettings } from "./worldSettings.ts";
import { openBlobStore } from "../../../offchain/src/storage/node/index.ts";
import { putTinyPrograms } from "../tinyPrograms.ts";

export const keyOf = (name: string): Hex => keccak256(stringToHex(`cotrain-test-${name}`));
export const accountOf = (name: string): LocalAccount => privateKeyToAccount(keyOf(name));
const lower = (account: LocalAccount): Address => account.address.toLowerCase() as Address;
const ascending = (accounts: LocalAccount[]): LocalAccount[] => accounts.sort((a, b) => (lower(a) < lower(b) ? -1 : 1));

export const poster = accountOf("poster");
export const workers = ascending([accountOf("worker-1"), accountOf("worker-2"), accountOf("worker-3")]);
export const validators = ascending([accountOf("validator-1"), accountOf("validator-2"), accountOf("validator-3")]);
const organiser = mnemonicToAccount("test test test test test test test test test test test junk");

const table = [
  { name: "embedding", shape: [40, 16], fragment: 2 },
  { name: "layer.0.weight", shape: [16, 16], fragment: 0 },
  { name: "layer.0.norm", shape: [16], fragment: 0 },
  { name: "layer.1.weight", shape: [16, 16], fragment: 1 },
  { name: "layer.1.norm", shape: [16], fragment: 1 },
  { name: "head", shape: [16, 40], fragment: 3 },
] satisfies TensorEntry[];
export const fragments = 4;

export const params: RunParams = {
  ...defaultRunParams,
  innerSteps: 8,
  rampInnerSteps: 4,
  rampRounds: 1,
  innerLrPpb: 1_000_000,
  outerLrPpm: 700_000,
  outerMomentumPpm: 700_000,
  minWorkers: 1,
  maxWorkers: 16,
  roundDeadline: 60,
  codec: codecCode["int8-b256"],
  aggregatorBps: 0,
  weighting: weightingCode.normalised,
};
/** Of the run's programs: sequences of a batch, and tokens of each. */
const [batch, sequence] = [2, 16] as const;
/** Held-out sequences; more than the gate measures. */
const heldOut = 100;

export interface World {
  readonly url: string;
  readonly chainId: number;
  readonly contracts: ContractAddresses;
  readonly deployment: DeploymentRecord;
  /** What the model's shares are sold for. */
  readonly testDollar: Address;
  readonly fromBlock: number;
  readonly modelId: ModelId;
  readonly runId: RunId;
  readonly client: PublicClient;
  readonly store: BlobStore;
  readonly blobs: BlobSource;
  readonly definition: Definition;
  readonly publisher: Publisher;
}

/** Who runs it and where: what makes ids and signatures. */
export interface Place {
  readonly chainId: number;
  readonly contracts: ContractAddresses;
  readonly runId: RunId;
}

export interface Publisher {
  readonly store: BlobStore;
  /** Newest checkpoint and its state by fragment. */
  readonly checkpoint: () => {
    readonly digest: Digest;
    readonly round: number;
    readonly states: readonly FragmentState[];
  };
  /** Trains a round (random pseudo-gradients), publishes everything; `tamper` may change what is made. */
  round(
    options?: RoundOptions,
  ): Promise<{ fields: Omit<HeadFields, "parentHead">; leaves: ReceiptLeaf[]; file: ReceiptsFile }>;
  /** Goes back to so many completed rounds. */
  back(to: number): void;
}

export interface RoundOptions {
  readonly workers?: readonly LocalAccount[];
  readonly paramsVersion?: number;
  readonly steps?: (worker: Address) => number;
  /** What becomes of a worker's payload, which is made to be so: lost, cut short, or with a scale that nobody writes. */
  readonly outcome?: (worker: Address) => number;
  /** Like `outcome`, of a payload that anybody can read. */
  readonly forgeOutcome?: (worker: Address) => number;
  /** Who is left out for the norm of one fragment: a payload of that size, or one that is merely recorded as such. */
  readonly tooLarge?: (worker: Address) => "sent" | "invented" | undefined;
  /** Nobody's work counts, by a loss of the gate that was never measured. */
  readonly forgeDiscard?: boolean;
  /** Goes on without the momentum. */
  readonly anew?: boolean;
  /** Whose payload is aggregated times 0. */
  readonly silent?: readonly Address[];
  /** Beneficiary of a worker; itself if not said. */
  readonly beneficiary?: (worker: Address) => Address;
  /** Gives all of them the same data. */
  readonly sameData?: boolean;
  /** Where the data begin that the first of them is given, those of the others after it; default where nobody's were. */
  readonly dataFrom?: number;
  /** Changes the reduced state before it is published: a forged aggregate. */
  readonly forge?: (states: FragmentState[]) => void;
  /** Changes the record of the screening before it is published. */
  readonly forgeScreening?: (file: ScreeningFile) => void;
  /** What workers are given, and sign, in place of an honest assignment. */
  readonly forgeAssignment?: (assignment: Assignment) => Assignment;
  /** What receipts name as what computed them. */
  readonly build?: Digest;
  /** Changes what the checkpoint's manifest says. */
  readonly forgeManifest?: (facts: CheckpointFacts) => CheckpointFacts;
}

const heldOutSize = { tokens: heldOut * sequence + 1, bytes: 4 * heldOut * sequence };
const split = { ...heldOutSize, shards: [{ digest: digestOfJson("tokens"), ...heldOutSize }] };
const data: DataManifest = {
  version: 1,
  source: "test",
  tokenizer: digestOfJson("tokenizer"),
  vocabulary: 40,
  train: split,
  heldOut: split,
};
const rules: ScreeningRules = { ...defaultScreening, auditOneIn: 2 };

/**
 * What stands for the held-out loss of a program in these tests, micro-bits per byte: it depends on all parameters and on the
 * sample, and training does not raise it.
 */
export function lossOf(parameters: readonly Float32Array[], sequences: readonly number[]): number {
  const size = parameters.reduce((sum, values) => values.reduce((part, value) => part + Math.abs(value), sum), 0);
  return 2_000_000 + Math.round(1_000 * size) + sequences.reduce((sum, index, i) => sum + index * (i + 1), 0);
}

/** Checkpoint 0 with random parameters. */
export async function createInitial(store: BlobStore, runId: RunId) {
  const random = createRandom("initial");
  const states: FragmentState[] = fragmentLayouts(table).map(({ elements }) => ({
    params: Float32Array.from({ length: elements }, () => Math.fround(random.normal() * 0.1)),
    outer: new Float32Array(elements),
  }));
  const checkpoint = await writeCheckpoint(store, table, states, checkpointZero(runId));
  const definition: Definition = {
    version: 1,
    model: { kind: "test" },
    tokenizer: digestOfJson("tokenizer"),
    data: await putDocument(store, data),
    innerOptimizer: { kind: "adamw", beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0, clipNorm: 1 },
    schedule: { kind: "warmup-constant", warmupSteps: 10, freshWarmupSteps: 10 },
    sequence,
    table,
    initialParameters: digestOfJson(checkpoint.manifest.fragments.map(({ digest }) => digest)),
    screening: rules,
  };
  const build: Build = {
    version: 1,
    definition: await putDocument(store, definition),
    graphs: await putTinyPrograms(store, { microBatch: batch }, definition),
    microBatch: batch,
    precision: "fp32",
    runtime: "test",
    deviceClass: "test",
    segmentSteps: EXACT_SEGMENT_STEPS,
    conformance: digestOfJson("conformance"),
  };
  return {
    build: await putDocument(store, build),
    definition,
    states,
    digest: checkpoint.digest,
    manifest: checkpoint.manifest,
  };
}

/** The fragment that is spoilt where a payload is. */
export const UNREADABLE = 2;

/** A fragment's bytes as they must be for an outcome. */
function spoiltBy(outcome: number, bytes: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (outcome === outcomeCode.payloadMalformed) return bytes.slice(1);
  if (outcome === outcomeCode.nonFinite) new DataView(bytes.buffer).setFloat32(0, -1, true);
  return bytes;
}

interface ScreenedRound {
  readonly round: number;
  readonly paramsVersion: number;
  readonly measured: readonly MeasuredPayload[];
  readonly leaves: readonly ReceiptLeaf[];
  readonly past: readonly ScreeningFile[];
  readonly discarded: boolean;
  readonly build: Digest;
  /** Parameters by fragment, before the round and after it. */
  readonly before: readonly Float32Array[];
  readonly after: readonly Float32Array[];
}

/** What the machine that measures the gate computes as. */
export const conformance = asDigest(`0x${"c1".repeat(32)}`);

/** The record of a round whose aggregate stood at once, or was discarded with nobody to blame. */
function screeningOf(
  runId: RunId,
  { round, paramsVersion, measured, leaves, past, ...made }: ScreenedRound,
): ScreeningFile {
  const { aggregatorBps, innerLrPpb } = params;
  const elements = fragmentLayouts(table).map((layout) => layout.elements);
  const theta = made.before.map(parametersNorm);
  const input = { rules, round, aggregatorBps, innerLrPpb, theta, elements, payloads: measured, past };
  const { discarded } = made;
  const workers = screen(input).map((entry) =>
    discarded && entry.outcome === 0 ? { ...entry, outcome: outcomeCode.roundDiscarded } : entry,
  );
  const hashes = leaves.toSorted((a, b) => (a.worker < b.worker ? -1 : 1)).map(({ receiptHash }) => receiptHash);
  const left = workers.filter(({ outcome }) => outcome === 0 || outcome === outcomeCode.roundDiscarded).length;
  const seed = gateSeed(runId, round, hashes);
  const sequences = gateSample(seed, heldOut, rules.gateSequences, batch);
  return {
    version: 1,
    runId,
    round,
    paramsVersion,
    innerLrPpb,
    theta,
    workers,
    medians: mediansOf(workers, elements.length),
    gate: {
      seed,
      build: made.build,
      conformance,
      sequences,
      before: left > 0 && !discarded ? lossOf(made.before, sequences) : null,
      passes:
        left > 0
          ? discarded
            ? [DROPPED, { ...DROPPED, tried: triedInVain(left) }]
            : [{ after: lossOf(made.after, sequences), tried: [], leftOut: [] }]
          : [],
    },
  };
}

export function createPublisher(
  store: BlobStore,
  place: Place,
  { build, ...zero }: { digest: Digest; states: FragmentState[]; manifest: CheckpointManifest; build: Digest },
  by: LocalAccount = poster,
): Publisher {
  let current = { ...zero, round: 0 };
  let assignmentId = 0;
  let [step, tokensTrained] = [0, 0n];
  const domain = domainFor(place.chainId, place.contracts.runRegistry);
  const layouts = fragmentLayouts(table);

  const screenings: ScreeningFile[] = [];
  const stood = [{ current, step, tokensTrained }];

  return {
    store,
    checkpoint: () => current,
    back: (to) => {
      screenings.splice(0, current.round - to);
      ({ current, step, tokensTrained } = stood[to]!);
    },
    round: async (options = {}) => {
      const paramsVersion = options.paramsVersion ?? 1;
      const { round } = current;
      const random = createRandom(`round-${round}`);
      const entries: ReceiptsFile["receipts"] = [];
      const leaves: ReceiptLeaf[] = [];
      const payloads: { worker: Address; tokens: number; steps: number; fragments: Uint8Array[] }[] = [];
      const measured: MeasuredPayload[] = [];
      for (const [nth, account] of (options.workers ?? workers).entries()) {
        const worker = lower(account);
        const from = options.dataFrom === undefined ? assignmentId + 1 : options.dataFrom + nth;
        const steps = options.steps?.(worker) ?? innerStepsOf(params, round);
        assignmentId += 1;
        const honest: Assignment = {
          version: 1,
          runId: place.runId,
          round,
          worker,
          assignmentId,
          attempt: 0,
          steps,
          batch,
          sequence,
          ranges: [{ start: options.sameData ? 0 : from * 1_000, count: steps * batch }],
          seed: place.runId,
          base: current.digest,
          paramsVersion,
          globalStep: step,
          innerLrPpb: params.innerLrPpb,
          codec: params.codec,
        };
        const assignment = options.forgeAssignment?.(honest) ?? honest;
        const spoilt = options.outcome?.(worker) ?? 0;
        const tooLarge = options.tooLarge?.(worker);
        const encoded = layouts.map(({ elements }, fragment) => {
          const scale = tooLarge === "sent" && fragment === UNREADABLE ? 100 : 0.01;
          const delta = Float32Array.from({ length: elements }, () => Math.fround(random.normal() * scale));
          const { bytes } = encodePayload(params.codec, delta);
          return fragment === UNREADABLE ? spoiltBy(spoilt, bytes) : bytes;
        });
        const stored = [];
        for (const bytes of encoded) stored.push(await store.put(bytes));
        const header: PayloadHeader = {
          version: 1,
          runId: place.runId,
          round,
          worker,
          codec: params.codec,
          table: tableDigest(table),
          fragments: stored.map(({ digest }, index) => ({
            index,
            base: current.manifest.fragments[index]!.digest,
            elements: layouts[index]!.elements,
            bytes: codecOf(params.codec).encodedLength(layouts[index]!.elements),
            digest,
          })),
        };
        if (spoilt === outcomeCode.payloadMissing) await store.delete(stored[UNREADABLE]!.digest);
        const tokens = BigInt(steps) * BigInt(assignment.batch) * BigInt(assignment.sequence);
        const receipt: Receipt = {
          runId: place.runId,
          round: BigInt(round),
          worker,
          beneficiary: options.beneficiary?.(worker) ?? worker,
          assignmentId: BigInt(assignmentId),
          attempt: 0,
          assignment: digestOfJson(assignment),
          steps,
          paramsVersion,
          build: options.build ?? build,
          baseDigest: current.digest,
          commitment: digestOfJson("commitment"),
          leaves: commitmentLeaves(steps, EXACT_SEGMENT_STEPS),
          payloadDigest: await putDocument(store, header),
        };
        const receiptHash = hashReceipt(receipt);
        const ack: Ack = {
          runId: place.runId,
          round: BigInt(round),
          worker,
          receiptHash,
          tokens,
          acceptedAt: 1_700_000_000_000n + BigInt(entries.length),
        };
        // Of what can be read: the rest has no measure.
        const unreadable = options.forgeOutcome?.(worker) ?? spoilt;
        const leftOut = options.forgeDiscard ? outcomeCode.roundDiscarded : 0;
        const outcome = tooLarge ? outcomeCode.normTooLarge : unreadable || leftOut;
        entries.push({
          receipt: toWire("Receipt", receipt),
          signature: await account.signTypedData(typedDataOf(domain, "Receipt", receipt)),
          ack: toWire("Ack", ack),
          ackSignature: await by.signTypedData(typedDataOf(domain, "Ack", ack)),
          assignment,
          tokens: tokens.toString(),
          outcome,
        });
        const parts = [];
        for (const [index, bytes] of unreadable === 0 ? encoded.entries() : []) {
          const { elements } = layouts[index]!;
          const seen = await measureFragment(params.codec, sourceOf(bytes), elements, index);
          const invented = tooLarge === "invented" && index === UNREADABLE ? { norm: 0x7f00_0000 } : {};
          parts.push({ digest: stored[index]!.digest, ...seen, ...invented });
        }
        measured.push({
          worker,
          steps,
          acceptedAt: Number(ack.acceptedAt),
          outcome: unreadable,
          ...(unreadable === 0 ? {} : { unreadable: UNREADABLE }),
          fragments: parts,
        });
        leaves.push({ receiptHash, worker, beneficiary: receipt.beneficiary, tokens, outcome });
        if (outcome === 0) payloads.push({ worker, tokens: Number(tokens), steps, fragments: encoded });
        tokensTrained += outcome === 0 ? tokens : 0n;
      }
      step += innerStepsOf(params, round);
      const states: FragmentState[] = [];
      for (const [index, state] of current.states.entries()) {
        const after = await reduceFragment({
          state,
          payloads: payloads.map(({ worker, tokens, steps, fragments: parts }) => ({
            worker,
            tokens,
            steps,
            source: sourceOf(parts[index]!),
            clipPpm: options.silent?.includes(worker) ? 0 : 1_000_000,
          })),
          rules: params,
          round,
          anew: options.anew ?? false,
        });
        states.push(after);
      }
      options.forge?.(states);
      const file: ReceiptsFile = { version: 1, runId: place.runId, round, receipts: entries };
      const screening = screeningOf(place.runId, {
        round,
        paramsVersion,
        measured,
        leaves,
        past: screenings,
        discarded: options.forgeDiscard ?? false,
        build,
        before: current.states.map((state) => state.params),
        after: states.map((state) => state.params),
      });
      options.forgeScreening?.(screening);
      screenings.unshift(screening);
      const facts: CheckpointFacts = {
        runId: place.runId,
        round: round + 1,
        step,
        tokens: tokensTrained.toString(),
        paramsVersion,
        parent: current.digest,
        receipts: await putDocument(store, file),
        screening: await putDocument(store, screening),
      };
      const checkpoint = await writeCheckpoint(store, table, states, options.forgeManifest?.(facts) ?? facts);
      current = { digest: checkpoint.digest, round: round + 1, states, manifest: checkpoint.manifest };
      stood[round + 1] = { current, step, tokensTrained };
      return {
        fields: {
          runId: place.runId,
          round: round + 1,
          paramsVersion,
          checkpointDigest: checkpoint.digest,
          receiptsRoot: receiptsRoot(leaves),
        },
        leaves,
        file,
      };
    },
  };
}

/**
 * Deploys, creates a model of three validators and registers a run. The node must mine on demand meanwhile, or it takes long.
 * @param settings what of its model is not as in a local run
 */
export async function createWorld(url: string, directory: string, settings: WorldSettings = {}): Promise<World> {
  const transport = http(url);
  const client = createPublicClient({ transport, pollingInterval: 20, cacheTime: 0 });
  const walletClient = createWalletClient({ account: organiser, transport, pollingInterval: 20 });
  const chainId = await client.getChainId();
  await developmentChain(url).fund([poster, ...workers, ...validators].map(lower));
  const deployment = await deploy({ walletClient, publicClient: client, profile: "local" });
  const addresses = deployment.addresses as ContractAddresses;
  const sync = { addresses, account: organiser, pollingInterval: 20 } as const;
  const created = await createModel.sync(client, {
    ...sync,
    salt: zeroHash,
    config: {
      ...modelOf(profileFor("local", chainId).model, settings),
      // A cent a share at the least for ever, and two at first; an epoch brings in a dollar or is paid back.
      capital: { token: deployment.testDollar!, priceFloor: 10_000n, price: 20_000n, minimum: 1_000_000n },
      name: "Test",
      symbol: "TEST",
      uri: "",
      organiser: organiser.address,
      validators: validators.map(lower),
      threshold: 2,
    },
  });
  const modelId = asModelId(created.event.modelId);
  if (!settings.young) await endBootstrapAt(client, client.request, { addresses, modelId });
  const store = await openBlobStore(join(directory, "blobs"));
  const runId = asRunId(runIdOf(BigInt(chainId), addresses.runRegistry, modelId, zeroHash));
  const initial = await createInitial(store, runId);
  await registerRun.sync(client, {
    ...sync,
    modelId,
    salt: zeroHash,
    config: {
      definition: digestOfJson(initial.definition),
      initialCheckpoint: initial.digest,
      fragments: settings.fragments ?? fragments,
      poster: poster.address,
      builds: [initial.build],
      params,
      min: { ...params, innerSteps: fragments, rampInnerSteps: 0, rampRounds: 0, outerLrPpm: 0, outerMomentumPpm: 0 },
      max: {
        ...params,
        innerSteps: 4_096,
        rampInnerSteps: 4_096,
        rampRounds: 1_000,
        outerLrPpm: 2_000_000,
        outerMomentumPpm: 999_999,
        admission: defaultRunBounds.max.admission,
        minStake: defaultRunBounds.max.minStake,
      },
    },
  });
  return {
    url,
    chainId,
    contracts: addresses,
    deployment,
    testDollar: deployment.testDollar!,
    fromBlock: Math.min(...Object.values(deployment.blocks)),
    modelId,
    runId,
    client,
    store,
    blobs: blobSourceOf(store),
    definition: initial.definition,
    publisher: createPublisher(store, { chainId, contracts: addresses, runId }, initial),
  };
}
