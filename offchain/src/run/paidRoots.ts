/**
 * Roots that became active, held against what their epochs earned. Nobody can dispute them any more; whoever looks is told all the same
 * whom a false one paid. Each is computed from the chain as it was before that root became active, and from documents that are kept for
 * ever. No payload is read: those of rounds that are paid need not be kept, and whether a checkpoint follows from its own is what
 * validators said of it.
 */
import { isDeepStrictEqual } from "node:util";

import { CotrainError } from "@cotrain/sdk/errors";
import { type Address, asAddress, endOfEpoch, type Hex, type ModelId, type RunId } from "@cotrain/sdk/protocol";

import { RetryableError } from "../base/index.ts";
import type { ChainReader, PostedRoot } from "../chain/index.ts";
import { FormatError } from "../storage/index.ts";
import { createHeadDocumentsCache, type HeadDocumentsCache } from "./documents.ts";
import { computeEpoch } from "./epoch.ts";
import { epochManifestOf, epochVerdictsOf } from "./epochDocuments.ts";
import type { BlobSource, EpochResult } from "./ports.ts";
import type { Problems } from "./problems.ts";
import { DocumentError, isMalformed } from "./published.ts";
import type { RevenueAccounts } from "./revenueAccounts.ts";
import { keyOfRoot, rootRewards, rootsUpTo } from "./rewards.ts";
import { isNotHad } from "./unreadable.ts";

/** An account that a false root grants something else than it was due. */
interface WrongPay {
  readonly account: Address;
  readonly granted: bigint;
  readonly due: bigint;
}

/** An active root that is not what its epochs earned. */
export interface PaidFalsely {
  readonly kind: "compute" | "revenue";
  readonly index: number;
  readonly fromEpoch: number;
  readonly toEpoch: number;
  /** Struct hash of its attestation. */
  readonly digest: Hex;
  /** That posted it. */
  readonly transaction: Hex;
  /** What it pays in all. */
  readonly total: bigint;
  /** What was due in all; null where what it names makes no root at all. */
  readonly due: bigint | null;
  /** Why nothing is due, or what makes no root; empty where something else was due. */
  readonly reason: string;
  /** Whom it grants more or less than was due, the largest difference first; null where it is not known whom it grants what. */
  readonly accounts: readonly WrongPay[] | null;
  /** Validators whose signatures it was posted with, ascending; null where that cannot be read. */
  readonly signers: readonly Address[] | null;
}

/** What is known of roots, for who asks again and again: by {@link keyOfRoot}. */
export type JudgedRoots = Map<string, PaidFalsely | "holds">;

export interface PaidRoots {
  readonly false: readonly PaidFalsely[];
  /** Of which something is not to be had. */
  readonly unseen: readonly { readonly root: PostedRoot; readonly reason: string }[];
}

interface Modules {
  readonly reader: ChainReader;
  readonly blobs: BlobSource;
}

/** Seconds after which an epoch that no root covers is paid no more: `Protocol.BUDGET_AGE`. */
export const BUDGET_AGE = 30 * 86_400;

/** What a root follows, and when the age of its epochs was judged. */
interface Before {
  readonly active: PostedRoot | undefined;
  readonly judgedAt: number;
}

/** A reader that tells of roots and budgets what the chain told while a root was in its window. */
const readerBefore = (reader: ChainReader, posted: PostedRoot, { active, judgedAt }: Before): ChainReader => ({
  ...reader,
  activeRoot: async () => active,
  pendingRoot: async () => posted,
  ageJudgedAt: async () => judgedAt,
  computeBudget: async (modelId, epoch, asOf) => {
    const isOld = endOfEpoch(await reader.schedule(modelId), epoch) < asOf - BUDGET_AGE;
    return isOld ? 0n : reader.epochBudget(modelId, epoch);
  },
});

/**
 * What was due. A root names the block that its signers had read, and so which heads stood then; by such a name alone signers would
 * take what came after its own posting.
 */
async function dueOf(
  modules: Modules & { readonly documents: HeadDocumentsCache },
  posted: PostedRoot,
): Promise<EpochResult> {
  const { blobs } = modules;
  const { modelId, runId, epoch, digest, activatableAt, attestation } = posted;
  const { verdicts } = await epochVerdictsOf(blobs, runId, await epochManifestOf(blobs, runId, posted.epochDigest));
  const blockNumber = BigInt(Math.min(Number(attestation.blockNumber), posted.block));
  const read = { digest, activatableAt, attestation: { ...attestation, blockNumber } };
  return computeEpoch(modules, { modelId, epoch, verdicts, posted: read });
}

const sizeOf = ({ granted, due }: WrongPay): bigint => (granted > due ? granted - due : due - granted);

/** Whom a root grants something else than was due; null where what it grants is not published. */
async function wrongPay(
  blobs: BlobSource,
  posted: PostedRoot,
  due: ReadonlyMap<Address, bigint>,
): Promise<WrongPay[] | null> {
  const granted = await rootRewards(blobs, posted);
  if (!granted || granted === "unsound") return null;
  const { amounts } = granted;
  return [...new Set([...amounts.keys(), ...due.keys()])]
    .map((account) => ({ account, granted: amounts.get(account) ?? 0n, due: due.get(account) ?? 0n }))
    .filter((each) => each.granted !== each.due)
    .toSorted((a, b) => (sizeOf(a) < sizeOf(b) ? 1 : sizeOf(a) > sizeOf(b) ? -1 : a.account < b.account ? -1 : 1));
}

/** Of its set, a quorum at the least: who posts a root decides what else stands in that transaction. */
async function signersIn(
  reader: Pick<ChainReader, "signersOf" | "validators">,
  posted: PostedRoot,
): Promise<readonly Address[] | null> {
  const [signers, { validators, threshold }] = await Promise.all([
    reader.signersOf(posted),
    reader.validators(posted.modelId, posted.setVersion),
  ]);
  const ofSet = (signers ?? []).filter((signer) => validators.includes(signer));
  return ofSet.length < threshold ? null : ofSet;
}

/** What is told of a false root, whatever its kind. */
export const paidFalsely = async (
  reader: Pick<ChainReader, "signersOf" | "validators">,
  kind: PaidFalsely["kind"],
  posted: PostedRoot,
  found: Pick<PaidFalsely, "due" | "reason" | "accounts">,
): Promise<PaidFalsely> => ({
  kind,
  index: posted.index,
  fromEpoch: posted.fromEpoch,
  toEpoch: posted.epoch,
  digest: posted.digest,
  transaction: posted.transaction,
  total: posted.total,
  ...found,
  // That it is false is told, too, where a node has its transaction no more.
  signers: await signersIn(reader, posted).catch(() => null),
});

/** @throws what is away; what says that something is not to be had */
async function judge(
  { reader, blobs, documents }: Modules & { readonly documents: HeadDocumentsCache },
  posted: PostedRoot,
  before: Before,
): Promise<PaidFalsely | "holds"> {
  const falsely = (found: Pick<PaidFalsely, "due" | "reason" | "accounts">) =>
    paidFalsely(reader, "compute", posted, found);
  let result: EpochResult;
  try {
    result = await dueOf({ reader: readerBefore(reader, posted, before), blobs, documents }, posted);
  } catch (error) {
    if (error instanceof DocumentError)
      return falsely({ due: null, reason: error.message, accounts: await wrongPay(blobs, posted, new Map()) });
    if (!isMalformed(error) && !(error instanceof FormatError)) throw error;
    return falsely({ due: null, reason: error.message, accounts: null });
  }
  if (result.kind === "nothing") {
    const accounts = await wrongPay(blobs, posted, new Map());
    return falsely({ due: 0n, reason: result.reason, accounts });
  }
  const { rewards, attestation } = result.computation;
  // Its root commits to every amount: whatever else its signers wrote, everybody is paid what was due.
  if (attestation.root === posted.root && attestation.total === posted.total) return "holds";
  const due = new Map(rewards.leaves.map(({ account, amount }) => [asAddress(account), BigInt(amount)]));
  return falsely({ due: attestation.total, reason: "", accounts: await wrongPay(blobs, posted, due) });
}

/** Nobody is called false by one answer of an RPC: what another look, which remembers nothing, does not find the same is looked at later. */
const differs = (index: number): RetryableError =>
  new RetryableError(
    "CHAIN_RPC",
    `Two looks at root ${index}, which is active, did not find the same: it is looked at again later.`,
  );

/** @throws as {@link judge}; RetryableError `CHAIN_RPC` where a second look finds something else than that it is false */
async function judgeTwice(
  modules: Modules & { readonly documents: HeadDocumentsCache },
  posted: PostedRoot,
  before: Before,
): Promise<PaidFalsely | "holds"> {
  const { reader } = modules;
  const first = await judge(modules, posted, before);
  if (first === "holds") return first;
  for (const runId of await reader.runsOf(posted.modelId)) reader.forget(runId);
  // Who signed it is read of a node that may have its transaction no more.
  const again = await judge({ ...modules, documents: createHeadDocumentsCache(reader) }, posted, before);
  if (again === "holds" || !isDeepStrictEqual({ ...first, signers: null }, { ...again, signers: null }))
    throw differs(posted.index);
  return first;
}

/** When the age of a root's epochs was judged: by its deadline, or before it since one in its place that did not stand. */
const judgedAt = (all: readonly PostedRoot[], { index, block }: PostedRoot): number =>
  Math.min(...all.filter((each) => each.index === index && each.block <= block).map(({ deadline }) => deadline));

/**
 * Holds the active roots of what work earned against what was due.
 * @param options.judged what was found before, which is added to
 * @param options.newest how many of the newest are looked at; all if left out
 * @throws RetryableError `CHAIN_RPC` where the chain's RPC leaves out roots, or two looks at one differ; what `blobs` and the chain throw
 *   where they are away
 */
export async function paidRoots(
  { reader, blobs }: Modules,
  modelId: ModelId,
  { judged = new Map(), newest = Infinity }: { readonly judged?: JudgedRoots; readonly newest?: number } = {},
): Promise<PaidRoots> {
  const active = await reader.activeRoot(modelId);
  if (!active) return { false: [], unseen: [] };
  const roots = await rootsUpTo(reader, modelId, active);
  if (!roots) {
    reader.forget(modelId);
    throw new RetryableError(
      "CHAIN_RPC",
      `The chain's RPC shows no posting of root ${active.index}, which is active: whether it pays what was due cannot be told.`,
    );
  }
  const all = await reader.rootsOf(modelId);
  const documents = createHeadDocumentsCache(reader);
  const wrong: PaidFalsely[] = [];
  const unseen: { root: PostedRoot; reason: string }[] = [];
  for (const [i, root] of roots.entries()) {
    if (i < roots.length - newest) continue;
    const key = keyOfRoot(root);
    try {
      const before = { active: roots[i - 1], judgedAt: judgedAt(all, root) };
      const found = judged.get(key) ?? (await judgeTwice({ reader, blobs, documents }, root, before));
      judged.set(key, found);
      if (found !== "holds") wrong.push(found);
    } catch (error) {
      if (!(error instanceof CotrainError) || !isNotHad(error)) throw error;
      unseen.push({ root, reason: error.message });
    }
  }
  return { false: wrong, unseen };
}

/**
 * Active roots of a run's model, of both kinds, that are not what was due; what is not to be had of those that pay this run is a problem.
 * @param revenue what recomputes roots of revenue; without it they are not looked at
 */
export async function checkPaidRoots(
  { reader, blobs, revenue }: Modules & { readonly revenue?: Pick<RevenueAccounts, "paidFalsely"> },
  runId: RunId,
  { whole, judged }: { readonly whole: Problems; readonly judged: JudgedRoots },
): Promise<readonly PaidFalsely[]> {
  const { modelId } = await reader.run(runId);
  const work = await whole.attempt(() => paidRoots({ reader, blobs }, modelId, { judged }));
  for (const { root, reason } of work?.unseen ?? [])
    // Who has the documents of one run of a model need not have those of all.
    if (root.runId === runId && !whole.sentences.includes(reason))
      whole.add("missing", `Whether root ${root.index}, which is active, pays what was due cannot be told: ${reason}`);
  const shared = (await whole.attempt(async () => revenue?.paidFalsely(modelId))) ?? [];
  return [...(work?.false ?? []), ...shared];
}
