/** What happened to a holder of shares, and by whose doing. */
import type { Address, Hex } from "@cotrain/sdk/protocol";

/**
 * What happened: shares came by a claim or otherwise, or went; a claim was paid to somebody else; the holder chose a delegate;
 * somebody chose the holder, or chose another.
 */
export type ShareEventKind =
  | "claimed"
  | "received"
  | "sent"
  | "sent to itself"
  | "claimed for another"
  | "delegated"
  | "delegate of"
  | "delegate no more of";

export interface ShareEvent {
  readonly block: bigint;
  /** Its number in the block. */
  readonly log: number;
  readonly transaction: Hex;
  /** Chain seconds. */
  readonly time: number;
  readonly what: ShareEventKind;
  /** Who is on the other side; the zero address for nobody. */
  readonly other: Address;
  /** Shares that it is about, in wei; 0 of a delegation. */
  readonly amount: bigint;
  /** Shares of the holder after it, in wei. */
  readonly balance: bigint;
}

/**
 * Whose doing an event is: the holder's own; claims for it; shares that somebody sent; others' delegations. Of the last three
 * anybody makes as many as they like, at a wei and gas, so that each sort is bounded by itself and pushes none of another out.
 */
export type EventSort = "own" | "claims" | "received" | "delegations";

const sorts: Readonly<Partial<Record<ShareEventKind, EventSort>>> = {
  claimed: "claims",
  received: "received",
  "delegate of": "delegations",
  "delegate no more of": "delegations",
};
export const sortOf = ({ what }: Pick<ShareEvent, "what">): EventSort => sorts[what] ?? "own";

export const noneOf = (): Record<EventSort, number> => ({ own: 0, claims: 0, received: 0, delegations: 0 });

/** The newest events, so many of each sort, and how many of each were left out. */
export function newestOf<E extends Pick<ShareEvent, "what">>(events: readonly E[], most: number) {
  const kept = noneOf();
  const earlier = noneOf();
  const newest = events.toReversed().filter((event) => {
    const sort = sortOf(event);
    const isKept = kept[sort] < most;
    (isKept ? kept : earlier)[sort] += 1;
    return isKept;
  });
  return { events: newest.toReversed(), earlier };
}
