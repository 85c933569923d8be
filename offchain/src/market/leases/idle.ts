/**
 * Machines that cost and do nothing: alive, and without work of their run. Only time in which their coordinator was seen to have none for
 * them counts, so that neither a coordinator that was away nor a process that kept no leases makes all of them idle at once.
 */
import type { Rules } from "./rules.ts";
import { stopCluster } from "./slots.ts";
import { type Cluster, type Idle, type Lease, withRow } from "./state.ts";
import { alarm, doom, putLease, type Step } from "./step.ts";

/** What a machine's idleness is once it was heard of; null while it is at work, or in the time that is paid at the least. */
export function idleWhen(lease: Lease, isIdle: boolean, at: number, rules: Rules): Idle | null {
  const { idle, sentAt, terms } = lease;
  if (!isIdle || lease.state !== "joined" || at < (sentAt ?? at) + terms.minimumSeconds * 1_000) return null;
  const gap = Math.max(rules.idleGap, 3 * rules.lookEvery);
  // Between then and now nobody could have seen it at work.
  if (!idle || at - idle.seenAt > gap) return { since: at, seenAt: at, told: false };
  return at - idle.seenAt >= rules.idleGap / 4 ? { ...idle, seenAt: at } : idle;
}

/** Whether it was seen without work for as long as its cluster allows. */
const isIdleFor = ({ idle }: Lease, after: number): boolean => !!idle && idle.seenAt - idle.since >= after;

/** Whether a machine will be ended for being idle by then, where its work does not come back. */
export const endsIdleBy = ({ idle }: Lease, { idle: limit }: Cluster, until: number): boolean =>
  !!idle && limit?.ends === true && idle.since + limit.after <= until;

/** Its place stays empty: another machine would have no more to do. */
function endIdle(step: Step, lease: Lease, cluster: Cluster, words: string, at: number): Step {
  const again = lease.slot === null ? cluster.again : { ...cluster.again, [lease.slot]: null };
  const row: Cluster = again === undefined ? cluster : { ...cluster, again };
  const next = doom({ ...step, book: withRow(step.book, "clusters", cluster.id, row) }, lease.label, "idle", words, at);
  const isOver = Array.from({ length: cluster.slots }, (_, slot) => slot).every((slot) => again?.[slot] === null);
  if (!isOver) return next;
  return stopCluster(next, cluster.id, { reason: "idle", words: "All its machines were idle.", drainMs: 0 }, at);
}

/** A machine at work, or without any: it is told once that it is idle, and ended where its cluster wants that. */
export function tendIdle(step: Step, lease: Lease, at: number): Step {
  const { label, account, idle } = lease;
  const cluster = step.book.clusters[lease.cluster ?? ""];
  if (!idle || cluster?.idle === undefined || cluster.stopping !== null) return step;
  const { after, ends } = cluster.idle;
  if (!isIdleFor(lease, after)) return step;
  const words = `It has had no work since ${new Date(idle.since).toISOString()}.`;
  const next = idle.told
    ? step
    : alarm(
        putLease(step, { ...lease, idle: { ...idle, told: true } }),
        "idle",
        `${label} at ${account} is idle${ends ? " and is ended" : ", and goes on to cost"}. ${words}`,
        lease,
      );
  return ends ? endIdle(next, lease, cluster, words, at) : next;
}
