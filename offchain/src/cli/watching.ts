/** What a watcher tells: each thing once, as it is found, and at the end all of it. */
import { formatEther } from "viem";

import { RetryableError, timeText } from "../base/index.ts";
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
const headText = ({ head, problems }: HeadFinding): string =>
  `FAIL   checkpoint ${head.round}, head ${head.head}, posted in ${head.transaction}: ${problems.join(" ")} No bond stops a false head: validators suspend its poster ("npx cotrain suspend"), and a root that pays for it is disputed.`;

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

/** Before the first look. */
const NOTHING_SEEN: Omit<Seen, "heads"> = {
  ...UNSEEN,
  revenue: UNSEEN,
  false: [],
  problems: [],
  falseRoots: [],
  acts: [],
  offences: [],
  away: null,
};

export interface Telling {
  /** One look at roots, heads, the organiser's acts, offences, and what disputes cost. Who is away is told, and asked at the next look. */
  look(roots: RootsLook, heads: () => Promise<HeadsLook>, acts: ActsLook, offences: OffencesLook): Promise<void>;
  seen(): Seen;
}

const isFalse = (found: WatchFinding): boolean =>
  found.state === "open" ? found.found === "false" : ["late", "reported", "disputed"].includes(found.state);

/** Findings that are kept: who posts false heads for ever must not fill the memory. */
const MOST_KEPT = 1_000;

/** What was looked at, or who is away. */
type Attempted<T> = { readonly result: T; readonly away: null } | { readonly result: null; readonly away: string };

async function attempt<T>(work: () => Promise<T>): Promise<Attempted<T>> {
  try {
    return { result: await work(), away: null };
  } catch (error) {
    if (!(error instanceof RetryableError)) throw error;
    return { result: null, away: error.message };
  }
}

/** Tells acts as they are found, and answers all of them. */
function createActsTelling(say: (of: string, line: string) => void) {
  let acts: readonly ToldAct[] = [];
  return async (look: ActsLook): Promise<{ readonly away: string | null; readonly acts: readonly ToldAct[] }> => {
    const { result, away } = await attempt(look);
    for (const act of result?.acts ?? []) say(`act/${act.what}/${act.name}/${act.transaction}`, actText(act));
    if (result && result.more > 0)
      say("acts", `${result.more} more acts of the organiser, none of which is still to come, are not told.`);
    acts = [...acts, ...(result?.acts ?? [])].slice(0, MOST_KEPT);
    return { away, acts };
  };
}

export function createTelling(output: Output, evidence: (digest: string) => string): Telling {
  const said = new Map<string, string>();
  const wrong = new Map<string, WatchFinding>();
  const findings: HeadFinding[] = [];
  const problems = new Set<string>();
  let seen: Seen = { ...NOTHING_SEEN, heads: { looked: 0, findings } };
  /** Says it where it is not what was said last of this. */
  const say = (of: string, ...lines: readonly string[]): void => {
    if (said.get(of) === lines.join("\n")) return;
    if (said.size >= MOST_KEPT) said.clear();
    said.set(of, lines.join("\n"));
    if (!output.json) output.result(undefined, lines);
  };
  const tellRoot = (kind: Kind, found: WatchFinding | null): string | null => {
    if (!found) return null;
    // Of revenue there is mostly none.
    if (kind === "compute" || found.state !== "idle") say(`root/${kind}`, findingText(found, kind, evidence));
    if (found.state !== "idle" && isFalse(found)) wrong.set(found.digest, found);
    return found.state === "unread" ? found.reason : null;
  };
  const tellCost = (kind: Kind, cost: DisputeCost | null): void => {
    if (cost && cost.level >= ALARMING_LEVEL) say(`row/${kind}`, alarmText(kind, cost));
  };
  const tellHeads = (looked: HeadsLook | null): string | null => {
    if (!looked) return null;
    for (const finding of looked.findings) say(`head/${finding.head.head}/${finding.condition}`, headText(finding));
    for (const problem of looked.problems) {
      say(`run/${problem}`, `FAIL   ${problem}`);
      problems.add(problem);
    }
    if (looked.falseRoots.length > 0) say("paid", ...falseRootsLines(looked.falseRoots, columnsOf(process.stdout)));
    if (findings.length < MOST_KEPT) findings.push(...looked.findings);
    return looked.away ?? null;
  };
  const tellActs = createActsTelling(say);
  const lookAt = async (kind: Kind, { root, cost }: RootsLook[Kind], before: RootSeen) => {
    const found = await attempt(root);
    const unread = tellRoot(kind, found.result);
    const bond = await attempt(cost);
    tellCost(kind, bond.result);
    const away = found.away ?? unread ?? bond.away;
    return { away, root: found.result ?? before.root, cost: bond.result ?? before.cost };
  };
  return {
    look: async (roots, heads, organiser, reportable) => {
      const { away: computeAway, ...compute } = await lookAt("compute", roots.compute, seen);
      const { away: revenueAway, ...revenue } = await lookAt("revenue", roots.revenue, seen.revenue);
      const looked = await attempt(heads);
      const unlooked = tellHeads(looked.result);
      const { away: organiserAway, acts } = await tellActs(organiser);
      const offences = await attempt(reportable);
      for (const offence of offences.result ?? []) say(`offence/${offence.name}`, offenceText(offence, coins));
      const away = computeAway ?? revenueAway ?? looked.away ?? unlooked ?? organiserAway ?? offences.away;
      if (away !== null) say("away", `Not all could be looked at: ${away}`);
      seen = {
        ...compute,
        revenue,
        false: [...wrong.values()],
        heads: { looked: seen.heads.looked + (looked.result?.looked ?? 0), findings },
        problems: [...problems],
        falseRoots: looked.result?.falseRoots ?? seen.falseRoots,
        acts,
        offences: offences.result?.slice(0, MOST_KEPT) ?? seen.offences,
        away,
      };
    },
    seen: () => seen,
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
