/** A chain in memory, with faults: it goes away, goes backwards, refuses. Its epochs pay every token one share wei. */
import {
  type Address,
  type Attestation,
  type Digest,
  digestOfJson,
  type EpochManifest,
  headHash,
  type HeadHash,
  type Hex,
  type ModelId,
  parseDocument,
  ReceiptsFile,
  type RewardsFile,
  rewardTree,
  type RunId,
  type RunParams,
  structHash,
  zeroHash,
} from "@cotrain/sdk/protocol";

import { RetryableError, UserError } from "../../../offchain/src/base/index.ts";
import type { ManualClock } from "../manualClock.ts";
import type {
  FeeWait,
  OpenDispute,
  PostedHead,
  PostedRoot,
  RootRuling,
  SignedRoot,
} from "../../../offchain/src/chain/index.ts";
import { type BlobSource, deadlineOf, type RunChain, standingHeads } from "../../../offchain/src/run/index.ts";
import { parseManifest } from "../../../offchain/src/storage/index.ts";
import { contracts, distributors, modelContracts } from "../contracts.ts";

/** Seconds. */
export const EPOCH = 16;
const POSTING_DELAY = 12;
const WINDOW = 4;
/** Wei. */
const BASE_BOND = 10n ** 16n;

export interface FakeChainOptions {
  readonly clock: ManualClock;
  readonly runId: RunId;
  readonly modelId: ModelId;
  readonly definition: Digest;
  /** Admitted; the test may change it. */
  readonly builds: Digest[];
  readonly checkpoint: Digest;
  readonly fragments: number;
  readonly poster: Address;
  readonly validators: readonly Address[];
  readonly params: RunParams;
}

export interface FakeChain extends RunChain {
  /** Everything rejects while true. */
  away: boolean;
  /** What postings are said to wait for. */
  dear: FeeWait | undefined;
  status: number;
  /** Whether the validators stopped the poster. */
  suspended: boolean;
  readonly heads: PostedHead[];
  /** Heads under older parameters are not paid. */
  leastVersion: number;
  active: SignedRoot | undefined;
  pending: SignedRoot | undefined;
  /** All that were ever posted. */
  readonly roots: PostedRoot[];
  /** Postings that were sent, by key. */
  readonly sent: string[];
  /** How many heads each posting that added some has added. */
  readonly batches: number[];
  /** The dispute about the pending root. */
  disputed: OpenDispute | undefined;
  /** How it ends when it is settled. */
  outcome: RootRuling;
  /** How disputes ended, by the attestation's digest. */
  readonly rulings: Map<Hex, RootRuling>;
  /** How often a bond is doubled, and whether the next root needs one. */
  level: number;
  failed: boolean;
  /** Doublings that the poster pays for. */
  boundedLevel: number;
  /** Leaves that were paid: account, and number of the root. */
  readonly claimed: Set<string>;
  refusesClaims: boolean;
  /** Disputes the pending root, for a vote of so many seconds. */
  dispute(seconds: number): void;
  /** What workers have at stake, wei. */
  readonly stakes: Map<Address, bigint>;
  /** Called after a posting landed and before its caller learns of it. */
  landed: () => Promise<void> | void;
  changeParams(change: Partial<RunParams>): void;
  /** Forgets all heads above a sequence. */
  rewind(sequence: number): void;
  /** Takes the run back to the checkpoint of so many rounds, as it stands. */
  back(round: number): void;
  /** A stranger posts a head with the poster's key. */
  steal(): void;
}

export function createFakeChain(options: FakeChainOptions): FakeChain {
  const { clock, runId, modelId } = options;
  const start = Math.floor(clock.now() / 1_000);
  const versions: RunParams[] = [options.params];
  const sent: string[] = [];
  const batches: number[] = [];
  /** By the root that was computed the digest of its manifest. */
  const computedFor = new Map<string, Digest>();
  const heads: PostedHead[] = [];
  const roots: PostedRoot[] = [];
  const rulings = new Map<Hex, RootRuling>();
  // Nobody sets the chain's clock.
  const begun = clock.now() - clock.monotonic();
  const time = (): number => Math.floor((begun + clock.monotonic()) / 1_000);
  const epochAt = (at: number): number => 1 + Math.floor((at - start) / EPOCH);
  const endOf = (epoch: number): number => start + epoch * EPOCH;

  const link = (
    parentHead: HeadHash,
    round: number,
    paramsVersion: number,
    checkpointDigest: Digest,
    root: Hex,
  ): void => {
    const sequence = heads.length;
    const head = headHash({
      chainId: 31_337n,
      registry: contracts.checkpointRegistry,
      parentHead,
      runId,
      sequence: BigInt(sequence),
      round: BigInt(round),
      paramsVersion,
      checkpointDigest,
      receiptsRoot: root,
    });
    heads.push({
      head,
      sequence,
      round,
      runId,
      parentHead,
      paramsVersion,
      checkpointDigest,
      receiptsRoot: root,
      block: 100 + time() - start,
      blockHash: digestOfJson(time()),
      logIndex: 0,
      transaction: digestOfJson({ head }),
      anchoredAt: time(),
    });
  };
  link(zeroHash, 0, 1, options.checkpoint, zeroHash);

  const present = (): void => {
    if (chain.away) throw new RetryableError("CHAIN_UNREACHABLE", "The chain is away.");
  };
  const params = (): RunParams => versions.at(-1)!;

  const postedBy = (attestation: Attestation): PostedRoot => ({
    modelId,
    runId,
    root: attestation.root,
    total: attestation.total,
    head: attestation.head as HeadHash,
    index: Number(attestation.index),
    fromEpoch: Number(attestation.fromEpoch),
    epoch: Number(attestation.toEpoch),
    epochDigest: attestation.epochDigest as Digest,
    setVersion: attestation.setVersion,
    deadline: Number(attestation.deadline),
    attestation,
    digest: structHash("Attestation", attestation),
    activatableAt: time() + WINDOW,
    block: 1,
    transaction: digestOfJson(attestation.root),
  });

  const chain: FakeChain = {
    away: false,
    dear: undefined,
    status: 0,
    suspended: false,
    heads,
    leastVersion: 1,
    active: undefined,
    pending: undefined,
    roots,
    sent,
    batches,
    stakes: new Map(),
    disputed: undefined,
    outcome: "undecided",
    rulings,
    level: 0,
    failed: false,
    boundedLevel: 10,
    claimed: new Set(),
    refusesClaims: false,
    dispute: (seconds) => {
      const { digest } = chain.pending!;
      chain.level += 1;
      const bond = BASE_BOND << BigInt(chain.level);
      chain.disputed = { digest, disputer: options.poster, bond, proposalId: 1n, votesUntil: time() + seconds };
      chain.pending = { ...chain.pending!, activatableAt: undefined };
    },
    landed: () => undefined,
    changeParams: (change) => void versions.push({ ...params(), ...change }),
    rewind: (sequence) => void heads.splice(sequence + 1),
    back: (round) => {
      const target = standingHeads(heads).find((head) => head.round === round)!;
      link(heads.at(-1)!.head, round, versions.length, target.checkpointDigest, zeroHash);
    },
    steal: () => {
      const { head, round } = heads.at(-1)!;
      link(head, round + 1, 1, digestOfJson({ stolen: head }), zeroHash);
    },
    chainId: 31_337,
    contracts,
    confirmations: 0,
    modelContracts: async () => modelContracts,
    distributors: async () => distributors,
    wrongWires: async () => [],
    founders: async () => 0n,
    bootstrap: async () => undefined,
    chainTime: async () => (present(), time()),
    settledTime: async () => (present(), time()),
    tip: async () => {
      present();
      const block = 100 + time() - start;
      return { block, hash: digestOfJson(block), parentHash: digestOfJson(block - 1) };
    },
    blockHash: async (block) => (present(), digestOfJson(block)),
    head: async () => {
      present();
      const { head, sequence, round } = heads.at(-1)!;
      return { head, sequence, round };
    },
    headsSince: async () => (present(), [...heads]),
    run: async () => {
      present();
      return {
        runId,
        modelId,
        definition: options.definition,
        poster: options.poster,
        status: chain.status,
        fragments: options.fragments,
        version: versions.length,
      };
    },
    runStatus: async () => (present(), chain.status),
    isSuspended: async () => (present(), chain.suspended),
    runsOf: async () => (present(), [runId]),
    postersOf: async () => (present(), [options.poster]),
    isAdmitted: async (_run, build) => (present(), options.builds.includes(build)),
    buildsOf: async () => (present(), options.builds),
    proposedBuild: async () => (present(), undefined),
    paramsInForce: async () => (present(), { version: versions.length, params: params() }),
    paramsOf: async (_run, version) => (present(), versions[version - 1]!),
    paramsVersionAt: async () => (present(), 1),
    schedule: async () => (present(), { start, epochLength: EPOCH, postingDelay: POSTING_DELAY, window: WINDOW }),
    epochOf: async (_model, at) => (present(), epochAt(at)),
    epochEnd: async (_model, epoch) => (present(), endOf(epoch)),
    computeBudget: async () => (present(), 10n ** 18n),
    epochBudget: async () => (present(), 10n ** 18n),
    signersOf: async () => (present(), undefined),
    validators: async () => (present(), { version: 1, validators: options.validators, threshold: 2 }),
    activeRoot: async () => (present(), chain.active),
    pendingRoot: async () => (present(), chain.pending),
    ageJudgedAt: async () => (present(), undefined),
    activeStake: async (_model, worker) => (present(), chain.stakes.get(worker) ?? 0n),
    rulingOn: async (digest) => (present(), rulings.get(digest)),
    openDispute: async () => (present(), chain.disputed),
    disputeCost: async () => {
      present();
      return { bond: BASE_BOND << BigInt(chain.level), level: chain.level, isDue: chain.failed };
    },
    settleDispute: async (_model, { digest }) => {
      present();
      sent.push(`settle/${digest}`);
      const { disputed, outcome } = chain;
      if (disputed?.digest === digest) {
        if (time() <= disputed.votesUntil) throw new UserError("NOT_DECIDED", "The vote is not over.");
        rulings.set(digest, outcome);
        chain.disputed = undefined;
        chain.pending = outcome === "stands" ? { ...chain.pending!, activatableAt: time() } : undefined;
        chain.failed = outcome !== "stands";
      }
      await chain.landed();
      return { ruling: rulings.get(digest)! };
    },
    rootsOf: async () => (present(), [...roots]),
    isVoided: async () => (present(), false),
    rootsOfKind: () => chain,
    activationsOf: async () => (present(), []),
    forget: () => undefined,
    feeWait: () => chain.dear,
    unpaidOf: async (_model, { account, leaves }) => (
      present(),
      leaves.filter(({ index }) => !chain.claimed.has(`${account}/${index}`))
    ),
    claimFor: async (_model, claims, key) => {
      present();
      sent.push(key);
      if (chain.refusesClaims) throw new UserError("REFUSED", "The chain refuses claims.");
      for (const { account, leaves } of claims)
        for (const { index } of leaves) chain.claimed.add(`${account}/${index}`);
      await chain.landed();
    },
    postHead: async (fields, key, following = []) => {
      present();
      sent.push(key);
      let posted = heads.find(
        ({ parentHead, checkpointDigest }) =>
          parentHead === fields.parentHead && checkpointDigest === fields.checkpointDigest,
      );
      if (!posted) {
        if (fields.parentHead !== heads.at(-1)?.head)
          throw new UserError("HEAD_PARENT", "The parent is not the newest head.");
        const first = heads.length;
        for (const each of [fields, ...following]) {
          const { head, round } = heads.at(-1)!;
          link(head, round + 1, each.paramsVersion, each.checkpointDigest, each.receiptsRoot);
        }
        posted = heads[first]!;
        batches.push(heads.length - first);
      }
      await chain.landed();
      const { head, sequence, round, transaction, block } = posted;
      return { head, sequence, round, transaction, block };
    },
    postRoot: async (attestation, signatures, key) => {
      present();
      sent.push(key);
      if (signatures.length < 2) throw new UserError("QUORUM", "Too few signatures.");
      if (time() > Number(attestation.deadline)) throw new UserError("DEADLINE", "The deadline has passed.");
      if (rulings.has(structHash("Attestation", attestation)))
        throw new UserError("ATTESTATION_RULED", "A dispute about it has ended.");
      if (!chain.pending && chain.failed && chain.level > chain.boundedLevel)
        throw new RetryableError("BOND_TOO_HIGH", "The bond is more than is allowed.");
      if (!chain.pending) roots.push(postedBy(attestation));
      chain.pending ??= postedBy(attestation);
      await chain.landed();
      return { transaction: digestOfJson({ key }), block: 1, root: chain.pending };
    },
    activateRoot: async (_model, epoch, key) => {
      present();
      sent.push(key);
      if (chain.active?.epoch === epoch) return { transaction: null, block: null, root: chain.active };
      if (chain.pending?.epoch !== epoch) throw new UserError("NO_ROOT", "No such root is pending.");
      if (time() < (chain.pending.activatableAt ?? Infinity))
        throw new RetryableError("WINDOW_OPEN", "The window is open.");
      chain.active = chain.pending;
      chain.pending = undefined;
      chain.failed = false;
      await chain.landed();
      return { transaction: digestOfJson({ key }), block: 1, root: chain.active };
    },
    computeEpoch: async ({ epoch, verdicts, expired }, blobs) => {
      present();
      if (time() < endOf(epoch)) throw new RetryableError("EPOCH_NOT_OVER", "The epoch is not over.");
      const after = chain.active?.epoch ?? 0;
      const covered = standingHeads(heads).filter(
        ({ anchoredAt }) => anchoredAt >= endOf(after) && anchoredAt < endOf(epoch),
      );
      const rewards = await rewardsOf(blobs, covered);
      if (!rewards) return { kind: "nothing", reason: "Nobody has earned anything." };
      const { kind, index } = rewards;
      const tree = rewardTree(
        { modelId, kind, index },
        rewards.leaves.map(({ account, amount }) => ({ account, amount: BigInt(amount) })),
      );
      const paid = covered
        .filter(({ sequence }) => sequence > 0)
        .map((head) => ({
          runId,
          head: head.head,
          sequence: head.sequence,
          round: head.round,
          paramsVersion: head.paramsVersion,
          checkpointDigest: head.checkpointDigest,
          receiptsRoot: head.receiptsRoot,
          anchoredAt: head.anchoredAt,
          minParamsVersion: chain.leastVersion,
        }));
      const contributions = rewards.leaves.map(({ account, amount }) => ({ account, contribution: amount, amount }));
      const epochs = [{ epoch, budget: "1000", heads: paid, contributions }];
      const inputs = { version: 1 as const, modelId, epochs };
      const counted = { version: 1 as const, modelId, verdicts: [...verdicts] };
      const manifest: EpochManifest = {
        version: 1,
        modelId,
        kind,
        index,
        fromEpoch: after + 1,
        toEpoch: epoch,
        runId,
        head: heads.findLast(({ anchoredAt }) => anchoredAt < endOf(epoch))!.head,
        finished: [],
        previous: computedFor.get(chain.active?.root ?? zeroHash) ?? null,
        previousRoot: chain.active?.root ?? zeroHash,
        root: tree.root,
        total: tree.total.toString(),
        inputs: digestOfJson(inputs),
        verdicts: digestOfJson(counted),
        rewards: digestOfJson(rewards),
      };
      computedFor.set(tree.root, digestOfJson(manifest));
      const attestation: Attestation = {
        kind,
        modelId,
        index: BigInt(index),
        fromEpoch: BigInt(manifest.fromEpoch),
        toEpoch: BigInt(epoch),
        runId,
        head: manifest.head,
        epochDigest: digestOfJson(manifest),
        previousRoot: manifest.previousRoot,
        root: tree.root,
        total: tree.total,
        setVersion: 1,
        // Disputes take blocks.
        blockNumber: 1n + BigInt(rulings.size),
        blockHash: zeroHash,
        deadline: BigInt(deadlineOf(await chain.schedule(modelId), epoch, time(), expired)),
      };
      return { kind: "computed", computation: { inputs, verdicts: counted, rewards, manifest, attestation } };
    },
  };

  async function rewardsOf(blobs: BlobSource, covered: readonly PostedHead[]): Promise<RewardsFile | undefined> {
    const earned = new Map<Address, number>();
    for (const { checkpointDigest, paramsVersion } of covered) {
      const manifest = parseManifest(await blobs.blob(runId, checkpointDigest, 1 << 20));
      if (!manifest.receipts) continue;
      const text = new TextDecoder().decode(await blobs.blob(runId, manifest.receipts as Digest, 1 << 26));
      const file = parseDocument("receipts", ReceiptsFile, JSON.parse(text) as unknown);
      for (const { receipt, tokens, outcome } of file.receipts) {
        if (outcome !== 0 || paramsVersion < chain.leastVersion) continue;
        earned.set(receipt.beneficiary, (earned.get(receipt.beneficiary) ?? 0) + Number(tokens));
      }
    }
    const leaves = [...earned]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([account, tokens]) => ({ account, amount: String(tokens) }));
    const index = (chain.active?.index ?? 0) + 1;
    return leaves.length > 0 ? { version: 1, modelId, kind: 1, index, leaves } : undefined;
  }
  return chain;
}
