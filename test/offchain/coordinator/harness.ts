/** A coordinator over a tiny run, a chain in memory and a clock that stands; workers that send what a test tells them. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import {
  defaultScreening,
  type Address,
  type Assignment,
  asDigest,
  type Attestation,
  commitmentLeaves,
  EXACT_SEGMENT_STEPS,
  type CoordinatorClient,
  type Definition,
  type Digest,
  digestOfJson,
  domainFor,
  fromWire,
  hashReceipt,
  type Hex,
  leaseOfPass,
  type ModelId,
  type PayloadHeader,
  type Build,
  type Receipt,
  type ReceiptReply,
  type ReceiptRequest,
  type RunId,
  type RunParams,
  type ScreeningRules,
  type SignedPass,
  type StructName,
  type Struct,
  type TensorEntry,
  toWire,
  typedDataOf,
  type Verdict,
  type WorkReply,
  zeroHash,
  defaultRunParams,
} from "@cotrain/sdk/protocol";
import { type PrivateKeyAccount, privateKeyToAccount } from "viem/accounts";

import { createRandom, sha256Bytes } from "../../../offchain/src/base/index.ts";
import { createManualClock, type ManualClock } from "../manualClock.ts";
import {
  type Coordinator,
  type CoordinatorModules,
  type CoordinatorOptions,
  coordinatorMigrations,
  type CoordinatorSchema,
  createCoordinator,
  type GateMeter,
  type Run,
  statusByCode,
} from "../../../offchain/src/coordinator/index.ts";
import { encodePayload } from "../diloco/payloads.ts";
import { checkpointZero } from "../../../offchain/src/run/index.ts";
import {
  createHttpServer,
  createMetrics,
  eventLogMigrations,
  type Database,
  type HttpApp,
  type Logger,
  openDatabase,
  silentLogger,
} from "../../../offchain/src/service/index.ts";
import { type BlobStore, type FragmentState, putDocument } from "../../../offchain/src/storage/index.ts";
import { writeCheckpoint } from "../storage/checkpoints.ts";
import { openBlobStore } from "../../../offchain/src/storage/node/index.ts";
import { contracts } from "../contracts.ts";
import { createFakeChain, type FakeChain } from "./fakeChain.ts";
import { clientOf } from "./injected.ts";

export const START = 1_790_000_000_000;
export const runId = `0x${"b1".repeat(32)}` as RunId;
const modelId = `0x${"b2".repeat(32)}` as ModelId;
export const OPERATOR = "operator-token-of-the-tests";
export const domain = domainFor(31_337, contracts.runRegistry);
const rewardsDomain = domainFor(31_337, contracts.computeRewards);

const account = (byte: string): PrivateKeyAccount => privateKeyToAccount(`0x${byte.repeat(32)}`);
export const poster = account("11");
export const validators = [account("21"), account("22"), account("23")];
export const lower = (value: string): Address => value.toLowerCase() as Address;

/** The first fragment's payload is as long as the third's shard. */
export const ELEMENTS = [264, 256, 10, 700];
const tableOf = (sizes: readonly number[]) =>
  sizes.map((elements, fragment) => ({ name: `t${fragment}`, shape: [elements], fragment }));
export const table: TensorEntry[] = tableOf(ELEMENTS);

export const params: RunParams = {
  ...defaultRunParams,
  innerSteps: 8,
  rampInnerSteps: 4,
  rampRounds: 1,
  innerLrPpb: 2_000_000,
  outerLrPpm: 700_000,
  outerMomentumPpm: 700_000,
  minWorkers: 2,
  maxWorkers: 4,
  roundDeadline: 60,
  codec: 1,
  aggregatorBps: 0,
};

export async function sign<N extends StructName>(
  signer: PrivateKeyAccount,
  name: N,
  struct: Struct<N>,
  where = domain,
): Promise<Hex> {
  return lower(await signer.signTypedData(typedDataOf(where, name, struct)));
}

/** Lets everything that can run without time passing run. */
export async function until(holds: () => boolean | Promise<boolean>, what = "the condition"): Promise<void> {
  const end = Date.now() + 120_000;
  while (!(await holds())) {
    if (Date.now() > end) throw new NotInTime(what);
    await new Promise((resolve) => {
      setTimeout(resolve, 1);
    });
  }
}
/** Turns of the event loop without anything under way on a disk, after which nothing is expected to come of itself. */
const QUIET_TURNS = 8;

/** Lets what was woken come to its end, however long disks take on a busy machine: time stands until then. */
async function rest(): Promise<void> {
  for (let quiet = 0; quiet < QUIET_TURNS;) {
    await new Promise((resolve) => {
      setTimeout(resolve, 1);
    });
    quiet = process.getActiveResourcesInfo().some((resource) => resource.startsWith("FSReq")) ? 0 : quiet + 1;
  }
}

/** Moves time on, second by second, and lets what it wakes run, until something holds. */
export async function elapse(harness: Harness, holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  await until(async () => {
    if (await holds()) return true;
    await harness.clock.advance(1_000);
    await rest();
    return holds();
  }, what);
}

class NotInTime extends Error {
  constructor(what: string) {
    super(`${what} did not come about within 120 s`);
  }
}

export interface Harness {
  readonly directory: string;
  readonly clock: ManualClock;
  readonly chain: FakeChain;
  readonly blobs: BlobStore;
  readonly build: Digest;
  /** What the registry admits. */
  readonly admitted: Digest[];
  readonly run: Run;
  readonly app: HttpApp;
  readonly database: Database<CoordinatorSchema>;
  readonly client: CoordinatorClient;
  /** sha256 of the state. */
  digest(): Digest;
  worker(byte: string, over?: WorkerOptions): TestWorker;
  /** Ends this coordinator without a word and opens the next one on the same files. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

interface WorkerOptions {
  readonly beneficiary?: Address;
  /** The address its requests come from; default this machine. */
  readonly from?: string;
  /** What it says of its pace when it joins, µs per inner step. */
  readonly stepMicros?: number;
  /** Whether it asks the coordinator to claim. */
  readonly claim?: boolean;
}

export interface HarnessOptions {
  /** The run is one that is over, beside the one that goes on; looked at anew at each start. */
  readonly earlier?: boolean | undefined;
  /** What the definition says of the model beside its kind. */
  readonly model?: Definition["model"];
  /** Held-out loss in bits per byte of the parameters by fragment; by default how far they are from the first. */
  readonly loss?: (fragments: readonly Float32Array[]) => number;
  readonly retention?: CoordinatorOptions["retention"];
  readonly params?: Partial<RunParams>;
  /** Of the definition; default {@link defaultScreening}. */
  readonly screening?: Partial<ScreeningRules>;
  /** Share wei from which on it claims for who asked; default for nobody. */
  readonly claimFrom?: bigint;
  /** Default: one that says nothing. */
  readonly logger?: Logger;
  readonly behindProxy?: string;
  readonly forgiven?: number;
  /** Of each fragment; default `ELEMENTS`. */
  readonly elements?: readonly number[];
  /** Its programs are none: whoever reads them finds that. Default: nobody does. */
  readonly readsPrograms?: boolean;
  /** Seeds what the data of each round are drawn from. */
  readonly secret?: string;
  /** Where the coordinator's files lie; default a temporary directory. */
  readonly parent?: string;
  /** Whose rented machines may join; default the poster's. */
  readonly renters?: readonly Address[];
  /** What rented machines are served; default nothing. */
  readonly software?: CoordinatorModules["software"];
  /** Changes the chain before the coordinator asks it anything. */
  readonly chain?: (chain: FakeChain) => void;
}

const initialValue = (i: number): number => Math.fround(i / 100);
const distance = (fragments: readonly Float32Array[]): number =>
  1 +
  fragments
    .flatMap((values) => [...values].map((value, i) => (value - initialValue(i)) ** 2))
    .reduce((a, b) => a + b, 0) /
    ELEMENTS.reduce((sum, elements) => sum + elements, 0);

/** What the run's program is elsewhere: a loss of the parameters. */
const gateOf = (loss: NonNullable<HarnessOptions["loss"]>): GateMeter => ({
  describe: async () => ({ build: zeroHash, conformance: zeroHash, batch: 2, available: 100 }),
  loss: async (fragments) => {
    const value = Math.round(1_000_000 * loss(fragments));
    return Number.isSafeInteger(value) ? value : null;
  },
  close: async () => undefined,
});

export async function openHarness(options: HarnessOptions = {}): Promise<Harness> {
  const directory = await mkdtemp(join(options.parent ?? tmpdir(), "cotrain-coordinator-"));
  const clock = createManualClock(START);
  const blobs = await openBlobStore(join(directory, "blobs"));
  const publish = (document: unknown): Promise<Digest> => putDocument(blobs, document);
  const sizes = options.elements ?? ELEMENTS;
  const initial: FragmentState[] = sizes.map((elements) => ({
    params: Float32Array.from({ length: elements }, (_, i) => initialValue(i)),
    outer: new Float32Array(elements),
  }));
  const definition: Definition = {
    version: 1,
    model: { kind: "test", ...options.model },
    tokenizer: zeroHash,
    data: zeroHash,
    innerOptimizer: { kind: "adamw", beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, clipNorm: 1 },
    schedule: { kind: "warmup-constant", warmupSteps: 4, freshWarmupSteps: 2 },
    sequence: 16,
    table: tableOf(sizes),
    initialParameters: zeroHash,
    screening: { ...defaultScreening, ...options.screening },
  };
  const definitionDigest = await publish(definition);
  const { digest: program } = await blobs.put(new TextEncoder().encode("what stands for its programs"));
  const build: Build = {
    version: 1,
    definition: definitionDigest,
    graphs: { step: program, eval: program, logits: program },
    microBatch: 2,
    precision: "fp32",
    runtime: "test",
    deviceClass: "exact-test",
    segmentSteps: EXACT_SEGMENT_STEPS,
    conformance: `0x${"c0".repeat(32)}`,
  };
  const buildDigest = await publish(build);
  const { digest: checkpoint } = await writeCheckpoint(blobs, definition.table, initial, checkpointZero(runId));
  const admitted = [buildDigest];
  const chain = createFakeChain({
    clock,
    runId,
    modelId,
    definition: definitionDigest,
    builds: admitted,
    checkpoint,
    fragments: sizes.length,
    poster: lower(poster.address),
    validators: validators.map((validator) => lower(validator.address)).toSorted(),
    params: { ...params, ...options.params },
  });
  options.chain?.(chain);

  const secrets = createRandom(options.secret ?? "what the data of each round are drawn from");
  const secret = (): Hex => `0x${Buffer.from(secrets.bytes(32)).toString("hex")}`;

  async function open() {
    const logger = options.logger ?? silentLogger();
    const database = await openDatabase<CoordinatorSchema>(
      join(directory, "coordinator.sqlite"),
      [...eventLogMigrations, ...coordinatorMigrations],
      { clock, logger },
    );
    const metrics = await createMetrics({ process: false });
    const coordinator: Coordinator = await createCoordinator(
      {
        runs: [
          {
            runId,
            ...(options.forgiven !== undefined && { forgiven: options.forgiven }),
            ...(options.renters && { renters: options.renters }),
            ...(options.earlier && { earlier: true }),
          },
        ],
        operatorToken: OPERATOR,
        ...(options.retention && { retention: options.retention }),
        claimFrom: options.claimFrom,
        presence: { heartbeatSeconds: 1, silentAfter: 5_000, evictAfter: 15_000 },
      },
      {
        chain,
        blobs,
        database,
        poster,
        logger,
        metrics,
        clock,
        secret,
        conflicts: join(directory, "conflicts"),
        gate: () => gateOf(options.loss ?? distance),
        ...(options.software && { software: options.software }),
        ...(!options.readsPrograms && { problemOf: async () => "" }),
      },
    );
    const app = await createHttpServer({
      logger,
      title: "test",
      version: "1",
      metrics,
      statusByCode,
      paused: coordinator.paused,
      behindProxy: options.behindProxy,
    });
    await coordinator.api(app);
    coordinator.start();
    await app.ready();
    return { database, coordinator, app, run: coordinator.runs.get(runId)! };
  }
  let opened = await open();
  // Sessions outlive a coordinator, as those of real workers do.
  const client = clientOf(() => opened.app);

  const harness: Harness = {
    directory,
    clock,
    chain,
    blobs,
    build: buildDigest,
    admitted,
    get run() {
      return opened.run;
    },
    get app() {
      return opened.app;
    },
    get database() {
      return opened.database;
    },
    client,
    digest: () => digestOfJson(opened.run.driver.state),
    worker: (byte, over) => createWorker(harness, account(byte), over),
    restart: async () => {
      // The database goes first: what a killed process had not written stays unwritten.
      await opened.database.close();
      await opened.coordinator.stop().catch(() => undefined);
      await opened.app.close();
      opened = await open();
    },
    close: async () => {
      const closing = opened.coordinator.stop();
      await opened.app.close();
      await closing;
      await opened.database.close();
      // What an aborted effect was writing may still land.
      await rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 });
    },
  };
  return harness;
}

export interface Prepared {
  readonly assignment: Assignment;
  readonly payloads: Uint8Array<ArrayBuffer>[];
  readonly header: PayloadHeader;
  readonly receipt: Receipt;
}

export interface TestWorker {
  readonly account: PrivateKeyAccount;
  readonly address: Address;
  readonly beneficiary: Address;
  join(change?: Partial<Struct<"Join">>, signer?: PrivateKeyAccount, pass?: SignedPass): Promise<void>;
  /** Joins as a rented machine does. */
  joinBy(pass: SignedPass): Promise<void>;
  readonly session: ReturnType<CoordinatorClient["session"]>;
  readonly sessionKey: Hex;
  /** Asks from the worker's address, under no session. */
  readonly client: CoordinatorClient;
  work(waitSeconds?: number): Promise<WorkReply>;
  /** Waits for an assignment. */
  assigned(): Promise<Assignment>;
  /** Honest payloads, header and receipt of an assignment. */
  prepare(assignment: Assignment): Prepared;
  upload(prepared: Prepared): Promise<void>;
  submit(prepared: Prepared, signer?: PrivateKeyAccount): Promise<ReceiptReply>;
  /** A whole round, honestly. */
  train(): Promise<{ prepared: Prepared; reply: ReceiptReply }>;
}

function createWorker(harness: Harness, signer: PrivateKeyAccount, over: WorkerOptions = {}): TestWorker {
  const address = lower(signer.address);
  const beneficiary = over.beneficiary ?? `0x${address.slice(2, 4).repeat(20)}`;
  const client = clientOf(() => harness.app, over.from);
  let session: ReturnType<CoordinatorClient["session"]> | undefined;
  let sessionKey: Hex | undefined;
  let lastIssuedAt = 0;
  const worker: TestWorker = {
    account: signer,
    address,
    beneficiary,
    join: async (change = {}, by = signer, pass?: SignedPass) => {
      lastIssuedAt = Math.max(harness.clock.now(), lastIssuedAt + 1);
      const join: Struct<"Join"> = {
        runId,
        worker: address,
        beneficiary,
        lease: zeroHash,
        build: harness.build,
        conformance: `0x${"c0".repeat(32)}`,
        protocolMin: 1,
        protocolMax: 1,
        issuedAt: BigInt(lastIssuedAt),
        ...change,
      };
      const reply = await client.join(join.runId as RunId, {
        join: toWire("Join", join),
        signature: await sign(by, "Join", join),
        ...(pass !== undefined && { pass }),
        ...(over.stepMicros !== undefined && { stepMicros: over.stepMicros }),
        ...(over.claim !== undefined && { claim: over.claim }),
      });
      sessionKey = reply.sessionKey;
      session = client.session(runId, address, sessionKey);
    },
    joinBy: (pass) => worker.join({ lease: leaseOfPass(pass), beneficiary: pass.pass.beneficiary }, signer, pass),
    client,
    get sessionKey() {
      if (!sessionKey) throw new NotInTime("a session");
      return sessionKey;
    },
    get session() {
      if (!session) throw new NotInTime("a session");
      return session;
    },
    work: (waitSeconds = 0) => worker.session.work({ waitSeconds }),
    assigned: async () => {
      let reply: WorkReply | undefined;
      await until(async () => {
        reply = await worker.work();
        return reply.kind === "train";
      }, `work for ${address}`);
      if (reply?.kind !== "train") throw new NotInTime("work");
      return reply.assignment;
    },
    prepare: (assignment) => {
      const state = harness.run.driver.state;
      // No two alike, and none like one of an earlier round, or of the same round before the run went back.
      const random = createRandom(`${address}/${assignment.round}/${assignment.assignmentId}`);
      const { elements: sizes } = state.facts;
      const payloads = sizes.map((elements) => {
        const delta = Float32Array.from({ length: elements }, () => Math.fround(random.normal() / 200));
        return encodePayload(assignment.codec, delta).bytes;
      });
      const header: PayloadHeader = {
        version: 1,
        runId,
        round: assignment.round,
        worker: address,
        codec: assignment.codec,
        table: state.facts.table,
        fragments: payloads.map((bytes, index) => ({
          index,
          base: state.checkpoint.fragments[index]!.digest,
          elements: sizes[index]!,
          bytes: bytes.length,
          digest: sha256Bytes(bytes),
        })),
      };
      const receipt: Receipt = {
        runId,
        round: BigInt(assignment.round),
        worker: address,
        beneficiary,
        assignmentId: BigInt(assignment.assignmentId),
        attempt: assignment.attempt,
        assignment: digestOfJson(assignment),
        steps: assignment.steps,
        paramsVersion: assignment.paramsVersion,
        build: harness.build,
        baseDigest: assignment.base,
        commitment: `0x${"cc".repeat(32)}`,
        leaves: commitmentLeaves(assignment.steps, EXACT_SEGMENT_STEPS),
        payloadDigest: digestOfJson(header),
      };
      return { assignment, payloads, header, receipt };
    },
    upload: async ({ assignment, payloads }) => {
      for (const [index, bytes] of payloads.entries()) {
        await worker.session.uploadFragment(
          assignment.assignmentId,
          assignment.attempt,
          index,
          bytes,
          sha256Bytes(bytes),
        );
      }
    },
    submit: async ({ receipt, header }, by = signer) =>
      worker.session.submitReceipt(await requestOf(receipt, header, by)),
    train: async () => {
      const prepared = worker.prepare(await worker.assigned());
      await worker.upload(prepared);
      return { prepared, reply: await worker.submit(prepared) };
    },
  };
  return worker;
}

export async function requestOf(
  receipt: Receipt,
  header: PayloadHeader,
  signer: PrivateKeyAccount,
): Promise<ReceiptRequest> {
  return { receipt: toWire("Receipt", receipt), signature: await sign(signer, "Receipt", receipt), header };
}

/** A verdict about a head of the journal. */
export async function verdictOf(harness: Harness, validator: PrivateKeyAccount, change: Partial<Verdict>) {
  const entry = harness.run.driver.state.heads.at(-1)!;
  const verdict: Verdict = {
    runId,
    round: BigInt(Math.max(0, entry.round - 1)),
    head: entry.head,
    validator: lower(validator.address),
    kind: 4,
    worker: `0x${"0".repeat(40)}`,
    // How many held-out sequences were measured.
    index: 64,
    value: 2_000_000n,
    evidence: zeroHash,
    issuedAt: BigInt(harness.clock.now()),
    ...change,
  };
  return { verdict: toWire("Verdict", verdict), signature: await sign(validator, "Verdict", verdict) };
}

export async function attest(harness: Harness, validator: PrivateKeyAccount): Promise<void> {
  const { epochs } = await harness.client.epochs(runId);
  const epoch = epochs.findLast(({ state }) => state === "collecting")!;
  const attestation: Attestation = fromWire("Attestation", epoch.attestation);
  await harness.client.submitAttestation(runId, epoch.epoch, {
    epochDigest: asDigest(epoch.manifest),
    validator: lower(validator.address),
    signature: await sign(validator, "Attestation", attestation, rewardsDomain),
  });
}

export const hashOf = (receipt: Receipt): Hex => hashReceipt(receipt);

/** A run, and two workers that have joined it. */
export async function openPair(
  options?: HarnessOptions,
): Promise<{ readonly harness: Harness; readonly workers: [TestWorker, TestWorker] }> {
  const harness = await openHarness(options);
  const workers: [TestWorker, TestWorker] = [harness.worker("31"), harness.worker("32")];
  for (const worker of workers) await worker.join();
  return { harness, workers };
}

/** Workers train the first round, and the epoch in which its head is anchored passes. */
export async function trainFirstEpoch(harness: Harness, workers: readonly TestWorker[]): Promise<void> {
  for (const worker of workers) await worker.train();
  await until(() => harness.chain.heads.length === 2, "the anchor");
  await harness.clock.advance(17_000);
}

/** Lets the first epoch end, be signed by two validators, and become active. */
export async function settleFirstEpoch(harness: Harness): Promise<void> {
  const attested = async (): Promise<boolean> => (await harness.client.epochs(runId)).epochs[0]?.state === "collecting";
  await elapse(harness, attested, "the epoch");
  for (const validator of validators.slice(0, 2)) await attest(harness, validator);
  await elapse(harness, () => harness.run.driver.state.settledEpoch === 1, "the activation");
}
