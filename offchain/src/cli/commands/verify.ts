import { createCoordinatorClient } from "@cotrain/sdk/protocol";

import { UserError } from "../../base/index.ts";
import { openReader, verifyRun, type BlobSource, type HeadReport, type VerifySummary } from "../../chain/index.ts";
import { defineCommand } from "../command.ts";
import { formatBytes } from "../format.ts";
import { openLocalRun, withChain } from "../local.ts";
import { coordinatorOption, rpcOption, runOption, stateOption } from "../options.ts";
import type { Output } from "../output.ts";
import { blobSourceOf, readerOptions, soleRun } from "../wiring.ts";

function line(report: HeadReport): string {
  const mark = report.condition === "ok" ? "ok  " : "FAIL";
  const signed = report.signed ? "" : " (not covered by a signed epoch)";
  const problems = report.problems.map((problem) => `\n       ${problem}`).join("");
  return `${mark} round ${report.round}, link ${report.sequence}, ${report.receipts} receipts, ${formatBytes(report.bytes)} hashed${signed}${problems}`;
}

async function walk(
  reader: Parameters<typeof verifyRun>[0]["reader"],
  blobs: BlobSource,
  runId: Parameters<typeof verifyRun>[1],
  output: Output,
): Promise<number> {
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
  const sound = summary.missing === 0 && summary.mismatch === 0 && summary.problems.length === 0;
  const lines = [
    ...summary.problems.map((problem) => `FAIL ${problem}`),
    `${summary.heads} checkpoints: ${summary.ok} ok, ${summary.missing} missing, ${summary.mismatch} wrong; ${summary.unsigned} not covered by a signed epoch`,
  ];
  output.result({ sound, ...summary, checkpoints: reports }, lines);
  return sound ? 0 : 1;
}

/** `cotrain verify`: needs nobody's word, only the contracts and the blobs they name. */
export const verifyCommand = defineCommand({
  name: "verify",
  summary: "walk the chain of checkpoints from the contracts alone, fetch, hash and recompute",
  options: { state: stateOption, coordinator: coordinatorOption, rpc: rpcOption, run: runOption },
  examples: [
    ["npx cotrain verify", "the run of this directory, from its chain and its blobs"],
    [
      "npx cotrain verify --coordinator http://127.0.0.1:7700 --rpc http://127.0.0.1:8545",
      "somebody else's run: blobs from the coordinator, truth from the chain",
    ],
  ],
  async run({ options, output }) {
    if (options.coordinator !== undefined) {
      if (options.rpc === undefined)
        throw new UserError(
          "RPC_MISSING",
          "--coordinator needs --rpc: a coordinator's own word about the chain proves nothing.",
        );
      const client = createCoordinatorClient(options.coordinator);
      const runId = await soleRun(client, options.run);
      const view = await client.run(runId);
      const reader = await openReader({
        rpcUrl: options.rpc,
        chainId: view.chainId,
        contracts: view.contracts,
        fromBlock: 0,
      });
      return walk(reader, client, runId, output);
    }
    const run = await openLocalRun(options.state);
    return withChain(run, async ({ url, chainId }) =>
      walk(await openReader(readerOptions(url, chainId, run.deployment)), blobSourceOf(run.blobs), run.runId, output),
    );
  },
});
