/**
 * What an account says of its machines. A machine that is shown is believed at once; one that is not only after two complete
 * listings as far apart as the provider may be late, its own answer that there is none, and no heartbeat since, all by the same
 * account as at its creation.
 */
import { formatUsd } from "../../base/index.ts";
import type { Instance, SilentPart } from "../base/renting.ts";
import { parseLabel } from "../base/labels.ts";
import type { EventOf } from "./events.ts";
import { runs, waitsForStart } from "./starts.ts";
import { alarm, doom, inState, putLease, type Step } from "./step.ts";
import { endedAnew, isOpen, type Lease, leasesOf, newLease, withRow } from "./state.ts";

/** Words of a provider, as a sentence may have them. */
const quoted = (words: string): string => JSON.stringify(words.slice(0, 80));

/** A machine that was over is there. */
function reappeared(step: Step, lease: Lease, at: number): Step {
  const late: Lease = {
    ...inState(lease, "terminating", at),
    doomed: lease.doomed ?? { reason: "late", words: "It appeared after it was given up.", at },
    ...endedAnew,
  };
  return alarm(
    putLease(step, late),
    "overlap",
    `${lease.label} at ${lease.account} appeared after it was given up: it is ended.`,
    lease,
  );
}

const priceTold = (lease: Lease, told: Instance["perHour"]): Pick<Lease, "perHour"> => ({
  perHour: told === undefined || (lease.shown && told < lease.perHour) ? lease.perHour : told,
});

/** What is told of it, whatever its state. */
function noted(lease: Lease, instance: Instance, at: number): Lease {
  const { words, ssh = lease.ssh, createdAt = lease.createdAt, state } = instance;
  return {
    ...lease,
    ...priceTold(lease, instance.perHour),
    instance: instance.id,
    shown: true,
    words,
    ssh,
    createdAt,
    unseen: null,
    bootingAt: state === "creating" && lease.joinedAt === null ? at : lease.bootingAt,
  };
}

const sameJson = (a: Lease, b: Lease): boolean =>
  (Object.keys(b) as (keyof Lease)[]).every(
    (key) =>
      a[key] === b[key] ||
      (typeof b[key] === "object" && key !== "terms" && JSON.stringify(a[key]) === JSON.stringify(b[key])),
  );

/** What its provider's word for its state means for a lease that is to go on. */
function byState(step: Step, lease: Lease, instance: Instance, at: number): Step {
  const { label } = lease;
  switch (instance.state) {
    case "running": {
      if (lease.state === "provisioning" && waitsForStart(lease)) return runs(step, lease, instance);
      const cluster = lease.cluster === null ? undefined : step.book.clusters[lease.cluster];
      return lease.state === "provisioning" && cluster?.joins === "running"
        ? putLease(step, { ...inState(lease, "joined", at), joinedAt: at })
        : step;
    }
    case "stopped":
    case "ending": {
      const words = `Its provider says ${quoted(instance.words)}.`;
      return alarm(
        doom(step, label, "preempted", words, at),
        "preempted",
        `${label} at ${lease.account} was taken away (${quoted(instance.words)}): it is ended and replaced.`,
        lease,
      );
    }
    case "failed":
      return doom(step, label, "failed", `Its provider says ${quoted(instance.words)}.`, at);
    default:
      return step;
  }
}

/** A machine that is there. */
function shown(step: Step, before: Lease, instance: Instance, at: number): Step {
  if (before.state === "creating" || before.state === "intended") return step;
  let next = before.state === "gone" ? reappeared(step, before, at) : step;
  const found = next.book.leases[before.label] ?? before;
  const lease = noted(found, instance, at);
  if (!sameJson(found, lease)) next = putLease(next, lease);
  if (instance.state === "unknown" && found.words !== instance.words)
    next = alarm(
      next,
      "state",
      `${lease.label}: ${lease.account} says ${quoted(instance.words)}, which is not in its table.`,
      lease,
    );
  if (lease.state === "ambiguous")
    next = putLease(next, inState(lease, lease.doomed === null ? "provisioning" : "terminating", at));
  if (!["ambiguous", "provisioning", "joined", "draining"].includes(lease.state) || lease.doomed !== null) return next;
  if (lease.perHour > lease.maximum) {
    const words = `It costs ${formatUsd(lease.perHour)} USD/h; at most ${formatUsd(lease.maximum)} was agreed.`;
    return alarm(doom(next, lease.label, "price", words, at), "price", `${lease.label} is ended. ${words}`, lease);
  }
  return byState(next, next.book.leases[lease.label] ?? lease, instance, at);
}

/** From when on a listing without it says something: not of what was just created, nor of what is only now being ended. */
function tellsFrom({ answeredAt, acceptedAt, beatAt, terms, shown: wasShown, state }: Lease): number {
  if (answeredAt === null) return Infinity;
  const visible = answeredAt + (state === "ambiguous" || wasShown ? 0 : terms.visibleWithin);
  return Math.max(visible, acceptedAt ?? 0, beatAt ?? 0);
}

/** A listing lacks a machine. */
function missing(step: Step, lease: Lease, startedAt: number): Step {
  const { terms, unseen, state } = lease;
  if (!isOpen(lease) || startedAt < tellsFrom(lease)) return step;
  const now = { first: unseen?.first ?? startedAt, last: startedAt };
  // One more is only written down where it decides.
  if (state !== "ambiguous") return isAbsent(lease) ? step : putLease(step, { ...lease, unseen: now });
  const isOver = now.last > now.first && now.last - now.first >= terms.visibleWithin + step.rules.late;
  if (!isOver) return putLease(step, { ...lease, unseen: now });
  return putLease(step, {
    ...inState(lease, "gone", startedAt),
    unseen: now,
    goneAt: now.first,
    doomed: lease.doomed ?? { reason: "unsent", words: "Nothing was created.", at: startedAt },
  });
}

/** Whether listings have lacked it for long enough. */
export const isAbsent = ({ unseen, terms }: Lease): boolean =>
  unseen !== null && unseen.last > unseen.first && unseen.last - unseen.first >= terms.visibleWithin;

/** A machine with a label of ours that no row knows, or a second one under a label. */
function stranger(step: Step, event: EventOf<"listed">, instance: Instance, second: Lease | undefined): Step {
  const { account, identity, at, terms } = event;
  // A label is a row's name: one that is taken, here or in another account, is told apart by the machine.
  const name = instance.label ?? "";
  const label = step.book.leases[name] === undefined ? name : `${name}#${instance.id}`;
  const { perHour = 0n, createdAt = at } = instance;
  const row: Lease = noted(
    {
      ...newLease,
      label,
      cluster: second?.cluster ?? null,
      slot: null,
      attempt: parseLabel(name)?.attempt ?? 1,
      account,
      identity,
      offer: "",
      machine: "",
      host: "",
      state: "quarantined",
      since: at,
      perHour,
      maximum: perHour,
      terms,
      // What came before is not known; its provider's clock alone tells.
      sentAt: Math.min(at, createdAt),
      answeredAt: at,
    },
    instance,
    at,
  );
  if (second === undefined)
    return alarm(
      putLease(step, row),
      "orphan",
      `${label} at ${account} has a label of ours, and the ledger does not know it: it is ended unless it is adopted.`,
      { label },
    );
  const words = `${account} has a second machine under ${second.label}: it is ended.`;
  const next = doom(putLease(step, { ...row, overlap: true }), label, "unknown", words, at);
  return alarm(next, "overlap", words, row);
}

/** The row of a machine: by its id, else by its label where that row has no machine yet. */
function rowOf(leases: readonly Lease[], instance: Instance): { row?: Lease; second?: Lease } {
  const byId = leases.find((lease) => lease.instance === instance.id);
  if (byId !== undefined) return { row: byId };
  const byLabel = leases.find((lease) => lease.label === instance.label);
  if (byLabel === undefined) return {};
  // Before its create was answered, the label is all that tells.
  return byLabel.instance === null ? { row: byLabel } : { second: byLabel };
}

/** Whether a lease is on a part of its account that did not answer. */
const isSilent = (silent: readonly SilentPart[], { offer, instance }: Lease): boolean =>
  silent.some((part) => part.offer === offer || instance?.startsWith(part.ids) === true);

/** A listing, complete but for the parts that it names. */
export function listed(step: Step, event: EventOf<"listed">): Step {
  const { account, identity, startedAt, at, instances, terms, silent = [] } = event;
  const known = step.book.accounts[account];
  const owned = leasesOf(step.book).filter((lease) => lease.account === account);
  let next = step;
  if (known?.identity !== identity) {
    next = { ...next, book: withRow(next.book, "accounts", account, { identity }) };
    const left = owned.filter((lease) => isOpen(lease) && lease.identity !== identity).length;
    if (known !== undefined && left > 0)
      next = alarm(
        next,
        "account",
        `The key of ${account} is another account's now; ${left} leases are in the one before, where nobody can end them.`,
      );
  }
  const { open, silent: before } = next.book;
  next = {
    ...next,
    book: { ...next.book, open: { ...open, [account]: terms }, silent: { ...before, [account]: silent } },
  };
  const mine = owned.filter((lease) => lease.identity === identity);
  const there = new Set<string>();
  for (const instance of instances) {
    if (instance.state === "gone") continue;
    const { row, second } = rowOf(mine, instance);
    if (row !== undefined) {
      there.add(row.label);
      next = shown(next, row, instance, at);
    } else if (second !== undefined || parseLabel(instance.label)?.installation === step.book.installation)
      next = stranger(next, event, instance, second);
  }
  const absent = mine.filter((lease) => !there.has(lease.label) && !isSilent(silent, lease));
  return absent.reduce((all, lease) => missing(all, lease, startedAt), next);
}

/** What the provider says of one machine. */
export function got(step: Step, event: EventOf<"got">): Step {
  const { label, instance, identity, startedAt, at } = event;
  const lease = step.book.leases[label];
  if (lease === undefined || !isOpen(lease) || lease.identity !== identity) return step;
  if (instance !== null && instance.state !== "gone") return shown(step, lease, instance, at);
  const { unseen, beatAt, acceptedAt } = lease;
  if (unseen === null || !isAbsent(lease) || startedAt < unseen.last || (beatAt ?? 0) > unseen.first) return step;
  if (lease.state !== "terminating")
    return alarm(
      doom(step, label, "vanished", "Its provider has it no more.", at),
      "lost",
      `${label} is no more at ${lease.account}: it is replaced.`,
      lease,
    );
  if (acceptedAt === null || unseen.first < acceptedAt) return step;
  // What was never listed may have cost more than its quote: it counts as what was in hand for it.
  const perHour = lease.shown ? lease.perHour : lease.perHour * BigInt(step.rules.surprise);
  return putLease(step, { ...inState(lease, "gone", at), perHour, goneAt: unseen.first });
}
