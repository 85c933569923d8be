import type { ContractAddresses, RunId } from "@cotrain/sdk/protocol";

import { UserError } from "../../base/index.ts";
import {
  type BlobSource,
  type ChainReader,
  type HeadReport,
  openReader,
  verifyRun,
  type VerifySummary,
} from "../../chain/index.ts";
import { defineCommand } from "../command.ts";
import { formatBytes } from "../format.ts";
import { openLocalRun, requireRun, withChain } from "../local.ts";
import { coordinatorOption, deploymentOption, rpcOption, runOption, stateOption } from "../options.ts";
import type { Output } from "../output.ts";
import { blobSourceOf, openRemoteRun, readerOptions, requireNamedDeployment } from "../wiring.ts";

const marks = { ok: "ok    ", pruned: "pruned", missing: "FAIL  ", mismatch: "FAIL  " } as const;

function line(report: HeadReport): string {
  const { condition, round, sequence, receipts, bytes } = report;
  const shards = condition === "pruned" ? "; its shards are not kept any more" : "";
  const signed = report.signed ? "" : " (not covered by a signed epoch)";
  const problems = report.problems.map((problem) => `\n       ${problem}`).join("");
  return `${marks[condition]} round ${round}, link ${sequence}, ${receipts} receipts, ${formatBytes(bytes)} hashed${shards}${signed}${problems}`;
}

/** What is walked, and whose word says that it is this. */
interface Subject {
  readonly reader: ChainReader;
  readonly blobs: BlobSource;
  readonly runId: RunId;
  /** Where chain id and contracts come from. */
  readonly contractsFrom: "deployment" | "coordinator";
}

/** Contracts that a lying coordinator deployed verify as well as the true ones: who looks must be able to compare. */
const warning = (chainId: number, runId: RunId, contracts: ContractAddresses): string[] => [
  "The contracts are the coordinator's word alone: compare them with what you know, or pin them with --deployment and --run.",
  `  run                 ${runId}`,
  `  chain               ${chainId}`,
  `  RunRegistry         ${contracts.runRegistry}`,
  `  CheckpointRegistry  ${contracts.checkpointRegistry}`,
];

async function walk({ reader, blobs, runId, contractsFrom }: Subject, output: Output): Promise<number> {
  const { chainId, contracts } = reader;
  if (!output.json && contractsFrom === "coordinator") output.result(undefined, warning(chainId, runId, contracts));
  const reports: HeadReport[] = [];
  const walking = verifyRun({ reader, blobs }, runId);
  let summary: VerifySummary;
  for (;;) {
    const next = await walking.next();
    if (next.done) {
      summary = next.value;
      break;
    }
    reports.push(next.value);
    if (!output.json) output.result(undefined, [line(next.value)]);
  }
  const { heads, ok, pruned, missing, mismatch, unsigned, problems } = summary;
  const sound = missing === 0 && mismatch === 0 && problems.length === 0;
  const lines = [
    ...problems.map((problem) => `FAIL   ${problem}`),
    `${heads} checkpoints: ${ok} ok, ${pruned} pruned, ${missing} missing, ${mismatch} wrong; ${unsigned} not covered by a signed epoch`,
  ];
  output.result({ sound, runId, chainId, contractsFrom, contracts, ...summary, checkpoints: reports }, lines);
  return sound ? 0 : 1;
}

/** `cotrain verify`: needs nobody's word, only the contracts and the blobs they name. */
export const verifyCommand = defineCommand({
  name: "verify",
  summary: "walk the chain of checkpoints from the contracts alone, fetch, hash and recompute",
  options: {
    state: stateOption,
    coordinator: coordinatorOption,
    rpc: rpcOption,
    run: runOption,
    deployment: deploymentOption,
  },
  examples: [
    ["npx cotrain verify", "the run of this directory, from its chain and its blobs"],
    [
      "npx cotrain verify --coordinator http://127.0.0.1:7700 --rpc http://127.0.0.1:8545 --deployment deployment.json",
      "somebody else's run: blobs from the coordinator, truth from the contracts that the file names",
    ],
  ],
  notes: [
    "Checked of every checkpoint: its link in the hash chain, its manifest, its receipts and every signature on them, and",
    "every shard that is there. Shards of old checkpoints need not be kept: such a checkpoint is “pruned”, which is no",
    "failure. Those of checkpoint 0, of the newest and of what no signed epoch covers yet must be there, and so must every",
    "manifest and every file of receipts. Ends with 1 when anything is missing or wrong.",
  ],
  async run({ options, output }) {
    const { coordinator, rpc } = options;
    if (coordinator !== undefined) {
      if (rpc === undefined)
        throw new UserError(
          "RPC_MISSING",
          "--coordinator needs --rpc: a coordinator's own word about the chain proves nothing.",
        );
      const { client, runId, pinned, ...where } = await openRemoteRun({ ...options, coordinator });
      const reader = await openReader({ rpcUrl: rpc, ...where });
      return walk({ reader, blobs: client, runId, contractsFrom: pinned ? "deployment" : "coordinator" }, output);
    }
    const run = await openLocalRun(options.state);
    requireRun(run, options.run);
    await requireNamedDeployment(run, options.deployment);
    return withChain(
      run,
      async ({ url, chainId }) => {
        const reader = await openReader(readerOptions(url, chainId, run.deployment));
        const { runId } = run;
        return walk({ reader, blobs: blobSourceOf(run.blobs), runId, contractsFrom: "deployment" }, output);
      },
      rpc,
    );
  },
});
