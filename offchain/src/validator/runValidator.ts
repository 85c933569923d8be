/**
 * The validator's loop: follows the heads on-chain, examines what it owes of them, and signs epochs that it could compute itself,
 * each duty in a file of its own. It trusts the chain; whatever the coordinator gives is checked against it.
 */
import { unlessAborted } from "../base/index.ts";
import { createChecks, examineHeads } from "./checks/index.ts";
import {
  attempt,
  type Context,
  openContext,
  POLL_INTERVAL,
  type ValidatorModules,
  type ValidatorOptions,
} from "./context.ts";
import { keepEpochs, signEpochs } from "./epochs.ts";
import { createHeadFollower } from "./heads.ts";
import { createLookAgain } from "./lookAgain.ts";
import { standIn } from "./standIn.ts";
import { deliver } from "./verdicts.ts";

/**
 * Runs until the signal aborts; whatever is away is waited for.
 * @throws UserError `RUN_FOREIGN` when the coordinator serves another run than the chain knows; the database's errors
 */
export async function runValidator(options: ValidatorOptions, modules: ValidatorModules): Promise<void> {
  const { signal, pollInterval = POLL_INTERVAL } = options;
  const context: Context = await openContext(options, modules, (claim, draw) => standIn(context, claim, draw));
  modules.onReady?.();
  const look = createLook(context);
  try {
    for (;;) {
      // Who is to stop waits for no answer: what it signs is in its journal before it is sent.
      await unlessAborted(attempt(context, "looking at the run", look), signal);
      await context.clock.sleep(pollInterval, signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await context.engine.done;
  }
}

/** All duties, once. */
function createLook(context: Context): () => Promise<void> {
  const follower = createHeadFollower(context);
  const checks = createChecks(context);
  const lookAgain = createLookAgain(context);
  return async () => {
    const look = await follower.look();
    if (!look) return;
    await examineHeads(context, checks, look);
    // What waits from here on, waits for the next look.
    context.engine.auditWaits = false;
    await attempt(context, "sending verdicts", () => deliver(context, look.unsettled));
    const published = await signEpochs(context);
    // After all that others wait for: a long list of what is overdue must not use up what may be asked in a minute.
    await lookAgain(look);
    keepEpochs(context, published);
  };
}
