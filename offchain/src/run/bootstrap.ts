/** How far a young model's bootstrap is, and what its organiser has said that it will do, as the chain tells it. */
import {
  actAnnounced,
  announcedAct,
  bootstrapClaimed,
  bootstrapNeeded,
  bootstrapOf,
  bootstrapTerms,
  epochOf,
  getAllLogs,
} from "@cotrain/sdk/actions";
import { type Address, asAddress, type Hex } from "@cotrain/sdk/protocol";

import { type WordsPlace, wordsOfCall } from "./proposalWords.ts";

/** How long after a window an announced act may be carried out, s: the contract's grace period. */
export const ACT_GRACE = 21 * 86_400;

/** What an organiser announced, and has neither done nor taken back, while it may still be done. */
export interface AnnouncedAct {
  readonly target: Address;
  readonly data: Hex;
  /** What it would do, by the call itself. */
  readonly words: string;
  /** From when to when it may be carried out, chain seconds. */
  readonly readyAt: number;
  readonly expiresAt: number;
  readonly transaction: Hex;
}

export interface BootstrapStanding {
  /** When it ended, chain seconds; undefined while it has not. */
  readonly endedAt: number | undefined;
  /** What workers have claimed, and must have, in share wei. */
  readonly claimed: bigint;
  readonly needed: bigint;
  /** Epochs that are over, that must be, and after which it ends whatever was claimed. */
  readonly epochsOver: number;
  readonly epochs: number;
  readonly maxEpochs: number;
  /** Oldest first; none once it is over, when nothing that was announced can be done any more. */
  readonly acts: readonly AnnouncedAct[];
  /** How many more there are before those. */
  readonly more: number;
}

interface BootstrapPlace extends WordsPlace {
  readonly modelId: Hex;
  /** Block at or before the contracts' first. */
  readonly fromBlock: number;
}

async function announcedActs(
  place: BootstrapPlace,
  bootstrap: Address,
  now: number,
  most: number,
): Promise<Pick<BootstrapStanding, "acts" | "more">> {
  const { connection, modelId, fromBlock } = place;
  const query = actAnnounced({ bootstrap, modelId });
  const { logs } = await connection.call((client) => getAllLogs(client, query, { from: BigInt(fromBlock) }));
  // What was announced again waits anew: the last counts.
  const newest = new Map<string, Pick<AnnouncedAct, "target" | "data" | "transaction">>();
  for (const { args, transactionHash } of logs) {
    const { target, call } = args;
    newest.delete(`${target}/${call}`);
    newest.set(`${target}/${call}`, { target: asAddress(target), data: call, transaction: transactionHash });
  }
  // Of all of them, so that many that were taken back hide none that was not.
  const standing: Omit<AnnouncedAct, "words">[] = [];
  for (const act of newest.values()) {
    const asked = { bootstrap, modelId, act: { to: act.target, data: act.data } };
    const readyAt = await connection.call((client) => announcedAct(client, asked));
    if (readyAt === undefined || now > readyAt + ACT_GRACE) continue;
    standing.push({ ...act, readyAt, expiresAt: readyAt + ACT_GRACE });
  }
  const acts: AnnouncedAct[] = [];
  for (const act of standing.slice(-most)) {
    const { words } = await wordsOfCall(place, { target: act.target, value: 0n, data: act.data });
    acts.push({ ...act, words });
  }
  return { acts, more: standing.length - acts.length };
}

/** @param most newest acts that are told */
export async function bootstrapAt(place: BootstrapPlace, most: number): Promise<BootstrapStanding> {
  const { connection, addresses, modelId } = place;
  const bootstrap = await connection.call((client) => bootstrapOf(client, { addresses }));
  const asked = { bootstrap, modelId };
  const { timestamp } = await connection.call((client) => client.getBlock());
  const [terms, claimed, needed, epoch] = await Promise.all([
    connection.call((client) => bootstrapTerms(client, asked)),
    connection.call((client) => bootstrapClaimed(client, asked)),
    connection.call((client) => bootstrapNeeded(client, asked)),
    connection.call((client) => epochOf(client, { addresses, modelId, timestamp: Number(timestamp) })),
  ]);
  const { endedAt, epochs, maxEpochs } = terms;
  const isOver = endedAt !== 0;
  return {
    endedAt: isOver ? endedAt : undefined,
    claimed,
    needed,
    epochsOver: Number(epoch) - 1,
    epochs,
    maxEpochs,
    ...(isOver ? { acts: [], more: 0 } : await announcedActs(place, bootstrap, Number(timestamp), most)),
  };
}
