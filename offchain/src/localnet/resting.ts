/** A run that rests after its session, while all stays up. */
import { pause, unlessAborted } from "../base/index.ts";
import { lossKeeper } from "../run/index.ts";
import type { LocalModel } from "./owners.ts";
import type { Prepared } from "./prepare.ts";
import { currentView } from "./session.ts";

/** How often it is asked for its losses. */
const POLL_MS = 1_000;

/** Keeps the losses that are measured meanwhile, until the signal is aborted. */
export async function keepLosses(
  prepared: Prepared,
  { clock, signal }: Pick<LocalModel, "clock" | "signal">,
): Promise<void> {
  const keepLoss = lossKeeper({ state: prepared.state, sequence: prepared.definition.sequence });
  while (!signal.aborted) {
    const view = await unlessAborted(currentView(prepared), signal).catch(() => undefined);
    if (view) await keepLoss(view);
    await pause(clock, POLL_MS, signal);
  }
}
