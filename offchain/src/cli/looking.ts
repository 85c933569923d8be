/** Looks at several things again and again, each in a loop of its own: who serves one of them slowly holds up none of the others. */
import type { Clock } from "../base/index.ts";

export interface LookingOptions {
  /** Ms between two looks at one thing. */
  readonly every: number;
  /** Each is looked at once. */
  readonly once: boolean;
  readonly clock: Clock;
  /** Ends all loops. */
  readonly signal: AbortSignal;
}

/** How long looks that were told to end are waited for, ms: what they write is whole, and the next start goes on with it. */
const GRACE_MS = 3_000;

/**
 * Looks until it is told to end, or once at each. The first look that fails ends all.
 * @param looks are told to end by a signal whose reason is no error of ours, so that nothing follows from it
 * @throws what a look throws that was not told to end
 */
export async function lookInLoops(
  looks: readonly ((signal: AbortSignal) => Promise<void>)[],
  { every, once, clock, signal }: LookingOptions,
): Promise<void> {
  const ending = new AbortController();
  const end = (): void => ending.abort();
  if (signal.aborted) end();
  signal.addEventListener("abort", end, { once: true });
  let failed: { readonly error: unknown } | undefined;
  const loop = async (look: (signal: AbortSignal) => Promise<void>): Promise<void> => {
    try {
      while (!ending.signal.aborted) {
        await look(ending.signal);
        if (once) return;
        await clock.sleep(every, ending.signal);
      }
    } catch (error) {
      // What fails because it was told to end says nothing.
      if (ending.signal.aborted) return;
      failed = { error };
      end();
    }
  };
  const over = Promise.all(looks.map(loop));
  const ended = new Promise<void>((resolve) =>
    ending.signal.addEventListener("abort", () => resolve(), { once: true }),
  );
  await Promise.race([over, ended]);
  // A look that goes on all the same holds up nobody for long.
  const waited = new AbortController();
  await Promise.race([over, clock.sleep(GRACE_MS, waited.signal).catch(() => undefined)]);
  waited.abort();
  signal.removeEventListener("abort", end);
  if (failed) throw failed.error;
}
