/** What simulated runs have in common: their facts, and fragments of checkpoints that hold nothing. */
import {
  type Address,
  type CheckpointFragment,
  defaultScreening,
  type Digest,
  digestOfJson,
  type ModelId,
  type RunId,
  zeroHash,
} from "@cotrain/sdk/protocol";

import type { ReceiptAccepted, Unstamped } from "../../../offchain/src/coordinator/machine/events.ts";
import type { RunFacts, Work } from "../../../offchain/src/coordinator/machine/state.ts";

export const START = 1_790_000_000_000;
export const runId = `0x${"b1".repeat(32)}` as RunId;
export const registry: Address = `0x${"a3".repeat(20)}`;
export const build = `0x${"d1".repeat(32)}` as Digest;
export const elements = [300, 256];

export const facts: RunFacts = {
  runId,
  modelId: `0x${"b2".repeat(32)}` as ModelId,
  chainId: 31_337,
  checkpointRegistry: registry,
  table: zeroHash,
  elements,
  sequence: 16,
  seed: runId,
  screening: defaultScreening,
};

export const fragmentOf = (name: string, index = 0): CheckpointFragment => ({
  index,
  digest: digestOfJson(name),
  bytes: 100,
  parameters: { offset: 0, bytes: 50, digest: digestOfJson(`${name}/p`) },
  outer: { offset: 50, bytes: 50, digest: digestOfJson(`${name}/o`) },
});

/** What a worker hands in. */
export function receiptFor(work: Work, beneficiary: Address, counts = elements): Unstamped<ReceiptAccepted> {
  const { assignment } = work;
  const { worker, round, assignmentId, attempt } = assignment;
  const fragments = counts.map((count, index) => ({
    index,
    base: zeroHash,
    elements: count,
    bytes: count,
    digest: digestOfJson({ worker, assignmentId, attempt, index }),
  }));
  const header = { version: 1 as const, runId, round, worker, codec: 1, table: zeroHash, fragments };
  const receipt = {
    runId,
    round: String(round),
    worker,
    beneficiary,
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
