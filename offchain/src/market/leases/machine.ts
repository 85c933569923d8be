/**
 * Decides what becomes of every machine that an installation rents: `step(book, event) → { book, effects }`, pure. What changed is
 * written down before anything that was asked for is done (keeper.ts): an intent before it is sent, and that it was sent. Whoever
 * opens the book after a crash takes every create without an answer for one of which nobody knows the outcome, and never sends it
 * again. A lease costs until it is seen to be gone.
 */
import { formatUsd, InternalError } from "../../base/index.ts";
import type { Offer } from "../offer.ts";
import { exposureOn } from "./cost.ts";
import type { EventOf, LeaseEffect, LeaseEvent } from "./events.ts";
import { tendPaid, unextended } from "./extending.ts";
import { withoutOld } from "./forgetting.ts";
import { idleWhen, tendIdle } from "./idle.ts";
import type { Rules } from "./rules.ts";
import { got, isAbsent, listed } from "./seen.ts";
import { differs, replace, stopCluster, tendClusters } from "./slots.ts";
import { startAnew, started, tendStart, unstarted } from "./starts.ts";
import { type Book, endedAnew, isOpen, type Lease, leasesOf, type LeaseState, withRow } from "./state.ts";
import { alarm, ask, block, doom, inState, putLease, type Step } from "./step.ts";

/** A machine that listings lack is asked for by its id. */
const seek = (step: Step, lease: Lease): Step =>
  isAbsent(lease) ? ask(step, { type: "get", label: lease.label }) : step;

function tendJoined(step: Step, lease: Lease, at: number): Step {
  const { label, beatAt, since, account, cluster } = lease;
  const isSilent = at - (beatAt ?? since) > step.rules.silence;
  if (!isSilent || step.book.clusters[cluster ?? ""]?.joins !== "heartbeat") {
    const next = tendIdle(seek(step, lease), lease, at);
    const after = next.book.leases[label] ?? lease;
    return after.state === "joined" ? tendPaid(next, after, at) : next;
  }
  const sentence = `${label} at ${account} has been silent for too long: it is ended and replaced.`;
  return alarm(doom(step, label, "silent", "Nothing was heard of it.", at), "lost", sentence, lease);
}

function tendTerminating(step: Step, lease: Lease, at: number): Step {
  const { label, askedAt, acceptedAt, unseen } = lease;
  if (acceptedAt !== null && unseen !== null) return seek(step, lease);
  const isDue = askedAt === null || at - askedAt >= step.rules.askAgain;
  return isDue ? ask(step, { type: "terminate", label }) : step;
}

/** By state: what a lease waits for too long, or is to be asked now. */
const tending: { readonly [S in LeaseState]?: (step: Step, lease: Lease, at: number) => Step } = {
  provisioning: (step, lease, at) =>
    at - Math.max(lease.since, lease.starting?.doneAt ?? 0) > step.rules.provisioning
      ? doom(step, lease.label, "provisioning", "It did not come up in time.", at)
      : tendStart(seek(step, lease), lease, at),
  joined: tendJoined,
  draining: (step, lease, at) =>
    at >= (lease.drainUntil ?? 0) ? putLease(step, inState(lease, "terminating", at)) : seek(step, lease),
  quarantined: (step, lease, at) =>
    at - lease.since >= step.rules.quarantine
      ? doom(step, lease.label, "unknown", "The ledger does not know it.", at)
      : seek(step, lease),
  terminating: tendTerminating,
};

function tend(step: Step, lease: Lease, at: number): Step {
  const next = tending[lease.state]?.(step, lease, at) ?? step;
  const after = next.book.leases[lease.label];
  // What turns out to be over is ended by the same look.
  return after?.state === "terminating" && lease.state !== "terminating" ? tendTerminating(next, after, at) : next;
}

const wantsBill = ({ instance, billed, terms, goneAt }: Lease, at: number, rules: Rules): boolean =>
  instance !== null && billed === null && terms.tellsBill && goneAt !== null && at - goneAt <= rules.billing;

function tick(step: Step, at: number): Step {
  let next = { ...step, book: withoutOld(step.book, at) };
  // Before anything new is wanted, what is there is looked after.
  next = tendClusters(next, at);
  for (const lease of leasesOf(next.book)) {
    if (isOpen(lease)) next = tend(next, lease, at);
    else if (wantsBill(lease, at, step.rules)) next = ask(next, { type: "bill", label: lease.label });
  }
  return next;
}

/** What a process that died left. */
function opened(step: Step, at: number): Step {
  return leasesOf(step.book).reduce((next, lease) => {
    if (lease.state === "creating") return putLease(next, { ...inState(lease, "ambiguous", at), answeredAt: at });
    return lease.state === "joined" ? putLease(next, { ...lease, beatAt: at }) : startAnew(next, lease);
  }, step);
}

function rent(step: Step, { cluster, offers, at }: EventOf<"rent">): Step {
  if (step.book.clusters[cluster.id] !== undefined) return step;
  const row = { ...cluster, rentedAt: at, assembled: false, stopping: null, warned: 0 };
  return quoted({ ...step, book: withRow(step.book, "clusters", cluster.id, row) }, cluster.id, offers, at);
}

const quoted = (step: Step, cluster: string, offers: readonly Offer[], at: number): Step => ({
  ...step,
  book: { ...step.book, quotes: { ...step.book.quotes, [cluster]: { at, offers } } },
});

/** What a create that is under way has come to. */
function answered(step: Step, label: string, change: (lease: Lease) => Step): Step {
  const lease = step.book.leases[label];
  return lease === undefined || (lease.state !== "creating" && lease.state !== "ambiguous") ? step : change(lease);
}

function created(step: Step, { label, instance, at }: EventOf<"created">): Step {
  return answered(step, label, (lease) => {
    const perHour = instance.perHour ?? lease.perHour;
    const row = {
      ...inState(lease, lease.doomed === null ? "provisioning" : "terminating", at),
      answeredAt: at,
      instance: instance.id,
      words: instance.words,
      perHour: perHour > lease.perHour ? perHour : lease.perHour,
      ssh: instance.ssh ?? null,
      createdAt: instance.createdAt ?? null,
      bootingAt: instance.state === "creating" ? at : null,
    } as const satisfies Lease;
    const next = putLease(step, row);
    if (row.doomed !== null || perHour <= lease.maximum) return next;
    const words = `It costs ${formatUsd(perHour)} USD/h; at most ${formatUsd(lease.maximum)} was agreed.`;
    return alarm(doom(next, label, "price", words, at), "price", `${label} is ended. ${words}`, lease);
  });
}

function refused(step: Step, { label, what, words, at }: EventOf<"refused">): Step {
  return answered(step, label, (lease) => {
    const doomed = lease.doomed ?? { reason: "refused", words, at };
    const next = putLease(step, { ...inState(lease, "gone", at), answeredAt: at, goneAt: at, doomed });
    const until = at + (what === "order" ? step.rules.blockHost : step.rules.retryOffer);
    if (what === "nothing") return next;
    return what === "account"
      ? alarm(block(next, `account:${lease.account}`, until, words), "no offer", words, lease)
      : block(next, `offer:${lease.offer}`, until, words);
  });
}

function ambiguous(step: Step, { label, instance, words, at }: EventOf<"ambiguous">): Step {
  return answered(step, label, (lease) => {
    const row = { ...lease, answeredAt: at, words };
    // The answer says that it failed and names what it left behind.
    if (instance !== null) {
      const doomed = lease.doomed ?? { reason: "failed", words, at };
      return block(
        putLease(step, { ...inState(row, "terminating", at), instance, doomed }),
        `offer:${lease.offer}`,
        at + step.rules.retryOffer,
        words,
      );
    }
    return putLease(step, inState(row, "ambiguous", at));
  });
}

function beat(step: Step, { label, idle: seen, at }: EventOf<"beat">): Step {
  const lease = step.book.leases[label];
  if (lease === undefined) return step;
  const { beatAt, state } = lease;
  const idle = idleWhen(lease, seen === true, at, step.rules);
  const wasIdle = lease.idle ?? null;
  const heard = { ...lease, beatAt: at, ...(idle === wasIdle ? {} : { idle }) };
  if (state === "provisioning") return putLease(step, { ...inState(heard, "joined", at), joinedAt: at, unseen: null });
  // A machine that is heard is not gone, whatever listings say.
  if (state === "gone" && lease.instance !== null)
    return alarm(
      putLease(step, {
        ...inState(heard, "terminating", at),
        ...endedAnew,
        doomed: lease.doomed ?? { reason: "late", words: "It was heard after it was gone.", at },
      }),
      "overlap",
      `${label} was heard after it was gone: it is ended once more.`,
      lease,
    );
  const isNews = beatAt === null || at - beatAt >= step.rules.silence / 4 || lease.unseen !== null || idle !== wasIdle;
  return isOpen(lease) && isNews ? putLease(step, { ...heard, unseen: null }) : step;
}

/** What is measured varies from round to round: it is written down where it is another by more than this share. */
const NEWS = 0.1;
const isOther = (a: number | null, b: number | null): boolean =>
  a === null || b === null ? a !== b : Math.abs(a - b) > NEWS * b;

function measured(step: Step, { label, measured: now }: EventOf<"measured">): Step {
  const lease = step.book.leases[label];
  if (lease === undefined || !isOpen(lease)) return step;
  const { measured: before } = lease;
  const isNews =
    before === undefined ||
    isOther(now.flops, before.flops) ||
    isOther(now.up, before.up) ||
    isOther(now.down, before.down);
  return isNews ? putLease(step, { ...lease, measured: now }) : step;
}

function unfit(step: Step, { label, words, at }: EventOf<"unfit">): Step {
  const lease = step.book.leases[label];
  if (lease === undefined || !isOpen(lease) || lease.doomed !== null) return step;
  const sentence = `${label} at ${lease.account} is of no use and is replaced. ${words}`;
  return alarm(doom(step, label, "failed", words, at), "lost", sentence, lease);
}

function asked(step: Step, { label, answer, at }: EventOf<"asked">): Step {
  const lease = step.book.leases[label];
  if (lease === undefined || lease.state !== "terminating") return step;
  return putLease(step, {
    ...lease,
    askedAt: at,
    ...(answer === "accepted" ? { acceptedAt: at, unseen: null } : {}),
  });
}

function adopt(step: Step, { label, cluster, at }: EventOf<"adopt">): Step {
  const lease = step.book.leases[label];
  const wanted = step.book.clusters[cluster];
  if (lease?.state !== "quarantined" || wanted === undefined || wanted.stopping !== null) return step;
  const taken = new Set(
    leasesOf(step.book).flatMap((each) => (each.cluster === cluster && isOpen(each) ? [each.slot] : [])),
  );
  const slot = Array.from({ length: wanted.slots }, (_, index) => index).find((each) => !taken.has(each));
  if (slot === undefined) return step;
  const row = { ...inState(lease, "provisioning", at), cluster, slot, maximum: wanted.maximumPerHour };
  const next = putLease(step, row);
  // It is taken only where the money is there for it.
  return exposureOn(next.book, cluster, at, step.rules) <= wanted.budget ? next : step;
}

function billed(step: Step, { label, amount, at }: EventOf<"billed">): Step {
  const lease = step.book.leases[label];
  if (lease?.state !== "gone" || lease.billed !== null) return step;
  const next = putLease(step, { ...lease, billed: amount });
  return differs(lease, amount, at)
    ? alarm(
        next,
        "bill",
        `${lease.account} charged ${formatUsd(amount)} USD for ${label}, more than was counted.`,
        lease,
      )
    : next;
}

type Handlers = { readonly [T in LeaseEvent["type"]]: (step: Step, event: EventOf<T>) => Step };

const handlers: Handlers = {
  tick: (step, { at }) => tick(step, at),
  opened: (step, { at }) => opened(step, at),
  rent,
  quoted: (step, { cluster, offers, at }) => quoted(step, cluster, offers, at),
  stop: (step, { cluster, reason, words, drainMs, at }) => stopCluster(step, cluster, { reason, words, drainMs }, at),
  end: (step, { label, words, drainMs, at }) => doom(step, label, "stopped", words, at, drainMs),
  replace,
  drained: (step, { label, at }) => {
    const lease = step.book.leases[label];
    return lease?.state === "draining" ? putLease(step, inState(lease, "terminating", at)) : step;
  },
  adopt,
  beat,
  measured,
  unfit,
  watched: (step, { lookedAt, at }) => ({ ...step, book: { ...step.book, watchdogAt: Math.min(lookedAt, at) } }),
  created,
  refused,
  ambiguous,
  unsent: (step, { label, words, at }) =>
    answered(step, label, (lease) =>
      putLease(step, {
        ...inState(lease, "gone", at),
        answeredAt: at,
        goneAt: at,
        doomed: lease.doomed ?? { reason: "unsent", words, at },
      }),
    ),
  started,
  unstarted,
  listed,
  got,
  asked,
  unextended,
  billed,
};

/** The next book, and what is to be done once it is written down. */
export function step(
  book: Book,
  event: LeaseEvent,
  rules: Rules,
): { readonly book: Book; readonly effects: readonly LeaseEffect[] } {
  const at = Math.max(book.now, event.at);
  const handler = handlers[event.type] as (step: Step, event: LeaseEvent) => Step;
  const next = handler({ book: { ...book, now: at }, effects: [], rules }, { ...event, at });
  checkBook(next.book);
  return { book: next.book, effects: next.effects };
}

/** What must hold after every step; a book that breaks it is not written down. @throws InternalError `LEASES_BROKEN` */
function checkBook(book: Book): void {
  const slots = new Set<string>();
  for (const lease of leasesOf(book)) {
    if (!isOpen(lease)) continue;
    if (lease.state === "terminating" && lease.instance === null)
      throw new InternalError(
        "LEASES_BROKEN",
        `Lease ${lease.label} is to be ended, and it is not known which machine it is.`,
      );
    if (lease.slot === null || lease.overlap) continue;
    const key = `${lease.cluster}/${lease.slot}`;
    if (slots.has(key))
      throw new InternalError("LEASES_BROKEN", `Slot ${key} has two machines, and no overlap is recorded.`);
    slots.add(key);
  }
}
