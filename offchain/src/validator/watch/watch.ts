/**
 * Watches the root of a kind in its window: recomputes it, and disputes it where it is false or unpublished. One that somebody disputed is
 * recomputed, too, for those who vote. What a dispute costs is real, and so is a root that nobody disputes: nothing follows from one look. What is false or holds must be found again, the same, some blocks
 * later, by a reader that remembers nothing, and through another RPC where one is known; what is not to be had must stay so for a part
 * of the window.
 */
import type { Digest, Hex, ModelId } from "@cotrain/sdk/protocol";
import { CotrainError } from "@cotrain/sdk/errors";

import { type Clock, RetryableError } from "../../base/index.ts";
import type { Chain, ChainReader, OpenDispute, SignedRoot } from "../../chain/index.ts";
import type { BlobSource } from "../../run/index.ts";
import {
  createJudge,
  digestOfEvidence,
  type Evidence,
  evidenceOf,
  type Judge,
  type Judgement,
  type Looking,
} from "./judge.ts";
import { type KnownRoot, seenAbsent, type WatchMemory } from "./memory.ts";

/** What one look came to. All but `idle` and `holds` call for somebody's attention. */
export type WatchFinding =
  /** No root is in its window. */
  | { readonly state: "idle" }
  | (Of & { readonly state: "holds" })
  /** Found false once: it is looked at again. */
  | (Of & { readonly state: "suspect"; readonly reason: string })
  /** A second look found something else than the first: whoever answers says two things. */
  | (Of & { readonly state: "inconsistent"; readonly reason: string })
  /** Not to be had, or too slow: it is disputed when that lasts. `left` ms of patience. */
  | (Of & { readonly state: "absent"; readonly reason: string; readonly left: number })
  /** Nothing could be said: the chain is away, or what a first look found to hold was not to be had at a second. */
  | (Of & { readonly state: "unread"; readonly reason: string })
  /** Something of it is not to be had and is of a run whose coordinator nobody has named: nothing follows. `until`: its window's end, chain seconds. */
  | (Of & { readonly state: "unnamed"; readonly reason: string; readonly runId: string; readonly until: number })
  /** It is to be disputed, and nothing here may or can: without a wallet, without leave, for too little money. */
  | (Of & Found & { readonly state: "reported"; readonly why: string })
  /** A dispute was sent and is in the chain, or somebody else's is. */
  | (Of & Found & { readonly state: "disputed" })
  /** False, or not to be had, and its window is over. */
  | (Of & { readonly state: "late"; readonly reason: string })
  /** A dispute about it is open, by whomever. `settles`: from when on, chain seconds; `proposalId`: what is voted on. */
  | (Of & { readonly state: "open"; readonly settles: number; readonly proposalId: bigint } & ForVoters)
  /** Its dispute was due, and was ended here. */
  | (Of & { readonly state: "settled"; readonly ruling: string });

interface Of {
  /** Struct hash of the attestation. */
  readonly digest: Hex;
  readonly index?: number;
}
interface Found {
  readonly reason: string;
  /** sha256 of what was written down. */
  readonly evidence: Digest;
}
/** What was found of a root that is voted on: that it holds or not is said when two looks found it, since no vote is taken back. */
type ForVoters =
  | { readonly found: "holds" }
  | ({ readonly found: "false" } & Found)
  /** Another look is needed to tell, or whoever answers is away or says two things. */
  | { readonly found: "unsure"; readonly reason: string };

export interface WatchOptions {
  readonly modelId: ModelId;
  /** Of the roots, of `rewardKind`: compute or revenue. */
  readonly kind: number;
  /** Blocks between the two looks that a dispute takes, at least 1: as deep as the chain is believed. */
  readonly depth: number;
  /** Part of the window for which data that are not to be had are waited for; `SLOW_PART` where a source is slow, if that is more. */
  readonly absentPart: number;
}

/** With what looks first, and remembers. */
export interface WatchModules extends Looking {
  /** Opens what looks again and remembers nothing, through another RPC if there is one. */
  readonly openSecond: () => Promise<Looking>;
  readonly blobs: BlobSource;
  readonly memory: WatchMemory;
  readonly clock: Clock;
  /** Fragments of heads that are known to be sound, where who looks at heads meanwhile shares them. */
  readonly sound?: Set<string>;
  /** Writes down what was found, before it is disputed. */
  readonly writeEvidence: (evidence: Evidence) => Promise<void>;
  /** What spends; undefined where nothing may be spent, which `why` says. */
  readonly spender: Pick<Chain, "disputeRoot" | "settleDispute"> | undefined;
  /** Why nothing is spent, in half a sentence. */
  readonly why: string;
}

export interface Watch {
  /** One look. @throws RetryableError where the chain is away; what writing to the disk throws */
  look(): Promise<WatchFinding>;
}

type Wrong = Extract<Judgement, { readonly kind: "false" | "unpublished" }>;
type Unread = Extract<Judgement, { readonly kind: "unread" }>;
type Missed = Extract<Judgement, { readonly kind: "unpublished" }> | (Unread & { readonly slow: true });

/** Whether something was not to be had, or too slow. */
const isMissed = (judgement: Judgement): judgement is Missed =>
  judgement.kind === "unpublished" || (judgement.kind === "unread" && judgement.slow);

/** Part of the window for which a slow source is waited for: one that was waited for without end would shield a false root. */
const SLOW_PART = 7 / 8;

/** What is known of it, but for what a first look found. */
const withoutFirst = ({ first: _first, ...known }: KnownRoot): KnownRoot => known;

/** What the steps of a look share. */
interface Watching extends WatchOptions, WatchModules {
  readonly judge: Judge;
  /** What was found false twice stays so: it is not computed at each look until its window is over. */
  readonly final: Map<string, Wrong>;
}

/** Ends the dispute that is open, once it is due. */
async function settle(
  { modelId, kind, reader, spender }: Watching,
  dispute: OpenDispute,
): Promise<WatchFinding | undefined> {
  if (!spender || (await reader.chainTime()) <= dispute.votesUntil) return undefined;
  const { ruling } = await spender.settleDispute(modelId, dispute, kind);
  return { state: "settled", digest: dispute.digest, ruling };
}

/** Disputes it, or says why not. */
async function act({ modelId, kind, spender, ...watching }: Watching, posted: SignedRoot, wrong: Wrong) {
  const { digest, index } = posted;
  const evidence = evidenceOf(modelId, posted, wrong);
  const found = { digest, index, reason: wrong.reason, evidence: digestOfEvidence(evidence) };
  await watching.writeEvidence(evidence);
  if (!spender) return { state: "reported", ...found, why: watching.why } as const;
  try {
    await spender.disputeRoot(modelId, digest, found.evidence, kind);
  } catch (error) {
    if (!(error instanceof CotrainError)) throw error;
    return { state: "reported", ...found, why: error.message } as const;
  }
  return { state: "disputed", ...found } as const;
}

/** What is not to be had is waited for, and longer where that is a source's slowness, or was at times. */
async function waitFor(watching: Watching, posted: SignedRoot, missed: Missed): Promise<WatchFinding> {
  const { modelId, reader, memory, clock, absentPart } = watching;
  const { digest, index } = posted;
  const { reason } = missed;
  const isAbsent = missed.kind === "unpublished";
  const { window } = await reader.schedule(modelId);
  const known = memory.of(digest);
  const patience = absentPart * window * 1_000;
  const longest = Math.max(absentPart, SLOW_PART) * window * 1_000;
  // Whoever is slow for a part of the window and hides for the rest would run out of neither.
  const unread = seenAbsent(known.unread, clock, longest);
  const absent = isAbsent ? seenAbsent(known.absent, clock, patience) : known.absent;
  await memory.keep({ ...known, unread, ...(absent && { absent }) });
  const left = Math.min(longest - unread.total, isAbsent && absent ? patience - absent.total : longest);
  if (left > 0) return { state: "absent", digest, index, reason, left };
  return missedAgain(watching, posted, { kind: "unpublished", reason });
}

/** What one RPC names is not to be had, be it that there is no such thing, or that another coordinator publishes it: a second one is asked. */
async function missedAgain(watching: Watching, posted: SignedRoot, wrong: Wrong): Promise<WatchFinding> {
  const { modelId, blobs } = watching;
  const { digest, index } = posted;
  const again = await createJudge(await watching.openSecond(), blobs).root(modelId, posted);
  const { reason } = wrong;
  if (again.kind === "holds")
    return {
      state: "inconsistent",
      digest,
      index,
      reason: `A first look found: ${reason} A second one: the root holds.`,
    };
  // What is found false now was withheld until now: who serves one look of two gets out of nothing.
  if (again.kind === "false" || isMissed(again)) return act(watching, posted, wrong);
  return { state: "unread", digest, index, reason: again.reason };
}

/** Whether the blocks since a first look are as many as they must be, and stand on that one. */
async function depthSince(
  { depth }: Watching,
  reader: ChainReader,
  first: NonNullable<KnownRoot["held"]>,
): Promise<"deep" | "early" | "moved"> {
  const { block } = await reader.tip();
  if (block < first.block + depth) return "early";
  return (await reader.blockHash(first.block)) === first.hash ? "deep" : "moved";
}

/** What was found to hold once is looked at again, likewise: one answer of an RPC would blind whoever watches for the whole window. */
async function holdsAgain(watching: Watching, posted: SignedRoot): Promise<WatchFinding> {
  const { modelId, reader, memory, blobs } = watching;
  const { digest, index } = posted;
  const { held } = memory.of(digest);
  if (!held) {
    const { block, hash } = await reader.tip();
    await memory.keep({ ...memory.of(digest), held: { block, hash } });
    return { state: "holds", digest, index };
  }
  const second = await watching.openSecond();
  const since = await depthSince(watching, second.reader, held);
  if (since === "early") return { state: "holds", digest, index };
  const again =
    since === "moved"
      ? ({ kind: "false", reason: `block ${held.block} is another one.` } as const)
      : await createJudge(second, blobs).root(modelId, posted);
  if (again.kind === "holds") {
    await memory.keep({ digest, holds: true });
    return { state: "holds", digest, index };
  }
  // The next look begins anew: with what is false it comes to a dispute, with what is not to be had to waiting for it.
  const { held: _held, ...known } = memory.of(digest);
  await memory.keep(known);
  return again.kind === "false"
    ? {
        state: "inconsistent",
        digest,
        index,
        reason: `A first look found that it holds. A second one: ${again.reason}`,
      }
    : { state: "unread", digest, index, reason: again.reason };
}

/** What was found false once is looked at again, by what remembers nothing. */
async function lookAgain(watching: Watching, posted: SignedRoot, wrong: Wrong): Promise<WatchFinding> {
  const { modelId, reader, memory, blobs, final } = watching;
  const { digest, index } = posted;
  const { reason } = wrong;
  const { first } = memory.of(digest);
  const evidence = digestOfEvidence(evidenceOf(modelId, posted, wrong));
  if (first?.evidence !== evidence) {
    const { block, hash } = await reader.tip();
    await memory.keep({ ...memory.of(digest), first: { evidence, block, hash } });
    return { state: "suspect", digest, index, reason };
  }
  const inconsistent = async (other: string): Promise<WatchFinding> => {
    await memory.keep(withoutFirst(memory.of(digest)));
    return { state: "inconsistent", digest, index, reason: `A first look found: ${reason} A second one: ${other}` };
  };
  const second = await watching.openSecond();
  const since = await depthSince(watching, second.reader, first);
  if (since === "early") return { state: "suspect", digest, index, reason };
  if (since === "moved") return inconsistent(`block ${first.block} is another one.`);
  const again = await createJudge(second, blobs).root(modelId, posted);
  // Who serves one look of two would never be disputed.
  if (isMissed(again)) return waitFor(watching, posted, again);
  if (again.kind === "unread") return { state: "unread", digest, index, reason: again.reason };
  if (again.kind === "holds") return inconsistent("the root holds.");
  if (digestOfEvidence(evidenceOf(modelId, posted, again)) !== evidence) return inconsistent(again.reason);
  final.clear();
  final.set(digest, again);
  return act(watching, posted, again);
}

async function judged(watching: Watching, posted: SignedRoot, until: number): Promise<WatchFinding> {
  const { modelId, reader, memory, judge, final } = watching;
  const { digest, index } = posted;
  if (memory.of(digest).held) return holdsAgain(watching, posted);
  const known = final.get(digest);
  const judgement = known ?? (await judge.root(modelId, posted));
  if (judgement.kind === "holds") return holdsAgain(watching, posted);
  const { reason } = judgement;
  const isLate = (await reader.chainTime()) >= until;
  if (isMissed(judgement) && !isLate) return waitFor(watching, posted, judgement);
  if (judgement.kind === "unread" && judgement.unnamed !== undefined)
    return { state: "unnamed", digest, index, reason, runId: judgement.unnamed, until };
  if (judgement.kind === "unread") return { state: "unread", digest, index, reason };
  if (isLate) return { state: "late", digest, index, reason };
  return known ? act(watching, posted, known) : lookAgain(watching, posted, judgement);
}

/** What a look at a root that is voted on came to, for those who vote. */
function forVoters(found: WatchFinding, isSettled: boolean): ForVoters {
  switch (found.state) {
    case "reported":
      return { found: "false", reason: found.reason, evidence: found.evidence };
    case "suspect":
    case "inconsistent":
    case "absent":
    case "unread":
    case "unnamed":
      return { found: "unsure", reason: found.reason };
    default:
      if (isSettled) return { found: "holds" };
      return { found: "unsure", reason: "One look found that it holds; another one is needed." };
  }
}

/** Recomputes a root that is voted on. Nothing is spent on it, and no window ends that: whoever votes needs to know, whoever disputed it. */
async function judgedForVoters(watching: Watching, dispute: OpenDispute): Promise<WatchFinding> {
  const { modelId, kind, reader, memory } = watching;
  const { digest, votesUntil: settles, proposalId } = dispute;
  const open = { state: "open", digest, settles, proposalId } as const;
  if (memory.of(digest).holds) return { ...open, found: "holds" };
  const roots = reader.rootsOfKind(kind);
  const pending = await roots.pendingRoot(modelId);
  // As it was posted: heads that came after it must not count, and a frozen root tells no time of its posting.
  const posted = (await roots.rootsOf(modelId, pending?.root)).findLast((root) => root.digest === digest);
  if (!posted || pending?.digest !== digest)
    throw new RetryableError("CHAIN_MOVED", `The dispute about the attestation ${digest} is over.`);
  const looking = { ...watching, spender: undefined };
  const found = await judged(looking, posted, Number.POSITIVE_INFINITY);
  return { ...open, index: posted.index, ...forVoters(found, memory.of(digest).holds === true) };
}

export function createWatch(options: WatchOptions, modules: WatchModules): Watch {
  const { modelId, kind } = options;
  const { reader, memory } = modules;
  const judge = createJudge(modules, modules.blobs, modules.sound);
  const watching: Watching = { ...options, ...modules, judge, final: new Map() };
  return {
    look: async () => {
      const dispute = await reader.rootsOfKind(kind).openDispute(modelId);
      if (dispute) return (await settle(watching, dispute)) ?? judgedForVoters(watching, dispute);
      const posted = await reader.rootsOfKind(kind).pendingRoot(modelId);
      if (!posted) return { state: "idle" };
      const { digest, index, activatableAt: until } = posted;
      if (memory.of(digest).holds) return { state: "holds", digest, index };
      // Between the two reads it was disputed.
      if (until === undefined)
        throw new RetryableError("CHAIN_MOVED", `The root of attestation ${digest} is disputed.`);
      return judged(watching, posted, until);
    },
  };
}
