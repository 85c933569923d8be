/** What this validator checks of heads, in this order: one row for each kind of verdict that it makes by itself. */
import { attempt, type Context } from "../context.ts";
import type { Look } from "../heads.ts";
import { say } from "../verdicts.ts";
import { aggregateCheck } from "./aggregate.ts";
import type { Check } from "./check.ts";
import { heldOutLossCheck } from "./heldOutLoss.ts";

export const createChecks = (context: Context): readonly Check[] => [
  aggregateCheck(context),
  heldOutLossCheck(context),
];

/** Does what is owed of all heads. */
export async function examineHeads(context: Context, checks: readonly Check[], look: Look): Promise<void> {
  for (const check of checks) {
    for await (const owed of check.due(look)) {
      const { head } = owed;
      await attempt(context, `checkpoint ${head.round}`, () =>
        check.run(owed, (content) => say(context, check, head, content)),
      );
    }
  }
}
