/** What stands in the world of the simulation, whatever the seed. */
import { type Address, digestOfJson, type HeadHash, type Hex, zeroHash } from "@cotrain/sdk/protocol";

import type { ReceiptAccepted, Unstamped } from "../../../offchain/src/coordinator/machine/events.ts";
import type { Work } from "../../../offchain/src/coordinator/machine/state.ts";
import { build, elements, runId, START } from "./simulated.ts";

const EPOCH = 16;
export const WINDOW = 4;
export const POSTING_DELAY = 12;
export const addressOf = (index: number): Address => `0x${(index + 16).toString(16).repeat(20)}`;
export const validators = [addressOf(100), addressOf(101), addressOf(102)];

export interface ChainHead {
  readonly head: HeadHash;
  readonly sequence: number;
  readonly anchoredAt: number;
}
export interface ChainRoot {
  readonly epoch: number;
  readonly root: Hex;
  readonly activatableAt: number;
}

export const epochAt = (at: number): number => 1 + Math.floor((at - START / 1_000) / EPOCH);
export const endOf = (epoch: number): number => START / 1_000 + epoch * EPOCH;

export function receiptFor(work: Work): Unstamped<ReceiptAccepted> {
  const { assignment } = work;
  const { worker, round, assignmentId, attempt } = assignment;
  const fragments = elements.map((count, index) => ({
    index,
    base: zeroHash,
    elements: count,
    bytes: count,
    digest: digestOfJson({ worker, assignmentId, index }),
  }));
  const header = { version: 1 as const, runId, round, worker, codec: 1, table: zeroHash, fragments };
  const receipt = {
    runId,
    round: String(round),
    worker,
    beneficiary: addressOf(50),
    assignmentId: String(assignmentId),
    attempt,
    assignment: work.digest,
    steps: assignment.steps,
    paramsVersion: assignment.paramsVersion,
    build,
    baseDigest: assignment.base,
    commitment: zeroHash,
    leaves: 2,
    payloadDigest: zeroHash,
  };
  return { type: "ReceiptAccepted", receipt, signature: "0x", receiptHash: digestOfJson(receipt), header };
}
