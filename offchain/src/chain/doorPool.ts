/**
 * Transactions that strangers send to the embedded chain. What of theirs waits for a block has a third of its gas at most, so that
 * they neither raise the price of gas, which goes up where blocks are more than half full, nor keep the run's own out.
 */
import pLimit from "p-limit";
import { type Address, type Hex, keccak256, parseTransaction, recoverTransactionAddress } from "viem";

import { type NodeLink, NodeError } from "./nodeLink.ts";

/** What a block of the embedded chain may use. Left alone, a trial that is given more goes on for as long. */
export const BLOCK_GAS_LIMIT = 30_000_000n;
const STRANGERS_GAS = BLOCK_GAS_LIMIT / 3n;
/** Blocks that one of theirs may wait: one that cannot be mined must not hold up others. */
const MOST_BLOCKS = 20;

export interface DoorPool {
  /** Whose transactions are the run's own: as many as there are. */
  trust(accounts: readonly Address[]): void;
  /**
   * `eth_sendRawTransaction`.
   * @throws NodeError
   */
  send(params: unknown): Promise<unknown>;
}

interface Waiting {
  readonly gas: bigint;
  /** The block after which it came. */
  readonly since: number;
}

export function createDoorPool(link: NodeLink): DoorPool {
  const own = new Set<string>();
  const waiting = new Map<Hex, Waiting>();
  /** Gas of those that the node was given and has not answered. */
  let underWay = 0n;
  /** One signature at a time is looked at; as many wait for that as the door lets requests be at work. */
  const inTurn = pLimit(1);
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
  /** To find the run's own among those that are too many. */
  const isOwn = (raw: Hex): Promise<boolean> =>
    inTurn(async () => {
      try {
        return own.has((await recoverTransactionAddress({ serializedTransaction: raw as never })).toLowerCase());
      } catch {
        return false;
      }
    });

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
      underWay += gas;
      try {
        const result = await link.request("eth_sendRawTransaction", [raw]);
        waiting.set(keccak256(raw as Hex), { gas, since: block });
        return result;
      } finally {
        underWay -= gas;
      }
    },
  };
}

/** What a signed transaction may use. @throws NodeError */
function gasOf(raw: unknown): bigint {
  try {
    const { gas } = parseTransaction(raw as Hex);
    if (gas !== undefined) return gas;
  } catch {
    // Below.
  }
  throw new NodeError({ code: -32_602, message: "eth_sendRawTransaction takes one signed transaction" });
}
