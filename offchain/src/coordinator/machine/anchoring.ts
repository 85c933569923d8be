/** The journal of heads: computed as rounds end, posted strictly in order, posted again when the chain went back. */
import { type Address, type Digest, headHash, type Hex, zeroHash } from "@cotrain/sdk/protocol";

import { interruptEpoch, maybeComputeEpoch, openEpoch } from "./epochs.ts";
import type { HeadAnchored } from "./effects.ts";
import type { Decisions, HeadReverted, HeadsMoved } from "./events.ts";
import { endAll, isPending, issue, type StateDraft } from "./pending.ts";
import { coveredForAll } from "./state.ts";

/** Heads kept beyond those that still matter, so that a chain that lost many heads is recognised. */
const HEADS_KEPT = 64;

/**
 * Heads that may wait for the chain: an outage of an hour or more does not halt training. When as many wait, no round opens
 * until one is anchored, so a chain whose blocks are slower than the rounds limits the rounds in the end.
 */
export const MAX_WAITING_HEADS = 1_024;

export interface NewHead {
  readonly round: number;
  readonly paramsVersion: number;
  readonly checkpoint: Digest;
  readonly receiptsRoot: Hex;
  readonly workers: readonly Address[];
}

/** Appends the next link and asks for its anchoring when it is its turn. */
export function pushHead(draft: StateDraft, link: NewHead): void {
  const parent = draft.heads.at(-1);
  const sequence = (parent?.sequence ?? -1) + 1;
  const parentHead = parent?.head ?? zeroHash;
  const head = headHash({
    chainId: BigInt(draft.facts.chainId),
    registry: draft.facts.checkpointRegistry,
    parentHead,
    runId: draft.facts.runId,
    sequence: BigInt(sequence),
    round: BigInt(link.round),
    paramsVersion: link.paramsVersion,
    checkpointDigest: link.checkpoint,
    receiptsRoot: link.receiptsRoot,
  });
  draft.heads.push({ ...link, workers: [...link.workers], sequence, parentHead, head, anchor: null, reverted: false });
  anchorNext(draft);
}

/** Whether too many heads wait for the chain for another round to open. */
export function isBacklogged(draft: StateDraft): boolean {
  // Heads are anchored in order, so those that wait are the last.
  const oldest = draft.heads.at(-MAX_WAITING_HEADS);
  return oldest !== undefined && oldest.anchor === null;
}

function anchorNext(draft: StateDraft): void {
  if (isPending(draft, "anchorHead")) return;
  const next = draft.heads.find((entry) => entry.anchor === null);
  if (!next) return;
  issue(draft, "anchorHead", [next.sequence, draft.reverts], { sequence: next.sequence });
}

function onHeadAnchored(draft: StateDraft, event: HeadAnchored): void {
  const entry = draft.heads.find(({ sequence }) => sequence === event.sequence);
  if (!entry) return;
  entry.anchor = { ...event.anchor };
  entry.reverted = false;
  endAll(draft, "anchorHead");
  openEpoch(draft, event.anchor.epoch, event.epochEnd);
  anchorNext(draft);
  maybeComputeEpoch(draft, event.at);
}

function onHeadReverted(draft: StateDraft, event: HeadReverted): void {
  for (const entry of draft.heads) {
    if (entry.sequence <= event.sequence || !entry.anchor) continue;
    entry.anchor = null;
    entry.reverted = true;
  }
  draft.reverts += 1;
  endAll(draft, "anchorHead");
  interruptEpoch(draft);
  anchorNext(draft);
}

function onHeadsMoved(draft: StateDraft, event: HeadsMoved): void {
  for (const { sequence, anchor, epochEnd } of event.heads) {
    const entry = draft.heads.find((each) => each.sequence === sequence);
    if (!entry) continue;
    entry.anchor = { ...anchor };
    openEpoch(draft, anchor.epoch, epochEnd);
  }
  interruptEpoch(draft);
  maybeComputeEpoch(draft, event.at);
}

export const anchoringDecisions = {
  HeadAnchored: onHeadAnchored,
  HeadReverted: onHeadReverted,
  HeadsMoved: onHeadsMoved,
} satisfies Partial<Decisions>;

/** Forgets heads that an active root of ours covers which another one follows, and the verdicts about them. */
export function pruneHeads(draft: StateDraft): void {
  const isCovered = coveredForAll(draft);
  const removable = Math.max(0, draft.heads.length - HEADS_KEPT);
  const kept = draft.heads.findIndex((entry, index) => index >= removable || !isCovered(entry));
  if (kept <= 0) return;
  draft.heads.splice(0, kept);
  const heads = new Set<string>(draft.heads.map(({ head }) => head));
  for (const [key, { verdict }] of Object.entries(draft.verdicts)) {
    if (!heads.has(verdict.head)) delete draft.verdicts[key];
  }
}
