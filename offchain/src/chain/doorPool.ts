/**
 * Transactions that are sent to the embedded chain. What strangers have waiting for a block has a third of its gas at most, so
 * that they neither raise the price of gas, which goes up where blocks are more than half full, nor keep the run's own out.
 *
 * What passed of late is kept and sent again where the node lost it: killed, it goes on from a dump that is seconds old, without
 * the mempool to which other nodes take back what a reorganisation undid. A vote, a claim or an execution that somebody has
 * the receipt of would be gone otherwise, and nobody would send it again.
 */
import { setImmediate as nextTurn } from "node:timers/promises";

import pLimit from "p-limit";
import { type Address, type Hex, keccak256, parseTransaction, recoverTransactionAddress } from "viem";

import { systemClock } from "../base/index.ts";
import { type NodeLink, NodeError } from "./nodeLink.ts";

/** What a block of the embedded chain may use. Left alone, a trial that is given more goes on for as long. */
export const BLOCK_GAS_LIMIT = 30_000_000n;
const STRANGERS_GAS = BLOCK_GAS_LIMIT / 3n;
/** Blocks that one of theirs may wait: one that cannot be mined must not hold up others. */
const MOST_BLOCKS = 20;

/** Bytes of a transaction, as in the pools of ordinary nodes; the creation of a contract has 48 KiB of code at most. */
const MOST_BYTES = 128 << 10;
/** Longer ones, whose look takes up to ten times as long, wait for each other; the run sends such only to create contracts. */
const SHORT_BYTES = 16 << 10;
const hexLength = (bytes: number): number => "0x".length + 2 * bytes;

/** Transactions that are kept, and their characters in hex: more than fit into the blocks of some seconds. */
const MOST_KEPT = 4_096;
const MOST_CHARACTERS = 8 << 20;
/** Ms between looks whether there is room for what is sent again. */
const ROOM_EVERY_MS = 500;

export interface DoorPool {
  /** Whose transactions are the run's own: as many as there are. */
  trust(accounts: readonly Address[]): void;
  /**
   * `eth_sendRawTransaction`.
   * @throws NodeError
   */
  send(params: unknown): Promise<unknown>;
  /**
   * Sends again what a node that was started again does not have: the run's own first. Rejects where the node is away; its next
   * start is another call, which ends this one.
   */
  resend(): Promise<void>;
  close(): void;
}

interface Waiting {
  readonly gas: bigint;
  /** The block after which it came. */
  readonly since: number;
}

interface Kept {
  readonly raw: Hex;
  readonly gas: bigint;
}

export function createDoorPool(link: NodeLink): DoorPool {
  const own = new Set<string>();
  const waiting = new Map<Hex, Waiting>();
  /** Gas of those that the node was given and has not answered. */
  let underWay = 0n;
  /** What passed, oldest first. */
  const passed = new Map<Hex, Kept>();
  let characters = 0;
  let starts = 0;
  /**
   * One signature at a time is looked at, the rest of the process does its work between two; as many wait for that as the door
   * lets requests be at work.
   */
  const inTurn = pLimit(1);
  /** Of the long ones a single one is among those: a crowd of them is before none that is short. */
  const longInTurn = pLimit(1);
  let sweptAt = -1;

  const blockNumber = async (): Promise<number> => Number(await link.request("eth_blockNumber"));
  const taken = (): bigint => [...waiting.values()].reduce((sum, { gas }) => sum + gas, underWay);
  /** Forgets those that are mined or gone, once a block. */
  const sweep = async (block: number): Promise<void> => {
    if (sweptAt === block) return;
    sweptAt = block;
    for (const [hash, { since }] of waiting) {
      const found = (await link.request("eth_getTransactionByHash", [hash])) as { blockNumber?: unknown } | null;
      const pending = found !== null && (found.blockNumber ?? null) === null;
      if (pending && block - since <= MOST_BLOCKS) continue;
      if (pending) await link.request("anvil_dropTransaction", [hash]);
      waiting.delete(hash);
    }
  };
  const look = (raw: Hex): Promise<boolean> =>
    inTurn(async () => {
      await nextTurn();
      try {
        return own.has((await recoverTransactionAddress({ serializedTransaction: raw as never })).toLowerCase());
      } catch {
        return false;
      }
    });
  /** To find the run's own among those that are too many. */
  const isOwn = (raw: Hex): Promise<boolean> =>
    raw.length > hexLength(SHORT_BYTES) ? longInTurn(() => look(raw)) : look(raw);

  const forget = (hash: Hex): void => {
    characters -= passed.get(hash)?.raw.length ?? 0;
    passed.delete(hash);
  };
  const keep = (hash: Hex, raw: Hex, gas: bigint): void => {
    forget(hash);
    passed.set(hash, { raw, gas });
    characters += raw.length;
    for (const oldest of passed.keys()) {
      if (passed.size <= MOST_KEPT && characters <= MOST_CHARACTERS) return;
      forget(oldest);
    }
  };
  /** Hands a transaction to the node. @throws NodeError */
  const give = async (raw: Hex, gas: bigint, block: number): Promise<unknown> => {
    underWay += gas;
    try {
      const result = await link.request("eth_sendRawTransaction", [raw]);
      const hash = keccak256(raw);
      waiting.set(hash, { gas, since: block });
      keep(hash, raw, gas);
      return result;
    } finally {
      underWay -= gas;
    }
  };

  /** One that cannot be any more, for its nonce is used or its sender has no coins, is left out. */
  const giveAgain = async ({ raw, gas }: Kept): Promise<void> => {
    try {
      await give(raw, gas, await blockNumber());
    } catch (error) {
      if (!(error instanceof NodeError)) throw error;
    }
  };
  /** Until one more of theirs finds place, or it is of no use any more. */
  const room = async (gas: bigint, isEnded: () => boolean): Promise<void> => {
    while (!isEnded() && taken() + gas > STRANGERS_GAS) {
      await sweep(await blockNumber());
      if (taken() + gas > STRANGERS_GAS) await systemClock.sleep(ROOM_EVERY_MS);
    }
  };

  return {
    trust: (accounts) => accounts.forEach((account) => own.add(account.toLowerCase())),
    send: async (params) => {
      const [raw] = Array.isArray(params) ? (params as unknown[]) : [];
      const gas = gasOf(raw);
      const block = await blockNumber();
      if (taken() + gas > STRANGERS_GAS) await sweep(block);
      if (taken() + gas > STRANGERS_GAS && !(await isOwn(raw as Hex)))
        throw new NodeError({
          code: -32_005,
          message: `transactions with ${STRANGERS_GAS} gas in all wait for a block here: try again after the next, with that much at most`,
        });
      return give(raw as Hex, gas, block);
    },
    resend: async () => {
      starts += 1;
      const start = starts;
      const isEnded = (): boolean => start !== starts;
      // Nothing waits in a node that has just begun.
      waiting.clear();
      const ours: Kept[] = [];
      const theirs: Kept[] = [];
      for (const [hash, kept] of new Map(passed)) {
        if (isEnded()) return;
        if ((await link.request("eth_getTransactionReceipt", [hash])) === null)
          ((await isOwn(kept.raw)) ? ours : theirs).push(kept);
      }
      for (const kept of ours) if (!isEnded()) await giveAgain(kept);
      for (const kept of theirs) {
        await room(kept.gas, isEnded);
        if (!isEnded()) await giveAgain(kept);
      }
    },
    close: () => void (starts += 1),
  };
}

/** What a signed transaction may use. @throws NodeError */
function gasOf(raw: unknown): bigint {
  if (typeof raw === "string" && raw.length > hexLength(MOST_BYTES))
    throw new NodeError({
      code: -32_602,
      message: `eth_sendRawTransaction takes a transaction of ${MOST_BYTES} bytes at most`,
    });
  try {
    const { gas } = parseTransaction(raw as Hex);
    if (gas !== undefined) return gas;
  } catch {
    // Below.
  }
  throw new NodeError({ code: -32_602, message: "eth_sendRawTransaction takes one signed transaction" });
}
