/** Which methods the door lets through, and with which parameters: what costs the node far more than the asking is bounded. */
import { toHex } from "viem";

import { BLOCK_GAS_LIMIT } from "./doorPool.ts";
import { NodeError } from "./nodeLink.ts";

/**
 * What an ordinary RPC answers and wallets, explorers and libraries ask. Nothing of anvil_*, evm_*, hardhat_*, debug_*, and no
 * filters, which the node keeps for whoever makes them: libraries watch events by eth_getLogs instead.
 */
export const PUBLIC_METHODS: ReadonlySet<string> = new Set([
  "eth_blockNumber",
  "eth_call",
  "eth_chainId",
  "eth_createAccessList",
  "eth_estimateGas",
  "eth_feeHistory",
  "eth_gasPrice",
  "eth_getBalance",
  "eth_getBlockByHash",
  "eth_getBlockByNumber",
  "eth_getBlockReceipts",
  "eth_getBlockTransactionCountByHash",
  "eth_getBlockTransactionCountByNumber",
  "eth_getCode",
  "eth_getLogs",
  "eth_getProof",
  "eth_getStorageAt",
  "eth_getTransactionByBlockHashAndIndex",
  "eth_getTransactionByBlockNumberAndIndex",
  "eth_getTransactionByHash",
  "eth_getTransactionCount",
  "eth_getTransactionReceipt",
  "eth_maxPriorityFeePerGas",
  "eth_sendRawTransaction",
  "eth_syncing",
  "net_listening",
  "net_version",
  "web3_clientVersion",
]);

/** Those that run a transaction without sending it. */
const TRIAL_METHODS: ReadonlySet<string> = new Set(["eth_call", "eth_createAccessList", "eth_estimateGas"]);
/** What wallets ask is less than this; each block's entry in the answer is as long as its percentiles. */
const MAX_FEE_BLOCKS = 100;
const MAX_FEE_PERCENTILES = 10;
const MAX_PROOF_KEYS = 64;
/** Words of storage that a call may be told otherwise: what holders would decide is rehearsed with one for each of their calls. */
const MAX_DIFF_WORDS = 64;
const ACCOUNT = /^0x[\da-f]{40}$/i;
const WORD = /^0x[\da-f]{64}$/i;

const entriesOf = (value: unknown): readonly (readonly [string, unknown])[] | undefined =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? Object.entries(value) : undefined;

/** Whether overrides are a few words of storage and nothing else: no code that nobody deployed, no coins, and no whole storage. */
function areWords(overrides: unknown): boolean {
  let words = 0;
  const isDiff = ([account, override]: readonly [string, unknown]): boolean => {
    const kinds = entriesOf(override) ?? [];
    const entries = kinds.length === 1 && kinds[0]?.[0] === "stateDiff" ? entriesOf(kinds[0][1]) : undefined;
    words += entries?.length ?? 0;
    return (
      entries !== undefined &&
      ACCOUNT.test(account) &&
      words <= MAX_DIFF_WORDS &&
      entries.every(([slot, word]) => WORD.test(slot) && typeof word === "string" && WORD.test(word))
    );
  };
  const all = entriesOf(overrides);
  return all !== undefined && all.length <= MAX_DIFF_WORDS && all.every(isDiff);
}

/**
 * What a trial may say: a transaction with no more gas than a block has, and a block. Overrides would let it run code that
 * nobody deployed, but for a few words of storage of what a call reads.
 * @returns the parameters for the node
 */
function trialParams(method: string, params: unknown): readonly unknown[] {
  const [call, ...rest] = Array.isArray(params) ? (params as unknown[]) : [];
  const refuse = (why: string): NodeError => new NodeError({ code: -32_602, message: `${method} ${why}` });
  if (typeof call !== "object" || call === null) throw refuse("takes a transaction and a block");
  const [, overrides, ...more] = rest;
  if (more.length > 0 || (rest.length > 1 && !(method === "eth_call" && areWords(overrides))))
    throw refuse(
      method === "eth_call" ? "takes no overrides here but a few words of storage" : "takes no overrides here",
    );
  // The node knows both names.
  const { gas, gasLimit, ...others } = call as Readonly<Record<string, unknown>>;
  const named = gas ?? gasLimit ?? undefined;
  if (named === undefined) return [others, ...rest];
  if (typeof named !== "string" || !/^0x[\da-f]{1,64}$/i.test(named)) throw refuse("takes gas as a number in hex");
  return [{ ...others, gas: BigInt(named) > BLOCK_GAS_LIMIT ? toHex(BLOCK_GAS_LIMIT) : named }, ...rest];
}

const badParams = (message: string): NodeError => new NodeError({ code: -32_602, message });

/** An answer may have fewer blocks than were asked for. */
function feeParams(params: unknown): readonly unknown[] {
  const [blocks, newest, percentiles] = Array.isArray(params) ? (params as unknown[]) : [];
  if (!["string", "number"].includes(typeof blocks) || !/^(0x[\da-f]{1,16}|\d{1,16})$/i.test(String(blocks)))
    throw badParams("eth_feeHistory takes a number of blocks");
  const isList = Array.isArray(percentiles);
  if ((!isList && percentiles != null) || (isList && percentiles.length > MAX_FEE_PERCENTILES))
    throw badParams(`eth_feeHistory takes ${MAX_FEE_PERCENTILES} percentiles at most`);
  return [toHex(Math.min(Number(blocks), MAX_FEE_BLOCKS)), newest, percentiles ?? []];
}

function proofParams(params: unknown): unknown {
  const keys: unknown = Array.isArray(params) ? params[1] : undefined;
  if (Array.isArray(keys) && keys.length <= MAX_PROOF_KEYS) return params;
  throw badParams(`eth_getProof takes a list of ${MAX_PROOF_KEYS} keys at most`);
}

/** @returns the parameters for the node. @throws NodeError */
export function boundedParams(method: string, params: unknown): unknown {
  if (TRIAL_METHODS.has(method)) return trialParams(method, params);
  if (method === "eth_feeHistory") return feeParams(params);
  return method === "eth_getProof" ? proofParams(params) : params;
}
