/** What stands on-chain when an epoch is computed, and the deadline to attest it. */
import { endOfEpoch, MAX_DEADLINE_DELAYS } from "@cotrain/sdk/protocol";

import { RetryableError, UserError } from "../base/index.ts";
import type { ChainReader, ModelSchedule, RootView, SignedRoot } from "../chain/index.ts";
import type { ComputeEpochInput, ReadBlock } from "./ports.ts";

/** Of a posting delay, the least that is left to collect signatures; and the most, well within what validators sign by a clock that lags. */
const LEAST_LEFT = 1 / 4;
const MOST_LEFT = MAX_DEADLINE_DELAYS - 2;

/**
 * The deadline to attest an epoch: its end plus the least number of posting delays that leaves at least a quarter of one to
 * collect signatures. n = 1 first, so that all sign one value unasked.
 * @param expired attempts since the last root whose deadline passed without a posting. After each, twice as much is left: a root
 *   covers every epoch since the last, so what took validators too long to recompute takes them longer the next time.
 */
export function deadlineOf(schedule: ModelSchedule, epoch: number, now: number, expired = 0): number {
  const end = endOfEpoch(schedule, epoch);
  const left = Math.min(LEAST_LEFT * 2 ** expired, MOST_LEFT);
  const needed = now + schedule.postingDelay * left - end;
  return end + Math.max(1, Math.ceil(needed / schedule.postingDelay)) * schedule.postingDelay;
}

/**
 * Posting delays before its deadline up to which a root counts every head, whatever block it names: those within which the deadline of
 * what is signed lies, and one in which the newest block is confirmed. An attempt that comes late names a new block.
 */
const READ_DELAYS = MAX_DEADLINE_DELAYS + 1;

const latestAt = ({ postingDelay }: ModelSchedule, now: number): number => now + MAX_DEADLINE_DELAYS * postingDelay;

function requireDeadline(schedule: ModelSchedule, epoch: number, now: number, deadline: number): void {
  const delays = (deadline - endOfEpoch(schedule, epoch)) / schedule.postingDelay;
  if (!Number.isSafeInteger(delays) || delays < 1 || deadline < now || deadline > latestAt(schedule, now))
    throw new UserError(
      "DEADLINE_REFUSED",
      `The deadline ${deadline} of epoch ${epoch} must be its end plus whole posting delays, from now (${now}) to ${MAX_DEADLINE_DELAYS} delays ahead.`,
    );
}

/** What stands on-chain when an epoch is computed. */
export interface Standing {
  readonly schedule: ModelSchedule;
  readonly active: RootView | undefined;
  readonly set: Awaited<ReturnType<ChainReader["validators"]>>;
  readonly deadline: number;
  /** When the age of the epochs is judged: the deadline, or before it since a root that failed. */
  readonly asOf: number;
  /** All that is read stands at or below it. */
  readonly block: ReadBlock;
  /** The block that signers name, which is that one but of a root that was posted. */
  readonly named: ReadBlock;
  /** Heads that were anchored by then count above it too, chain seconds: no name of an old block leaves them out. */
  readonly readTo: number;
}

type Posted = NonNullable<ComputeEpochInput["posted"]>;

/** Not after a root was posted, however far its signers put the deadline: what came then they could not have read. */
function readToOf({ postingDelay, window }: ModelSchedule, deadline: number, posted: Posted | undefined): number {
  const oldest = deadline - READ_DELAYS * postingDelay;
  return Math.min(oldest, posted?.activatableAt === undefined ? oldest : posted.activatableAt - window);
}

/** A root that is recomputed must be the one in its window. @throws RetryableError `CHAIN_MOVED`, `ROOT_PENDING` */
function requirePending(
  pending: Pick<SignedRoot, "digest" | "epoch"> | undefined,
  posted: Posted | undefined,
  epoch: number,
): void {
  if (posted && pending?.digest !== posted.digest)
    throw new RetryableError("CHAIN_MOVED", `The root of attestation ${posted.digest} is not in its window any more.`);
  if (pending && !posted)
    throw new RetryableError(
      "ROOT_PENDING",
      `A root of epoch ${pending.epoch} is in its window; epoch ${epoch} is computed after it.`,
    );
}

/** The deadline to attest an epoch; of a root that was posted its own, which the contract has taken. @throws UserError `DEADLINE_REFUSED` */
function deadlineFor(
  schedule: ModelSchedule,
  now: number,
  { epoch, deadline: said, expired }: Pick<ComputeEpochInput, "epoch" | "deadline" | "expired">,
  posted: Posted | undefined,
): number {
  if (posted) return Number(posted.attestation.deadline);
  const deadline = said ?? deadlineOf(schedule, epoch, now, expired);
  requireDeadline(schedule, epoch, now, deadline);
  return deadline;
}

/**
 * The block that signers name: the newest confirmed one, or the one that was said.
 * @throws RetryableError `BLOCK_NOT_FINAL`; UserError `BLOCK_REFUSED`
 */
async function blockFor(reader: ChainReader, said: ReadBlock | undefined): Promise<ReadBlock> {
  const { block: tip } = await reader.tip();
  const newest = Math.max(0, tip - reader.confirmations);
  if (said && said.number > newest)
    throw new RetryableError(
      "BLOCK_NOT_FINAL",
      `Block ${said.number} is not confirmed here: block ${newest} is the newest.`,
    );
  const number = said?.number ?? newest;
  const hash = await reader.blockHash(number);
  if (hash === undefined) throw new RetryableError("CHAIN_MOVED", `Block ${number} is not there any more.`);
  if (said && said.hash !== hash)
    throw new UserError("BLOCK_REFUSED", `Block ${number} is ${hash} here, not ${said.hash}.`);
  return { number, hash };
}

/**
 * @throws RetryableError `EPOCH_NOT_OVER`, `ROOT_PENDING`, `BLOCK_NOT_FINAL`, `CHAIN_MOVED`; UserError `EPOCH_SUPERSEDED`,
 *   `DEADLINE_REFUSED`, `BLOCK_REFUSED`
 */
export async function standingFor(
  reader: ChainReader,
  { modelId, epoch, posted, ...input }: ComputeEpochInput,
): Promise<Standing> {
  const [schedule, active, pending, settled, now, set, judged] = await Promise.all([
    reader.schedule(modelId),
    reader.activeRoot(modelId),
    reader.pendingRoot(modelId),
    reader.settledTime(),
    reader.chainTime(),
    reader.validators(modelId, posted?.attestation.setVersion),
    reader.ageJudgedAt(modelId),
  ]);
  requirePending(pending, posted, epoch);
  const after = active?.epoch ?? 0;
  if (epoch <= after)
    throw new UserError("EPOCH_SUPERSEDED", `Epoch ${epoch} is covered by the active root of epoch ${after}.`);
  if (settled < endOfEpoch(schedule, epoch))
    throw new RetryableError(
      "EPOCH_NOT_OVER",
      `Epoch ${epoch} ends at ${endOfEpoch(schedule, epoch)}; the chain is at ${settled}.`,
    );
  const deadline = deadlineFor(schedule, now, { epoch, ...input }, posted);
  const asOf = Math.min(deadline, judged ?? deadline);
  const block = await blockFor(reader, input.block);
  const named = posted ? { number: Number(posted.attestation.blockNumber), hash: posted.attestation.blockHash } : block;
  return { schedule, active, set, deadline, asOf, block, named, readTo: readToOf(schedule, deadline, posted) };
}

/**
 * Reads at one block are not to be had of a pruned node, so what mattered is read once more: of what one answer says, a time in ten
 * years among it, nothing is made that validators are asked to sign, nor that an epoch is over and has nothing in it.
 * @throws RetryableError `CHAIN_MOVED`
 */
export async function requireStanding(
  reader: ChainReader,
  { modelId, epoch, posted }: ComputeEpochInput,
  { schedule, active, deadline, block }: Standing,
): Promise<void> {
  const [activeNow, pendingNow, settled, now, hash] = await Promise.all([
    reader.activeRoot(modelId),
    reader.pendingRoot(modelId),
    reader.settledTime(),
    reader.chainTime(),
    reader.blockHash(block.number),
  ]);
  if (hash !== block.hash)
    throw new RetryableError("CHAIN_MOVED", `Block ${block.number} changed while epoch ${epoch} was computed.`);
  const moved = pendingNow?.digest !== posted?.digest;
  if (activeNow?.epoch !== active?.epoch || activeNow?.root !== active?.root || moved)
    throw new RetryableError("CHAIN_MOVED", `The active root of ${modelId} changed while epoch ${epoch} was computed.`);
  // The deadline of what was posted is the contract's matter.
  if (settled < endOfEpoch(schedule, epoch) || (!posted && deadline > latestAt(schedule, now)))
    throw new RetryableError(
      "CHAIN_MOVED",
      `The chain is at ${now} again, for which the end of epoch ${epoch}, or its deadline ${deadline}, is too far ahead.`,
    );
}
