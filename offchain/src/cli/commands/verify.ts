import { contractRows } from "../facts.ts";
import { CotrainError } from "@cotrain/sdk/errors";
import { asDigest, asRunId, type RunId } from "@cotrain/sdk/protocol";
import { formatEther } from "viem";

import {
  UserError,
  countOf,
  formatBytes,
  formatSharesExactly,
  RetryableError,
  systemClock,
  wrap,
} from "../../base/index.ts";
import {
  type BootstrapView,
  type ChainReader,
  connect,
  createReader,
  openReader,
  type PostedHead,
} from "../../chain/index.ts";
import {
  type BlobSource,
  type HeadReport,
  isAway,
  verifyRun,
  type VerifySummary,
  openLocalRun,
  type RejectedRun,
  type RunOrigin,
  runNamed,
  withChain,
  namedRunOptions,
  blobSourceOf,
  openRemoteRun,
  readerOptions,
  requireNamedDeployment,
  patientBlobs,
  revenueAccounts,
  type RevenueAccounts,
  rolledBackHeads,
  standingHeads,
  type ChainFacts,
  shownContracts,
} from "../../run/index.ts";
import { verifyBlobs } from "../../storage/index.ts";
import { bootstrapText } from "../bootstrapText.ts";
import { defineCommand } from "../command.ts";
import { type ImportedModel, openImportedModel, problemsOfDefinition, requireModelRun } from "../model.ts";
import { columnsOf, type Output, table } from "../output.ts";
import { inheritedLines } from "../rejected.ts";
import { inheritedFound, originFound, originLines } from "../begun.ts";
import { falseRootsLines } from "../paidFalsely.ts";
import { outlines } from "./outlines.ts";

const marks = { ok: "ok    ", pruned: "pruned", missing: "FAIL  ", mismatch: "FAIL  ", rolledBack: "undone" } as const;

function linesOf(report: HeadReport): string[] {
  const { condition, round, sequence, receipts, bytes } = report;
  if (condition === "rolledBack")
    return [`${marks[condition]} checkpoint ${round}, link ${sequence}: the run went back behind it`];
  const shards = condition === "pruned" ? "; its shards are not kept any more" : "";
  const signed = report.signed ? "" : " (not covered by a signed epoch)";
  const part = report.complete ? "" : ", the rest not looked at";
  const head = `${marks[condition]} checkpoint ${round}, link ${sequence}, ${countOf(receipts, "receipt")}, ${formatBytes(bytes)} hashed${part}${shards}${signed}`;
  return [head, ...report.problems.map((problem) => `       ${problem}`)];
}

const nothingWrong = ({ missing, mismatch, problems, falseRoots }: VerifySummary): boolean =>
  missing === 0 && mismatch === 0 && problems.length === 0 && falseRoots.length === 0;

function linesOfSummary(summary: VerifySummary): string[] {
  const { heads, ok, pruned, missing, mismatch, rolledBack, unsigned, problems, falseRoots } = summary;
  const undone = rolledBack === 0 ? "" : `, ${rolledBack} rolled back`;
  const counts = `${countOf(heads, "checkpoint")}: ${ok} ok, ${pruned} pruned, ${missing} missing, ${mismatch} wrong${undone}; ${unsigned} not in a signed epoch`;
  return [
    ...problems.map((problem) => `FAIL   ${problem}`),
    ...falseRootsLines(falseRoots, columnsOf(process.stdout)),
    ...wrap(counts, columnsOf(process.stdout)),
    ...(nothingWrong(summary) && summary.away === null ? wrap(ALSO_RIGHT, columnsOf(process.stdout)) : []),
  ];
}
/** What was looked at beside the heads, and has no line of its own where it is right. */
const ALSO_RIGHT =
  "The contracts obey whom they should, as far as they say it, and the model's own have the roles that they should; each root that pays is what its epochs earned.";

/** What is walked, and whose word says that it is this. */
interface Subject {
  readonly reader: ChainReader;
  readonly blobs: BlobSource;
  readonly revenue: RevenueAccounts;
  readonly runId: RunId;
  /** Where chain id and contracts come from. */
  readonly contractsFrom: "deployment" | "coordinator";
}

/** Contracts that a lying coordinator deployed verify as well as the true ones: who looks must be able to compare. */
const warning = (chainId: number, runId: RunId, contracts: ChainFacts["contracts"]): string[] => [
  "The contracts are the coordinator's word alone: compare them with what you know, or pin them with --deployment and --run.",
  ...table([["run", runId], ["chain id", String(chainId)], ...contractRows(contracts)]).map((line) => `  ${line}`),
];

const tryAgain = (away: RetryableError): RetryableError =>
  new RetryableError(
    away.code,
    `${away.message} Nothing wrong was found up to there. Try again; a source that stays away for one and the same blob may be hiding what is wrong with it.`,
    { cause: away },
  );

/** All that its walk found, each head told as soon as it is done. */
async function findAll({ reader, blobs, revenue, runId }: Subject, output: Output) {
  const reports: HeadReport[] = [];
  const walking = verifyRun({ reader, blobs, revenue }, runId);
  for (;;) {
    const next = await walking.next();
    if (next.done) return { reports, summary: next.value };
    reports.push(next.value);
    if (!output.json) output.result(undefined, linesOf(next.value));
  }
}

async function walk(subject: Subject, output: Output, imported?: ImportedModel): Promise<number> {
  const { reader, runId, contractsFrom } = subject;
  const { chainId } = reader;
  const { modelId } = await reader.run(runId);
  const [own, distributors, founders, bootstrap] = await Promise.all([
    reader.modelContracts(modelId),
    reader.distributors(),
    reader.founders(modelId),
    reader.bootstrap(modelId),
  ]);
  const contracts = shownContracts({
    ...reader.contracts,
    ...own,
    ...distributors,
    ...(reader.escrow === undefined ? {} : { computeEscrow: reader.escrow }),
  });
  if (!output.json && contractsFrom === "coordinator") output.result(undefined, warning(chainId, runId, contracts));
  const { reports, summary } = await findAll(subject, output);
  const judged = await judgeWalked(imported, subject, reports, summary);
  // Whoever finds something wrong may want to dispute the root that pays for it.
  const dispute = await reader.disputeCost(modelId).catch(() => null);
  const [origin, inherited] = [await originFound(subject), await inheritedFound(subject)];
  const found = { founders, bootstrap: bootstrap ?? null, dispute, origin, inherited: inherited.rejected };
  const facts = { runId, chainId, contractsFrom, contracts, ...found };
  return tell({ ...judged, away: judged.away ?? inherited.away, facts, summary, reports }, output);
}

/** What nobody worked for is told beside what was recomputed. */
const foundersLines = ({ founders }: { readonly founders: bigint }): string[] =>
  founders === 0n
    ? []
    : wrap(
        `${formatSharesExactly(founders)} shares were minted for the founders when the model was created; "npx cotrain code list" shows whose they are.`,
        columnsOf(process.stdout),
      );

/** What whoever finds something wrong can do about it. */
const disputeLines = ({ dispute }: Walked["facts"], foundNothing: boolean): string[] =>
  dispute === null || foundNothing ? [] : wrap(disputeText(dispute.bond), columnsOf(process.stdout));
const disputeText = (bond: bigint): string =>
  `A root that pays for what is wrong can be disputed inside its window, for a bond of ${formatEther(bond)} coins now: "npx cotrain watch" does it by itself, "npx cotrain disputes open" says what may become of the bond.`;

/** Whether nothing is wrong but roots that are active, which are nobody's to dispute. */
const nothingDisputable = ({ summary, model }: Pick<Walked, "summary" | "model">): boolean =>
  nothingWrong({ ...summary, falseRoots: [] }) && model?.facts.sound !== false;

interface Walked extends Judged {
  /** What was walked; with what a dispute costs, null where the chain does not say. */
  readonly facts: {
    readonly founders: bigint;
    readonly bootstrap: BootstrapView | null;
    readonly dispute: Awaited<ReturnType<ChainReader["disputeCost"]>> | null;
    readonly origin: RunOrigin | null;
    readonly inherited: readonly RejectedRun[];
  };
  readonly summary: VerifySummary;
  readonly reports: readonly HeadReport[];
}

/** Whether nothing was found wrong of the run, of those that it goes on from, and of the model. */
const isRight = ({ facts, summary, model }: Pick<Walked, "facts" | "summary" | "model">): boolean =>
  nothingWrong(summary) && facts.inherited.length === 0 && model?.facts.sound !== false;

/** Tells all but the lines of heads. @returns the exit code @throws what is away, where nothing wrong was found up to there */
function tell({ facts, summary, reports, model, away }: Walked, output: Output): number {
  const foundNothing = isRight({ facts, summary, model });
  // What is away says nothing about the run, and takes back nothing that was found wrong.
  const sound = foundNothing && !away;
  const isEarly = away !== null && foundNothing;
  // People have read what was found head by head, and the rest is in what is thrown.
  if (output.json || !isEarly) {
    const lines = [
      ...inheritedLines(facts.inherited).map((line) => `FAIL   ${line}`),
      ...linesOfSummary(summary),
      ...originLines(facts.origin),
      ...foundersLines(facts),
      ...wrap(bootstrapText(facts.bootstrap), columnsOf(process.stdout)),
      ...(model?.lines ?? []),
      ...disputeLines(facts, nothingDisputable({ summary, model })),
      ...(away ? wrap(away.message, columnsOf(process.stdout)) : []),
    ];
    const more = { away: away?.message ?? null, model: model?.facts };
    output.result({ sound, ...facts, ...summary, checkpoints: reports, ...more }, lines);
  }
  if (isEarly) throw tryAgain(away);
  return sound ? 0 : 1;
}

type Head = Pick<PostedHead, "round" | "sequence" | "head" | "checkpointDigest">;
const marksOfModel = { true: "ok    ", false: "FAIL  ", null: "unseen" } as const;
/** With what was found of it, where a walk got to it. */
type Seen = Head & Partial<Pick<HeadReport, "problems" | "complete">>;

/**
 * The head that anchors a model's checkpoint, and what is wrong with it: all that was found where its run was walked.
 * @param heads those of the run, or their reports
 */
export function anchorOf<H extends Seen>(
  heads: readonly H[],
  checkpoint: string,
  round: number,
): { readonly head: H | undefined; readonly problems: string[] } {
  const isIts = (each: Seen): boolean => each.checkpointDigest === checkpoint && each.round === round;
  const head = standingHeads(heads).find(isIts) ?? heads.find(isIts);
  if (!head) return { head, problems: ["Its checkpoint is not anchored in the run."] };
  if (rolledBackHeads(heads).has(head)) return { head, problems: ["The run went back behind its checkpoint."] };
  return { head, problems: (head.problems ?? []).map((problem) => `Its checkpoint is wrong: ${problem}`) };
}

/** What an imported model is held against. */
interface Against {
  readonly reader: ChainReader;
  /** Of its run, if that was walked; by default those of the chain. */
  readonly heads?: readonly Seen[];
  readonly verdictsRead?: boolean;
}

/** An imported model: every blob against its digest, the documents against each other and, with a reader, against the chain. */
async function judgeModel({ blobs: store, model }: ImportedModel, against?: Against) {
  const { bundle, manifest } = model;
  const { blobs, bytes } = await verifyBlobs(store, model);
  const problems: string[] = [];
  let head: Seen | undefined;
  if (against) {
    const { reader } = against;
    const runId = asRunId(bundle.runId);
    const record = await reader.run(runId);
    problems.push(...problemsOfDefinition(record, model));
    if (!(await reader.isAdmitted(runId, asDigest(bundle.build.digest))))
      problems.push("Its programs are not admitted to the run.");
    const heads: readonly Seen[] = against.heads ?? (await reader.headsSince(runId, 0));
    const anchor = anchorOf(heads, bundle.checkpoint.digest, manifest.round);
    ({ head } = anchor);
    problems.push(...anchor.problems);
  }
  const wasSeen = against?.heads === undefined || head?.complete === true;
  // Null: nothing wrong is known of it, but the walk of its run did not get to its checkpoint.
  const sound = problems.length === 0 ? wasSeen || null : false;
  const verdict = marksOfModel[String(sound) as keyof typeof marksOfModel];
  const rest = sound === null ? ", its checkpoint in the run not looked at" : "";
  return {
    facts: {
      sound,
      checkpoint: bundle.checkpoint.digest,
      round: manifest.round,
      runId: bundle.runId,
      chainId: bundle.chainId,
      blobs,
      bytes,
      anchored: head ? { sequence: head.sequence, head: head.head } : null,
      verdictsRead: against?.verdictsRead ?? false,
      problems,
    },
    lines: [
      ...problems.map((problem) => `FAIL   ${problem}`),
      `${verdict} imported model of checkpoint ${manifest.round}: ${countOf(blobs, "blob")}, ${formatBytes(bytes)} hashed${rest}`,
      ...(head ? [`anchored as link ${head.sequence} of run ${bundle.runId}, chain ${bundle.chainId}`] : []),
    ],
  };
}

/** Undefined where there is no model, or it could not be held against its run. */
interface Judged {
  readonly model: Awaited<ReturnType<typeof judgeModel>> | undefined;
  /** What ended the walk, or came after it. */
  readonly away: VerifySummary["away"];
}

/** Judges an imported model after a walk of its run: by all that was found until it ended, and of heads after that by the chain. */
async function judgeWalked(
  imported: ImportedModel | undefined,
  { reader, runId }: Subject,
  reports: readonly HeadReport[],
  { away, verdictsRead }: VerifySummary,
): Promise<Judged> {
  if (!imported) return { model: undefined, away };
  const found = new Map(reports.map((report) => [report.head, report]));
  try {
    const heads = away
      ? (await reader.headsSince(runId, 0)).map((each) => found.get(each.head) ?? each)
      : [...found.values()];
    return { model: await judgeModel(imported, { reader, heads, verdictsRead }), away };
  } catch (error) {
    if (!(error instanceof CotrainError) || !isAway(error)) throw error;
    const sentence = `The imported model was not held against its run: ${error.message}`;
    return { model: undefined, away: away ?? new RetryableError(error.code, sentence, { cause: error }) };
  }
}

/** An imported model without its run's documents, which a coordinator serves. */
async function verifyModel(
  imported: ImportedModel,
  { rpc, run, deployment }: { readonly [Name in "rpc" | "run" | "deployment"]: string | undefined },
  output: Output,
): Promise<number> {
  const { bundle } = imported.model;
  requireModelRun(imported, run);
  const { chainId, contracts } = bundle;
  await requireNamedDeployment({ state: imported.state, deployment: { chainId, addresses: contracts } }, deployment);
  const reader = rpc === undefined ? undefined : await openReader({ rpcUrl: rpc, chainId, contracts, fromBlock: 0 });
  const { facts, lines } = await judgeModel(imported, reader && { reader });
  const whose = deployment === undefined ? "the file's word; pin them with --deployment" : `those of ${deployment}`;
  output.result(facts, [
    ...lines,
    ...(facts.anchored ? [`The contracts are ${whose}.`] : []),
    reader
      ? "Whether validators rejected it was not looked up: name the coordinator too."
      : "Not compared with the chain: name its RPC with --rpc.",
  ]);
  return facts.sound ? 0 : 1;
}

/** `cotrain verify`: needs nobody's word, only the contracts and the blobs they name. */
export const verifyCommand = defineCommand({
  ...outlines.verify,
  options: namedRunOptions,
  examples: [
    ["npx cotrain verify", "the run of this directory, from its chain and its blobs"],
    [
      "npx cotrain verify --coordinator http://127.0.0.1:7700 --rpc http://127.0.0.1:8545 --deployment deployment.json",
      "somebody else's run: blobs from the coordinator, truth from the contracts that the file names",
    ],
  ],
  notes: [
    "Checked of the contracts: whom each of them obeys, as far as they say it, and which code and roles the model's own ones have; of ComputeEscrow, where the deployment names it, what its vaults are.",
    "Checked of the run: that its definition has as many fragments as the chain, by which validators draw.",
    "Checked of every checkpoint: its link in the hash chain, its manifest, its receipts and every signature on them, and every shard that is there.",
    "Shards of old checkpoints need not be kept: such a checkpoint is “pruned”, which is no failure.",
    "Those of checkpoint 0, of the newest and of what no signed epoch covers yet must be there, and so must every manifest and every file of receipts.",
    "A checkpoint that holders rolled back is “undone”, and nothing but its link is looked at: the run goes on from an earlier one.",
    "Checked of every root that is active: that it pays what its epochs earned, by the documents under it, or what arrived of revenue. One that does not is told with whom it grants what and who signed it.",
    "A checkpoint that validators found not to hold, by the verdicts under the roots on-chain, is wrong, though the run goes on from it. A run that goes on from one of a run before is wrong by that too.",
    "Payloads are not read again: npx cotrain watch makes every fragment of the heads that no root paid yet from them. One that no validator drew is nobody's finding, and holders take the run back for it.",
    "Of an imported model all blobs are hashed and, with --rpc, its checkpoint, definition and programs are looked up in the contracts.",
    "Whether validators rejected that checkpoint stands in documents that the coordinator serves: with --coordinator its run is walked besides.",
    "Of a model in bootstrap it is told who its organiser is, which could take what is emitted until then: that is no failure.",
    "Ends with 1 when anything is missing or wrong. Where chain, coordinator or store is away the walk ends there: with 1 and what was found if anything was wrong up to there, else with 75, which says nothing about the rest.",
    "A coordinator that is away or too busy is asked again for two minutes for each blob. One that stays away for the same blob is suspicious: it may be hiding what is wrong with it.",
  ],
  async run({ options, output }) {
    const { coordinator, rpc } = options;
    const imported = await openImportedModel(options.state);
    if (coordinator !== undefined) {
      if (rpc === undefined)
        throw new UserError(
          "RPC_MISSING",
          "--coordinator needs --rpc: a coordinator's own word about the chain proves nothing.",
        );
      const { client, runId, pins, ...where } = await openRemoteRun({ ...options, coordinator });
      const connection = await connect({ rpcUrl: rpc, chainId: where.chainId });
      const reader = createReader(connection, where);
      const revenue = revenueAccounts({ reader, connection, fromBlock: where.fromBlock });
      const contractsFrom = pins ? "deployment" : "coordinator";
      if (imported) requireModelRun(imported, runId);
      const blobs = patientBlobs(client, {
        clock: systemClock,
        random: Math.random,
        signal: new AbortController().signal,
        onRetry: ({ message }) => output.notice(`${message} Waiting for it.`),
      });
      return walk({ reader, blobs, revenue, runId, contractsFrom }, output, imported);
    }
    if (imported) return verifyModel(imported, options, output);
    const run = runNamed(await openLocalRun(options.state), options.run);
    await requireNamedDeployment(run, options.deployment);
    return withChain(
      run,
      async (connection) => {
        const options = readerOptions(connection.url, connection.chainId, run.deployment);
        const reader = createReader(connection, options);
        const revenue = revenueAccounts({ reader, connection, fromBlock: options.fromBlock });
        const { runId } = run;
        return walk({ reader, blobs: blobSourceOf(run.blobs), revenue, runId, contractsFrom: "deployment" }, output);
      },
      rpc,
    );
  },
});
