import { factRows } from "../facts.ts";
import { readdir } from "node:fs/promises";
import { join } from "node:path";

import {
  asDigest,
  asRunId,
  type CheckpointList,
  type CoordinatorClient,
  createCoordinatorClient,
  Definition,
  MAX_MANIFEST_BYTES,
  parameterLabel,
  runStatus,
  type RunView,
} from "@cotrain/sdk/protocol";

import {
  roundNumber,
  countOf,
  formatBytes,
  formatCount,
  formatPercent,
  shortAddress,
  shortHex,
} from "../../base/index.ts";
import { commandFor, startCommand } from "../../base/node/index.ts";
import { type ChainReader, connect, createReader, type PostedHead } from "../../chain/index.ts";
import { readStateFile, showDuration } from "../../service/index.ts";
import { parseManifest } from "../../storage/index.ts";
import { defineCommand } from "../command.ts";
import {
  type ChainFacts,
  chainFacts,
  shownContracts,
  layout,
  type LocalRun,
  openLocalRun,
  requireRun,
  withChain,
  coordinatorOption,
  runOption,
  stateOption,
  readerOptions,
  soleRun,
  heldOutBefore,
  joinCommandFor,
} from "../../run/index.ts";
import { feeWaitText } from "../feeWait.ts";
import { columnsOf, factTable, table } from "../output.ts";
import { findPutAside, type PutAside } from "../putAside.ts";
import { rejectedOf } from "../rejected.ts";
import { joinLines } from "../up/display.ts";
import { liveSpeed, sampleOf, trafficLines } from "../up/screen.ts";
import { Summary } from "../up/summary.ts";
import { allWork, leftWork } from "../work.ts";

const listCommand = (state: string): string => commandFor(state, "checkpoint", "list");

/** Checkpoints whose transactions are shown; `--json` has all. */
const SHOWN_CHECKPOINTS = 8;
const MAX_DEFINITION_BYTES = 16 << 20;

type Checkpoint = Pick<CheckpointList["checkpoints"][number], "round" | "digest" | "transaction" | "block">;

/** @param list the command that lists all */
function checkpointLines(checkpoints: readonly Checkpoint[], list: string): string[] {
  const shown = checkpoints.slice(-SHOWN_CHECKPOINTS);
  const rows = shown.map(({ round, transaction }) => [String(round), transaction ?? "not anchored yet"]);
  const earlier = checkpoints.length - shown.length;
  if (earlier > 0) rows.unshift(["…", `${earlier} earlier: ${list}`]);
  return rows.length === 0 ? [] : ["", "checkpoints and their transactions", ...table(rows, [0])];
}

const putAsideLines = (state: string, states: readonly PutAside[]): string[] =>
  states.length === 0
    ? []
    : [
        "",
        `old states that --fresh put aside; "${commandFor(state, "clean")}" removes them`,
        ...table(states.map(({ path, bytes }) => [path, formatBytes(bytes)])),
      ];

function roundText({ current, round }: RunView): string {
  if (!current) return `${round} completed`;
  return `${roundNumber(current.round)} is open, ${current.received} of ${current.assigned} workers in; ${round} completed`;
}

/** What measuring held-out loss took of this machine, by validator of this directory. */
export type MeasuringShares = Readonly<
  Record<string, { readonly round: number; readonly share: number; readonly atRest: boolean }>
>;

export async function measuringShares(state: string): Promise<MeasuringShares> {
  const { readMeasuring } = await import("../../validator/index.ts");
  const entries = await readdir(state).catch(() => []);
  const shares: Record<string, MeasuringShares[string]> = {};
  for (const role of entries.filter((name) => /^validator-\d{1,3}$/.test(name)).toSorted()) {
    const found = await readMeasuring(join(state, role));
    if (found) shares[role] = { round: found.round, share: found.share, atRest: found.atRest ?? false };
  }
  return shares;
}

export const measuringRows = (shares: MeasuringShares): [string, string][] =>
  Object.entries(shares).map(([role, { round, share, atRest }], index) => [
    index === 0 ? "measuring took" : "",
    `${(100 * share).toFixed(1)}% of the machine${atRest ? " at rest" : ""} (${role}, checkpoint ${round})`,
  ]);

type Loss = { readonly microBitsPerByte: number; readonly sequences: number | null };

/**
 * Held-out loss with what it rests on, beside that before any training.
 * @param of which checkpoint it is of
 */
export const heldOutText = (newest: Loss, of: string, untrained: Loss | null | undefined, sequence: number): string =>
  [newest, ...(untrained ? [untrained] : [])]
    .map(({ microBitsPerByte, sequences }, index) => {
      const figure = `${(microBitsPerByte / 1e6).toFixed(3)}${sampleOf(sequences, sequence)}`;
      return index === 0 ? `${figure} (${of})` : `at the start ${figure}`;
    })
    .join("; ");

/**
 * @param join the command with which others join
 * @returns lines of at most `columns` characters, but for longer words of a command
 */
export function viewLines(
  view: RunView,
  sequence: number,
  facts: ChainFacts | undefined,
  checkpoints: readonly Checkpoint[],
  list: string,
  join: string,
  columns: number,
  measuring: MeasuringShares = {},
): string[] {
  const { heldOut } = view.loss;
  const dear = feeWaitText(view);
  const [moved = "", ...baselines] = trafficLines(view);
  const rows: [string, string][] = [
    ["run", view.runId],
    ["model", view.modelId],
    ["phase", view.phase],
    ["round", roundText(view)],
    ["tokens", formatCount(BigInt(view.tokens))],
    ["speed", `${formatCount(liveSpeed(view).tokensPerSecond)} tokens/s now`],
    [parameterLabel("innerSteps"), `${view.params.innerSteps} (parameters version ${view.paramsVersion})`],
    [
      "held-out bits/byte",
      heldOut
        ? heldOutText(heldOut, `checkpoint ${heldOut.round}`, heldOutBefore(view.loss), sequence)
        : "not measured",
    ],
    ...measuringRows(measuring),
    ["checkpoint", `${view.checkpoint.round}, ${view.checkpoint.digest}`],
    ["anchored", view.anchored ? `checkpoint ${view.anchored.round}, link ${view.anchored.sequence}` : "nothing yet"],
    ...(dear === undefined ? [] : [["", dear] as [string, string]]),
    ["moved", moved],
    ...baselines.map((line): [string, string] => ["", line]),
    ["kept", keptLine(view.kept)],
    ...factRows(facts ?? remoteFacts(view)),
  ];
  return [
    ...factTable(rows, columns),
    ...memberLines(view),
    ...checkpointLines(checkpoints, list),
    "",
    ...joinLines(join, columns),
  ];
}

/** How long an auditor finds what it needs. */
export function keptLine({ payloadSeconds, checkpoints, checkpointBytes }: RunView["kept"]): string {
  const later = payloadSeconds > 0 ? `${showDuration(payloadSeconds * 1_000)} after ` : "";
  return `payloads until ${later}their root is active, the newest ${countOf(checkpoints, "checkpoint")} and ${formatBytes(checkpointBytes)} of older ones`;
}

/** Who is there, and whether its machine computes the same bits as others: those of one class replay each other exactly. */
export function memberLines(view: Pick<RunView, "members" | "accepted">): string[] {
  const { members } = view;
  const left = leftWork(view);
  if (members.length === 0 && left.workers === 0) return [];
  const share = (tokens: bigint): string[] => [formatCount(tokens), formatPercent(tokens, allWork(view))];
  const rows = members.map(({ worker, state, machineClass, tokens }) => {
    const [known, conformance] = machineClass.split(":");
    return [
      shortAddress(worker),
      state,
      conformance ? `${known} ${shortHex(conformance)}` : machineClass,
      ...share(BigInt(tokens)),
    ];
  });
  if (left.workers > 0) rows.push(["left", countOf(left.workers, "worker"), "", ...share(left.tokens)]);
  return ["", ...table([["worker", "state", "computes as", "tokens", "of work"], ...rows], [3, 4])];
}

/** What a coordinator says of the chain. */
const remoteFacts = (view: RunView): ChainFacts => ({
  chainId: view.chainId,
  rpc: view.rpcUrl ?? "not told by the coordinator",
  contracts: shownContracts(view.contracts),
});

/** Both forms of the document say which they are. */
const runningDocument = (
  view: RunView,
  facts: ChainFacts,
  checkpoints: readonly Checkpoint[],
  sequence: number,
  join: string,
  old: readonly PutAside[],
  measuring: MeasuringShares = {},
  rejected: readonly number[] = [],
) => ({
  running: true,
  ...view,
  /** Tokens of each of the sequences that losses are measured on; 0 where that is not known. */
  sequence,
  join,
  contracts: facts.contracts,
  rpc: facts.rpc,
  measuring,
  checkpoints,
  /** Checkpoints that validators found not to hold, by the chain and the blobs of this directory. */
  rejected,
  putAside: old,
});

const checkpointOf = ({ round, checkpointDigest, transaction, block }: PostedHead): Checkpoint => ({
  round,
  digest: checkpointDigest,
  transaction,
  block,
});

/** What this directory knows about the chain, undefined while that does not answer. */
async function localFacts(run: LocalRun) {
  const { chainId, rpcUrl } = run.file.chain;
  try {
    const connection = await connect({ rpcUrl, chainId, retries: 0, timeout: 5_000 });
    const reader = createReader(connection, readerOptions(rpcUrl, chainId, run.deployment));
    const [facts, rejected] = await Promise.all([
      chainFacts(connection.client, { chainId, rpcUrl, addresses: run.deployment.addresses, modelId: run.modelId }),
      rejectedOf(reader, run.blobs, run.runId),
    ]);
    return { facts, rejected };
  } catch {
    return undefined;
  }
}

/** Tokens of a sequence, by the run's definition; 0 where that is not served. */
async function sequenceOf(client: CoordinatorClient, { runId, definition }: RunView): Promise<number> {
  const read = client.document(
    asRunId(runId),
    asDigest(definition),
    "The definition",
    Definition,
    MAX_DEFINITION_BYTES,
  );
  return (await read.catch(() => undefined))?.sequence ?? 0;
}

/** Tokens trained up to a checkpoint, as its manifest says; undefined where that is not kept any more. */
async function tokensOf(run: LocalRun, checkpoint: string | undefined): Promise<string | undefined> {
  if (checkpoint === undefined) return undefined;
  const read = run.blobs.get(asDigest(checkpoint), MAX_MANIFEST_BYTES).then((bytes) => parseManifest(bytes).tokens);
  return read.catch(() => undefined);
}

async function headsOf(reader: ChainReader, run: LocalRun): Promise<Checkpoint[]> {
  return (await reader.headsSince(run.runId, 0)).map(checkpointOf);
}

type Measured = Pick<Summary, "heldOut" | "training">;

const lossAtRest = ({ heldOut }: Measured, when: "initial" | "after"): Loss | undefined => {
  const figure = heldOut[when];
  return figure === null ? undefined : { microBitsPerByte: figure, sequences: heldOut.sequences[when] };
};

/** The last summary's held-out loss, and of when it is: rounds may have followed. */
export function heldOutAtRest(summary: Measured): string | undefined {
  const newest = lossAtRest(summary, "after");
  const of = `in the summary after round ${summary.training.rounds}`;
  return newest && heldOutText(newest, of, lossAtRest(summary, "initial"), summary.heldOut.sequence);
}

/** On how many tokens a held-out loss of the last summary was measured. */
const heldOutTokens = ({ heldOut }: Measured, when: "initial" | "after"): number | null =>
  heldOut.sequences[when] === null ? null : heldOut.sequences[when] * heldOut.sequence;

/** What chain and files say when no coordinator runs. */
async function restingStatus(run: LocalRun, old: readonly PutAside[]) {
  // A summary of another version, or a damaged one, is no reason to say nothing.
  const summary = await readStateFile(layout(run.state).summary, Summary).catch(() => undefined);
  return withChain(run, async (connection) => {
    const { url, chainId, client } = connection;
    const { addresses } = run.deployment;
    const reader = createReader(connection, readerOptions(url, chainId, run.deployment));
    const [head, record, active, checkpoints, found, rejected] = await Promise.all([
      reader.head(run.runId),
      reader.run(run.runId),
      reader.activeRoot(run.modelId),
      headsOf(reader, run),
      chainFacts(client, { chainId, rpcUrl: url, addresses, modelId: run.modelId }),
      rejectedOf(reader, run.blobs, run.runId),
    ]);
    // The summary is of the last session that came to its end; what was anchored since is newer.
    const tokens = await tokensOf(run, checkpoints.at(-1)?.digest);
    const measured = summary && heldOutAtRest(summary);
    const embedded = run.file.chain.embedded;
    const facts = { ...found, rpc: embedded ? `${run.file.chain.rpcUrl} (while it runs)` : found.rpc };
    const status = Object.entries(runStatus).find(([, code]) => code === record.status)?.[0] ?? "unknown";
    const document = {
      running: false,
      runId: run.runId,
      modelId: run.modelId,
      chainId,
      rpc: embedded ? run.file.chain.rpcUrl : found.rpc,
      contracts: facts.contracts,
      status,
      round: head.round,
      head: head.head,
      sequence: head.sequence,
      paramsVersion: record.version,
      activeEpoch: active?.epoch ?? null,
      tokens: tokens ?? null,
      heldOut: summary?.heldOut.after ?? null,
      heldOutTokens: summary ? heldOutTokens(summary, "after") : null,
      heldOutOf: summary?.heldOut.after ? summary.training.rounds : null,
      heldOutFirst: summary?.heldOut.initial ?? null,
      heldOutFirstTokens: summary ? heldOutTokens(summary, "initial") : null,
      checkpoints,
      rejected: rejected.rounds,
      putAside: old,
    };
    const rows: [string, string][] = [
      ["run", run.runId],
      ["model", run.modelId],
      ["phase", `at rest (${status} on chain ${chainId}); "${startCommand(run.state)}" trains it further`],
      ["round", `${head.round} completed`],
      ["anchored", `checkpoint ${head.round}, link ${head.sequence}, ${head.head}`],
      ["rewards active through epoch", String(active?.epoch ?? "none")],
      ...(tokens === undefined ? [] : [["tokens", formatCount(BigInt(tokens))] as [string, string]]),
      ...(measured === undefined ? [] : [["held-out bits/byte", measured] as [string, string]]),
      ...factRows(facts),
    ];
    return {
      document,
      lines: [
        ...factTable(rows, columnsOf(process.stdout)),
        ...checkpointLines(checkpoints, listCommand(run.state)),
        ...rejected.lines,
        ...putAsideLines(run.state, old),
      ],
    };
  });
}

/** `cotrain status`. */
export const statusCommand = defineCommand({
  name: "status",
  summary: "where a run stands, here and on-chain",
  options: { state: stateOption, coordinator: coordinatorOption, run: runOption },
  examples: [
    ["npx cotrain status", "the run of this directory, running or at rest"],
    ["npx cotrain status --coordinator http://127.0.0.1:7700 --json", "what a coordinator says, as JSON"],
  ],
  notes: [
    "With --json `round` is how many rounds are completed; that of a checkpoint, an anchor or a loss is the checkpoint's number.",
    "In `current` and `members` a `round` is the protocol's, which counts from 0: the checkpoint that the round starts from, one less than people count.",
    "Its `tokensPerSecond` is what was accepted over the time of the last rounds; that of each member is what it reports now.",
  ],
  async run({ options, output }) {
    if (options.coordinator !== undefined) {
      const client = createCoordinatorClient(options.coordinator);
      const runId = await soleRun(client, options.run);
      const [view, { checkpoints }] = await Promise.all([client.run(runId), client.checkpoints(runId)]);
      const sequence = await sequenceOf(client, view);
      const join = joinCommandFor(client.url, runId, view.rpcUrl);
      output.result(
        runningDocument(view, remoteFacts(view), checkpoints, sequence, join, []),
        viewLines(
          view,
          sequence,
          undefined,
          checkpoints,
          `npx cotrain checkpoint list --coordinator ${options.coordinator} --run ${runId}`,
          join,
          columnsOf(process.stdout),
        ),
      );
      return;
    }
    const run = await openLocalRun(options.state);
    requireRun(run, options.run);
    const old = await findPutAside(run.state);
    const url = run.file.urls["coordinator"];
    const running = url === undefined ? undefined : await runningView(run, url);
    if (running) {
      const { view, checkpoints, sequence } = running;
      const { facts, rejected } = (await localFacts(run)) ?? {};
      const measuring = await measuringShares(run.state);
      const join = joinCommandFor(run.file.urls["join"] ?? url ?? "", run.runId, view.rpcUrl);
      const columns = columnsOf(process.stdout);
      output.result(
        runningDocument(
          view,
          facts ?? remoteFacts(view),
          checkpoints,
          sequence,
          join,
          old,
          measuring,
          rejected?.rounds,
        ),
        [
          ...viewLines(view, sequence, facts, checkpoints, listCommand(run.state), join, columns, measuring),
          ...(rejected?.lines ?? []),
          ...putAsideLines(run.state, old),
        ],
      );
      return;
    }
    const { document, lines } = await restingStatus(run, old);
    output.result(document, lines);
  },
});

/** The run as its coordinator has it, undefined where none answers. */
async function runningView({ runId }: LocalRun, url: string) {
  const client = createCoordinatorClient(url, { timeout: 3_000 });
  try {
    const [view, { checkpoints }] = await Promise.all([client.run(runId), client.checkpoints(runId)]);
    return { view, checkpoints, sequence: await sequenceOf(client, view) };
  } catch {
    return undefined;
  }
}
