/** Leases of rented machines: which key joined by which, and which are ended. Who may give one is checked before, see passes.ts. */
import type { Hex } from "@cotrain/sdk/protocol";

import type { Decisions, LeaseEnded, MemberJoined } from "./events.ts";
import type { StateDraft } from "./pending.ts";
import type { RunState } from "./state.ts";

/** Leases that are remembered, of all renters together. */
const MAX_LEASES = 4_096;

/** Whether one more would be too many. */
export const leasesFull = ({ leases = {}, at }: Pick<RunState, "leases" | "at">, lease: Hex): boolean =>
  leases[lease] === undefined && Object.values(leases).filter(({ notAfter }) => notAfter > at).length >= MAX_LEASES;

/** Notes a lease, and forgets those that are over: nobody joins by them whoever did. */
function note(draft: StateDraft, lease: Hex, row: NonNullable<RunState["leases"]>[Hex], at: number): void {
  draft.leases ??= {};
  draft.leases[lease] = row;
  for (const [known, { notAfter }] of Object.entries(draft.leases)) {
    if (notAfter <= at) delete draft.leases[known as Hex];
  }
}

/** The key that joins by a lease is the only one that ever does. */
export function bindLease(draft: StateDraft, { join, pass, at }: MemberJoined): void {
  if (pass === undefined) return;
  const { lease, worker } = join;
  const ended = draft.leases?.[lease]?.ended ?? false;
  note(draft, lease, { worker, notAfter: Number(pass.pass.notAfter), ended }, at);
  const member = draft.members[worker];
  if (!member) return;
  member.lease = lease;
  if (ended) member.leaving = true;
}

function onLeaseEnded(draft: StateDraft, { lease, notAfter, at }: LeaseEnded): void {
  const worker = draft.leases?.[lease]?.worker ?? null;
  note(draft, lease, { worker, notAfter, ended: true }, at);
  const member = worker === null ? undefined : draft.members[worker];
  if (member?.lease === lease) member.leaving = true;
}

export const leaseDecisions = { LeaseEnded: onLeaseEnded } satisfies Partial<Decisions>;
