/**
 * Uploads that nothing names any more: replaced by another, of work that was dealt again or taken back, or without a receipt when
 * the round closes. Whoever makes keys may send as many as it likes, so they are not kept as payloads are.
 */
import { asDigest, type Digest } from "@cotrain/sdk/protocol";

import { isCollecting } from "./machine/dealing.ts";
import type { OpenRound, RunState, Work } from "./machine/state.ts";

export const uploadsOf = ({ uploads }: Work): Digest[] => Object.values(uploads).map(({ digest }) => digest);

/** Somebody may have sent another's header, byte for byte, as a fragment. */
export const namedBy = (work: Work): Digest[] => [
  ...uploadsOf(work),
  ...(work.receipt ? [asDigest(work.receipt.receipt.payloadDigest)] : []),
];

/** Work whose uploads a receipt names, or may still name. */
function standing(round: OpenRound | null): Readonly<Record<string, Work>> {
  if (!round || isCollecting(round)) return round?.work ?? {};
  return Object.fromEntries(Object.entries(round.work).filter(([, { receipt }]) => receipt));
}

/** Those that an event left behind. @param state after it */
export function unnamedBy(before: RunState | null, state: RunState): Digest[] {
  const was = before?.current;
  if (!was || !isCollecting(was) || was === state.current) return [];
  const kept = standing(state.current);
  const left = new Set<Digest>();
  for (const [worker, work] of Object.entries(was.work)) {
    const now = kept[worker];
    if (now?.uploads === work.uploads) continue;
    const own = new Set(now && uploadsOf(now));
    for (const digest of uploadsOf(work)) if (!own.has(digest)) left.add(digest);
  }
  if (left.size > 0) for (const work of Object.values(kept)) for (const digest of namedBy(work)) left.delete(digest);
  return [...left];
}
