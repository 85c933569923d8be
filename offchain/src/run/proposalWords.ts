/** What a proposal's calls would do, in words: by the calls themselves, whatever its text says of them. */
import {
  contractUriOf,
  currentParamsVersion,
  grantCapsOf,
  type ModelContracts,
  newestMaintainers,
  paramsOf,
} from "@cotrain/sdk/actions";
import { RunRegistryUnknownRunError } from "@cotrain/sdk/errors";
import {
  type Address,
  type ContractAddresses,
  type Grant,
  type Hex,
  nameOfCode,
  parameterLabel,
  parametersChange,
  parameterText,
  type RunId,
  runParameters,
  type RunParams,
  runStatus,
} from "@cotrain/sdk/protocol";
import { formatEther } from "viem";

import { timeText } from "../base/index.ts";
import type { ChainConnection, ChainReader } from "../chain/index.ts";
import { drawText, openText, revokeText, successorText, tokenCallText } from "./budgetWords.ts";
import { disputeText } from "./disputeWords.ts";
import { budgetText } from "./emissionWords.ts";
import { commitOf } from "./grants.ts";
import { bondText, slashText, vetoText } from "./penaltyWords.ts";
import {
  type Decoded,
  decodeProposed,
  DEEPEST,
  isKnown,
  MOST_BYTES,
  MOST_PASSED,
  passedCalls,
  passedInputs,
  passers,
  type ProposedCall,
} from "./proposedCalls.ts";
import type { BlobSource } from "./ports.ts";
import { rollbackText } from "./rollbackWords.ts";
import { registerText } from "./runWords.ts";
import { modelText, saleText } from "./saleWords.ts";
import { absentText, signersText } from "./signerWords.ts";
import { voteTermSet } from "./voteTerms.ts";

/** Whose run and model it is about. */
export interface WordsPlace {
  readonly connection: Pick<ChainConnection, "call">;
  readonly addresses: ContractAddresses;
  readonly contracts: ModelContracts;
  /** What pays for code, where that is known. */
  readonly codeGrants?: Address | undefined;
  /** What sells shares, where that is known. */
  readonly capitalSale?: Address | undefined;
  /** Where stake lies, where that is known. */
  readonly stakeManager?: Address | undefined;
  /** What lets others spend from treasuries, where that is known. */
  readonly computeBudget?: Address | undefined;
  readonly runId: RunId;
  /** By which it is seen what a run that is to be registered begins with. */
  readonly reader?: ChainReader | undefined;
  readonly blobs?: BlobSource | undefined;
  /** Block at or before the contracts' first, where that is known. */
  readonly fromBlock?: number | undefined;
  /** Whether values that stay as they are may be left out: of what is decided, which nobody agrees to any more. */
  readonly brief?: boolean | undefined;
}

/** What may still be told of a proposal's calls: each that is passed on may ask the chain, and their bytes are read again at each depth. */
export interface WordsBudget {
  /** Calls that others pass on. */
  passed: number;
  /** Bytes of calls that are read. */
  bytes: number;
}

/** Of all calls of one proposal together. */
export const wordsBudget = (): WordsBudget => ({ passed: MOST_PASSED, bytes: MOST_BYTES });

/** What may be told of one call of a proposal, and what was not. */
interface Tally {
  readonly budget: WordsBudget;
  /** Calls that were not told, or not to their end. */
  untold: number;
}

/** Characters of the words of a call that is shown as it is: a stranger may pass megabytes. */
const MOST_WORDS = 4_000;
function bounded(text: string, tally: Tally): string {
  if (text.length <= MOST_WORDS) return text;
  tally.untold += 1;
  return `${text.slice(0, MOST_WORDS)}…`;
}

function valueText(value: unknown): string {
  if (typeof value === "string") {
    const cut = value.slice(0, MOST_WORDS);
    return /^0x[\da-f]*$/i.test(cut) ? cut : JSON.stringify(cut);
  }
  if (Array.isArray(value)) return `[${value.slice(0, MOST_WORDS).map(valueText).join(", ")}]`;
  if (typeof value !== "object" || value === null) return String(value);
  return `{${Object.entries(value)
    .map(([name, field]) => `${name} ${valueText(field)}`)
    .join(", ")}}`;
}

/** Arguments that are wei of shares. */
const shareAmounts: ReadonlySet<string> = new Set([
  "ModelShares.approve value",
  "ModelShares.permit value",
  "ModelShares.transfer value",
  "ModelShares.transferFrom value",
]);

/** A function with its arguments as they are, but those that are told otherwise. */
function shownCall(
  { name, shown: called, args, inputs }: Decoded,
  tally: Tally,
  toldOtherwise: ReadonlySet<string> = new Set(),
): string {
  const shown = args.flatMap((value, i) => {
    const input = inputs[i]?.name ?? `argument ${i + 1}`;
    if (toldOtherwise.has(input)) return [];
    // Exact: what is rounded hides dust, and "0 shares" may be a proposal's whole purpose.
    const inShares = typeof value === "bigint" && shareAmounts.has(`${name} ${input}`);
    return [`${input} ${inShares ? `${formatEther(value)} shares` : valueText(value)}`];
  });
  return bounded(`${called}(${shown.join(", ")})`, tally);
}

/** What a run is called: its id only where it is another than one expects. */
const runText = (place: WordsPlace, id: unknown): string =>
  String(id).toLowerCase() === place.runId.toLowerCase() ? "this run" : `another run, ${String(id)},`;

async function paramsText(place: WordsPlace, [id, replaces, given]: readonly unknown[]): Promise<string> {
  const { connection, addresses } = place;
  const runId = id as Hex;
  const version = Number(replaces);
  const params = given as RunParams;
  const newest = await connection.call(async (client) => {
    try {
      return await currentParamsVersion(client, { addresses, runId });
    } catch (error) {
      if (error instanceof RunRegistryUnknownRunError) return 0;
      throw error;
    }
  });
  const words = `RunRegistry sets parameters of ${runText(place, id)} in the place of version ${version}`;
  const valuesOf = (rows: readonly (typeof runParameters)[number][]): string =>
    rows.map(({ name }) => `${parameterText(name, params[name])} ${parameterLabel(name, params[name])}`).join(", ");
  const all = `Whatever is in force before, all of these would be: ${valuesOf(runParameters)}.`;
  if (version < 1 || version > newest) return `${words}${absentText(newest)}. ${all}`;
  const before = await connection.call((client) => paramsOf(client, { addresses, runId, version }));
  const change = parametersChange(before, params);
  if (change === "") return `${words}: all stay as they are. ${all}`;
  if (place.brief) return `${words}: ${change}.`;
  // Always, since what is in force is the node's word: a change that it hides stands here.
  const same = runParameters.filter(({ name }) => before[name] === params[name]);
  const rest = same.length === 0 ? "" : ` The others, whatever is in force before, would be: ${valuesOf(same)}.`;
  return `${words}: ${change}.${rest}`;
}

/** A URL of more than 256 bytes is refused by the contract, however much of it is shown. */
function grantText([given, repository]: readonly unknown[]): string {
  const grant = given as Grant;
  const dateOf = (after: number): string => timeText(Number(grant.start + BigInt(after)));
  return `CodeGrants has ${grant.author} paid ${formatEther(grant.amount)} shares for commit ${commitOf(grant.commit)} of ${valueText(repository)}: linearly from ${dateOf(0)} to ${dateOf(grant.duration)}, and nothing before ${dateOf(grant.cliff)} or before this is carried out; the contribution is described by the text of sha256 ${grant.description}.`;
}

async function voidText(place: WordsPlace, [id, set]: readonly unknown[]): Promise<string> {
  const { connection, addresses } = place;
  const [modelId, version] = [id as Hex, Number(set)];
  const newest = await connection.call((client) => newestMaintainers(client, { addresses, modelId }));
  const absent = version < 1 || version > newest ? `${absentText(newest)},` : "";
  return `CodeGrants ends every grant that set ${version} of the maintainers of ${await modelText(place, modelId)}${absent} has approved by then, and lets that set approve no more: what is due by then stays the authors', of a grant that may still be vetoed nothing, and anybody may burn the rest.`;
}

/** What setting the caps of maintainers would do. @param args of CodeGrants.setCaps */
async function capsText(
  place: WordsPlace,
  [id, replaces, perAuthor, perEpoch]: readonly unknown[],
): Promise<string | undefined> {
  const { connection, codeGrants: grants } = place;
  if (grants === undefined) return undefined;
  const modelId = id as Hex;
  const [author, all] = [formatEther(perAuthor as bigint), formatEther(perEpoch as bigint)];
  const caps = await connection.call((client) => grantCapsOf(client, { grants, modelId }));
  // Of caps that were set since, or by this very call, a comparison would say that nothing changes.
  const now =
    caps.version > Number(replaces)
      ? `version ${caps.version} was set since, by this proposal or another`
      : `now these are ${formatEther(caps.perAuthor)} and ${formatEther(caps.perEpoch)} shares`;
  return `CodeGrants lets the maintainers of ${await modelText(place, modelId)} approve ${author} shares an epoch for one author and ${all} in all, without a vote, in the place of version ${String(replaces)} of these caps; ${now}.`;
}

/** What naming other licences and terms would do; one that is too long to be told whole is shown as far as others are. */
async function termsText(
  { connection, contracts }: WordsPlace,
  [uri]: readonly unknown[],
): Promise<string | undefined> {
  const after = String(uri);
  if (after.length > MOST_WORDS) return undefined;
  const before = await connection.call((client) => contractUriOf(client, { shares: contracts.shares }));
  // Which contract that is the node says, so that it is named.
  return `ModelShares ${contracts.shares} names ${valueText(after)} as the model's licences and terms, in the place of ${valueText(before)}.`;
}

/** Undefined where a call is shown as it is. */
type Sentence = (place: WordsPlace, args: readonly unknown[]) => string | Promise<string | undefined>;

/** Sentences for what holders decide most, whole: no change is hidden behind others. All other calls are shown as they are. */
const sentences: Readonly<Record<string, Sentence>> = {
  "RunRegistry.setParams": paramsText,
  "RunRegistry.registerRun": registerText,
  "ValidatorSet.setValidators": (place, args) => signersText("validators", place, args),
  "ValidatorSet.setMaintainers": (place, args) => signersText("maintainers", place, args),
  "CodeGrants.approveByVote": (_, args) => grantText(args),
  "CodeGrants.revoke": (_, [, id]) =>
    `CodeGrants ends grant ${String(id)}: what is due by then stays its author's, all else is burned.`,
  "CodeGrants.setCaps": capsText,
  "CodeGrants.voidSet": voidText,
  "CapitalSale.setTerms": saleText,
  "ComputeBudget.open": openText,
  "ComputeBudget.revoke": revokeText,
  "ComputeRewards.setBond": bondText,
  "ComputeRewards.settleDispute": disputeText,
  "StakeManager.setTerms": slashText,
  "StakeManager.vetoRuling": vetoText,
  "CheckpointRegistry.rollback": (place, args) => rollbackText(place, args, runText(place, args[0])),
  "Emission.draw": drawText,
  "Emission.nameSuccessor": successorText,
  "Emission.setBudget": budgetText,
  "ModelGovernor.setVotingDelay": (place, args) => voteTermSet(place, "votingDelay", args),
  "ModelGovernor.setVotingPeriod": (place, args) => voteTermSet(place, "votingPeriod", args),
  "ModelGovernor.setLateQuorumVoteExtension": (place, args) => voteTermSet(place, "lateQuorumVoteExtension", args),
  "ModelGovernor.setProposalThreshold": (place, args) => voteTermSet(place, "proposalThreshold", args),
  "ModelGovernor.updateQuorumNumerator": (place, args) => voteTermSet(place, "quorumBps", args),
  "ModelShares.setContractURI": termsText,
  "ModelTimelock.updateDelay": (place, args) => voteTermSet(place, "timelockDelay", args),
  "RunRegistry.admitBuild": (place, [id, build, admitted]) =>
    `RunRegistry ${admitted === true ? "admits" : "withdraws"} build ${String(build)} ${admitted === true ? "to" : "from"} ${runText(place, id)}.`,
  "RunRegistry.setPoster": (place, [id, poster]) =>
    `RunRegistry lets ${String(poster)} alone post the heads of ${runText(place, id)}.`,
  "RunRegistry.setStatus": (place, [id, status]) =>
    `RunRegistry makes ${runText(place, id)} ${nameOfCode(runStatus, Number(status)) ?? `status ${String(status)}`}${status === runStatus.finished ? ", for ever: no proposal opens it again" : ""}.`,
};

/** Where a call stands: whose it is, in which of others, and how many more may be told. */
interface Standing {
  readonly by: string;
  /** Numbers of the calls that it is in, outermost first, and its own. */
  readonly path: readonly number[];
  readonly tally: Tally;
}

const counted = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;

async function passedText(
  place: WordsPlace,
  decoded: Decoded,
  to: Address,
  { by, path, tally }: Standing,
): Promise<string> {
  const calls = passedCalls(decoded, to);
  if (calls.length === 0) return "It passes on no calls.";
  if (path.length >= DEEPEST) {
    tally.untold += calls.length;
    return "It passes on calls that are not told.";
  }
  const told: string[] = [];
  for (const [i, call] of calls.entries()) {
    if (tally.budget.passed === 0) break;
    tally.budget.passed -= 1;
    const inner = [...path, i + 1];
    told.push(`(${inner.join(".")}) ${await tellCall(place, call, { by, path: inner, tally })}`);
  }
  const untold = calls.length - told.length;
  tally.untold += untold;
  if (untold > 0)
    told.push(`${counted(untold, "further call")} that it passes on ${untold === 1 ? "is" : "are"} not told.`);
  return `It passes on ${counted(calls.length, "call")} in the name of ${by}: ${told.join(" ")}`;
}

async function tellCall(place: WordsPlace, call: ProposedCall, standing: Standing): Promise<string> {
  const { by, tally } = standing;
  const coins = call.value > 0n ? ` It sends ${formatEther(call.value)} coins of ${by} along.` : "";
  const bytes = (call.data.length - 2) / 2;
  tally.budget.bytes -= bytes;
  if (tally.budget.bytes < 0) {
    tally.untold += 1;
    return `${by[0]?.toUpperCase()}${by.slice(1)} calls ${call.target} with ${bytes} bytes, which are not told, since the proposal has too many.${coins}`;
  }
  const decoded = decodeProposed(place, call);
  if (!decoded) {
    const ofToken = await tokenCallText(place, call, by);
    if (ofToken !== undefined) return `${ofToken}${coins}`;
    // Contracts take offsets that nobody else reads, those that point back among them.
    const isOurs = bytes > 0 && isKnown(place, call.target);
    const what =
      bytes === 0
        ? "without data"
        : isOurs
          ? `with ${bytes} bytes that the contract may take, and that are not read here: ${call.data}`
          : `with ${bytes} bytes that are not read as a call of this model's contracts: ${call.data}`;
    const [untold, told] = [
      tally.untold,
      bounded(`${by[0]?.toUpperCase()}${by.slice(1)} calls ${call.target} ${what}`, tally),
    ];
    if (isOurs) tally.untold = untold + 1;
    return `${told}.${coins}`;
  }
  const { name, args } = decoded;
  const sentence = await sentences[name]?.(place, args);
  if (sentence !== undefined) return `${sentence}${coins}`;
  if (!Object.hasOwn(passers, name)) return `${shownCall(decoded, tally)}.${coins}`;
  const passed = await passedText(place, decoded, call.target, { ...standing, by: passers[name] ?? by });
  return `${shownCall(decoded, tally, passedInputs)}.${coins} ${passed}`;
}

/** What a call would do, and how much of it that does not say. */
export interface CallWords {
  readonly words: string;
  /** Calls among it and those that it passes on that are not told, or not to their end. */
  readonly untold: number;
}

/**
 * What one call would do, in sentences of bounded length; what it passes on is told as well.
 * @param budget what is left of the proposal's, where it has several calls
 */
export async function wordsOfCall(place: WordsPlace, call: ProposedCall, budget = wordsBudget()): Promise<CallWords> {
  const tally: Tally = { budget, untold: 0 };
  const words = await tellCall(place, call, { by: "the timelock", path: [], tally });
  return { words, untold: tally.untold };
}
