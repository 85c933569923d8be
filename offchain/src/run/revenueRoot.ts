/**
 * The next root of revenue on its way from validator to validator: a file with what they sign and who has signed. Everybody computes it
 * from the chain, so that nothing in the file is believed; it only says up to which block, and until when it can be posted.
 */
import { activeRoot, bondOf, getAllLogs, pendingRoot, rootPosted, scheduleOf } from "@cotrain/sdk/actions";
import {
  Address20,
  asAddress,
  asDigest,
  asHead,
  asModelId,
  asRunId,
  type Attestation,
  type Digest,
  digestOfJson,
  type Domain,
  domainFor,
  endOfEpoch,
  epochAt,
  type EpochManifest,
  type Hex,
  MAX_DEADLINE_DELAYS,
  rewardKind,
  Signature65,
  structHash,
  toWire,
  wireSchema,
  zeroHash,
} from "@cotrain/sdk/protocol";
import { Type } from "typebox";
import { formatEther } from "viem";

import { RetryableError, timeText, UserError } from "../base/index.ts";
import type { ChainReader, RootView } from "../chain/index.ts";
import { readStateFile, writeStateFile } from "../service/index.ts";
import { rewardTreeOf } from "./epochDocuments.ts";
import type { EpochComputation, ReadBlock } from "./ports.ts";
import type { Revenue, RevenuePlace } from "./revenue.ts";
import { computeRevenue, type RevenueComputation } from "./revenueShares.ts";
import { MAX_SIGNATURES, type SignedStatement, signersOfFile, structOfFile } from "./signatures.ts";

/** Where a root of revenue is computed and signed. */
export interface RevenueRootPlace extends RevenuePlace {
  readonly reader: Pick<ChainReader, "chainId" | "tip" | "confirmations" | "blockHash" | "validators">;
}

const RevenueRootFile = Type.Object(
  {
    version: Type.Literal(1),
    chainId: Type.Integer({ minimum: 1 }),
    computeRewards: Address20,
    attestation: wireSchema("Attestation"),
    signatures: Type.Array(Signature65, { maxItems: MAX_SIGNATURES }),
  },
  { additionalProperties: false },
);

/** A root of revenue, and the signatures of validators by who signed, ascending. */
export interface RevenueStatement extends SignedStatement<"Attestation"> {
  readonly computation: RevenueComputation;
  /** The set in force. */
  readonly validators: readonly `0x${string}`[];
  readonly threshold: number;
}

const kind = rewardKind.revenue;
const domainOf = ({ reader, addresses }: RevenueRootPlace): Domain =>
  domainFor(reader.chainId, asAddress(addresses.computeRewards));

export async function timeAt({ connection }: RevenueRootPlace, { number }: ReadBlock): Promise<number> {
  const block = await connection.call((client) => client.getBlock({ blockNumber: BigInt(number) }));
  return Number(block.timestamp);
}

/** The newest one that is believed. @throws RetryableError `CHAIN_MOVED` */
export async function confirmedBlock({ reader }: RevenueRootPlace): Promise<ReadBlock> {
  const { block: tip } = await reader.tip();
  const number = Math.max(0, tip - reader.confirmations);
  const hash = await reader.blockHash(number);
  if (hash === undefined) throw new RetryableError("CHAIN_MOVED", `Block ${number} is not there any more.`);
  return { number, hash };
}

/** Digest of the manifest under the active root of revenue; null before the first. */
async function manifestBefore({ connection, addresses, modelId, fromBlock }: RevenueRootPlace, index: number) {
  if (index === 0) return null;
  const { logs } = await connection.call((client) =>
    getAllLogs(client, rootPosted({ addresses, modelId, kind }), { from: BigInt(fromBlock) }),
  );
  // What was activated is the last that was posted of its number.
  const posted = logs.findLast(({ args }) => Number(args.index) === index);
  if (!posted)
    throw new RetryableError("CHAIN_MOVED", `The node tells no posting of the active root ${index} of revenue.`);
  return asDigest(posted.args.attestation.epochDigest);
}

/** What is attested besides what was computed. */
interface Around {
  readonly fromEpoch: number;
  readonly toEpoch: number;
  readonly deadline: number;
  readonly block: ReadBlock;
  readonly previous: { readonly root: Hex; readonly manifest: Digest | null };
  readonly setVersion: number;
}

/** What is signed, and the manifest under it. */
export type RevenueSigned = Pick<EpochComputation, "attestation" | "manifest">;

function signedOf({ inputs, rewards }: RevenueComputation, around: Around): RevenueSigned {
  const { fromEpoch, toEpoch, deadline, block, previous, setVersion } = around;
  const { index } = rewards;
  const modelId = asModelId(rewards.modelId);
  const { root, total } = rewardTreeOf(rewards);
  const manifest: EpochManifest = {
    version: 1,
    modelId,
    kind,
    index,
    fromEpoch,
    toEpoch,
    runId: zeroHash,
    head: zeroHash,
    finished: [],
    previous: previous.manifest,
    previousRoot: previous.root,
    root,
    total: total.toString(),
    inputs: digestOfJson(inputs),
    verdicts: zeroHash,
    rewards: digestOfJson(rewards),
  };
  const attestation: Attestation = {
    kind,
    modelId,
    index: BigInt(index),
    fromEpoch: BigInt(fromEpoch),
    toEpoch: BigInt(toEpoch),
    runId: asRunId(zeroHash),
    head: asHead(zeroHash),
    epochDigest: digestOfJson(manifest),
    previousRoot: previous.root,
    root,
    total,
    setVersion,
    blockNumber: BigInt(block.number),
    blockHash: block.hash,
    deadline: BigInt(deadline),
  };
  return { manifest, attestation };
}

/** What is chosen of a root: all else follows from the chain. */
interface Chosen {
  readonly toEpoch: number;
  readonly deadline: number;
  readonly block: ReadBlock;
}

/**
 * What follows an active root.
 * @param readTo the newest block that is believed
 * @returns undefined where nothing is left to set aside
 * @throws as `computeRevenue`
 */
export async function signedAfter(
  place: RevenueRootPlace,
  revenue: Revenue,
  active: Pick<RootView, "index" | "epoch" | "root"> | undefined,
  { readTo, ...chosen }: Chosen & Pick<Around, "setVersion"> & { readonly readTo: number },
): Promise<(RevenueSigned & { readonly computation: RevenueComputation }) | undefined> {
  const { toEpoch } = chosen;
  const [index, fromEpoch] = [(active?.index ?? 0) + 1, (active?.epoch ?? 0) + 1];
  if (toEpoch < fromEpoch) return undefined;
  const computation = await computeRevenue(place, revenue, { index, fromEpoch, toEpoch }, BigInt(readTo));
  if (!computation) return undefined;
  const previous = { root: active?.root ?? zeroHash, manifest: await manifestBefore(place, index - 1) };
  return { ...signedOf(computation, { ...chosen, fromEpoch, previous }), computation };
}

/**
 * What validators sign of the epochs up to one that is over.
 * @throws UserError `REVENUE_PENDING`, `REVENUE_NOTHING`; as `computeRevenue`
 */
async function statementOf(
  place: RevenueRootPlace,
  revenue: Revenue,
  { toEpoch, deadline, block }: Chosen,
): Promise<RevenueStatement> {
  const { connection, addresses, modelId, reader } = place;
  const at = { addresses, modelId, kind };
  const [active, pending, set] = await Promise.all([
    connection.call((client) => activeRoot(client, at)),
    connection.call((client) => pendingRoot(client, at)),
    reader.validators(modelId),
  ]);
  if (pending)
    throw new UserError(
      "REVENUE_PENDING",
      `Root ${pending.index} of revenue is in its window: once that is over, "npx cotrain revenue activate" has it pay.`,
    );
  const { version: setVersion, validators, threshold } = set;
  const before = active && { ...active, epoch: active.toEpoch };
  const found = await signedAfter(place, revenue, before, {
    toEpoch,
    deadline,
    block,
    setVersion,
    readTo: block.number,
  });
  if (!found)
    throw new UserError("REVENUE_NOTHING", "No revenue of an epoch that is over is left for a root to set aside.");
  const { attestation: struct, computation } = found;
  return { domain: domainOf(place), struct, signatures: new Map(), computation, validators, threshold };
}

/** The latest deadline within so many posting delays. */
const latestDeadline = (end: number, postingDelay: number, until: number): number =>
  end + Math.floor((until - end) / postingDelay) * postingDelay;

/** @throws UserError `REVENUE_BOND` where who posts the next root must put up a bond, which a file passes nobody */
async function requireNoBond({ connection, addresses, modelId }: RevenueRootPlace): Promise<void> {
  const { bond, isDue } = await connection.call((client) => bondOf(client, { addresses, modelId, kind }));
  if (isDue)
    throw new UserError(
      "REVENUE_BOND",
      `A root of revenue failed, so that the next one must bear a bond of ${formatEther(bond)} coins: a coordinator bears it, or whoever posts what that has collected, by "npx cotrain rewards post --kind revenue".`,
    );
}

/**
 * The root of all epochs that are over by the newest confirmed block, for a file.
 * @throws as {@link nextRevenueRoot}; UserError `REVENUE_BOND`
 */
export async function beginRevenueRoot(place: RevenueRootPlace, revenue: Revenue): Promise<RevenueStatement> {
  await requireNoBond(place);
  return nextRevenueRoot(place, revenue);
}

/**
 * The root of all epochs that are over by the newest confirmed block.
 * @param delays posting delays from now within which it can be posted: validators sign none with more than five, since a file takes
 *   longer than a request
 * @throws as `statementOf`; RetryableError `CHAIN_MOVED`
 */
export async function nextRevenueRoot(
  place: RevenueRootPlace,
  revenue: Revenue,
  delays = MAX_DEADLINE_DELAYS,
): Promise<RevenueStatement> {
  const { connection, addresses, modelId } = place;
  const block = await confirmedBlock(place);
  const schedule = await connection.call((client) => scheduleOf(client, { addresses, modelId }));
  const toEpoch = epochAt(schedule, await timeAt(place, block)) - 1;
  const until = revenue.now + delays * schedule.postingDelay;
  const deadline = latestDeadline(endOfEpoch(schedule, toEpoch), schedule.postingDelay, until);
  return statementOf(place, revenue, { toEpoch, deadline, block });
}

/** How what was handed on is told of. */
interface Told {
  /** What begins a sentence. */
  readonly what: string;
  /** What follows what is wrong with it, if anything. */
  readonly remedy?: string;
}

/**
 * Computes anew what somebody says the next root is.
 * @throws UserError `REVENUE_STALE` where it can be posted no more, or its block is another one; `REVENUE_OTHER` where it is not what
 *   this chain says; RetryableError `BLOCK_NOT_FINAL`; as `statementOf`
 */
export async function checkRevenueRoot(
  place: RevenueRootPlace,
  revenue: Revenue,
  struct: Attestation,
  { what, remedy = "" }: Told,
): Promise<RevenueStatement> {
  const { connection, addresses, modelId, reader } = place;
  const stale = (why: string): never => {
    throw new UserError("REVENUE_STALE", `${what} ${why}${remedy}.`);
  };
  const [toEpoch, deadline] = [Number(struct.toEpoch), Number(struct.deadline)];
  const block = { number: Number(struct.blockNumber), hash: struct.blockHash };
  const schedule = await connection.call((client) => scheduleOf(client, { addresses, modelId }));
  if (deadline < revenue.now) stale(`could be posted until ${timeText(deadline)}`);
  if (deadline > revenue.now + MAX_DEADLINE_DELAYS * schedule.postingDelay) stale("could be posted for too long");
  const { number: newest } = await confirmedBlock(place);
  if (block.number > newest)
    throw new RetryableError(
      "BLOCK_NOT_FINAL",
      `Block ${block.number} is not confirmed here: block ${newest} is the newest.`,
    );
  if ((await reader.blockHash(block.number)) !== block.hash)
    stale(`was read at a block ${block.number} that is not there`);
  if ((await timeAt(place, block)) < endOfEpoch(schedule, toEpoch)) stale(`was read before epoch ${toEpoch} was over`);
  const own = await statementOf(place, revenue, { toEpoch, deadline, block });
  if (structHash("Attestation", own.struct) !== structHash("Attestation", struct))
    throw new UserError(
      "REVENUE_OTHER",
      `${what} is not what this chain says: its root ${struct.root} sets ${struct.total} aside, and ${own.struct.root} should ${own.struct.total}. Sign nothing of it.`,
    );
  return own;
}

/**
 * Reads a root from a file and computes it anew; undefined where there is no such file.
 * @throws UserError `REVENUE_INVALID` where the file is none, is of another model, or has a signature of nobody in the set;
 *   `REVENUE_BOND`; as {@link checkRevenueRoot}
 */
export async function readRevenueRoot(
  path: string,
  place: RevenueRootPlace,
  revenue: Revenue,
): Promise<RevenueStatement | undefined> {
  const { modelId } = place;
  const remedy = "have it sent again, or name another file to begin anew";
  const file = await readStateFile(path, RevenueRootFile, remedy);
  if (!file) return undefined;
  const named = { path, code: "REVENUE_INVALID", remedy };
  const struct = structOfFile(named, "Attestation", file.attestation);
  const domain = domainOf(place);
  if (file.chainId !== domain.chainId || file.computeRewards !== domain.verifyingContract || struct.modelId !== modelId)
    throw new UserError("REVENUE_INVALID", `${path} is of another model, or of other contracts: ${remedy}.`);
  await requireNoBond(place);
  const own = await checkRevenueRoot(place, revenue, struct, {
    what: path,
    remedy: ": name another file to begin anew",
  });
  const signatures = await signersOfFile(named, { domain, name: "Attestation", struct }, file.signatures, {
    of: "validators",
    addresses: own.validators,
  });
  return { ...own, signatures };
}

export const writeRevenueRoot = (path: string, { domain, struct, signatures }: RevenueStatement): Promise<void> =>
  writeStateFile(path, RevenueRootFile, {
    version: 1,
    chainId: domain.chainId,
    computeRewards: domain.verifyingContract,
    attestation: toWire("Attestation", struct),
    signatures: [...signatures.values()],
  });
