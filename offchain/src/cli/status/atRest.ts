/** A run that does not train now, as chain and files have it. */
import { asDigest, MAX_MANIFEST_BYTES, runStatus } from "@cotrain/sdk/protocol";

import { formatCount, roundNumber, wrap } from "../../base/index.ts";
import { startCommand } from "../../base/node/index.ts";
import { type ChainConnection, createReader, type PostedHead } from "../../chain/index.ts";
import {
  chainFacts,
  type KeptLoss,
  layout,
  type LocalRun,
  readerOptions,
  readKeptLoss,
  standingHeads,
  withChain,
} from "../../run/index.ts";
import { readStateFile } from "../../service/index.ts";
import { parseManifest } from "../../storage/index.ts";
import { bootstrapText } from "../bootstrapText.ts";
import { factRows } from "../facts.ts";
import { columnsOf, factTable } from "../output.ts";
import type { PutAside } from "../putAside.ts";
import { rejectedOf } from "../rejected.ts";
import { Summary } from "../up/summary.ts";
import {
  anchoredText,
  type Checkpoint,
  checkpointLines,
  decidedRows,
  heldOutText,
  listCommand,
  putAsideLines,
} from "./lines.ts";

const checkpointOf = ({ round, checkpointDigest, transaction, block }: PostedHead): Checkpoint => ({
  round,
  digest: checkpointDigest,
  transaction,
  block,
});

/** Tokens trained up to a checkpoint, as its manifest says; undefined where that is not kept any more. */
async function tokensOf(run: LocalRun, checkpoint: string | undefined): Promise<string | undefined> {
  if (checkpoint === undefined) return undefined;
  const read = run.blobs.get(asDigest(checkpoint), MAX_MANIFEST_BYTES).then((bytes) => parseManifest(bytes).tokens);
  return read.catch(() => undefined);
}

/** Versions of a run's parameters: that of the newest link, and the one that waits for the next round, where one does. */
export function versionsAtRest(
  record: { readonly version: number },
  heads: readonly Pick<PostedHead, "paramsVersion">[],
) {
  const paramsVersion = heads.at(-1)?.paramsVersion ?? record.version;
  return { paramsVersion, ...(record.version > paramsVersion && { nextParamsVersion: record.version }) };
}

/** A held-out loss that was recorded, and what it is of. */
export interface RecordedLoss extends Omit<KeptLoss, "version" | "runId" | "round"> {
  /** Its checkpoint. */
  readonly round: number | null;
  readonly by: "summary" | "session";
}

type Measured = Pick<Summary, "heldOut">;

function lossOfSummary({ heldOut }: Measured): RecordedLoss | undefined {
  const { initial, after, checkpoints, sequences, sequence } = heldOut;
  if (after === null) return undefined;
  const untrained = initial === null ? null : { microBitsPerByte: initial, sequences: sequences.initial };
  const loss = { microBitsPerByte: after, sequences: sequences.after };
  return { by: "summary", round: checkpoints.after, loss, untrained, sequence };
}

/**
 * The newest held-out loss that was recorded: the last summary's, or the last that was shown, where that is of a later checkpoint or
 * of more of the text. Of an earlier checkpoint it is all the same: the last was perhaps not measured by then, and rounds may have
 * followed.
 */
export function recordedLoss(summary: Measured | undefined, kept: KeptLoss | undefined): RecordedLoss | undefined {
  const summed = summary && lossOfSummary(summary);
  if (!kept) return summed;
  const shown: RecordedLoss = { ...kept, by: "session" };
  if (summed?.round !== kept.round) return kept.round > (summed?.round ?? -1) ? shown : summed;
  return (kept.loss.sequences ?? 0) > (summed.loss.sequences ?? 0) ? shown : summed;
}

/** In words. */
export const recordedText = ({ by, round, loss, untrained, sequence }: RecordedLoss): string =>
  heldOutText(
    loss,
    `checkpoint ${round}, ${by === "summary" ? "in the last summary" : "as a session last showed"}`,
    untrained,
    sequence,
  );

/** On how many tokens it was measured. */
const tokensMeasured = (sequences: number | null | undefined, sequence: number): number | null =>
  sequences === null || sequences === undefined ? null : sequences * sequence;

/** What the chain says of the run, and the blobs of this directory. */
async function readAtRest(run: LocalRun, connection: ChainConnection) {
  const { url, chainId, client } = connection;
  const { addresses } = run.deployment;
  const reader = createReader(connection, readerOptions(url, chainId, run.deployment));
  const [head, record, active, heads, found, rejected, bootstrap] = await Promise.all([
    reader.head(run.runId),
    reader.run(run.runId),
    reader.activeRoot(run.modelId),
    reader.headsSince(run.runId, 0),
    chainFacts(client, { chainId, rpcUrl: url, addresses, modelId: run.modelId }),
    rejectedOf(reader, run.blobs, run.runId),
    reader.bootstrap(run.modelId),
  ]);
  const checkpoints = standingHeads(heads).map(checkpointOf);
  const tokens = await tokensOf(run, checkpoints.at(-1)?.digest);
  const status = Object.entries(runStatus).find(([, code]) => code === record.status)?.[0] ?? "unknown";
  const activeEpoch = active?.epoch ?? null;
  const versions = versionsAtRest(record, heads);
  return {
    chainId,
    head,
    versions,
    status,
    activeEpoch,
    checkpoints,
    found,
    rejected,
    bootstrap: bootstrap ?? null,
    tokens,
  };
}

type AtRest = Awaited<ReturnType<typeof readAtRest>>;

/** The last session's losses; what was anchored since is newer. */
const lossesOf = (recorded: RecordedLoss | undefined) => ({
  heldOut: recorded?.loss.microBitsPerByte ?? null,
  heldOutTokens: recorded ? tokensMeasured(recorded.loss.sequences, recorded.sequence) : null,
  heldOutOf: recorded?.round ?? null,
  heldOutFirst: recorded?.untrained?.microBitsPerByte ?? null,
  heldOutFirstTokens: recorded ? tokensMeasured(recorded.untrained?.sequences, recorded.sequence) : null,
});

function restingDocument(
  { runId, modelId, file }: LocalRun,
  read: AtRest,
  recorded: RecordedLoss | undefined,
  old: readonly PutAside[],
) {
  const { chainId, head, versions, status, activeEpoch, checkpoints, found, rejected, bootstrap, tokens } = read;
  return {
    running: false,
    runId,
    modelId,
    chainId,
    rpc: file.chain.embedded ? file.chain.rpcUrl : found.rpc,
    contracts: found.contracts,
    status,
    round: head.round,
    head: head.head,
    sequence: head.sequence,
    ...versions,
    activeEpoch,
    tokens: tokens ?? null,
    ...lossesOf(recorded),
    checkpoints,
    ...rejected.found,
    bootstrap,
    putAside: old,
  };
}

/** The start that goes on with a run, on the devices that the last one was told. */
export function furtherCommand({ state, file }: Pick<LocalRun, "state" | "file">): string {
  const device = file.settings?.["device"];
  return startCommand(state, ...(typeof device === "string" ? ["--device", device] : []));
}

function restingLines(
  run: LocalRun,
  read: AtRest,
  recorded: RecordedLoss | undefined,
  old: readonly PutAside[],
): string[] {
  const { chainId, head, versions, status, activeEpoch, checkpoints, found, rejected, bootstrap, tokens } = read;
  const { embedded, rpcUrl } = run.file.chain;
  const measured = recorded && recordedText(recorded);
  const newest = checkpoints.at(-1);
  const rows: [string, string][] = [
    ["run", run.runId],
    ["model", run.modelId],
    ["phase", `at rest (${status} on chain ${chainId}); "${furtherCommand(run)}" trains it further`],
    ["round", `${head.round} completed`],
    ...decidedRows(versions.nextParamsVersion, roundNumber(head.round)),
    ...(newest === undefined ? [] : [["checkpoint", `${newest.round}, ${newest.digest}`] as [string, string]]),
    ["anchored", anchoredText(head)],
    ["head", head.head],
    ["rewards active through epoch", String(activeEpoch ?? "none")],
    ...(tokens === undefined ? [] : [["tokens", formatCount(BigInt(tokens))] as [string, string]]),
    ...(measured === undefined ? [] : [["held-out bits/byte", measured] as [string, string]]),
    ...factRows({ ...found, rpc: embedded ? `${rpcUrl} (while it runs)` : found.rpc }),
  ];
  const columns = columnsOf(process.stdout);
  return [
    ...factTable(rows, columns),
    ...checkpointLines(checkpoints, listCommand(run.state)),
    ...rejected.lines,
    ...wrap(bootstrapText(bootstrap), columns),
    ...putAsideLines(run.state, old),
  ];
}

/** What chain and files say when no coordinator runs. */
export async function restingStatus(run: LocalRun, old: readonly PutAside[]) {
  // A summary of another version, or a damaged one, is no reason to say nothing.
  const summary = await readStateFile(layout(run.state).summary, Summary).catch(() => undefined);
  const recorded = recordedLoss(summary, await readKeptLoss(run.state, run.runId));
  return withChain(run, async (connection) => {
    const read = await readAtRest(run, connection);
    return { document: restingDocument(run, read, recorded, old), lines: restingLines(run, read, recorded, old) };
  });
}
