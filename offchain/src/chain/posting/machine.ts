/**
 * Decides how one account's transactions are sent: `step(state, event) → { state, effects }`, pure. What it asks for, one thing
 * at a time, is carried out in journal.ts, and each answer is its next event. Postings are worked on one at a time in the order
 * of the job table, which holds all that must outlast the process; what is here besides says only since when something waits.
 *
 * A posting ends when its effect is seen on-chain, whoever caused it; the transaction is only the means. So whatever
 * happens in between — kill -9 after the send, a node that forgets its last second, a stuck or replaced transaction, a front
 * runner — the next look at the chain tells what is left to do. The contracts make each effect possible once.
 */
import type { FeesAsked, FeesBeyond } from "../fees.ts";
import type { Ask, AskName, Ending, Fault, Mined, PostingProgress, Refused } from "./asks.ts";
import { REVERTED, TOO_DEAR } from "./asks.ts";
import type { Notice, PostingEffect, PostingEvent } from "./events.ts";
import { keptOf, type Price, priceOf, tooDearFor } from "./price.ts";

export interface PostingRules {
  /** Ms between looks at the chain. */
  readonly pollInterval: number;
  /** Ms after which a transaction that is not mined gets higher fees. */
  readonly stuckAfter: number;
  /** Ms after which a nonce that others must fill first is given up. */
  readonly gapPatience: number;
  /** Blocks above the one that holds an effect before it is seen. */
  readonly confirmations: number;
  /** Wei that a transaction may cost. */
  readonly maxFee: bigint;
}

/** What is remembered of a posting while it is not done; of none after a crash, which begins to wait anew. */
interface Waiting {
  /** Since when its transaction could be mined and is not, monotonic ms. */
  readonly minableSince: number | null;
  /** Since when nonces before its own are missing, monotonic ms. */
  readonly gapSince: number | null;
  /** What is too dear, or lacking, and since when, ms since 1970. */
  readonly dear: (FeesAsked & { readonly since: number }) | null;
}

/** The posting that is worked on. */
interface Work {
  readonly job: number;
  readonly progress: PostingProgress | null;
  /** Whether it ends where it would be waited for, before anything of it was sent. */
  readonly yields: boolean;
  /** Transactions of it that reverted without a reason, and readings that left out what was mined. */
  readonly reverts: number;
  readonly unseen: number;
  readonly phase: Phase;
}

type SimplePhase =
  | "look"
  | "first"
  | "quote"
  | "untaken"
  | "requote"
  | "sent"
  | "receipts"
  | "reverted"
  | "reason"
  | "nonce"
  | "taken"
  | "gap"
  | "stuck"
  | "rest";

/** What the outstanding answer is for. */
type Phase =
  | { [A in SimplePhase]: { readonly at: A } }[SimplePhase]
  | { readonly at: "sign"; readonly nonce: number }
  | { readonly at: "note"; readonly raw: `0x${string}` }
  | { [A in "confirmed" | "seen" | "anew"]: { readonly at: A; readonly mined: Mined } }["confirmed" | "seen" | "anew"]
  | { [A in "known" | "again"]: { readonly at: A; readonly next: number } }["known" | "again"]
  | { [A in "refused" | "denied"]: { readonly at: A; readonly refused: Refused } }["refused" | "denied"];

export interface Account {
  readonly rules: PostingRules;
  readonly work: Work | null;
  readonly waiting: Readonly<Record<number, Waiting>>;
  /** When it was last told that the chain is too dear, or the account too poor, monotonic ms. */
  readonly notifiedDearAt: number;
}

export interface Step {
  readonly state: Account;
  readonly effects: readonly PostingEffect[];
}

/** A chain that is away, or too dear, or for which coins are lacking, is asked again after so long, ms. */
const AWAY_MS = 1_000;
/** How often it is told that the chain is still too dear, or the account still too poor. */
const NOTIFY_DEAR_EVERY_MS = 60_000;
/** Transactions that revert without a reason, and readings that leave out what was mined, before a posting is given up. */
const TRIES = 3;
/** Of how many of a posting's transactions the receipts are asked for while the nonce may be free. */
const RECEIPTS_A_LOOK = 4;

export const openAccount = (rules: PostingRules): Account => ({
  rules,
  work: null,
  waiting: {},
  notifiedDearAt: -Infinity,
});

/** What postings wait for while the chain is too dear, or the account too poor: the longest wait. */
export const feeWaitOf = ({ waiting }: Account): (FeesAsked & { readonly since: number }) | undefined =>
  Object.values(waiting)
    .flatMap(({ dear }) => dear ?? [])
    .toSorted((a, b) => a.since - b.since)[0];

type At<A extends Phase["at"]> = Extract<Phase, { readonly at: A }>;

/** The posting in work as an event finds it. */
interface Case {
  readonly state: Account;
  readonly work: Work;
  readonly at: number;
}

/** With what was asked for it. */
interface Answered<A extends Phase["at"]> extends Case {
  readonly phase: At<A>;
}

const nothing: Waiting = { minableSince: null, gapSince: null, dear: null };

const waitingOf = ({ waiting }: Account, job: number): Waiting => waiting[job] ?? nothing;

/** The same case, where something else is remembered of its posting. */
const remembering = <C extends Case>(one: C, values: Partial<Waiting>): C => {
  const { state, work } = one;
  const waiting = { ...state.waiting, [work.job]: { ...waitingOf(state, work.job), ...values } };
  return { ...one, state: { ...state, waiting } };
};

const ask = ({ state, work }: Case, phase: Phase, effect: Ask, values: Partial<Work> = {}): Step => ({
  state: { ...state, work: { ...work, ...values, phase } },
  effects: [effect],
});

const notify = (notice: Notice, { state, effects }: Step): Step => ({
  state,
  effects: [{ type: "notify", ...notice }, ...effects],
});

function end({ state, work }: Case, ending: Ending): Step {
  const { [work.job]: _ended, ...waiting } = state.waiting;
  return { state: { ...state, work: null, waiting }, effects: [{ type: "end", ending }] };
}

const later = ({ state }: Case, ms: number): Step => ({
  state: { ...state, work: null },
  effects: [{ type: "later", ms }],
});

/** Others come first: what may be mined then begins to wait anew. */
const giveWay = (one: Case): Step => later(remembering(one, { minableSince: null }), one.state.rules.pollInterval);

/** The next turn begins with a look: everything may have changed. */
const lookAgain = (one: Case, values: Partial<Work> = {}): Step =>
  ask(one, { at: "look" }, { type: "ask", name: "look" }, values);

const rest = (one: Case, values: Partial<Work> = {}): Step =>
  ask(one, { at: "rest" }, { type: "ask", name: "rest", ms: one.state.rules.pollInterval }, values);

const prepare = (one: Case, at: "first" | "gap" | "stuck" | "untaken"): Step =>
  ask(one, { at }, { type: "ask", name: "prepare" });

const quote = (one: Case): Step =>
  ask(one, { at: "quote" }, { type: "ask", name: "quote", gas: one.work.progress ? "known" : "first" });

/** Of the newest alone until the nonce is used. */
const askReceipts = (one: Case, { sent }: PostingProgress, at: "receipts" | "taken"): Step => {
  const asked = at === "taken" ? keptOf(sent) : sent.slice(-RECEIPTS_A_LOOK);
  return ask(one, { at }, { type: "ask", name: "receipts", hashes: asked.map(({ hash }) => hash) });
};

/** Contracts refuse, too, what is there already. */
const unlessThere = (one: Case, refused: Refused): Step =>
  ask(one, { at: "refused", refused }, { type: "ask", name: "look", anew: 0 });

const givenUp = (code: string, message: string): Refused => ({
  kind: "refused",
  code,
  message,
  retryable: true,
  revert: null,
});

/** Waits for lower fees, or for coins; what was sent before is looked for meanwhile. */
function waitForFees(one: Case, { fees, sentence }: FeesBeyond, wall: number): Step {
  const { state, work, at } = one;
  if (work.yields && work.progress === null) return end(one, givenUp(TOO_DEAR, sentence));
  const known = waitingOf(state, work.job).dear;
  const waits = later(remembering(one, { dear: { ...fees, since: known?.since ?? wall } }), AWAY_MS);
  // It may last for days, and is tried every second.
  if (known && at - state.notifiedDearAt < NOTIFY_DEAR_EVERY_MS) return waits;
  const what = fees.what === "coins" ? "poor" : "dear";
  return notify({ what, sentence }, { ...waits, state: { ...waits.state, notifiedDearAt: at } });
}

/** None of its transactions is in a block. */
function onNonce(one: Case, progress: PostingProgress, next: number): Step {
  const { state, work, at } = one;
  const { nonce, sent } = progress;
  // Some transaction took the nonce. If it is none of ours, another process uses this account.
  if (next > nonce) return askReceipts(one, progress, "taken");
  if (next < nonce) {
    const gapSince = waitingOf(state, work.job).gapSince ?? at;
    if (at - gapSince > state.rules.gapPatience) {
      // The chain moved backwards and lost transactions before this one that nobody sends again. The next nonce is waited for as long.
      const given = lookAgain(remembering(one, { gapSince: null }), { progress: null });
      return notify({ what: "nonceLost", nonce, next }, given);
    }
    one = remembering(one, { gapSince, minableSince: null });
  } else one = remembering(one, { gapSince: null, minableSince: waitingOf(state, work.job).minableSince ?? at });
  const newest = sent.at(-1)!;
  return ask(one, { at: "known", next }, { type: "ask", name: "known", hash: newest.hash });
}

function isStuck({ state, work, at }: Case): boolean {
  const { minableSince } = waitingOf(state, work.job);
  return at - (minableSince ?? at) > state.rules.stuckAfter;
}

/** The node has the newest transaction, which waits for its nonce or for being mined. */
function onWaiting(one: Case, { nonce }: PostingProgress, next: number): Step {
  // What the chain lost stands before this in the queue, once it is due again: it must not wait for this posting.
  if (next < nonce) return prepare(one, "gap");
  return isStuck(one) ? prepare(one, "stuck") : rest(one);
}

function onMined(one: Case, mined: Mined): Step {
  // A front runner may have done the same a moment before: look again before it is called a refusal.
  if (mined.reverted) return ask(one, { at: "reverted" }, { type: "ask", name: "look" });
  // Also without confirmations: the node that tells the events may be behind the one that told of the receipt.
  return ask(one, { at: "confirmed", mined }, { type: "ask", name: "tip" });
}

const sign = (one: Case, nonce: number, price: Price): Step =>
  ask(one, { at: "sign", nonce }, { type: "ask", name: "sign", nonce, price });

type Answers = {
  readonly [A in Phase["at"]]: (one: Answered<A>, event: Extract<PostingEvent, { readonly type: Asking[A] }>) => Step;
};

/** What each phase has asked. */
const asking = {
  look: "look",
  first: "prepare",
  quote: "quote",
  untaken: "prepare",
  requote: "quote",
  denied: "nonce",
  sign: "sign",
  note: "note",
  sent: "broadcast",
  receipts: "receipts",
  reverted: "look",
  reason: "reason",
  confirmed: "tip",
  seen: "look",
  anew: "look",
  nonce: "nonce",
  taken: "receipts",
  known: "known",
  again: "broadcast",
  gap: "prepare",
  stuck: "prepare",
  rest: "rest",
  refused: "look",
} as const satisfies Record<Phase["at"], AskName>;
type Asking = typeof asking;

const answers: Answers = {
  look: (one, { found }) => {
    const { progress } = one.work;
    if (found) return end(one, { kind: "done", ...found });
    return progress ? askReceipts(one, progress, "receipts") : prepare(one, "first");
  },
  first: (one, { ready }) => {
    if (ready === "wait") return giveWay(one);
    return ready === "send" ? quote(one) : end(one, ready);
  },
  quote: (one, { nonce, asked, balance, wall }) => {
    const { progress } = one.work;
    const price = priceOf(progress?.sent.at(-1), asked);
    const { maxFee } = one.state.rules;
    const dear = tooDearFor(price, { maxFee, balance });
    if (dear) return waitForFees(one, dear, wall);
    return sign(one, progress?.nonce ?? nonce!, price);
  },
  // No node has the newest: what was said of its gas or price may have been wrong.
  untaken: (one, { ready }) =>
    ready === "wait" ? giveWay(one) : ask(one, { at: "requote" }, { type: "ask", name: "quote", gas: "latest" }),
  requote: (one, { asked, balance, wall }) => {
    const { nonce, sent } = one.work.progress!;
    const means = { maxFee: one.state.rules.maxFee, balance };
    const raised = priceOf(sent.at(-1), asked);
    if (!tooDearFor(raised, means)) return sign(one, nonce, raised);
    // What nobody has needs no more than is asked for now.
    const price = priceOf(undefined, asked);
    const dear = tooDearFor(price, means);
    return dear ? waitForFees(one, dear, wall) : sign(one, nonce, price);
  },
  // Where another of its transactions waits, that one is replaced with the gas that it has; refused, if it is, once it was mined.
  denied: (one, { next }) => (next > one.work.progress!.nonce ? quote(one) : unlessThere(one, one.phase.refused)),
  // Noted, then sent: in this order, so that nothing is ever sent that is not written down.
  sign: (one, { sent }) => {
    const progress = { nonce: one.phase.nonce, sent: keptOf([...(one.work.progress?.sent ?? []), sent]) };
    return ask(one, { at: "note", raw: sent.raw }, { type: "ask", name: "note", progress }, { progress });
  },
  note: (one) => ask(one, { at: "sent" }, { type: "ask", name: "broadcast", raw: one.phase.raw }),
  sent: (one) => {
    const { nonce, sent } = one.work.progress!;
    const waiting = remembering(one, { minableSince: one.at, dear: null });
    return sent.length === 1
      ? notify({ what: "sent", nonce }, lookAgain(waiting))
      : notify({ what: "replaced", nonce }, rest(waiting));
  },
  receipts: (one, { mined }) =>
    mined ? onMined(one, mined) : ask(one, { at: "nonce" }, { type: "ask", name: "nonce", at: "latest" }),
  reverted: (one, { found }) =>
    found ? end(one, { kind: "done", ...found }) : ask(one, { at: "reason" }, { type: "ask", name: "reason" }),
  reason: (one, { refused }) => {
    if (refused) return unlessThere(one, refused);
    const reverts = one.work.reverts + 1;
    if (reverts < TRIES) return lookAgain(one, { progress: null, reverts });
    const { hash } = one.work.progress!.sent.at(-1)!;
    return unlessThere(one, givenUp(REVERTED, `Transaction ${hash} reverted without a reason.`));
  },
  confirmed: (one, { block }) => {
    const { mined } = one.phase;
    if (mined.block + one.state.rules.confirmations > block) return rest(one);
    return ask(one, { at: "seen", mined }, { type: "ask", name: "look" });
  },
  seen: (one, { found }) =>
    found
      ? end(one, { kind: "done", ...found })
      : ask(one, { at: "anew", mined: one.phase.mined }, { type: "ask", name: "look", anew: one.phase.mined.block }),
  anew: (one, { found }) => {
    if (found) return end(one, { kind: "done", ...found });
    const unseen = one.work.unseen + 1;
    if (unseen < TRIES) return rest(one, { unseen });
    // Whoever wants it asks again; the account's other postings go on meanwhile.
    const sentence = `Transaction ${one.phase.mined.hash} was mined, but the chain's RPC leaves its event out: it is looked for again.`;
    return end(one, givenUp("POSTING_UNSEEN", sentence));
  },
  nonce: (one, { next }) => onNonce(one, one.work.progress!, next),
  taken: (one, { mined }) => {
    const { nonce } = one.work.progress!;
    return mined ? onMined(one, mined) : notify({ what: "nonceTaken", nonce }, lookAgain(one, { progress: null }));
  },
  known: (one, { known }) => {
    const { next } = one.phase;
    const progress = one.work.progress!;
    if (known) return onWaiting(one, progress, next);
    if (next === progress.nonce && isStuck(one)) return prepare(one, "untaken");
    const { raw } = progress.sent.at(-1)!;
    return ask(one, { at: "again", next }, { type: "ask", name: "broadcast", raw });
  },
  again: (one) => onWaiting(one, one.work.progress!, one.phase.next),
  gap: (one) => giveWay(one),
  stuck: (one, { ready }) => (ready === "wait" ? giveWay(one) : quote(one)),
  rest: (one) => lookAgain(one),
  refused: (one, { found }) => end(one, found ? { kind: "done", ...found } : one.phase.refused),
};

function onFault(one: Case, fault: Fault, wall: number): Step {
  if (fault.kind === "away") return notify({ what: "away" }, later(one, AWAY_MS));
  if (fault.kind === "dear") return waitForFees(one, fault, wall);
  if (fault.kind === "final") {
    if (fault.reverts && one.work.phase.at === "requote")
      return ask(one, { at: "denied", refused: fault.refused }, { type: "ask", name: "nonce", at: "pending" });
    // A contract's refusal of what would be sent; elsewhere what trying again cannot help ends the posting.
    return fault.reverts && one.work.phase.at === "quote" ? unlessThere(one, fault.refused) : end(one, fault.refused);
  }
  const { state } = remembering(one, { dear: null });
  return { state: { ...state, work: null }, effects: [{ type: "fail" }] };
}

/** One event of the account's journal. A claim begins a posting, whatever became of the one before. */
export function step(state: Account, event: PostingEvent): Step {
  if (event.type === "claimed") {
    const { job, progress, at, yields = false } = event;
    const work: Work = { job, progress, yields, reverts: 0, unseen: 0, phase: { at: "look" } };
    return lookAgain({ state, work, at });
  }
  const { work } = state;
  if (!work) return { state, effects: [] };
  const one = { state, work, phase: work.phase, at: event.at };
  if (event.type === "failed") return onFault(one, event.fault, event.wall);
  if (event.type !== asking[work.phase.at]) return { state, effects: [] };
  const answer = answers[work.phase.at] as (one: Case & { readonly phase: Phase }, event: PostingEvent) => Step;
  return answer(one, event);
}
