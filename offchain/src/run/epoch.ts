/**
 * An epoch's accounts: from the heads on-chain, the receipts under them and the verdicts about them to the root of what
 * they earned, which validators sign (protocol.md, "Contribution"). The coordinator computes it to publish, each validator again to
 * compare; the result is a function of the chain, the published blobs, the verdicts, the deadline and the block alone.
 */
import {
  type Address,
  aggregateRejected,
  type Attestation,
  type ContributionHead,
  type ContributionVerdict,
  contributionsOf,
  digestOfJson,
  type EpochHead,
  type EpochInputs,
  type EpochManifest,
  epochAt,
  fromWire,
  type Hex,
  type ModelId,
  rewardKind,
  type RewardsFile,
  type RunId,
  shareOut,
  type SignedVerdict,
  type VerdictsFile,
  versionSlack,
  zeroHash,
} from "@cotrain/sdk/protocol";

import { RetryableError, UserError } from "../base/index.ts";
import { type HeadDocuments, type HeadDocumentsCache } from "./documents.ts";
import { leavesOf, rewardTreeOf } from "./epochDocuments.ts";
import { DocumentError, isUnfit } from "./published.ts";
import { type ChainReader, type ModelSchedule, type PostedHead, type RootView } from "../chain/index.ts";
import { countedVerdicts } from "./countedVerdicts.ts";
import { paidBefore } from "./replaced.ts";
import { requireStanding, type Standing, standingFor } from "./standing.ts";
import { isRollback, standingHeads } from "./standingHeads.ts";
import type {
  BlobSource,
  ComputeEpochInput,
  EpochComputation,
  EpochResult,
  HeadWithParent,
  ReadBlock,
} from "./ports.ts";

export interface EpochModules {
  readonly reader: ChainReader;
  readonly blobs: BlobSource;
  readonly documents: HeadDocumentsCache;
}

type AnyHead = HeadWithParent<PostedHead | undefined>;

const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
const inChainOrder = (a: AnyHead, b: AnyHead): number =>
  a.head.block - b.head.block || a.head.logIndex - b.head.logIndex;

/** A head of the epochs that a root covers. */
interface Link extends AnyHead {
  /** Whether it led to a checkpoint on which the run goes on, by the block that signers name. */
  readonly stands: boolean;
  readonly isRollback: boolean;
  /** Heads of the same round before it, which the run went back behind. */
  readonly replaced: readonly AnyHead[];
}

/** @throws UserError `BLOCK_REFUSED` for a block that leaves out what had long been anchored */
function requireRecent({ number }: ReadBlock, heads: readonly PostedHead[], readTo: number): void {
  const old = heads.find(({ block, anchoredAt }) => block > number && anchoredAt <= readTo);
  if (old)
    throw new UserError(
      "BLOCK_REFUSED",
      `Block ${number} is too old for the deadline: head ${old.head} stands above it, in block ${old.block}, and was anchored at ${old.anchoredAt}; all that was by ${readTo} counts.`,
    );
}

/** All heads of a model that were anchored after `after` and up to `through` (epochs), in the order of the chain. */
async function headsOf(
  reader: ChainReader,
  modelId: ModelId,
  { schedule, active, named, readTo }: Standing,
  { epoch: through, block: said }: Pick<ComputeEpochInput, "epoch" | "block">,
): Promise<Link[]> {
  const links: Link[] = [];
  const after = active?.epoch ?? 0;
  const runs: PostedHead[][] = [];
  for (const runId of await reader.runsOf(modelId)) {
    const { head: newest } = await reader.head(runId);
    runs.push(await reader.headsSince(runId, 0, newest));
  }
  // By naming a block below the last of these heads a quorum would leave out whose work it likes, and find its root right.
  const ofThese = runs.flat().filter(({ anchoredAt }) => epochAt(schedule, anchoredAt) <= through);
  const by = ofThese.reduce((last, { block }) => Math.max(last, block), named.number);
  // Nor what it went back behind since, by naming one of long ago.
  const isRead = ({ block, anchoredAt }: PostedHead): boolean => block <= by || anchoredAt <= readTo;
  if (said) requireRecent(said, runs.flat(), readTo);
  for (const heads of runs) {
    const standing = new Set(standingHeads(heads.filter(isRead)));
    // By round: heads are many where somebody has a run's key, and each has few before it of its own round.
    const turns = new Map<number, AnyHead[]>();
    for (const [i, head] of heads.entries()) {
      const replaced = turns.get(head.round) ?? [];
      turns.set(head.round, [...replaced, { head, parent: heads[i - 1] }]);
      const epoch = epochAt(schedule, head.anchoredAt);
      if (epoch <= after || epoch > through) continue;
      const parent = heads[i - 1];
      links.push({ head, parent, stands: standing.has(head), isRollback: isRollback(head, parent), replaced });
    }
  }
  return links.sort(inChainOrder);
}

/** @returns by head what stands behind it; and runs whose heads nobody can judge, of which nothing does */
async function readBehind({ documents, blobs }: EpochModules, links: readonly Link[]) {
  const behind = new Map<string, HeadDocuments>();
  const unfit = new Set<RunId>();
  for (const { head, parent } of links) {
    if (unfit.has(head.runId)) continue;
    try {
      behind.set(head.head, await documents.read(blobs, head, parent));
    } catch (error) {
      if (!isUnfit(error)) throw error;
      unfit.add(head.runId);
    }
  }
  return { behind, unfit };
}

/** What the heads of each epoch pay, and what that comes to for each account. */
async function payOf(
  modules: EpochModules,
  modelId: ModelId,
  now: Standing,
  links: readonly Link[],
  verdicts: readonly SignedVerdict[],
) {
  const { reader } = modules;
  const { schedule, asOf } = now;
  const parsed = verdicts.map(({ verdict }) => fromWire("Verdict", verdict));
  const standing = links.filter(({ stands }) => stands);
  // What is rejected is not read, nor what no work is under: one head whose documents are gone or malformed would end all pay.
  const worked = standing.filter(({ head }) => head.receiptsRoot !== zeroHash && !aggregateRejected(head.head, parsed));
  const { behind, unfit } = await readBehind(modules, worked);
  requireOnce([...behind.values()]);
  const paid = await paidBefore(modules, modelId, now, worked, behind);
  // What was earned in rounds that were rolled back counts where a root that is active paid it, and nowhere else.
  const paying = standing.filter(({ head }) => !unfit.has(head.runId));

  const epochs: EpochInputs["epochs"] = [];
  const earned = new Map<Address, bigint>();
  for (const [number, group] of groupBy(paying, ({ head }) => epochAt(schedule, head.anchoredAt))) {
    const heads: EpochHead[] = [];
    for (const { head } of group) {
      heads.push(epochHeadOf(head, await leastVersion(reader, schedule, head)));
    }
    const contributions = contributionsIn(heads, behind, paid, parsed);
    const budget = await reader.computeBudget(modelId, number, asOf);
    const amounts = shareOut(contributions, budget);
    for (const [account, amount] of amounts) earned.set(account, (earned.get(account) ?? 0n) + amount);
    epochs.push({
      epoch: number,
      budget: budget.toString(),
      heads,
      contributions: [...contributions]
        .sort(([a], [b]) => byText(a, b))
        .map(([account, contribution]) => ({
          account,
          contribution: contribution.toString(),
          amount: (amounts.get(account) ?? 0n).toString(),
        })),
    });
  }
  return { epochs, earned };
}

/**
 * Computes an epoch. See EpochAccounts (ports.ts).
 * @throws RetryableError `EPOCH_NOT_OVER`, `ROOT_PENDING`, `BLOCK_NOT_FINAL`, `CHAIN_MOVED`; UserError `EPOCH_SUPERSEDED`,
 *   `DEADLINE_REFUSED`, `BLOCK_REFUSED`; DocumentError
 */
export async function computeEpoch(modules: EpochModules, input: ComputeEpochInput): Promise<EpochResult> {
  const { reader } = modules;
  const { modelId, epoch } = input;
  const standing = await standingFor(reader, input);
  const { schedule, active, set } = standing;
  const links = await headsOf(reader, modelId, standing, input);
  const last = links.at(-1);
  if (!last || epochAt(schedule, last.head.anchoredAt) !== epoch) {
    await requireStanding(reader, input, standing);
    return { kind: "nothing", reason: `No head was anchored in epoch ${epoch}.` };
  }
  requireBelow(standing.block, last.head);
  const judged = links.filter(({ isRollback: back }) => !back);
  const verdicts = await countedVerdicts(reader, input.verdicts, judged, set.validators);
  const { epochs, earned } = await payOf(modules, modelId, standing, links, verdicts);
  const previous = active ? await digestUnder(reader, modelId, active) : null;
  const leaves = leavesOf(earned);
  await requireStanding(reader, input, standing);
  if (leaves.length === 0)
    return { kind: "nothing", reason: `Nobody earned anything in the epochs ${(active?.epoch ?? 0) + 1} to ${epoch}.` };
  const computation = statementOf(modelId, epoch, standing, {
    last,
    finished: finishedRuns(links, last),
    previous,
    inputs: { version: 1, modelId, epochs },
    verdicts: { version: 1, modelId, verdicts },
    rewards: { version: 1, modelId, kind: rewardKind.compute, index: (active?.index ?? 0) + 1, leaves },
  });
  return { kind: "computed", computation };
}

/** What is paid for must stand at or below the block that signers name. @throws UserError `BLOCK_REFUSED` */
function requireBelow({ number }: Standing["block"], head: PostedHead): void {
  if (head.block > number)
    throw new UserError("BLOCK_REFUSED", `Head ${head.head} stands in block ${head.block}, above the block ${number}.`);
}

/** The documents of an epoch, and what validators are asked to sign. */
function statementOf(
  modelId: ModelId,
  epoch: number,
  { active, set, deadline, named }: Standing,
  parts: {
    readonly last: AnyHead;
    readonly finished: EpochManifest["finished"];
    readonly previous: EpochManifest["previous"];
    readonly inputs: EpochInputs;
    readonly verdicts: VerdictsFile;
    readonly rewards: RewardsFile;
  },
): EpochComputation {
  const { last, inputs, verdicts, rewards } = parts;
  const tree = rewardTreeOf(rewards);
  const previousRoot = active?.root ?? zeroHash;
  const { kind, index } = rewards;
  const fromEpoch = (active?.epoch ?? 0) + 1;
  const manifest: EpochManifest = {
    version: 1,
    modelId,
    kind,
    index,
    fromEpoch,
    toEpoch: epoch,
    runId: last.head.runId,
    head: last.head.head,
    finished: parts.finished,
    previous: parts.previous,
    previousRoot,
    root: tree.root,
    total: tree.total.toString(),
    inputs: digestOfJson(inputs),
    verdicts: digestOfJson(verdicts),
    rewards: digestOfJson(rewards),
  };
  const attestation: Attestation = {
    kind,
    modelId,
    index: BigInt(index),
    fromEpoch: BigInt(fromEpoch),
    toEpoch: BigInt(epoch),
    runId: manifest.runId,
    head: manifest.head,
    epochDigest: digestOfJson(manifest),
    previousRoot,
    root: tree.root,
    total: tree.total,
    setVersion: set.version,
    blockNumber: BigInt(named.number),
    blockHash: named.hash,
    deadline: BigInt(deadline),
  };
  return { inputs, verdicts, rewards, manifest, attestation };
}

/** Digest of the manifest under the active root. */
async function digestUnder(reader: ChainReader, modelId: ModelId, { index, root, epoch }: RootView): Promise<Hex> {
  const posted = (await reader.rootsOf(modelId, root)).findLast((each) => each.index === index && each.root === root);
  if (!posted)
    throw new RetryableError("CHAIN_MOVED", `No posting of the active root of epoch ${epoch} is confirmed yet.`);
  return posted.epochDigest;
}

/** The version that a head must carry to be paid for: the one that was in force long enough before its anchor. */
async function leastVersion(reader: ChainReader, schedule: ModelSchedule, head: PostedHead): Promise<number> {
  const { roundDeadline } = await reader.paramsOf(head.runId, head.paramsVersion);
  return reader.paramsVersionAt(head.runId, head.anchoredAt - versionSlack(schedule.epochLength, roundDeadline));
}

const epochHeadOf = (head: PostedHead, minParamsVersion: number): EpochHead => ({
  runId: head.runId,
  head: head.head,
  sequence: head.sequence,
  round: head.round,
  paramsVersion: head.paramsVersion,
  checkpointDigest: head.checkpointDigest,
  receiptsRoot: head.receiptsRoot,
  anchoredAt: head.anchoredAt,
  minParamsVersion,
});

/** Each head against its own run's least version: an epoch may hold heads of a run that finished and of the next. */
function contributionsIn(
  heads: readonly EpochHead[],
  behind: ReadonlyMap<string, HeadDocuments>,
  paid: ReadonlyMap<string, ReadonlySet<string>>,
  verdicts: readonly ContributionVerdict[],
): Map<Address, bigint> {
  const sums = new Map<Address, bigint>();
  for (const head of heads) {
    const before = paid.get(head.head);
    const leaves = behind.get(head.head)?.leaves ?? [];
    const one: ContributionHead = {
      head: head.head,
      paramsVersion: head.paramsVersion,
      receipts: leaves.filter(({ receiptHash }) => !before?.has(receiptHash)),
    };
    for (const [account, value] of contributionsOf([one], verdicts, head.minParamsVersion))
      sums.set(account, (sums.get(account) ?? 0n) + value);
  }
  return sums;
}

/** A receipt under two heads would be paid twice. */
function requireOnce(documents: readonly HeadDocuments[]): void {
  const seen = new Set<string>();
  for (const { leaves } of documents) {
    for (const { receiptHash, worker } of leaves) {
      if (seen.has(receiptHash))
        throw new DocumentError("DOCUMENT_RECEIPT", `A receipt of ${worker} stands under two heads.`, {
          details: { receiptHash },
        });
      seen.add(receiptHash);
    }
  }
}

/** The other runs' last heads: a model has one open run at a time, so whichever else has heads here has finished. */
function finishedRuns(links: readonly AnyHead[], last: AnyHead): EpochManifest["finished"] {
  const heads = new Map<string, PostedHead>();
  for (const { head } of links) if (head.runId !== last.head.runId) heads.set(head.runId, head);
  return [...heads.values()].sort((a, b) => byText(a.runId, b.runId)).map(({ runId, head }) => ({ runId, head }));
}

function groupBy<T>(items: readonly T[], key: (item: T) => number): [number, T[]][] {
  const groups = new Map<number, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group) group.push(item);
    else groups.set(key(item), [item]);
  }
  return [...groups].sort(([a], [b]) => a - b);
}
