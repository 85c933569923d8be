import { getAllLogs, headOf, headPosted, rollback } from "@cotrain/sdk/actions";

import { UserError } from "../../base/index.ts";
import { standingHeads } from "../../run/index.ts";
import { defineCommand } from "../command.ts";
import { decide, decisionOptions, type Intention, intentionOf } from "../decision.ts";
import type { DecidingPlace } from "../proposing.ts";

/** @throws UserError `ROUND_FORM` */
function roundOf(named: string): number {
  if (/^\d{1,9}$/.test(named)) return Number(named);
  throw new UserError(
    "ROUND_FORM",
    `A checkpoint is named by the number of completed rounds, as "npx cotrain checkpoint list" shows it, not by ${JSON.stringify(named.slice(0, 100))}.`,
  );
}

/** @throws UserError `ROUND_NOT_BACK` where the run has no such checkpoint behind its newest */
async function intentionFor(place: DecidingPlace, round: number): Promise<Intention> {
  const { connection, addresses, runId, fromBlock } = place;
  const current = await connection.call((client) => headOf(client, { addresses, runId }));
  const { logs } = await connection.call((client) =>
    getAllLogs(client, headPosted({ addresses, runId }), { from: BigInt(fromBlock) }),
  );
  const heads = logs.map(({ args }) => ({ ...args, round: Number(args.round) }));
  const target = standingHeads(heads).find((head) => head.round === round);
  if (!target || round >= Number(current.round))
    throw new UserError(
      "ROUND_NOT_BACK",
      `The run stands at checkpoint ${current.round}, and goes back to one before it that it has: "npx cotrain checkpoint list" shows them.`,
    );
  const { checkpointDigest } = target;
  return intentionOf(
    place,
    rollback,
    { addresses, runId, currentHead: current.head, round: BigInt(round), checkpointDigest },
    {
      title: `rollback: from checkpoint ${current.round}, head ${current.head}, to checkpoint ${round}, ${checkpointDigest}`,
      document: { runId, currentHead: current.head, round, checkpointDigest },
    },
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
