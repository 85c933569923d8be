/** CheckpointRegistry: each run's hash chain of checkpoints. */
import { type Address, concatHex, decodeFunctionResult, type Hex } from "viem";
import { checkpointRegistryAbi } from "../abis/index.ts";
import type { HeadHash } from "../protocol/ids.ts";
import type { Suspend } from "../protocol/typedData.ts";
import {
  type Addressed,
  callOf,
  defineRead,
  defineWrite,
  eventOf,
  eventsOf,
  findEvent,
  nothing,
  viewOf,
} from "./action.ts";

export interface PostHeadArgs extends Addressed {
  readonly runId: Hex;
  /** The current head. */
  readonly parentHead: Hex;
  /** Rounds completed. */
  readonly round: bigint;
  readonly paramsVersion: number;
  readonly checkpointDigest: Hex;
  readonly receiptsRoot: Hex;
}

/** Adds a link; the poster's to send. What equals the current head is a success without an event. */
export const postHead = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, runId, parentHead, round, paramsVersion, checkpointDigest, receiptsRoot }: PostHeadArgs) =>
    callOf(addresses.checkpointRegistry, checkpointRegistryAbi, "post", [
      runId,
      parentHead,
      round,
      paramsVersion,
      checkpointDigest,
      receiptsRoot,
    ]),
  decode: (data) => decodeFunctionResult({ abi: checkpointRegistryAbi, functionName: "post", data }) as HeadHash,
  /** Undefined where the head was there already. */
  extractEvent: (receipt) => findEvent(receipt, checkpointRegistryAbi, "HeadPosted"),
});

/** What a poster says of a checkpoint; parent, sequence and round follow from the head before. */
export interface NewHead {
  readonly paramsVersion: number;
  readonly checkpointDigest: Hex;
  readonly receiptsRoot: Hex;
}

export interface PostHeadsArgs extends Addressed {
  readonly runId: Hex;
  /** The head on which the first of them stands. */
  readonly parentHead: Hex;
  /** Rounds completed of the first of them; each further one has one more. */
  readonly round: bigint;
  /** Oldest first. */
  readonly heads: readonly NewHead[];
}

/**
 * Adds several links in one transaction, for chains whose blocks are slower than rounds; the poster's to send. Those that are there
 * already and end in the current head are passed over. Its events are of what was added.
 */
export const postHeads = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, runId, parentHead, round, heads }: PostHeadsArgs) =>
    callOf(addresses.checkpointRegistry, checkpointRegistryAbi, "postMany", [runId, parentHead, round, heads]),
  decode: (data) => decodeFunctionResult({ abi: checkpointRegistryAbi, functionName: "postMany", data }) as HeadHash,
  extractEvent: (receipt) => eventsOf(receipt, checkpointRegistryAbi, "HeadPosted"),
});

export interface SuspendPosterArgs extends Addressed {
  readonly suspension: Suspend;
  /** Of the set in force, by signers strictly ascending. */
  readonly signatures: readonly Hex[];
}

/** Stops a run's poster at once; anybody brings the validators' signatures. What is in force already leaves no event. */
export const suspendPoster = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, suspension, signatures }: SuspendPosterArgs) =>
    callOf(addresses.checkpointRegistry, checkpointRegistryAbi, "suspend", [suspension, concatHex(signatures)]),
  decode: nothing,
  extractEvent: (receipt) => findEvent(receipt, checkpointRegistryAbi, "PosterSuspended"),
});

export interface SuspendAsOrganiserArgs extends Addressed {
  readonly runId: Hex;
  /** Who posts now, and shall no more. */
  readonly poster: Address;
  /** The head that shows why; zero where none does. */
  readonly head: Hex;
}

/**
 * Stops a run's poster at once; the organiser's to send, in bootstrap. What is in force already leaves no event.
 * @throws CheckpointRegistryMayNotSuspendError, CheckpointRegistryOtherPosterError, CheckpointRegistryRunNotOpenError where the run is finished
 */
export const suspendAsOrganiser = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, runId, poster, head }: SuspendAsOrganiserArgs) =>
    callOf(addresses.checkpointRegistry, checkpointRegistryAbi, "suspendAsOrganiser", [runId, poster, head]),
  decode: nothing,
  /** Its `setVersion` is 0. */
  extractEvent: (receipt) => findEvent(receipt, checkpointRegistryAbi, "PosterSuspended"),
});

/** Whether the run's poster was stopped, and no other one named yet. */
export const isSuspended = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, runId }: Addressed & { readonly runId: Hex }) =>
    viewOf(addresses.checkpointRegistry, checkpointRegistryAbi, "isSuspended", [runId]),
});

/** A run's last link; all zero for a run that does not exist. */
export interface CurrentHead {
  readonly head: HeadHash;
  readonly sequence: bigint;
  /** Rounds completed. */
  readonly round: bigint;
}

export const headOf = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, runId }: Addressed & { readonly runId: Hex }) =>
    viewOf(addresses.checkpointRegistry, checkpointRegistryAbi, "headOf", [runId]),
  present: ([head, sequence, round]): CurrentHead => ({ head: head as HeadHash, sequence, round }),
});

export interface RollbackArgs extends Addressed {
  readonly runId: Hex;
  /** The run's current head: what was decided on another one changes nothing. */
  readonly currentHead: Hex;
  /** Rounds completed to which it goes back. */
  readonly round: bigint;
  /** sha256 of the manifest of the checkpoint from which it goes on: the digest of an earlier head of that round. */
  readonly checkpointDigest: Hex;
}

/**
 * Has a run go on from an earlier checkpoint; the timelock's to send, in bootstrap the organiser's one window after it announced it.
 * @throws CheckpointRegistryStaleParentError where another head came meanwhile, CheckpointRegistryNotBackError,
 *   CheckpointRegistryRunNotOpenError where the run is finished
 */
export const rollback = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, runId, currentHead, round, checkpointDigest }: RollbackArgs) =>
    callOf(addresses.checkpointRegistry, checkpointRegistryAbi, "rollback", [
      runId,
      currentHead,
      round,
      checkpointDigest,
    ]),
  decode: (data) => decodeFunctionResult({ abi: checkpointRegistryAbi, functionName: "rollback", data }) as HeadHash,
  extractEvent: (receipt) => eventOf(receipt, checkpointRegistryAbi, "RolledBack"),
});

/** Says that a run shall be rolled back; the organiser's to send, in bootstrap. Another head, or another announcement, ends it. */
export const announceRollback = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, runId, currentHead, round, checkpointDigest }: RollbackArgs) =>
    callOf(addresses.checkpointRegistry, checkpointRegistryAbi, "announceRollback", [
      runId,
      currentHead,
      round,
      checkpointDigest,
    ]),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, checkpointRegistryAbi, "RollbackAnnounced"),
});

/** When what an organiser announced last may be done, chain seconds; undefined where nothing was announced. */
export const announcedRollback = /* @__PURE__ */ defineRead({
  addressed: true,
  view: ({ addresses, runId }: Addressed & { readonly runId: Hex }) =>
    viewOf(addresses.checkpointRegistry, checkpointRegistryAbi, "announcedRollback", [runId]),
  present: ([digest, readyAt]): { readonly digest: Hex; readonly readyAt: number } | undefined =>
    readyAt === 0 ? undefined : { digest, readyAt },
});

/** Rollbacks of a run, as a query for logs: which head does not stand, and which took its place. */
export const rolledBack = ({ addresses, runId }: Addressed & { readonly runId: Hex }) => ({
  address: addresses.checkpointRegistry,
  abi: checkpointRegistryAbi,
  eventName: "RolledBack" as const,
  args: { runId },
});

/** Rollbacks that an organiser announced. */
export const rollbackAnnounced = ({ addresses, runId }: Addressed & { readonly runId: Hex }) => ({
  address: addresses.checkpointRegistry,
  abi: checkpointRegistryAbi,
  eventName: "RollbackAnnounced" as const,
  args: { runId },
});
