/**
 * Watches the root in its window: recomputes it, and disputes it where it is false or unpublished. What a dispute costs is real, so
 * that nothing follows from one look: what is false must be found again, the same, some blocks later, by a reader that remembers
 * nothing, and through another RPC where one is known; what is not to be had must stay so for a part of the window.
 */
import type { Digest, Hex, ModelId } from "@cotrain/sdk/protocol";
import { CotrainError } from "@cotrain/sdk/errors";

import { type Clock, RetryableError } from "../../base/index.ts";
import type { Chain, ChainReader, SignedRoot } from "../../chain/index.ts";
import type { BlobSource } from "../../run/index.ts";
import { createJudge, digestOfEvidence, type Evidence, evidenceOf, type Judge, type Judgement } from "./judge.ts";
import { type KnownRoot, seenAbsent, type WatchMemory } from "./memory.ts";

/** What one look came to. All but `idle`, `holds` and `disputed` by somebody call for somebody's attention. */
export type WatchFinding =
  /** No root is in its window. */
  | { readonly state: "idle" }
  | (Of & { readonly state: "holds" })
  /** Found false once: it is looked at again. */
  | (Of & { readonly state: "suspect"; readonly reason: string })
  /** The second look found something else than the first: whoever answers says two things. */
  | (Of & { readonly state: "inconsistent"; readonly reason: string })
  /** Not to be had: it is disputed when that lasts. `left` ms of patience. */
  | (Of & { readonly state: "absent"; readonly reason: string; readonly left: number })
  /** Nothing could be said: the chain is away, or a source is slow. */
  | (Of & { readonly state: "unread"; readonly reason: string })
  /** It is to be disputed, and nothing here may or can: without a wallet, without leave, for too little money. */
  | (Of & Found & { readonly state: "reported"; readonly why: string })
  /** A dispute was sent and is in the chain, or somebody else's is. */
  | (Of & Found & { readonly state: "disputed" })
  /** False, or not to be had, and its window is over. */
  | (Of & { readonly state: "late"; readonly reason: string })
  /** A dispute about it is open, by whomever. `settles`: from when on, chain seconds. */
  | (Of & { readonly state: "open"; readonly settles: number })
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

export interface WatchOptions {
  readonly modelId: ModelId;
  /** Blocks between the two looks that a dispute takes, at least 1: as deep as the chain is believed. */
  readonly depth: number;
  /** Part of the window for which data that are not to be had are waited for. */
  readonly absentPart: number;
}

export interface WatchModules {
  /** What looks first, and remembers. */
  readonly reader: ChainReader;
  /** Opens what looks again and remembers nothing, through another RPC if there is one. */
  readonly openSecond: () => Promise<ChainReader>;
  readonly blobs: BlobSource;
  readonly memory: WatchMemory;
  readonly clock: Clock;
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
  /** Whether every fragment of a head is what its payloads make. */
  readonly head: Judge["head"];
}

type Wrong = Extract<Judgement, { readonly kind: "false" | "unpublished" }>;

/** What is known of it, but for what a first look found. */
const withoutFirst = ({ first: _first, ...known }: KnownRoot): KnownRoot => known;

/** What the steps of a look share. */
interface Watching extends WatchOptions, WatchModules {
  readonly judge: Judge;
  /** What was found false twice stays so: it is not computed at each look until its window is over. */
  readonly final: Map<string, Wrong>;
}

/** Ends the dispute that is open, once it is due. */
async function settle({ modelId, reader, spender }: Watching): Promise<WatchFinding | undefined> {
  const dispute = await reader.openDispute(modelId);
  if (!dispute) return undefined;
  const { digest, votesUntil } = dispute;
  if (!spender || (await reader.chainTime()) <= votesUntil) return { state: "open", digest, settles: votesUntil };
  const { ruling } = await spender.settleDispute(modelId, dispute);
  return { state: "settled", digest, ruling };
}

/** Disputes it, or says why not. */
async function act({ modelId, memory, spender, ...watching }: Watching, posted: SignedRoot, wrong: Wrong) {
  const { digest, index } = posted;
  const evidence = evidenceOf(modelId, posted, wrong);
  const found = { digest, index, reason: wrong.reason, evidence: digestOfEvidence(evidence) };
  await watching.writeEvidence(evidence);
  if (!spender) return { state: "reported", ...found, why: watching.why } as const;
  await memory.keep({ ...memory.of(digest), disputed: found.evidence });
  try {
    await spender.disputeRoot(modelId, digest, found.evidence);
  } catch (error) {
    if (!(error instanceof CotrainError)) throw error;
    return { state: "reported", ...found, why: error.message } as const;
  }
  return { state: "disputed", ...found } as const;
}

/** What is not to be had is waited for. */
async function waitFor(watching: Watching, posted: SignedRoot, wrong: Wrong): Promise<WatchFinding> {
  const { modelId, reader, memory, clock, absentPart } = watching;
  const { digest, index } = posted;
  const { window } = await reader.schedule(modelId);
  const patience = absentPart * window * 1_000;
  const absent = seenAbsent(memory.of(digest).absent, clock, patience);
  await memory.keep({ ...memory.of(digest), absent });
  if (absent.total >= patience) return act(watching, posted, wrong);
  return { state: "absent", digest, index, reason: wrong.reason, left: patience - absent.total };
}

/** Whether the blocks since a first look are as many as they must be, and stand on that one. */
async function depthSince(
  { depth }: Watching,
  reader: ChainReader,
  first: NonNullable<KnownRoot["first"]>,
): Promise<"deep" | "early" | "moved"> {
  const { block } = await reader.tip();
  if (block < first.block + depth) return "early";
  return (await reader.blockHash(first.block)) === first.hash ? "deep" : "moved";
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
  const since = await depthSince(watching, second, first);
  if (since === "early") return { state: "suspect", digest, index, reason };
  if (since === "moved") return inconsistent(`block ${first.block} is another one.`);
  const again = await createJudge(second, blobs).root(modelId, posted);
  // Who serves one look of two would never be disputed.
  if (again.kind === "unpublished") return waitFor(watching, posted, again);
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
  const known = final.get(digest);
  const judgement = known ?? (await judge.root(modelId, posted));
  if (judgement.kind === "unread") return { state: "unread", digest, index, reason: judgement.reason };
  if (judgement.kind === "holds") {
    await memory.keep({ digest, holds: true });
    return { state: "holds", digest, index };
  }
  if ((await reader.chainTime()) >= until) return { state: "late", digest, index, reason: judgement.reason };
  if (known) return act(watching, posted, known);
  return judgement.kind === "unpublished"
    ? waitFor(watching, posted, judgement)
    : lookAgain(watching, posted, judgement);
}

export function createWatch(options: WatchOptions, modules: WatchModules): Watch {
  const { modelId } = options;
  const { reader, memory } = modules;
  const judge = createJudge(reader, modules.blobs);
  const watching: Watching = { ...options, ...modules, judge, final: new Map() };
  return {
    head: judge.head,
    look: async () => {
      const dispute = await settle(watching);
      if (dispute) return dispute;
      const posted = await reader.pendingRoot(modelId);
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
