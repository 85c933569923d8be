/** A process that keeps the leases of a directory: it alone, look after look, until what it is here for is done. */
import type { Clock } from "../../base/index.ts";
import { type Keeper, type KeeperModules, openKeeper } from "./keeper.ts";
import { openLedger } from "./ledger.ts";
import { lockLeases, readSign, signFileOf, waitingRequests, writeSign } from "./place.ts";
import { defaultRules, type Rules } from "./rules.ts";
import type { Book } from "./state.ts";
import { sinceChange } from "./watchdog.ts";

export interface KeepingOptions extends Omit<KeeperModules, "ledger" | "watchdogAt"> {
  readonly directory: string;
  readonly rules?: Rules;
  /** Ends the process, as it is: what is rented goes on to cost. */
  readonly signal: AbortSignal;
  /** Told once, before the first look but one: all accounts have been listed then. */
  readonly begin?: (keeper: Keeper) => Promise<void>;
  /** After each look; true where no more is to be done. */
  readonly isDone: (book: Book, keeper: Keeper) => boolean | Promise<boolean>;
}

/** What others asked for while nobody kept the leases, or since the last look. */
async function answerRequests(directory: string, keeper: Keeper): Promise<void> {
  for (const { request, taken } of await waitingRequests(directory)) {
    if (request?.type === "end") await keeper.tell({ ...request, words: "It was ended by hand." });
    else if (request?.type === "stop")
      await keeper.tell({ ...request, reason: "stopped", words: "It was stopped by hand." });
    else if (request !== undefined) await keeper.tell(request);
    taken();
  }
}

/** When a watchdog was last seen at work, by its sign. */
function watchdogSeen(directory: string, clock: Clock): () => Promise<number | undefined> {
  const since = sinceChange(clock, readSign(signFileOf(directory, "watchdog")));
  return async () => {
    const ago = await since();
    return ago === undefined ? undefined : Math.floor(clock.now() - ago);
  };
}

/**
 * Keeps the leases until {@link KeepingOptions.isDone} or the signal.
 * @throws UserError `LEASES_KEPT`; what the ledger throws; the signal's reason
 */
export async function keepLeases(options: KeepingOptions): Promise<Book> {
  const { directory, clock, signal, begin, isDone, rules = defaultRules } = options;
  const lock = lockLeases(directory);
  try {
    const ledger = await openLedger(directory, () => clock.now());
    try {
      const watchdogAt = watchdogSeen(directory, clock);
      const keeper = await openKeeper({ ...options, ledger, watchdogAt });
      const { installation } = keeper.book();
      for (let looks = 0; ; looks++) {
        signal.throwIfAborted();
        await answerRequests(directory, keeper);
        await keeper.look();
        await writeSign(signFileOf(directory, "keeper"), { installation, count: clock.now() });
        if (looks === 0) await begin?.(keeper);
        else if (await isDone(keeper.book(), keeper)) return keeper.book();
        await clock.sleep(rules.lookEvery, signal);
      }
    } finally {
      await ledger.close();
    }
  } finally {
    lock.release();
  }
}
