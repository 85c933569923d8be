/** The end of a membership that the worker itself ends. */
import { pause, systemClock } from "../base/index.ts";
import type { SessionKeeper } from "./session.ts";

/** How long leaving may take, ms. */
const LEAVE_MS = 3_000;

/** Best effort: a coordinator that is away finds out by itself. */
export async function leave(session: SessionKeeper): Promise<void> {
  const done = new AbortController();
  const left = session
    .leave()
    .catch(() => undefined)
    .finally(() => done.abort());
  await Promise.race([left, pause(systemClock, LEAVE_MS, done.signal)]);
}
