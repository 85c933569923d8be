/**
 * What was done about heads that do not hold, as the chain tells it: posters that were suspended, and runs that went back. Nobody puts a
 * bond up for it, and it is told beside the disputes about roots.
 */
import { getAllLogs, posterSuspended, rollbackAnnounced, rolledBack } from "@cotrain/sdk/actions";
import {
  type Address,
  asAddress,
  type ContractAddresses,
  type Hex,
  type ModelId,
  type RunId,
} from "@cotrain/sdk/protocol";

import type { ChainConnection, ChainReader } from "../chain/index.ts";

/** Where it is looked for. */
export interface HeadActsPlace {
  readonly connection: ChainConnection;
  readonly reader: Pick<ChainReader, "runsOf" | "headsSince" | "isSuspended" | "run">;
  readonly addresses: ContractAddresses;
  readonly modelId: ModelId;
  /** Block at or before the contracts' first. */
  readonly fromBlock: number;
}

interface Act {
  readonly runId: RunId;
  /** The head that showed why a poster was suspended, or from which the run goes back. */
  readonly head: Hex;
  /** Rounds completed at that head; undefined where the node does not tell its posting. */
  readonly round: number | undefined;
  readonly block: bigint;
  readonly logIndex: number;
  readonly transaction: Hex;
}

export type HeadAct =
  | (Act & {
      readonly what: "suspended";
      readonly poster: Address;
      /** Whose quorum signed; 0 where the organiser did it in bootstrap. */
      readonly setVersion: number;
      /** Whether that poster is the run's still, and posts nothing. */
      readonly lasts: boolean;
    })
  | (Act & { readonly what: "announced"; readonly back: number; readonly readyAt: number })
  | (Act & { readonly what: "rolledBack"; readonly back: number; readonly by: Address });

/** In the order of the chain; `round` is of the head. */
async function actsOfRun(place: HeadActsPlace, runId: RunId): Promise<HeadAct[]> {
  const { connection, reader, addresses, fromBlock } = place;
  const from = { from: BigInt(fromBlock) };
  const of = { addresses, runId };
  const [stopped, announced, back] = await Promise.all([
    connection.call((client) => getAllLogs(client, posterSuspended(of), from)),
    connection.call((client) => getAllLogs(client, rollbackAnnounced(of), from)),
    connection.call((client) => getAllLogs(client, rolledBack(of), from)),
  ]);
  if (stopped.logs.length + announced.logs.length + back.logs.length === 0) return [];
  const [heads, { poster }, isSuspended] = await Promise.all([
    reader.headsSince(runId, 0),
    reader.run(runId),
    reader.isSuspended(runId),
  ]);
  const rounds = new Map<string, number>(heads.map(({ head, round }) => [head, round]));
  const actOf = (head: Hex, log: { blockNumber: bigint; logIndex: number; transactionHash: Hex }): Act => ({
    runId,
    head,
    round: rounds.get(head.toLowerCase()),
    block: log.blockNumber,
    logIndex: log.logIndex,
    transaction: log.transactionHash,
  });
  return [
    ...stopped.logs.map((log) => ({
      ...actOf(log.args.head, log),
      what: "suspended" as const,
      poster: asAddress(log.args.poster),
      setVersion: log.args.setVersion,
      lasts: isSuspended && asAddress(log.args.poster) === asAddress(poster),
    })),
    ...announced.logs.map((log) => ({
      ...actOf(log.args.currentHead, log),
      what: "announced" as const,
      back: Number(log.args.round),
      readyAt: log.args.readyAt,
    })),
    ...back.logs.map((log) => ({
      ...actOf(log.args.currentHead, log),
      what: "rolledBack" as const,
      back: Number(log.args.round),
      by: asAddress(log.args.by),
    })),
  ];
}

/** The newest of all runs of the model, newest first. */
export async function newestHeadActs(place: HeadActsPlace, most: number): Promise<HeadAct[]> {
  const runs = await place.reader.runsOf(place.modelId);
  const acts = (await Promise.all(runs.map((runId) => actsOfRun(place, runId)))).flat();
  return acts.toSorted((a, b) => Number(b.block - a.block) || b.logIndex - a.logIndex).slice(0, most);
}
