/**
 * A rollback: the run goes on from an earlier checkpoint. Rounds that led on from there and that the chain never had follow behind it;
 * those that it had are lost, with the open one: their data are given out again, and who worked in them is left as before them.
 */
import { castDraft } from "immer";

import { giveBack, splitRanges } from "../../data/index.ts";
import { pushHead } from "./anchoring.ts";
import { dropWork, outstandingOf, receiptsOf } from "./dealing.ts";
import { interruptEpoch, maybeComputeEpoch, openEpoch } from "./epochs.ts";
import type { Decisions, GivenHead, RolledBack, Undoing } from "./events.ts";
import { heldOutOf } from "./heldOut.ts";
import { end, endAll, type StateDraft } from "./pending.ts";
import type { HeadEntry, RunState } from "./state.ts";

/** Whether the journal's newest rounds go on from the checkpoint that stands, as where a stranger's head was taken back. */
export function losesNothing({ heads }: Pick<RunState, "heads">, given: readonly GivenHead[]): boolean {
  const [first, last] = [given[0], given.at(-1)];
  const before = heads.find(({ sequence }) => sequence + 1 === first?.sequence);
  return before !== undefined && before.round === last?.round && before.checkpoint === last.checkpoint;
}

/** Takes the chain's heads into the journal. @returns the journal's own that stood in their place */
function takeIn(draft: StateDraft, given: readonly GivenHead[]): HeadEntry[] {
  const at = draft.heads.findIndex(({ sequence }) => sequence === given[0]?.sequence);
  const own = at < 0 ? [] : draft.heads.splice(at);
  for (const { epochEnd, anchor, ...link } of given) {
    draft.heads.push({ ...link, workers: [], anchor: { ...anchor }, reverted: false, given: true });
    openEpoch(draft, anchor.epoch, epochEnd);
  }
  const { round } = draft.heads.at(-1)!;
  for (const entry of draft.heads) if (entry.round > round) entry.rolledBack = true;
  return own;
}

/** Nobody goes on with the open round, and what it was trained on is free again. */
function dropRound(draft: StateDraft): void {
  const { current } = draft;
  if (!current) return;
  for (const { assignment } of outstandingOf(current)) dropWork(draft, assignment.worker);
  const trained = receiptsOf(current).flatMap(
    ({ assignment: { ranges, batch }, receipt }) => splitRanges(ranges, (receipt?.receipt.steps ?? 0) * batch)[0],
  );
  draft.ledger = castDraft(giveBack(draft.ledger, trained));
  end(draft, "setTimer", "deadline", current.round, current.deadlines);
  for (const kind of ["screenRound", "reduceSync", "gateRound", "storeCheckpoint"] as const) endAll(draft, kind);
  draft.current = null;
}

function undo(draft: StateDraft, { checkpoint, positions, tokens, screenings, lost = [], secret }: Undoing): void {
  dropRound(draft);
  draft.ledger = castDraft(giveBack(draft.ledger, positions));
  const { round } = checkpoint;
  for (const [worker, count] of Object.entries(tokens)) draft.totals[worker as `0x${string}`]! -= count;
  for (const [worker, outcome] of Object.entries(draft.outcomes))
    if (outcome.round >= round) delete draft.outcomes[worker as `0x${string}`];
  for (const member of Object.values(draft.members)) member.since = Math.min(member.since, round);
  draft.screenings = [...screenings];
  draft.lost = [...lost, ...(draft.lost ?? [])];
  draft.recent = draft.recent.filter((summary) => summary.round < round);
  draft.checkpoint = castDraft(checkpoint);
  draft.round = round;
  draft.secret = secret;
}

function onRolledBack(draft: StateDraft, { given, undoing, at }: RolledBack): void {
  const keeps = losesNothing(draft, given);
  const own = takeIn(draft, given);
  draft.rollbacks = (draft.rollbacks ?? 0) + 1;
  endAll(draft, "anchorHead");
  if (keeps)
    for (const { round, paramsVersion, checkpoint, receiptsRoot, workers } of own)
      pushHead(draft, { round, paramsVersion, checkpoint, receiptsRoot, workers });
  else if (undoing) undo(draft, undoing);
  if ((draft.heldOutFirst?.round ?? 0) > draft.round) draft.heldOutFirst = heldOutOf(draft, "first");
  // Its pay is computed from other rounds now.
  interruptEpoch(draft);
  maybeComputeEpoch(draft, at);
}

export const rollbackDecisions = { RolledBack: onRolledBack } satisfies Partial<Decisions>;
