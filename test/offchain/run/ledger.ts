/** A chain in memory, as far as an epoch's accounts read it: for arithmetic that needs thousands of chains. */
import {
  type Address,
  asDigest,
  asHead,
  asModelId,
  asRunId,
  canonicalJson,
  type ContractAddresses,
  digestOfJson,
  type ReceiptLeaf,
  type RunId,
  sha256,
  zeroHash,
  structHash,
} from "@cotrain/sdk/protocol";
import { stringToBytes } from "viem";

import { InternalError } from "../../../offchain/src/base/index.ts";
import { params } from "../chain/world.ts";
import type {
  ChainReader,
  ModelSchedule,
  PostedHead,
  PostedRoot,
  SignedRoot,
  RootView,
} from "../../../offchain/src/chain/index.ts";
import {
  type BlobSource,
  type EpochComputation,
  type EpochModules,
  standingHeads,
} from "../../../offchain/src/run/index.ts";

const hash = (text: string): `0x${string}` => digestOfJson(text);
export const modelId = asModelId(hash("model"));
export const runs = [asRunId(hash("run-1")), asRunId(hash("run-2"))] as const;
const addressOf = (name: string): Address => `0x${hash(name).slice(2, 42)}`;
export const accounts = [addressOf("a"), addressOf("b"), addressOf("c"), addressOf("d")] as const;

export const contracts: ContractAddresses = {
  modelRegistry: addressOf("modelRegistry"),
  runRegistry: addressOf("runRegistry"),
  checkpointRegistry: addressOf("checkpointRegistry"),
  validatorSet: addressOf("validatorSet"),
  emission: addressOf("emission"),
  computeRewards: addressOf("computeRewards"),
};

interface LedgerHead {
  readonly run?: number;
  readonly anchoredAt: number;
  readonly paramsVersion?: number;
  /** The one after the head before unless said: lower for a rollback. */
  readonly round?: number;
  /** Of a rollback: a checkpoint that the run does not have. */
  readonly astray?: boolean;
  readonly receipts: readonly {
    readonly account: Address;
    readonly tokens: bigint;
    readonly outcome?: number;
    /** Its own unless said. */
    readonly receiptHash?: `0x${string}`;
  }[];
}

export interface Ledger {
  readonly schedule: ModelSchedule;
  now: number;
  heads: PostedHead[];
  /** Budget of an epoch. */
  budget: (epoch: number) => bigint;
  /** Versions of the parameters by the time from which they are in force. */
  versions: { readonly from: number; readonly version: number }[];
  /** Hash of a block; undefined when it is still to come. */
  blockHash: (block: number) => `0x${string}` | undefined;
  /** Seconds, by version. */
  roundDeadline: (version: number) => number;
  active: RootView | undefined;
  pending: SignedRoot | undefined;
  ageJudgedAt: number | undefined;
  readonly roots: PostedRoot[];
  validators: Address[];
  readonly modules: EpochModules;
  add(head: LedgerHead): PostedHead;
  /** Publishes and activates what was computed. */
  activate(computation: EpochComputation): void;
}

const never = (): never => {
  throw new InternalError("NOT_READ", "An epoch's accounts do not read this.");
};

export function createLedger(schedule: Partial<ModelSchedule> = {}): Ledger {
  const leaves = new Map<string, readonly ReceiptLeaf[]>();
  const blobs = new Map<string, Uint8Array>();
  const publish = (document: unknown): void => {
    const bytes = stringToBytes(canonicalJson(document));
    blobs.set(sha256(bytes), bytes);
  };
  const source: BlobSource = {
    blob: async (_run, digest) => {
      const found = blobs.get(digest);
      if (!found) throw new InternalError("BLOB_MISSING", `No blob ${digest}.`);
      return found;
    },
  };
  const reader: ChainReader = {
    chainId: 31_337,
    contracts,
    confirmations: 0,
    chainTime: async () => ledger.now,
    settledTime: async () => ledger.now,
    tip: async () => ({ block: ledger.now, hash: hash(`block-${ledger.now}`), parentHash: hash("parent") }),
    blockHash: async (block) => ledger.blockHash(block),
    head: async (runId) => {
      const { head, sequence, round } = ledger.heads.findLast((each) => each.runId === runId)!;
      return { head, sequence, round };
    },
    headsSince: async (runId, block) => ledger.heads.filter((head) => head.runId === runId && head.block >= block),
    run: async (runId) => ({
      runId,
      modelId,
      definition: asDigest(hash("definition")),
      poster: addressOf("poster"),
      status: 0,
      fragments: 4,
      version: 1,
    }),
    runStatus: never,
    isSuspended: never,
    runsOf: async () => [...new Set<RunId>(ledger.heads.map(({ runId }) => runId))],
    postersOf: never,
    isAdmitted: never,
    buildsOf: never,
    proposedBuild: never,
    paramsInForce: never,
    paramsOf: async (_run, version) => ({ ...params, roundDeadline: ledger.roundDeadline(version) }),
    modelContracts: never,
    distributors: never,
    wrongWires: never,
    founders: never,
    bootstrap: never,
    paramsVersionAt: async (_run, time) => ledger.versions.findLast(({ from }) => from <= time)?.version ?? 0,
    schedule: async () => ledger.schedule,
    epochOf: never,
    epochEnd: never,
    computeBudget: async (_model, epoch) => (epoch <= (ledger.active?.epoch ?? 0) ? 0n : ledger.budget(epoch)),
    epochBudget: async (_model, epoch) => ledger.budget(epoch),
    signersOf: async () => undefined,
    validators: async () => ({ version: 1, validators: ledger.validators, threshold: 2 }),
    activeRoot: async () => ledger.active,
    pendingRoot: async () => ledger.pending,
    ageJudgedAt: async () => ledger.ageJudgedAt,
    rulingOn: async () => undefined,
    activeStake: never,
    openDispute: async () => undefined,
    disputeCost: async () => ({ bond: 0n, level: 0, isDue: false }),
    rootsOf: async () => ledger.roots,
    isVoided: never,
    rootsOfKind: () => reader,
    activationsOf: never,
    unpaidOf: never,
    forget: never,
  };
  const ledger: Ledger = {
    schedule: { start: 1_000, epochLength: 16, postingDelay: 12, window: 4, ...schedule },
    now: 1_000,
    heads: [],
    budget: () => 1_000n,
    blockHash: (block) => hash(`block-${block}`),
    versions: [{ from: 0, version: 1 }],
    roundDeadline: () => 1,
    active: undefined,
    pending: undefined,
    ageJudgedAt: undefined,
    roots: [],
    validators: [],
    modules: {
      reader,
      blobs: source,
      documents: {
        read: async (_blobs, head) => ({
          manifest: { fragments: [1, 2, 3, 4] } as never,
          file: null,
          leaves: leaves.get(head.head) ?? [],
        }),
      },
    },
    add: ({ run = 0, anchoredAt, paramsVersion = 1, receipts, ...said }) => {
      const runId = runs[run]!;
      const before = ledger.heads.filter((head) => head.runId === runId);
      const sequence = before.length;
      const name = `${run}/${sequence}`;
      const target = said.astray ? undefined : standingHeads(before).find(({ round }) => round === said.round);
      const head: PostedHead = {
        runId,
        head: asHead(hash(`head-${name}`)),
        parentHead: before.at(-1)?.head ?? zeroHash,
        sequence,
        round: said.round ?? (before.at(-1)?.round ?? -1) + 1,
        paramsVersion,
        checkpointDigest: target?.checkpointDigest ?? asDigest(hash(`checkpoint-${name}`)),
        receiptsRoot: receipts.length > 0 ? hash(`root-${name}`) : zeroHash,
        block: anchoredAt,
        blockHash: hash(`block-${anchoredAt}`),
        logIndex: ledger.heads.length,
        transaction: hash(`transaction-${name}`),
        anchoredAt,
      };
      leaves.set(
        head.head,
        receipts.map(({ account, tokens, outcome = 0, receiptHash }, i) => ({
          receiptHash: receiptHash ?? hash(`receipt-${name}-${i}`),
          worker: account,
          beneficiary: account,
          tokens,
          outcome,
        })),
      );
      ledger.heads.push(head);
      ledger.now = Math.max(ledger.now, anchoredAt);
      return head;
    },
    activate: ({ manifest, rewards, inputs, verdicts, attestation }) => {
      for (const document of [manifest, inputs, verdicts, rewards]) publish(document);
      const { root, total, setVersion } = attestation;
      const epoch = Number(attestation.toEpoch);
      const view = { index: Number(attestation.index), root, total, epoch };
      ledger.active = view;
      ledger.roots.push({
        ...view,
        fromEpoch: Number(attestation.fromEpoch),
        deadline: Number(attestation.deadline),
        activatableAt: ledger.now,
        modelId,
        runId: asRunId(attestation.runId),
        head: asHead(attestation.head),
        epochDigest: asDigest(attestation.epochDigest),
        attestation,
        digest: structHash("Attestation", attestation),
        setVersion,
        block: ledger.now,
        transaction: hash(`post-${epoch}`),
      });
    },
  };
  return ledger;
}
