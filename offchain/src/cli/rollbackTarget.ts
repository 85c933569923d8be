/** The checkpoint that a run is to be rolled back to, as its number names it. */
import { getAllLogs, headOf, headPosted } from "@cotrain/sdk/actions";

import { UserError } from "../base/index.ts";
import { standingHeads } from "../run/index.ts";
import type { DecidingPlace } from "./proposing.ts";

/** @throws UserError `ROUND_FORM` */
export function roundOf(named: string): number {
  if (/^\d{1,9}$/.test(named)) return Number(named);
  throw new UserError(
    "ROUND_FORM",
    `A checkpoint is named by the number of completed rounds, as "npx cotrain checkpoint list" shows it, not by ${JSON.stringify(named.slice(0, 100))}.`,
  );
}

/** @throws UserError `ROUND_NOT_BACK` where the run has no such checkpoint behind its newest */
export async function targetOf({ connection, addresses, runId, fromBlock }: DecidingPlace, round: number) {
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
  return {
    currentHead: current.head,
    round: BigInt(round),
    checkpointDigest,
    words: `from checkpoint ${current.round}, head ${current.head}, to checkpoint ${round}, ${checkpointDigest}`,
  };
}
