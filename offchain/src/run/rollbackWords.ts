/** What a proposal that takes a run back would do, in words. */
import { getAllLogs, headPosted } from "@cotrain/sdk/actions";
import type { ContractAddresses, Hex, RunId } from "@cotrain/sdk/protocol";

import type { ChainConnection } from "../chain/index.ts";
import { standingHeads } from "./standingHeads.ts";

/** Whose run it is about. */
interface RollbackWordsPlace {
  readonly connection: Pick<ChainConnection, "call">;
  readonly addresses: ContractAddresses;
  readonly runId: RunId;
  /** Block at or before the contracts' first; where it is not known, no head is looked for. */
  readonly fromBlock?: number | undefined;
}

/** Whether the checkpoint is one of the run's own: the contract takes any, so that who proposes may have made it. */
async function originText(place: RollbackWordsPlace, runId: Hex, round: number, digest: string): Promise<string> {
  const { connection, addresses, fromBlock } = place;
  if (fromBlock === undefined) return "whether that is a checkpoint of the run was not looked at";
  const { logs } = await connection.call((client) =>
    getAllLogs(client, headPosted({ addresses, runId }), { from: BigInt(fromBlock) }),
  );
  const heads = logs.map(({ args }) => ({
    round: Number(args.round),
    checkpointDigest: args.checkpointDigest.toLowerCase(),
  }));
  const own = standingHeads(heads).find((head) => head.round === round)?.checkpointDigest;
  if (own === undefined) return "THE RUN HAS NO CHECKPOINT OF SO MANY ROUNDS: whoever proposes this says what it is";
  return own === digest.toLowerCase()
    ? "which is the run's own of that round"
    : `WHICH IS NOT THE RUN'S OWN of that round, ${own}: whoever proposes this says what it is`;
}

/** What taking a run back would do. @param args of CheckpointRegistry.rollback @param run what the run is called */
export async function rollbackText(
  place: RollbackWordsPlace,
  [id, head, round, digest]: readonly unknown[],
  run: string,
): Promise<string> {
  const origin = await originText(place, id as Hex, Number(round), String(digest));
  return `CheckpointRegistry has ${run} go back from head ${String(head)} to ${String(round)} completed rounds and on from checkpoint ${String(digest)}, ${origin}; once another head follows, it does nothing.`;
}
