/**
 * What was judged may lose its documents afterwards, and nobody could compute its epoch any more, nor a later one: of heads that
 * no root covers a whole posting delay after their epoch, who said that they hold looks whether the documents are there.
 */
import { type Address, endOfEpoch, epochAt, type Hex, type RunId } from "@cotrain/sdk/protocol";

import { type HeadWithParent, readHeadDocuments, requireTurns, type RunDocuments, runDocuments } from "../run/index.ts";
import { isAgainst } from "./attest.ts";
import { findingOf } from "./checks/aggregate.ts";
import { attempt, type Context } from "./context.ts";
import type { Look } from "./heads.ts";
import { deny } from "./verdicts.ts";

/** Ms at most between looks at what was refused, and at documents of heads that should long have been paid for. */
const MAX_LOOK_AGAIN = 60_000;
/** Heads whose documents are read again at one time, some ten requests each. */
const LOOKS_AGAIN = 8;

/** Ms after which what was found wanting is looked at again. */
export const lookAgainAfter = ({ absence }: Pick<Context, "absence">): number => Math.min(MAX_LOOK_AGAIN, absence / 4);

interface Looked {
  /** When documents are looked at again, monotonic ms. */
  next: number;
  /** When those of a head were, monotonic ms. */
  readonly at: Map<Hex, number>;
}

export function createLookAgain(context: Context): (look: Look) => Promise<void> {
  const looked: Looked = { next: 0, at: new Map() };
  return (look) => attempt(context, "looking at documents again", () => lookAgain(context, looked, look));
}

async function lookAgain(context: Context, looked: Looked, { members, settled }: Look): Promise<void> {
  const { blobs, clock, heads, reader, run, schedule, statements, validator } = context;
  if (heads.judged.size === 0 || clock.monotonic() < looked.next) return;
  looked.next = clock.monotonic() + lookAgainAfter(context);
  const [pending, now] = await Promise.all([reader.pendingRoot(run.modelId), reader.chainTime()]);
  if (pending) return;
  for (const known of looked.at.keys()) if (!heads.links.has(known)) looked.at.delete(known);
  const lastLook = ({ head }: HeadWithParent): number => looked.at.get(head.head) ?? 0;
  const overdue = [...heads.links.values()].filter(({ head }) => {
    const epoch = epochAt(schedule, head.anchoredAt);
    return heads.judged.has(head.head) && epoch > settled && now >= endOfEpoch(schedule, epoch) + schedule.postingDelay;
  });
  // Each in its turn, whatever is said of it; of what it has denied there is no more to say, and it takes no place.
  const ofRuns = new Map<RunId, RunDocuments>();
  let places = LOOKS_AGAIN;
  for (const link of overdue.toSorted((a, b) => lastLook(a) - lastLook(b))) {
    if (places === 0) return;
    const { head, round, runId: id } = link.head;
    const said = await statements.about(head);
    if (said.some(({ struct }) => struct.validator === validator && isAgainst(struct))) continue;
    places -= 1;
    looked.at.set(head, clock.monotonic());
    const ofRun = ofRuns.get(id) ?? runDocuments(reader, blobs, id);
    ofRuns.set(id, ofRun);
    await attempt(context, `documents of checkpoint ${round}`, () => requireDocuments(context, link, members, ofRun));
  }
}

async function requireDocuments(
  context: Context,
  { head, parent }: HeadWithParent,
  members: readonly Address[],
  ofRun: RunDocuments,
): Promise<void> {
  const { absences, blobs, descriptions, reader, run, validator } = context;
  try {
    await readHeadDocuments(reader, blobs, head, parent, ofRun);
    await requireTurns(context, run.modelId, head);
    absences.found(head, "documents");
  } catch (error) {
    if (!absences.isGoneForGood(head, "documents", error)) throw error;
    // Its own draw it has spoken about; that of any other does not hold either.
    const drawer = members.find((member) => member !== validator);
    const sortition = await descriptions.sortitionOf(head);
    if (drawer && sortition)
      await deny(context, head, { fragment: sortition.fragmentOf(drawer), drawer }, findingOf(head, error));
  }
}
