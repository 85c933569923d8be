/** What a watcher tells: each thing once, as it is found, and at the end all of it. */
import { CotrainError } from "@cotrain/sdk/errors";
import { formatEther } from "viem";

import { timeText } from "../base/index.ts";
import { type ChainReader, DEVELOPMENT_CHAIN_ID } from "../chain/index.ts";
import { offenceText, type PaidFalsely, type ToldAct, type ToldOffence } from "../run/index.ts";
import type { HeadFinding, HeadsLook, WatchFinding } from "../validator/index.ts";
import { columnsOf, type Output } from "./output.ts";
import { falseRootsLines } from "./paidFalsely.ts";

/** Kinds of roots, as they are told of. */
type Kind = "compute" | "revenue";

/** What the next dispute of a model's roots of a kind costs. */
export type DisputeCost = Awaited<ReturnType<ChainReader["disputeCost"]>>;

/** Blocks after which a chain is believed not to go back. @param said by who watches */
export const depthOf = (said: number | undefined, chainId: number): number =>
  said ?? (chainId === DEVELOPMENT_CHAIN_ID ? 1 : 12);

/** Doublings of a bond from which on somebody should look who disputes whose roots, and why. */
const ALARMING_LEVEL = 3;

const coins = (wei: bigint): string => `${formatEther(wei)} coins`;

/** How often the bond is doubled, in half a sentence. */
const rowText = (level: number): string =>
  level === 0 ? "" : `, doubled ${level === 1 ? "once" : `${level} times`} since roots before were disputed`;

/** What a dispute costs now, and what may become of that. */
export function costText(
  { bond, level }: DisputeCost,
  {
    revenue,
    balance,
    why,
    most,
  }: {
    /** Of a root of revenue, whose row is its own. */
    readonly revenue: DisputeCost;
    readonly balance: bigint | undefined;
    readonly why: string;
    readonly most: bigint;
  },
): string {
  const other =
    revenue.bond === bond
      ? ""
      : ` About a root of revenue it costs ${coins(revenue.bond)}${rowText(revenue.level)}${revenue.bond > most ? ", which is more than is allowed" : ""}.`;
  const cost = `A dispute costs a bond of ${coins(bond)} now${rowText(level)}.${other} It comes back where holders find the root false, all of it is lost where they find that it stands, and a fifth of it where no quorum decides.`;
  if (why !== "") return `${cost} Nothing is spent: ${why}.`;
  const has = balance === undefined ? "" : ` The wallet has ${coins(balance)}.`;
  const dear = bond > most ? " That is more than is allowed: nothing is disputed." : "";
  return `${cost} At most ${coins(most)} are put up for each (--max-bond).${has}${dear}`;
}

const ofKind = (kind: Kind): string => (kind === "revenue" ? " of revenue" : "");

/** A root that is voted on, for who votes. @param root as a sentence begins */
function openText(
  root: string,
  finding: Extract<WatchFinding, { readonly state: "open" }>,
  evidence: (digest: string) => string,
): string {
  const { digest, proposalId, settles } = finding;
  const until = `Holders vote until ${timeText(settles)}`;
  if (finding.found === "false")
    return `FAIL   ${root} is disputed, and is false or unpublished: ${finding.reason} What was found is in ${evidence(digest)}. ${until}: vote against the root ("npx cotrain vote ${proposalId} against"; "npx cotrain disputes list" says how votes stand).`;
  if (finding.found === "holds")
    return `${root} is disputed, and holds: it is what its epochs earned. ${until}: let it stand ("npx cotrain vote ${proposalId} for"; "npx cotrain disputes list" says how votes stand).`;
  return `${root} is disputed, and whether it holds cannot be told yet: ${finding.reason} ${until} ("npx cotrain disputes list").`;
}

/** What a finding is in words. @param evidence where what was found is written */
function findingText(finding: WatchFinding, kind: Kind, evidence: (digest: string) => string): string {
  /** The root, as a sentence begins. */
  const rootOf = ({ digest, index }: { readonly digest: string; readonly index?: number }): string =>
    `Root${index === undefined ? "" : ` ${index}`}${ofKind(kind)}${index === undefined ? " in dispute" : ""} (attestation ${digest})`;
  switch (finding.state) {
    case "idle":
      return `No root${ofKind(kind)} is in its window.`;
    case "holds":
      return `${rootOf(finding)} holds: it is what its epochs earned.`;
    case "suspect":
      return `${rootOf(finding)} was found false, and is looked at again before anything is disputed: ${finding.reason}`;
    case "inconsistent":
      return `${rootOf(finding)} was found false by one look and not by another, so that whoever answers lies or lags: nothing is disputed. ${finding.reason}`;
    case "absent":
      return `${rootOf(finding)}: something that it takes is not to be had, and it is disputed if that lasts for ${Math.ceil(finding.left / 1_000)} s more. ${finding.reason}`;
    case "unread":
      return `${rootOf(finding)} could not be looked at: ${finding.reason}`;
    case "unnamed":
      return `${rootOf(finding)} was not recomputed, and is not disputed for what is missing: ${finding.reason} After ${timeText(finding.until)} nobody can dispute it.`;
    case "late":
      return `FAIL   ${rootOf(finding)} is false or unpublished, and its window is over: ${finding.reason}`;
    case "reported":
      return `FAIL   ${rootOf(finding)} is to be disputed, and nothing was sent: ${finding.why.replace(/\.$/, "")}. ${finding.reason} What was found is in ${evidence(finding.digest)}.`;
    case "disputed":
      return `FAIL   ${rootOf(finding)} is disputed: ${finding.reason} What was found is in ${evidence(finding.digest)}, sha256 ${finding.evidence}: publish it for those who vote.`;
    case "open":
      return openText(rootOf(finding), finding, evidence);
    default:
      return `${rootOf(finding)}: its dispute has ended, and was settled here: ${finding.ruling}.${finding.ruling === "void" ? ' What that costs who signed it says "npx cotrain stake slash --dry-run".' : ""}`;
  }
}

/** That roots are disputed again and again. */
const alarmText = (kind: Kind, { bond, level }: DisputeCost): string =>
  `FAIL   Roots${ofKind(kind)} of this model are disputed again and again: a dispute costs ${coins(bond)} now${rowText(level)}, and so does the next root if this one falls. Look who disputes whose roots, and have holders vote.`;

/** A false head is nobody's to dispute. */
function headText({ head, problems }: HeadFinding): string {
  const { round, transaction } = head;
  const back = round === 0 ? "" : `, and holders have the run go back ("npx cotrain checkpoint rollback ${round - 1}")`;
  return `FAIL   checkpoint ${round} of run ${head.runId}, head ${head.head}, posted in ${transaction}: ${problems.join(" ")} No bond stops a false head: validators suspend its poster ("npx cotrain suspend")${back}. A root that pays for it is disputed, unless what is wrong is a fragment that no validator drew: of that who signed the root knew nothing.`;
}

/** What a young model's organiser said or did. */
type ActsLook = () => Promise<{ readonly acts: readonly ToldAct[]; readonly more: number }>;

/** What nobody has reported yet. */
type OffencesLook = () => Promise<readonly ToldOffence[]>;

/** In a sentence; each act is told as its call says. */
function actText({ what, words, readyAt, name, transaction }: ToldAct): string {
  const of = `${words} (act ${name}, in ${transaction})`;
  if (what === "withdrawn") return `The organiser has withdrawn what it had announced: ${of}`;
  if (what === "carriedOut") return `The organiser has carried out what it had announced: ${of}`;
  return `The organiser has announced, to be carried out from ${timeText(readyAt ?? 0)} on and not once bootstrap is over: ${of}`;
}

/** What was seen of the root of a kind in its window. */
interface RootSeen {
  readonly root: WatchFinding | null;
  readonly cost: DisputeCost | null;
}

const UNSEEN: RootSeen = { root: null, cost: null };

/** All that was seen; of roots by themselves those of compute. */
export interface Seen extends RootSeen {
  readonly revenue: RootSeen;
  /** Roots that were found false or unpublished, by their attestations, each with what was done last. */
  readonly false: readonly WatchFinding[];
  readonly heads: { readonly looked: number; readonly findings: readonly HeadFinding[] };
  /** Wrong about the run as a whole. */
  readonly problems: readonly string[];
  /** Roots that were false and are active: nobody can dispute them. */
  readonly falseRoots: readonly PaidFalsely[];
  /** What a young model's organiser announced, carried out and withdrew. */
  readonly acts: readonly ToldAct[];
  /** What validators signed and would lose stake for, or could if they had any, once anybody reports it. */
  readonly offences: readonly ToldOffence[];
  /** What could not be looked at last; null where all was. */
  readonly away: string | null;
}

/** What looks at roots, and what asks how much a dispute of them costs. */
export type RootsLook = Readonly<
  Record<Kind, { readonly root: () => Promise<WatchFinding>; readonly cost: () => Promise<DisputeCost> }>
>;

/** One look at each, and what it found is told; who is away is told, and asked at the next look. None waits for another. */
export interface Telling {
  /** At the root of a kind in its window, and at what a dispute of one costs. */
  root(kind: Kind, look: RootsLook[Kind]): Promise<void>;
  /** @param look tells each finding at once */
  heads(look: (tell: (finding: HeadFinding) => void) => Promise<HeadsLook>): Promise<void>;
  /** At the organiser's acts. */
  acts(look: ActsLook): Promise<void>;
  offences(look: OffencesLook): Promise<void>;
  seen(): Seen;
}

/** What is looked at by itself, in the order in which it is told what was away. */
type Part = Kind | "heads" | "acts" | "offences";
const parts: readonly Part[] = ["compute", "revenue", "heads", "acts", "offences"];

const isFalse = (found: WatchFinding): boolean =>
  found.state === "open" ? found.found === "false" : ["late", "reported", "disputed"].includes(found.state);

/** Findings that are kept: who posts false heads for ever must not fill the memory. */
const MOST_KEPT = 1_000;

/** What was looked at, or who is away. */
type Attempted<T> = { readonly result: T; readonly away: null } | { readonly result: null; readonly away: string };

/**
 * What ends one look, be it a defect here that somebody found a document for, ends no other: a root that nobody looks at meanwhile pays.
 * @throws what says that it was told to end
 */
async function attempt<T>(work: () => Promise<T>): Promise<Attempted<T>> {
  try {
    return { result: await work(), away: null };
  } catch (error) {
    if (error instanceof CotrainError) return { result: null, away: error.message };
    if (error instanceof Error && error.name === "AbortError") throw error;
    return { result: null, away: `This is a defect of Cotrain, please report it: ${String(error)}` };
  }
}

/** Says each thing to people, where it is not what was said last of this. */
type Say = (of: string, ...lines: readonly string[]) => void;

function createSay(output: Output): Say {
  const said = new Map<string, string>();
  return (of, ...lines) => {
    if (said.get(of) === lines.join("\n")) return;
    if (said.size >= MOST_KEPT) said.clear();
    said.set(of, lines.join("\n"));
    if (!output.json) output.result(undefined, lines);
  };
}

/** Tells who keeps which look from ending, and what keeps several of them, a chain that is away, once. */
function createAwayTelling(say: Say) {
  const aways = new Map<Part, string>();
  return {
    tell: (part: Part, away: string | null): void => {
      const isNews = away !== null && ![...aways.values()].includes(away);
      if (away === null) aways.delete(part);
      else aways.set(part, away);
      if (isNews) say(`away/${part}`, `Not all could be looked at: ${away}`);
    },
    seen: (): string | null => parts.map((part) => aways.get(part)).find((away) => away !== undefined) ?? null,
  };
}

/** Tells what is found of roots. A look answers who was away. */
function createRootsTelling(say: Say, evidence: (digest: string) => string) {
  const wrong = new Map<string, WatchFinding>();
  const seen: Record<Kind, RootSeen> = { compute: UNSEEN, revenue: UNSEEN };
  const tell = (kind: Kind, found: WatchFinding): void => {
    // Of revenue there is mostly none.
    if (kind === "compute" || found.state !== "idle") say(`root/${kind}`, findingText(found, kind, evidence));
    if (found.state !== "idle" && isFalse(found)) wrong.set(found.digest, found);
  };
  return {
    look: async (kind: Kind, { root, cost }: RootsLook[Kind]): Promise<string | null> => {
      const { result: found, away } = await attempt(root);
      if (found) tell(kind, found);
      const bond = await attempt(cost);
      if (bond.result && bond.result.level >= ALARMING_LEVEL) say(`row/${kind}`, alarmText(kind, bond.result));
      seen[kind] = { root: found ?? seen[kind].root, cost: bond.result ?? seen[kind].cost };
      const unread = found?.state === "unread" || found?.state === "unnamed" ? found.reason : null;
      return away ?? unread ?? bond.away;
    },
    seen: () => ({ ...seen.compute, revenue: seen.revenue, false: [...wrong.values()] }),
  };
}

/** Tells what is found of heads and active roots. A look answers who was away. */
function createHeadsTelling(say: Say) {
  const findings: HeadFinding[] = [];
  const problems = new Set<string>();
  let looked = 0;
  let falseRoots: readonly PaidFalsely[] = [];
  const tell = (finding: HeadFinding): void => {
    say(`head/${finding.head.head}/${finding.condition}`, headText(finding));
    if (findings.length < MOST_KEPT) findings.push(finding);
  };
  return {
    look: async (look: (told: typeof tell) => Promise<HeadsLook>): Promise<string | null> => {
      const { result, away } = await attempt(() => look(tell));
      if (!result) return away;
      for (const problem of result.problems) {
        say(`run/${problem}`, `FAIL   ${problem}`);
        problems.add(problem);
      }
      looked += result.looked;
      ({ falseRoots } = result);
      if (falseRoots.length > 0) say("paid", ...falseRootsLines(falseRoots, columnsOf(process.stdout)));
      return result.away ?? null;
    },
    seen: () => ({ heads: { looked, findings }, problems: [...problems], falseRoots }),
  };
}

/** Tells acts as they are found. */
function createActsTelling(say: Say) {
  let acts: readonly ToldAct[] = [];
  return {
    look: async (look: ActsLook): Promise<string | null> => {
      const { result, away } = await attempt(look);
      for (const act of result?.acts ?? []) say(`act/${act.what}/${act.name}/${act.transaction}`, actText(act));
      if (result && result.more > 0)
        say("acts", `${result.more} more acts of the organiser, none of which is still to come, are not told.`);
      acts = [...acts, ...(result?.acts ?? [])].slice(0, MOST_KEPT);
      return away;
    },
    seen: () => ({ acts }),
  };
}

/** Tells offences that nobody has reported. */
function createOffencesTelling(say: Say) {
  let offences: readonly ToldOffence[] = [];
  return {
    look: async (look: OffencesLook): Promise<string | null> => {
      const { result, away } = await attempt(look);
      for (const offence of result ?? []) say(`offence/${offence.name}`, offenceText(offence, coins));
      offences = result?.slice(0, MOST_KEPT) ?? offences;
      return away;
    },
    seen: () => ({ offences }),
  };
}

export function createTelling(output: Output, evidence: (digest: string) => string): Telling {
  const say = createSay(output);
  const [roots, heads] = [createRootsTelling(say, evidence), createHeadsTelling(say)];
  const [acts, offences] = [createActsTelling(say), createOffencesTelling(say)];
  const away = createAwayTelling(say);
  return {
    root: async (kind, look) => away.tell(kind, await roots.look(kind, look)),
    heads: async (look) => away.tell("heads", await heads.look(look)),
    acts: async (look) => away.tell("acts", await acts.look(look)),
    offences: async (look) => away.tell("offences", await offences.look(look)),
    seen: () => ({ ...roots.seen(), ...heads.seen(), ...acts.seen(), ...offences.seen(), away: away.seen() }),
  };
}

/** Nothing that was found is false. What holders voided or vetoed was found before, and is over. */
export const isSound = ({ false: roots, heads, problems, falseRoots, offences }: Seen): boolean =>
  roots.length === 0 &&
  heads.findings.length === 0 &&
  problems.length === 0 &&
  falseRoots.length === 0 &&
  offences.every(({ kind }) => kind === "voided" || kind === "vetoed");

/** What calls for another look before anything can be said. */
const UNSURE: ReadonlySet<string> = new Set(["suspect", "inconsistent", "absent"]);

/** What was not read is among what is away. */
const isUnsure = (root: WatchFinding | null): boolean =>
  root !== null && (root.state === "open" ? root.found === "unsure" : UNSURE.has(root.state));

/** 1 for anything false, 75 where another look is needed to tell. */
export function exitCodeOf(seen: Seen): 0 | 1 | 75 {
  if (!isSound(seen)) return 1;
  const roots = [seen.root, seen.revenue.root];
  return seen.away !== null || roots.some(isUnsure) ? 75 : 0;
}
