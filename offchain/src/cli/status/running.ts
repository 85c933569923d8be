/** A run as its coordinator has it, as lines and as JSON. */
import {
  asDigest,
  asRunId,
  type CoordinatorClient,
  createCoordinatorClient,
  findRun,
  Definition,
  parameterLabel,
  type RunView,
  MAX_DEFINITION_BYTES,
} from "@cotrain/sdk/protocol";

import {
  countedFromOne,
  countOf,
  formatBytes,
  formatCount,
  formatPercent,
  roundNumber,
  shortAddress,
  shortHex,
  wrap,
} from "../../base/index.ts";
import { type BootstrapView, connect, createReader } from "../../chain/index.ts";
import {
  type ChainFacts,
  chainFacts,
  heldOutBefore,
  joinCommandFor,
  type LocalRun,
  partsOfClass,
  readerOptions,
  type RejectedRun,
  shownContracts,
  urlHere,
} from "../../run/index.ts";
import { showDuration } from "../../service/index.ts";
import { bootstrapText } from "../bootstrapText.ts";
import { factRows } from "../facts.ts";
import { feeWaitText } from "../feeWait.ts";
import { columnsOf, factTable, table } from "../output.ts";
import type { PutAside } from "../putAside.ts";
import { rejectedOf } from "../rejected.ts";
import { joinLines } from "../up/display.ts";
import { isActive, liveSpeed } from "../up/screen.ts";
import { trafficLines } from "../up/traffic.ts";
import { allWork, leftWork } from "../work.ts";
import {
  anchoredText,
  type Checkpoint,
  checkpointLines,
  decidedRows,
  heldOutText,
  listCommand,
  nextRoundOf,
  putAsideLines,
} from "./lines.ts";
import { measuringRows, type MeasuringShares, measuringShares, togetherRow } from "./measuring.ts";

function roundText({ current, round }: RunView): string {
  if (!current) return `${round} completed`;
  return `${roundNumber(current.round)} is open, ${current.received} of ${current.assigned} workers in; ${round} completed`;
}

/** A run as far as it is known here: both forms of the status say this. */
interface RunningRun {
  readonly view: RunView;
  readonly checkpoints: readonly Checkpoint[];
  /** Tokens of each of the sequences that losses are measured on; 0 where that is not known. */
  readonly sequence: number;
  /** What the chain says; undefined where the coordinator's word is all there is. */
  readonly facts?: ChainFacts | undefined;
  /** The command with which others join. */
  readonly join: string;
  /** The coordinator's URL for programs on this machine, where others use another. */
  readonly here?: string | undefined;
  /** The command that lists all checkpoints. */
  readonly list: string;
  /** What measuring held-out loss took of this machine, and what auditing loss gates did. */
  readonly measuring?: MeasuringShares;
  readonly auditing?: MeasuringShares;
  /** Checkpoints that validators found not to hold, by the chain and the blobs of this directory. */
  readonly rejected?: readonly number[] | undefined;
  /** The same of the runs that this one goes on from. */
  readonly inherited?: readonly RejectedRun[] | undefined;
  /** Of a model in bootstrap; null where it is over, undefined where the chain said nothing. */
  readonly bootstrap?: BootstrapView | null | undefined;
  readonly putAside?: readonly PutAside[];
}

/** @returns lines of at most `columns` characters, but for longer words of a command */
export function viewLines(run: RunningRun, columns: number): string[] {
  const { view, sequence } = run;
  const { heldOut } = view.loss;
  const dear = feeWaitText(view);
  const [moved = "", ...baselines] = trafficLines(view);
  const rows: [string, string][] = [
    ["run", view.runId],
    ["model", view.modelId],
    ["phase", view.phase],
    ["round", roundText(view)],
    ["tokens", `${formatCount(BigInt(view.tokens))} in closed rounds`],
    ["speed", `${formatCount(liveSpeed(view).tokensPerSecond)} tokens/s now`],
    [parameterLabel("innerSteps"), `${view.params.innerSteps} (parameters version ${view.paramsVersion})`],
    ...decidedRows(view.nextParamsVersion, nextRoundOf(view)),
    [
      "held-out bits/byte",
      heldOut
        ? heldOutText(heldOut, `checkpoint ${heldOut.round}`, heldOutBefore(view.loss), sequence)
        : "not measured",
    ],
    ...measuringRows("measuring took", run.measuring ?? {}),
    ...measuringRows("gate audits took", run.auditing ?? {}),
    ...togetherRow([run.measuring ?? {}, run.auditing ?? {}]),
    ["checkpoint", `${view.checkpoint.round}, ${view.checkpoint.digest}`],
    ["anchored", view.anchored ? anchoredText(view.anchored) : "nothing yet"],
    ...(dear === undefined ? [] : [["", dear] as [string, string]]),
    ["moved", moved],
    ...baselines.map((line): [string, string] => ["", line]),
    ["kept", keptLine(view.kept)],
    ...factRows(run.facts ?? remoteFacts(view)),
  ];
  return [
    ...factTable(rows, columns),
    ...memberLines(view),
    ...checkpointLines(run.checkpoints, run.list),
    "",
    ...joinLines(run.join, columns, run.here),
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
    const { name, value } = partsOfClass(machineClass);
    return [
      shortAddress(worker),
      state,
      value === undefined ? name : `${name} ${shortHex(value)}`,
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

/** Both forms of the document say which they are; rounds count as on the screen. */
export function runningDocument(run: RunningRun) {
  const { view, facts = remoteFacts(view), sequence, join, checkpoints } = run;
  const { measuring = {}, auditing = {}, rejected = [], inherited = [], bootstrap, putAside = [] } = run;
  const { contracts, rpc } = facts;
  const current = view.current && countedFromOne(view.current);
  // What a member that does not train now reports is about work that is over.
  const counted = view.members.map(countedFromOne);
  const members = counted.map((member) => (isActive(member) ? member : { ...member, tokensPerSecond: null }));
  const left = leftWork(view);
  return {
    running: true,
    ...view,
    current,
    members,
    left: { workers: left.workers, tokens: left.tokens.toString() },
    tokensPerSecondNow: liveSpeed(view).tokensPerSecond,
    sequence,
    join,
    contracts,
    rpc,
    measuring,
    auditing,
    checkpoints,
    rejected,
    inherited,
    ...(bootstrap !== undefined && { bootstrap }),
    putAside,
  };
}

/** What this directory knows about the chain, undefined while that does not answer. */
async function localFacts(run: LocalRun) {
  const { chainId, rpcUrl } = run.file.chain;
  try {
    const connection = await connect({ rpcUrl, chainId, retries: 0, timeout: 5_000 });
    const reader = createReader(connection, readerOptions(rpcUrl, chainId, run.deployment));
    const [facts, rejected, bootstrap] = await Promise.all([
      chainFacts(connection.client, { chainId, rpcUrl, addresses: run.deployment.addresses, modelId: run.modelId }),
      rejectedOf(reader, run.blobs, run.runId),
      reader.bootstrap(run.modelId),
    ]);
    return { facts, rejected, bootstrap: bootstrap ?? null };
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

/** What a coordinator elsewhere says. */
export async function remoteStatus(coordinator: string, wanted: string | undefined) {
  const client = createCoordinatorClient(coordinator);
  const runId = await findRun(client, wanted);
  const [view, { checkpoints }] = await Promise.all([client.run(runId), client.checkpoints(runId)]);
  const sequence = await sequenceOf(client, view);
  const join = joinCommandFor(client.url, runId, view.rpcUrl);
  const list = `npx cotrain checkpoint list --coordinator ${coordinator} --run ${runId}`;
  const run: RunningRun = { view, checkpoints, sequence, join, list };
  return { document: runningDocument(run), lines: viewLines(run, columnsOf(process.stdout)) };
}

/** What this directory's coordinator says, with what chain and files add; undefined where none answers. */
export async function runningStatus(run: LocalRun, old: readonly PutAside[]) {
  const url = run.file.urls["coordinator"];
  const running = url === undefined ? undefined : await runningView(run, url);
  if (!running) return undefined;
  const { facts, rejected, bootstrap } = (await localFacts(run)) ?? {};
  const known: RunningRun = {
    ...running,
    facts,
    here: urlHere(run.file.urls),
    join: joinCommandFor(run.file.urls["join"] ?? url ?? "", run.runId, running.view.rpcUrl),
    list: listCommand(run.state),
    measuring: await measuringShares(run.state, "heldOut"),
    auditing: await measuringShares(run.state, "audit"),
    rejected: rejected?.found.rejected,
    inherited: rejected?.found.inherited,
    bootstrap,
    putAside: old,
  };
  const columns = columnsOf(process.stdout);
  return {
    document: runningDocument(known),
    lines: [
      ...viewLines(known, columns),
      ...(rejected?.lines ?? []),
      ...wrap(bootstrapText(bootstrap ?? null), columns),
      ...putAsideLines(run.state, old),
    ],
  };
}

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
