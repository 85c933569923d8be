/** How long ago heads were anchored, by a clock that nobody sets: what validators have time for counts from then. */
import type { Clock } from "../base/index.ts";
import type { Driver } from "./driver.ts";
import type { HeadEntry } from "./machine/state.ts";

export interface AnchorAges {
  /** Ms; below 0 for a head that is not anchored. */
  of(head: HeadEntry["head"]): number;
}

export function createAnchorAges(driver: Pick<Driver, "state" | "onChange">, clock: Clock): AnchorAges {
  const since = new Map<HeadEntry["head"], number>();
  // Of what was anchored before this process began only the time of day tells how long ago that was.
  for (const { head, anchor } of driver.state.heads) {
    if (anchor) since.set(head, clock.monotonic() - Math.max(0, clock.now() - anchor.anchoredAt * 1_000));
  }
  driver.onChange(({ heads }, event) => {
    if (event.type !== "HeadAnchored" && event.type !== "HeadsMoved") return;
    const known = new Set(heads.map(({ head }) => head));
    for (const head of since.keys()) if (!known.has(head)) since.delete(head);
    const anchored = event.type === "HeadAnchored" ? [event] : event.heads;
    for (const { head } of anchored) since.set(head, clock.monotonic());
  });
  return { of: (head) => clock.monotonic() - (since.get(head) ?? Infinity) };
}
