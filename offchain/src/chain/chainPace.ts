/**
 * How often the embedded chain makes a block. While a run trains, one a second. At rest the clock must go on, or nobody could
 * vote and execute; but each block makes the node's dump larger. So: one a second while somebody sends transactions and for
 * some minutes after, few when nobody does.
 */
import { type Clock, systemClock } from "../base/index.ts";
import type { DevelopmentChain } from "./anvil.ts";

const BUSY_SECONDS = 1;
const QUIET_SECONDS = 30;
/** So long after the last transaction: longer than the local profile's vote and timelock together. */
const QUIET_AFTER_MS = 600_000;
const LOOK_EVERY_MS = 5_000;

export interface ChainPace {
  /** From now on the chain may slow down when nobody sends anything. */
  rest(): void;
  /** A transaction was sent. */
  stirred(): void;
  /** The node was started again, at the pace of its command line. */
  restarted(): void;
  /** Seconds between blocks as they were last asked for. */
  readonly seconds: number;
  stop(): void;
}

export function createChainPace(
  chain: Pick<DevelopmentChain, "mineByInterval">,
  clock: Clock = systemClock,
): ChainPace {
  const ending = new AbortController();
  let seconds = BUSY_SECONDS;
  let last = clock.monotonic();
  let resting = false;

  const apply = (): void => {
    // A node that is away is told when it is back.
    chain.mineByInterval(seconds).catch(() => undefined);
  };
  const set = (wanted: number): void => {
    if (wanted === seconds) return;
    seconds = wanted;
    apply();
  };
  const watch = async (): Promise<void> => {
    while (!ending.signal.aborted) {
      if (clock.monotonic() - last >= QUIET_AFTER_MS) set(QUIET_SECONDS);
      await clock.sleep(LOOK_EVERY_MS, ending.signal).catch(() => undefined);
    }
  };

  return {
    rest: () => {
      if (resting) return;
      resting = true;
      last = clock.monotonic();
      void watch();
    },
    stirred: () => {
      last = clock.monotonic();
      set(BUSY_SECONDS);
    },
    restarted: () => {
      if (seconds !== BUSY_SECONDS) apply();
    },
    get seconds() {
      return seconds;
    },
    stop: () => ending.abort(),
  };
}
