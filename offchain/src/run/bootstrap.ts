/** How far a young model's bootstrap is, and what its organiser has said that it will do, as the chain tells it. */
import {
  actAnnounced,
  actCarriedOut,
  actNameOf,
  actWithdrawn,
  announcedAct,
  bootstrapClaimed,
  bootstrapNeeded,
  bootstrapOf,
  bootstrapTerms,
  epochOf,
  getAllLogs,
  organiserOf,
} from "@cotrain/sdk/actions";
import { type Address, asAddress, type Hex } from "@cotrain/sdk/protocol";

import { type WordsPlace, wordsOfCall } from "./proposalWords.ts";

/** How long after a window an announced act may be carried out, s: the contract's grace period. */
export const ACT_GRACE = 21 * 86_400;

/** What an organiser announced, and has neither done nor taken back, while it may still be done. */
export interface AnnouncedAct {
  /** What the contract keeps it by. */
  readonly name: Hex;
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
  readonly organiser: Address;
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

/** Whether anybody may end it, as the contract has it. */
export const isBootstrapDue = ({
  claimed,
  needed,
  epochsOver,
  epochs,
  maxEpochs,
}: Pick<BootstrapStanding, "claimed" | "needed" | "epochsOver" | "epochs" | "maxEpochs">): boolean =>
  epochsOver >= maxEpochs || (epochsOver >= epochs && claimed >= needed);

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
  const newest = new Map<Hex, Pick<AnnouncedAct, "name" | "target" | "data" | "transaction">>();
  for (const { args, transactionHash: transaction } of logs) {
    const { target, call: data } = args;
    const name = actNameOf({ modelId, act: { to: target, data } });
    newest.delete(name);
    newest.set(name, { name, target: asAddress(target), data, transaction });
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
  const [organiser, terms, claimed, needed, epoch] = await Promise.all([
    connection.call((client) => organiserOf(client, { addresses, modelId })),
    connection.call((client) => bootstrapTerms(client, asked)),
    connection.call((client) => bootstrapClaimed(client, asked)),
    connection.call((client) => bootstrapNeeded(client, asked)),
    connection.call((client) => epochOf(client, { addresses, modelId, timestamp: Number(timestamp) })),
  ]);
  const { endedAt, epochs, maxEpochs } = terms;
  const isOver = endedAt !== 0;
  return {
    organiser: asAddress(organiser),
    endedAt: isOver ? endedAt : undefined,
    claimed,
    needed,
    epochsOver: Number(epoch) - 1,
    epochs,
    maxEpochs,
    ...(isOver ? { acts: [], more: 0 } : await announcedActs(place, bootstrap, Number(timestamp), most)),
  };
}

/** What an organiser said or did. */
export interface ToldAct extends Pick<AnnouncedAct, "name" | "target" | "data" | "words" | "transaction"> {
  readonly what: "announced" | "carriedOut" | "withdrawn";
  /** From when on it may be carried out, chain seconds; null for what is done or withdrawn. */
  readonly readyAt: number | null;
}

/** Acts that are told at one look, beside those that stand: an organiser may announce and withdraw for ever. */
const MOST_TOLD = 100;

/** The newest, and whatever is announced and not ended after that: many that are taken back at once hide none that comes. */
function toldOf<T extends { readonly act: Pick<ToldAct, "what" | "name"> }>(fresh: readonly T[], most: number): T[] {
  const ended = new Set<Hex>();
  const told: T[] = [];
  let left = most;
  for (const each of fresh.toReversed()) {
    const { what, name } = each.act;
    if (what !== "announced") ended.add(name);
    const stands = !ended.has(name);
    if (!stands && left === 0) continue;
    if (!stands) left -= 1;
    told.push(each);
  }
  return told.toReversed();
}

/** Finds, at each look, what the organiser has announced, carried out and withdrawn that no look before found. */
export function createActsWatch(place: BootstrapPlace, most = MOST_TOLD) {
  const { connection, addresses, modelId, fromBlock } = place;
  const known = new Set<string>();
  return {
    /** Oldest first; of many those that stand and the newest others, and how many more there are. */
    look: async (): Promise<{ readonly acts: readonly ToldAct[]; readonly more: number }> => {
      const bootstrap = await connection.call((client) => bootstrapOf(client, { addresses }));
      const of = { bootstrap, modelId };
      const from = { from: BigInt(fromBlock) };
      const [announced, done, withdrawn] = await Promise.all([
        connection.call((client) => getAllLogs(client, actAnnounced(of), from)),
        connection.call((client) => getAllLogs(client, actCarriedOut(of), from)),
        connection.call((client) => getAllLogs(client, actWithdrawn(of), from)),
      ]);
      const found = [
        ...announced.logs.map((log) => ({ log, what: "announced" as const, readyAt: log.args.readyAt })),
        ...done.logs.map((log) => ({ log, what: "carriedOut" as const, readyAt: null })),
        ...withdrawn.logs.map((log) => ({ log, what: "withdrawn" as const, readyAt: null })),
      ].map(({ log, what, readyAt }) => {
        const { target, call: data } = log.args;
        const name = actNameOf({ modelId, act: { to: target, data } });
        // A transaction that a reorganisation moves is the same one.
        const key = `${what}/${name}/${log.transactionHash}`;
        return {
          log,
          key,
          act: { what, readyAt, name, target: asAddress(target), data, transaction: log.transactionHash },
        };
      });
      const fresh = found
        .filter(({ key }) => !known.has(key))
        .toSorted((a, b) => Number(a.log.blockNumber - b.log.blockNumber) || a.log.logIndex - b.log.logIndex);
      const acts: ToldAct[] = [];
      for (const { act } of toldOf(fresh, most)) {
        const { words } = await wordsOfCall(place, { target: act.target, value: 0n, data: act.data });
        acts.push({ ...act, words });
      }
      // Those of a look that failed are told at the next.
      for (const { key } of fresh) known.add(key);
      return { acts, more: fresh.length - acts.length };
    },
  };
}
