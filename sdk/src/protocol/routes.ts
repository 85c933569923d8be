/** Paths of the coordinator's HTTP API. `runId` stands in every route: one process hosts many runs. */
import type { Address, Digest, Hex, RunId } from "./ids.ts";
import { cidOf } from "./digest.ts";

export const routes = {
  runs: () => "/v1/runs",
  run: (runId: RunId | ":runId") => `/v1/runs/${runId}`,
  join: (runId: RunId | ":runId") => `/v1/runs/${runId}/join`,
  lease: (runId: RunId | ":runId") => `/v1/runs/${runId}/lease`,
  software: (runId: RunId | ":runId") => `/v1/runs/${runId}/software`,
  machines: (runId: RunId | ":runId") => `/v1/runs/${runId}/machines`,
  /** @param offer hash of what the machine is offered for */
  machineLease: (runId: RunId | ":runId", offer: Hex | ":offer") => `/v1/runs/${runId}/machines/${offer}/lease`,
  leave: (runId: RunId | ":runId") => `/v1/runs/${runId}/leave`,
  heartbeat: (runId: RunId | ":runId") => `/v1/runs/${runId}/heartbeat`,
  work: (runId: RunId | ":runId") => `/v1/runs/${runId}/work`,
  fragment: (
    runId: RunId | ":runId",
    assignmentId: number | ":assignmentId",
    attempt: number | ":attempt",
    index: number | ":index",
  ) => `/v1/runs/${runId}/assignments/${assignmentId}/attempts/${attempt}/fragments/${index}`,
  receipts: (runId: RunId | ":runId") => `/v1/runs/${runId}/receipts`,
  blob: (runId: RunId | ":runId", digest: Digest | ":cid") =>
    `/v1/runs/${runId}/blobs/${digest === ":cid" ? digest : cidOf(digest)}`,
  checkpoints: (runId: RunId | ":runId") => `/v1/runs/${runId}/checkpoints`,
  verdicts: (runId: RunId | ":runId") => `/v1/runs/${runId}/verdicts`,
  epochs: (runId: RunId | ":runId") => `/v1/runs/${runId}/epochs`,
  attestations: (runId: RunId | ":runId", epoch: number | ":epoch") => `/v1/runs/${runId}/epochs/${epoch}/attestations`,
  reward: (runId: RunId | ":runId", account: Address | ":account") => `/v1/runs/${runId}/rewards/${account}`,
  control: (runId: RunId | ":runId") => `/v1/runs/${runId}/control`,
} as const;
