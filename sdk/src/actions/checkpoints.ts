/** CheckpointRegistry: each run's hash chain of checkpoints. */
import { decodeFunctionResult, type Hex } from "viem";
import { checkpointRegistryAbi } from "../abis/index.ts";
import type { HeadHash } from "../protocol/ids.ts";
import { type Addressed, callOf, defineRead, defineWrite, findEvent, viewOf } from "./action.ts";

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
