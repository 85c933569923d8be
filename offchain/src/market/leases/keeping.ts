/** A process that keeps the leases of a directory: it alone, look after look, until what it is here for is done. */
import type { Clock } from "../../base/index.ts";
import { type Keeper, type KeeperModules, openKeeper } from "./keeper.ts";
import { type Ledger, openLedger } from "./ledger.ts";
import { lockLeases, readSign, signFileOf, waitingRequests, writeSign } from "./place.ts";
import { defaultRules, type Rules } from "./rules.ts";
import { clearSides } from "./sides.ts";
import { createStarter } from "./starter.ts";
import type { Book } from "./state.ts";
import { sinceChange } from "./watchdog.ts";

export interface KeepingOptions extends Omit<KeeperModules, "ledger" | "watchdogAt" | "starter"> {
  readonly directory: string;
  /** File of the private key by which machines are started over SSH; default the agent's and the user's own. */
  readonly identity?: string | undefined;
  readonly rules?: Rules;
  /** Ends the process, as it is: what is rented goes on to cost. */
  readonly signal: AbortSignal;
  /** Told once, before the first look but one: all accounts have been listed then. */
  readonly begin?: (keeper: Keeper) => Promise<void>;
  /** Before each look but the first. */
  readonly before?: (keeper: Keeper) => Promise<void>;
  /** Once aborted, the next look comes at once. */
  readonly hurry?: AbortSignal;
  /** After each look; true where no more is to be done. */
  readonly isDone: (book: Book, keeper: Keeper) => boolean | Promise<boolean>;
}

/** What others asked for while nobody kept the leases, or since the last look. */
async function answerRequests(directory: string, keeper: Keeper): Promise<void> {
  for (const { request, taken } of await waitingRequests(directory)) {
    if (request?.type === "end") await keeper.tell({ ...request, words: "It was ended by hand." });
    else if (request?.type === "stop")
      await keeper.tell({ ...request, reason: "stopped", words: "It was stopped by hand." });
    else if (request?.type === "replace") {
      const { wish } = request;
      await keeper.tell({
        ...request,
        wish: wish === null ? null : { ...wish, maximumPerHour: BigInt(wish.maximumPerHour) },
      });
    } else if (request !== undefined) await keeper.tell(request);
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

/** A sign may be as old as this while much is being done. */
const SIGN_EVERY = 10_000;

/** A ledger that leaves signs of life as it is written: a look at many machines may take longer than a watchdog is patient. */
function signing(ledger: Ledger, clock: Clock, sign: () => Promise<void>): Ledger {
  let signedAt = -Infinity;
  return {
    read: () => ledger.read(),
    append: async (entry) => {
      await ledger.append(entry);
      if (clock.monotonic() - signedAt < SIGN_EVERY) return;
      signedAt = clock.monotonic();
      await sign();
    },
  };
}

/**
 * Keeps the leases until {@link KeepingOptions.isDone} or the signal.
 * @throws UserError `LEASES_KEPT`; what the ledger throws; the signal's reason
 */
export async function keepLeases(options: KeepingOptions): Promise<Book> {
  const { directory, clock } = options;
  const lock = lockLeases(directory);
  try {
    const ledger = await openLedger(directory, () => clock.now());
    try {
      return await keepIn(options, ledger);
    } finally {
      await ledger.close();
    }
  } finally {
    lock.release();
  }
}

async function keepIn(options: KeepingOptions, stored: Ledger): Promise<Book> {
  const { directory, clock, signal, hurry, begin, before, isDone, rules = defaultRules } = options;
  const { installation } = await stored.read();
  const sign = (): Promise<void> =>
    writeSign(signFileOf(directory, "keeper"), { installation, count: Math.floor(clock.now()) });
  const ledger = signing(stored, clock, sign);
  const keeper = await openKeeper({
    ...options,
    ledger,
    starter: createStarter({ directory, identity: options.identity, signal }),
    watchdogAt: watchdogSeen(directory, clock),
  });
  for (let looks = 0; ; looks++) {
    signal.throwIfAborted();
    await answerRequests(directory, keeper);
    if (looks > 0) await before?.(keeper);
    await keeper.look();
    await sign();
    if (looks === 0) await begin?.(keeper);
    else if (await isDone(keeper.book(), keeper)) {
      await clearSides(options.accounts, keeper.book(), options.onFault);
      return keeper.book();
    }
    const rest = hurry === undefined || hurry.aborted ? signal : AbortSignal.any([signal, hurry]);
    await clock.sleep(rules.lookEvery, rest).catch(() => signal.throwIfAborted());
  }
}
