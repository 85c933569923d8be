import { createCoordinatorClient, runStatus, type RunView } from "@cotrain/sdk/protocol";

import { openReader } from "../../chain/index.ts";
import { readStateFile, showDuration } from "../../service/index.ts";
import { defineCommand } from "../command.ts";
import { formatBytes, formatCount, shortHex } from "../format.ts";
import { layout, type LocalRun, openLocalRun, requireRun, withChain } from "../local.ts";
import { coordinatorOption, runOption, stateOption } from "../options.ts";
import { table } from "../output.ts";
import { readerOptions, soleRun } from "../wiring.ts";
import { Summary } from "../up/summary.ts";

function viewLines(view: RunView): string[] {
  const rows = [
    ["run", view.runId],
    ["model", view.modelId],
    ["phase", view.phase],
    ["round", String(view.round)],
    ["tokens", formatCount(BigInt(view.tokens))],
    ["inner steps per round", `${view.params.innerSteps} (parameters version ${view.paramsVersion})`],
    ["held-out bits/byte", view.loss.heldOut ? (view.loss.heldOut.microBitsPerByte / 1e6).toFixed(3) : "not measured"],
    ["checkpoint", `round ${view.checkpoint.round}, ${view.checkpoint.digest}`],
    ["anchored", view.anchored ? `round ${view.anchored.round}, link ${view.anchored.sequence}` : "nothing yet"],
    [
      "sent",
      `${formatBytes(view.traffic.up + view.traffic.down)}; synchronous data parallelism: ${formatBytes(view.traffic.synchronous)}`,
    ],
  ];
  const { payloadSeconds, checkpoints, checkpointBytes } = view.kept;
  rows.push([
    "kept",
    `payloads until ${payloadSeconds > 0 ? `${showDuration(payloadSeconds * 1_000)} after ` : ""}their root is active, the newest ${checkpoints} checkpoints and ${formatBytes(checkpointBytes)} of older ones`,
  ]);
  const members = view.members.map((member) => [
    shortHex(member.worker),
    member.state,
    formatCount(BigInt(member.tokens)),
  ]);
  return [
    ...table(rows),
    ...(members.length > 0 ? ["", ...table([["worker", "state", "tokens"], ...members], [2])] : []),
  ];
}

/** Both forms of the document say which they are. */
const runningDocument = (view: RunView) => ({ running: true, ...view });

/** What chain and files say when no coordinator runs. */
async function restingStatus(run: LocalRun) {
  const summary = await readStateFile(layout(run.state).summary, Summary);
  return withChain(run, async ({ url, chainId }) => {
    const reader = await openReader(readerOptions(url, chainId, run.deployment));
    const [head, record, active] = await Promise.all([
      reader.head(run.runId),
      reader.run(run.runId),
      reader.activeRoot(run.modelId),
    ]);
    const status = Object.entries(runStatus).find(([, code]) => code === record.status)?.[0] ?? "unknown";
    const document = {
      running: false,
      runId: run.runId,
      modelId: run.modelId,
      chainId,
      status,
      round: head.round,
      head: head.head,
      sequence: head.sequence,
      paramsVersion: record.version,
      activeEpoch: active?.epoch ?? null,
      tokens: summary?.training.tokens ?? null,
      heldOut: summary?.heldOut.after ?? null,
    };
    const rows = [
      ["run", run.runId],
      ["model", run.modelId],
      ["phase", `at rest (${status} on chain ${chainId}); "npm start" trains it further`],
      ["round", String(head.round)],
      ["anchored", `round ${head.round}, link ${head.sequence}, ${head.head}`],
      ["rewards active through epoch", String(active?.epoch ?? "none")],
      ...(summary ? [["tokens", formatCount(BigInt(summary.training.tokens))]] : []),
      ...(summary?.heldOut.after ? [["held-out bits/byte", (summary.heldOut.after / 1e6).toFixed(3)]] : []),
    ];
    return { document, lines: table(rows) };
  });
}

/** `cotrain status`. */
export const statusCommand = defineCommand({
  name: "status",
  summary: "where a run stands",
  options: { state: stateOption, coordinator: coordinatorOption, run: runOption },
  examples: [
    ["npx cotrain status", "the run of this directory, running or at rest"],
    ["npx cotrain status --coordinator http://127.0.0.1:7700 --json", "what a coordinator says, as JSON"],
  ],
  async run({ options, output }) {
    if (options.coordinator !== undefined) {
      const client = createCoordinatorClient(options.coordinator);
      const view = await client.run(await soleRun(client, options.run));
      output.result(runningDocument(view), viewLines(view));
      return;
    }
    const run = await openLocalRun(options.state);
    requireRun(run, options.run);
    const url = run.file.urls["coordinator"];
    const view =
      url === undefined
        ? undefined
        : await createCoordinatorClient(url, { timeout: 3_000 })
            .run(run.runId)
            .catch(() => undefined);
    if (view) {
      output.result(runningDocument(view), viewLines(view));
      return;
    }
    const { document, lines } = await restingStatus(run);
    output.result(document, lines);
  },
});
