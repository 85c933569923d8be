import { rollback } from "@cotrain/sdk/actions";

import { defineCommand } from "../command.ts";
import { decide, decisionOptions, type Intention, intentionOf } from "../decision.ts";
import type { DecidingPlace } from "../proposing.ts";
import { roundOf, targetOf } from "../rollbackTarget.ts";

async function intentionFor(place: DecidingPlace, round: number): Promise<Intention> {
  const { addresses, runId } = place;
  const { words, currentHead, round: completed, checkpointDigest } = await targetOf(place, round);
  return intentionOf(
    place,
    rollback,
    { addresses, runId, currentHead, round: completed, checkpointDigest },
    { title: `rollback: ${words}`, document: { runId, currentHead, round, checkpointDigest } },
  );
}

/** `cotrain checkpoint rollback`. */
export const checkpointRollbackCommand = defineCommand({
  name: "checkpoint rollback",
  summary: "propose to the holders that a run goes on from an earlier checkpoint, after a false head say",
  args: [{ name: "round", description: "completed rounds of the checkpoint, as checkpoint list shows it" }],
  options: decisionOptions,
  examples: [["npx cotrain checkpoint rollback 12", "by the wallet of this directory that has the most votes"]],
  notes: [
    "It is bound to the newest head: once another follows, it does nothing. Have validators suspend the poster first (cotrain suspend), so that none does, and name another with cotrain poster propose.",
  ],
  async run({ args: [named = ""], options, output }) {
    const round = roundOf(named);
    await decide({ options, output }, (place) => intentionFor(place, round));
  },
});
