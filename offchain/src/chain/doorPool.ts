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

/** Gas of what waits for a block, or that the node was given and has not answered. */
class WaitingGas {
  readonly #link: NodeLink;
  /** By hash: its gas, and the block after which it came. */
  readonly #waiting = new Map<Hex, { readonly gas: bigint; readonly since: number }>();
  #underWay = 0n;
  #sweptAt = -1;

  constructor(link: NodeLink) {
    this.#link = link;
  }

  /** Whether strangers have room for so much more. */
  hasRoom(gas: bigint): boolean {
    const taken = [...this.#waiting.values()].reduce((sum, waiting) => sum + waiting.gas, this.#underWay);
    return taken + gas <= STRANGERS_GAS;
  }

  /** The node is given one. @returns how to say that it answered */
  give(gas: bigint): () => void {
    this.#underWay += gas;
    return () => void (this.#underWay -= gas);
  }

  add(hash: Hex, gas: bigint, block: number): void {
    this.#waiting.set(hash, { gas, since: block });
  }

  /** Forgets those that are mined or gone, once a block. */
  async sweep(block: number): Promise<void> {
    if (this.#sweptAt === block) return;
    this.#sweptAt = block;
    for (const [hash, { since }] of this.#waiting) {
      const found = (await this.#link.request("eth_getTransactionByHash", [hash])) as { blockNumber?: unknown } | null;
      const pending = found !== null && (found.blockNumber ?? null) === null;
      if (pending && block - since <= MOST_BLOCKS) continue;
      if (pending) await this.#link.request("anvil_dropTransaction", [hash]);
      this.#waiting.delete(hash);
    }
  }

  /** Nothing waits in a node that has just begun. */
  clear(): void {
    this.#waiting.clear();
  }
}

interface Kept {
  readonly raw: Hex;
  readonly gas: bigint;
}

/** What passed of late. */
class KeptTransactions {
  /** By hash, the oldest first. */
  readonly #passed = new Map<Hex, Kept>();
  #characters = 0;

  keep(hash: Hex, kept: Kept): void {
    this.#forget(hash);
    this.#passed.set(hash, kept);
    this.#characters += kept.raw.length;
    for (const oldest of this.#passed.keys()) {
      if (this.#passed.size <= MOST_KEPT && this.#characters <= MOST_CHARACTERS) return;
      this.#forget(oldest);
    }
  }

  all(): [hash: Hex, kept: Kept][] {
    return [...this.#passed];
  }

  #forget(hash: Hex): void {
    this.#characters -= this.#passed.get(hash)?.raw.length ?? 0;
    this.#passed.delete(hash);
  }
}

/** The run's own accounts, and what they sent. */
class OwnAccounts {
  readonly #own = new Set<string>();
  /**
   * One signature at a time is looked at, the rest of the process does its work between two; as many wait for that as the door
   * lets requests be at work.
   */
  readonly #inTurn = pLimit(1);
  /** Of the long ones a single one is among those: a crowd of them is before none that is short. */
  readonly #longInTurn = pLimit(1);

  trust(accounts: readonly Address[]): void {
    for (const account of accounts) this.#own.add(account.toLowerCase());
  }

  /** To find the run's own among those that are too many. */
  sent(raw: Hex): Promise<boolean> {
    return raw.length > hexLength(SHORT_BYTES) ? this.#longInTurn(() => this.#look(raw)) : this.#look(raw);
  }

  #look(raw: Hex): Promise<boolean> {
    return this.#inTurn(async () => {
      await nextTurn();
      try {
        const sender = await recoverTransactionAddress({ serializedTransaction: raw as never });
        return this.#own.has(sender.toLowerCase());
      } catch {
        return false;
      }
    });
  }
}

export function createDoorPool(link: NodeLink): DoorPool {
  const own = new OwnAccounts();
  const waiting = new WaitingGas(link);
  const passed = new KeptTransactions();
  let starts = 0;

  const blockNumber = async (): Promise<number> => Number(await link.request("eth_blockNumber"));
  /** Hands a transaction to the node. @throws NodeError */
  const give = async (raw: Hex, gas: bigint, block: number): Promise<unknown> => {
    const answered = waiting.give(gas);
    try {
      const result = await link.request("eth_sendRawTransaction", [raw]);
      const hash = keccak256(raw);
      waiting.add(hash, gas, block);
      passed.keep(hash, { raw, gas });
      return result;
    } finally {
      answered();
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
    while (!isEnded() && !waiting.hasRoom(gas)) {
      await waiting.sweep(await blockNumber());
      if (!waiting.hasRoom(gas)) await systemClock.sleep(ROOM_EVERY_MS);
    }
  };

  return {
    trust: (accounts) => own.trust(accounts),
    send: async (params) => {
      const [raw] = Array.isArray(params) ? (params as unknown[]) : [];
      const gas = gasOf(raw);
      const block = await blockNumber();
      if (!waiting.hasRoom(gas)) await waiting.sweep(block);
      if (!waiting.hasRoom(gas) && !(await own.sent(raw as Hex))) throw noRoom();
      return give(raw as Hex, gas, block);
    },
    resend: async () => {
      starts += 1;
      const start = starts;
      const isEnded = (): boolean => start !== starts;
      waiting.clear();
      const ours: Kept[] = [];
      const theirs: Kept[] = [];
      for (const [hash, kept] of passed.all()) {
        if (isEnded()) return;
        if ((await link.request("eth_getTransactionReceipt", [hash])) === null)
          ((await own.sent(kept.raw)) ? ours : theirs).push(kept);
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

const noRoom = (): NodeError =>
  new NodeError({
    code: -32_005,
    message: `transactions with ${STRANGERS_GAS} gas in all wait for a block here: try again after the next, with that much at most`,
  });

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
