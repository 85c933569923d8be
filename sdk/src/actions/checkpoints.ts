/** CheckpointRegistry: each run's hash chain of checkpoints. */
import { concatHex, decodeFunctionResult, type Hex } from "viem";
import { checkpointRegistryAbi } from "../abis/index.ts";
import type { HeadHash } from "../protocol/ids.ts";
import type { Suspend } from "../protocol/typedData.ts";
import { type Addressed, callOf, defineRead, defineWrite, eventsOf, findEvent, nothing, viewOf } from "./action.ts";

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
