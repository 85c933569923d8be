/** Heads of a run that is on no chain. */
import { asHead, asRunId, digestOfJson, zeroHash } from "@cotrain/sdk/protocol";

import type { PostedHead } from "../../../offchain/src/chain/index.ts";

export const runId = asRunId(digestOfJson("run"));

export const headOf = (round: number, checkpointDigest: PostedHead["checkpointDigest"]): PostedHead => ({
  runId,
  head: asHead(digestOfJson(`head-${round}`)),
  parentHead: asHead(zeroHash),
  sequence: round,
  round,
  paramsVersion: 1,
  checkpointDigest,
  receiptsRoot: zeroHash,
  block: round,
  blockHash: zeroHash,
  logIndex: 0,
  transaction: zeroHash,
  anchoredAt: 1_000 + round,
});
