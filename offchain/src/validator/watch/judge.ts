/**
 * Whether a root in its window is what its epochs earned, by the computation of whoever watches: from the chain, the published
 * documents and the payloads of every round that it pays for; a root of revenue from the chain alone. No key and no verdict of its own goes into it, so that all who look
 * find the same. The losses of the gate are not measured: that takes an engine, and is what validators do. Nor does a root become false by
 * a fragment that no validator drew: who signed it had to look at no such fragment, and would lose stake for it.
 */
import { CotrainError } from "@cotrain/sdk/errors";
import {
  type Address,
  aggregateRejected,
  asRunId,
  canonicalJson,
  type Digest,
  digestOfJson,
  epochAt,
  type EpochHead,
  fromWire,
  type ModelId,
  rewardKind,
  structHash,
  toWire,
  type WireStruct,
} from "@cotrain/sdk/protocol";

import { RetryableError } from "../../base/index.ts";
import {
  type ChainConnection,
  type ChainReader,
  createReader,
  type PostedHead,
  type SignedRoot,
} from "../../chain/index.ts";
import {
  type BlobSource,
  computeEpoch,
  createHeadDocumentsCache,
  type EpochComputation,
  epochInputsOf,
  epochManifestOf,
  epochRewardsOf,
  epochVerdictsOf,
  type HeadDocumentsCache,
  type HeadWithParent,
  isWrong,
  revenueAccounts,
  type RevenueAccounts,
} from "../../run/index.ts";
import { differences } from "../attest.ts";
import { checkAggregate, checkedAgainst } from "../checks/recompute.ts";
import { createDescriptions, type Descriptions } from "../descriptions.ts";
import { isSlow, isUnpublished, ofNamedRuns, unnamedIn, type WhyUnnamed } from "./sources.ts";

/** What was found, to be published: its sha256 stands beside the dispute. Nothing in it changes from look to look. */
export interface Evidence {
  readonly version: 1;
  readonly modelId: ModelId;
  /** Struct hash of the attestation. */
  readonly digest: string;
  readonly attestation: WireStruct<"Attestation">;
  readonly found: "false" | "unpublished";
  /** One sentence. */
  readonly reason: string;
  /** What is due instead; null where nothing was computed. */
  readonly recomputed: WireStruct<"Attestation"> | null;
}

export const digestOfEvidence = (evidence: Evidence): Digest => digestOfJson(evidence);
/** As it is written down and published. */
export const evidenceText = (evidence: Evidence): string => canonicalJson(evidence);

export type Judgement =
  | { readonly kind: "holds" }
  | { readonly kind: "false"; readonly reason: string; readonly recomputed: WireStruct<"Attestation"> | null }
  /** Something that it takes is not to be had of any source. */
  | { readonly kind: "unpublished"; readonly reason: string }
  /**
   * The chain could not be read, or said two things: nothing follows. Or a source is slow, and may have what it takes. Or that is of the
   * run `unnamed`, whose coordinator nobody has named.
   */
  | { readonly kind: "unread"; readonly reason: string; readonly slow: boolean; readonly unnamed?: string };

/** What looks, with a reader of the chain and what that and it remember. */
export interface Judge {
  readonly root: (modelId: ModelId, posted: SignedRoot) => Promise<Judgement>;
  /** Of a head alone, and of all its fragments, as long as its payloads are kept: until a root that pays for it is active. */
  readonly head: (link: HeadWithParent) => Promise<Judgement>;
}

/** What the chain is read by. */
export interface Looking {
  readonly reader: ChainReader;
  readonly revenue: Pick<RevenueAccounts, "recompute">;
  /** Of which runs what is published need not be to be had, by the word of the same chain; left out, of none. */
  readonly whyUnnamed?: WhyUnnamed;
}

/** Through a connection, by what remembers nothing. */
export function lookingThrough(
  connection: ChainConnection,
  where: Pick<Parameters<typeof createReader>[1], "contracts" | "fromBlock">,
): Looking {
  const reader = createReader(connection, where);
  return { reader, revenue: revenueAccounts({ reader, connection, fromBlock: where.fromBlock }) };
}

interface Modules {
  readonly reader: ChainReader;
  readonly blobs: BlobSource;
  readonly documents: HeadDocumentsCache;
  readonly descriptions: Descriptions;
  /** Fragments of heads that are what the payloads make. */
  readonly sound: Set<string>;
}

/** Fragments that are known to be sound at the most: those of an epoch, and many more. */
const MAX_SOUND = 65_536;

/** What an error that ended a look says about the root. @throws what is no error of ours */
function judgementOf(error: unknown): Judgement {
  if (!(error instanceof CotrainError)) throw error;
  const { message: reason } = error;
  if (isUnpublished(error)) return { kind: "unpublished", reason };
  if (isWrong(error)) return { kind: "false", reason, recomputed: null };
  const unnamed = unnamedIn(error);
  return { kind: "unread", reason, slow: isSlow(error), ...(unnamed !== undefined && { unnamed }) };
}

/** Whether a root names the last head of its epochs, and so that head's run, as the chain alone tells. */
async function namesItsHead(
  reader: ChainReader,
  modelId: ModelId,
  { attestation, epoch }: SignedRoot,
): Promise<boolean> {
  const schedule = await reader.schedule(modelId);
  const runs = await Promise.all((await reader.runsOf(modelId)).map((runId) => reader.headsSince(runId, 0)));
  const last = runs
    .flat()
    .filter(({ anchoredAt }) => epochAt(schedule, anchoredAt) <= epoch)
    .toSorted((a, b) => a.block - b.block || a.logIndex - b.logIndex)
    .at(-1);
  return last !== undefined && last.head === attestation.head && last.runId === attestation.runId;
}

/**
 * Whoever signs a false root writes into it of which run it is: by one whose coordinator nobody has named, but that has nothing to do with
 * it, nobody gets out of publishing it.
 */
async function heldToItsRun(
  reader: ChainReader,
  modelId: ModelId,
  posted: SignedRoot,
  judgement: Judgement,
): Promise<Judgement> {
  if (judgement.kind !== "unread" || judgement.unnamed !== posted.attestation.runId) return judgement;
  if (await namesItsHead(reader, modelId, posted)) return judgement;
  const reason = `It names run ${posted.attestation.runId}, which the last head of its epochs is not of, and not all of it is to be had.`;
  return { kind: "unpublished", reason };
}

/** Why a head does not hold, by these fragments of it; empty where it does. @throws what is not to be had, or wrong */
async function problemOfHead(
  modules: Modules,
  { head, parent }: HeadWithParent,
  fragments: readonly number[],
): Promise<string> {
  const { reader, blobs, documents, descriptions, sound } = modules;
  const nameOf = (fragment: number): string => `${head.head}/${fragment}`;
  const open = fragments.filter((fragment) => !sound.has(nameOf(fragment)));
  if (open.length === 0) return "";
  const { definition } = await descriptions.of(head.runId);
  const input = await checkedAgainst(reader, { head, parent }, await documents.read(blobs, head, parent), definition);
  for (const fragment of open) {
    const { holds, reason } = await checkAggregate(blobs, { ...input, fragment });
    if (!holds) return reason;
    const [oldest] = sound;
    if (sound.size >= MAX_SOUND && oldest !== undefined) sound.delete(oldest);
    sound.add(nameOf(fragment));
  }
  return "";
}

/**
 * Which fragments of a head those draw who may sign a root that pays for it, in rising order.
 * @throws RetryableError `CHAIN_RPC` while the block that decides is still to come: nothing follows yet
 */
async function drawnOf(
  { descriptions }: Modules,
  head: PostedHead,
  validators: readonly Address[],
): Promise<readonly number[]> {
  const sortition = await descriptions.sortitionOf(head);
  if (!sortition)
    throw new RetryableError(
      "CHAIN_RPC",
      `There is no block yet that decides which fragments of head ${head.head} are drawn.`,
    );
  const drawn = new Set(validators.map((validator) => sortition.fragmentOf(validator)));
  return [...drawn].toSorted((a, b) => a - b);
}

/** Those that are paid, each with the link before it. Checkpoint 0 has nothing behind it. */
async function paidHeads(reader: ChainReader, { inputs, verdicts }: EpochComputation) {
  const parsed = verdicts.verdicts.map(({ verdict }) => fromWire("Verdict", verdict));
  const paid = inputs.epochs
    .flatMap(({ heads }) => heads)
    .filter(({ head, sequence }) => sequence > 0 && !aggregateRejected(head, parsed));
  const linkOf = async ({ runId, head: name, sequence }: EpochHead) => {
    const heads = await reader.headsSince(asRunId(runId), 0);
    const [head, parent] = [heads[sequence], heads[sequence - 1]];
    if (head?.head !== name || !parent)
      throw new RetryableError("CHAIN_MOVED", `The chain holds head ${name} no more.`);
    return { head, parent };
  };
  return Promise.all(paid.map(linkOf));
}

async function judge(modules: Modules, modelId: ModelId, posted: SignedRoot): Promise<Judgement> {
  const { reader, blobs } = modules;
  const { attestation } = posted;
  const runId = asRunId(attestation.runId);
  const manifest = await epochManifestOf(blobs, runId, attestation.epochDigest);
  const { verdicts } = await epochVerdictsOf(blobs, runId, manifest);
  // Who is paid claims by the tree, and who doubts it adds up the inputs: a root without them is worth nothing, though it may be true.
  await epochRewardsOf(blobs, runId, manifest);
  await epochInputsOf(blobs, runId, manifest);
  const result = await computeEpoch(modules, { modelId, epoch: posted.epoch, verdicts, posted });
  if (result.kind === "nothing")
    return { kind: "false", reason: `There is nothing to pay: ${result.reason}`, recomputed: null };
  const { computation } = result;
  const recomputed = toWire("Attestation", computation.attestation);
  if (structHash("Attestation", computation.attestation) !== posted.digest) {
    const reason = `It differs from what was recomputed: ${differences(attestation, computation).join(", ")}.`;
    return { kind: "false", reason, recomputed };
  }
  const { validators } = await reader.validators(modelId, attestation.setVersion);
  for (const { head, parent } of await paidHeads(reader, computation)) {
    const problem = await problemOfHead(modules, { head, parent }, await drawnOf(modules, head, validators));
    if (problem === "") continue;
    const reason = `It pays for checkpoint ${head.round}, head ${head.head}, which does not hold: ${problem}`;
    return { kind: "false", reason, recomputed: null };
  }
  return { kind: "holds" };
}

/** Of a root of revenue nobody has to publish anything, so that nothing of it can be withheld. */
async function judgeRevenue({ revenue }: Looking, modelId: ModelId, posted: SignedRoot): Promise<Judgement> {
  const { attestation, digest } = posted;
  const own = await revenue.recompute(modelId, posted);
  if (!own) return { kind: "false", reason: "There is no revenue that it could set aside.", recomputed: null };
  if (structHash("Attestation", own.attestation) === digest) return { kind: "holds" };
  const reason = `It differs from what was recomputed: ${differences(attestation, own).join(", ")}.`;
  return { kind: "false", reason, recomputed: toWire("Attestation", own.attestation) };
}

/** The chain alone was asked: whatever it did not say, nothing follows. @throws what is no error of ours */
function unreadOf(error: unknown): Judgement {
  if (!(error instanceof CotrainError)) throw error;
  return { kind: "unread", reason: error.message, slow: false };
}

/**
 * A judge of its own remembers nothing that another one found.
 * @param sound fragments of heads that one found to be what the payloads make, where judges of one look share them
 */
export function createJudge(looking: Looking, sources: BlobSource, sound = new Set<string>()): Judge {
  const { reader, whyUnnamed } = looking;
  const blobs = whyUnnamed ? ofNamedRuns(sources, whyUnnamed) : sources;
  const documents = createHeadDocumentsCache(reader);
  const descriptions = createDescriptions(reader, blobs);
  const modules = { reader, blobs, documents, descriptions, sound };
  const head = async (link: HeadWithParent): Promise<Judgement> => {
    const { fragments } = await descriptions.of(link.head.runId);
    const reason = await problemOfHead(modules, link, [...Array(fragments).keys()]);
    return reason === "" ? { kind: "holds" } : { kind: "false", reason, recomputed: null };
  };
  return {
    root: (modelId, posted) =>
      posted.attestation.kind === rewardKind.revenue
        ? judgeRevenue(looking, modelId, posted).catch(unreadOf)
        : judge(modules, modelId, posted)
            .catch(judgementOf)
            .then((found) => heldToItsRun(reader, modelId, posted, found))
            .catch(unreadOf),
    head: (link) => head(link).catch(judgementOf),
  };
}

/** What is written down of a judgement. */
export const evidenceOf = (
  modelId: ModelId,
  { digest, attestation }: SignedRoot,
  judgement: Extract<Judgement, { readonly kind: "false" | "unpublished" }>,
): Evidence => ({
  version: 1,
  modelId,
  digest,
  attestation: toWire("Attestation", attestation),
  found: judgement.kind,
  reason: judgement.reason,
  recomputed: judgement.kind === "false" ? judgement.recomputed : null,
});
