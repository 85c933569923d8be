/** Membership: who may be given work. Heartbeats are soft state elsewhere; only what they lead to arrives here. */
import { type Address, asDigest } from "@cotrain/sdk/protocol";

import type { MemberJoined, MemberLeft } from "./events.ts";
import type { StateDraft } from "./pending.ts";
import { dropWork } from "./rounds.ts";

/** issuedAt of a join may differ from our clock by this much, either way. */
export const JOIN_WINDOW_MS = 300_000;

export function onMemberJoined(draft: StateDraft, event: MemberJoined): void {
  const { worker, beneficiary, realisation, issuedAt } = event.join;
  const before = draft.members[worker];
  if (event.restarted || (before && (before.realisation !== realisation || before.beneficiary !== beneficiary))) {
    dropWork(draft, worker);
  }
  draft.members[worker] = {
    worker,
    beneficiary,
    realisation: asDigest(realisation),
    batch: event.batch,
    machineClass: event.machineClass,
    joinedAt: event.at,
    silent: false,
  };
  draft.joins[worker] = Number(issuedAt);
  for (const [other, last] of Object.entries(draft.joins)) {
    if (last + 2 * JOIN_WINDOW_MS < event.at) delete draft.joins[other as Address];
  }
}

export function onSilence(draft: StateDraft, worker: Address, silent: boolean): void {
  const member = draft.members[worker];
  if (member) member.silent = silent;
}

export function onMemberLeft(draft: StateDraft, event: MemberLeft): void {
  dropWork(draft, event.worker);
  delete draft.members[event.worker];
}
