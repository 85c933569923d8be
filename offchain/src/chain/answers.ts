/**
 * The form of an RPC's answers, held before viem reads them: it takes `null` for 0 where a number is due, and fails in its own
 * words elsewhere. What may be missing (a block, a receipt, a transaction) may be null.
 */
import { redactUrl, RetryableError } from "../base/index.ts";

const isQuantity = (value: unknown): boolean => typeof value === "string" && /^0x[0-9a-fA-F]{1,64}$/.test(value);
const isData = (value: unknown): boolean =>
  typeof value === "string" && /^0x[0-9a-fA-F]*$/.test(value) && value.length % 2 === 0;
const isHash = (value: unknown): boolean => typeof value === "string" && /^0x[0-9a-fA-F]{64}$/.test(value);
type Form = (value: unknown) => boolean;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
/** An object with these fields at least, or nothing. */
const record =
  (fields: Readonly<Record<string, Form>>): Form =>
  (value) =>
    value === null || (isObject(value) && Object.entries(fields).every(([name, form]) => form(value[name])));

const block = record({ hash: isHash, parentHash: isHash, number: isQuantity, timestamp: isQuantity });
const log = record({
  address: isData,
  topics: (topics) => Array.isArray(topics) && topics.every(isHash),
  data: isData,
  blockNumber: isQuantity,
  blockHash: isHash,
  transactionHash: isHash,
  logIndex: isQuantity,
});

/** By method. Others are held to what viem makes of them. */
const forms: Readonly<Record<string, Form>> = {
  eth_chainId: isQuantity,
  eth_blockNumber: isQuantity,
  eth_gasPrice: isQuantity,
  eth_maxPriorityFeePerGas: isQuantity,
  eth_estimateGas: isQuantity,
  eth_getBalance: isQuantity,
  eth_getTransactionCount: isQuantity,
  eth_call: isData,
  eth_getCode: isData,
  eth_sendRawTransaction: isHash,
  eth_getBlockByNumber: block,
  eth_getBlockByHash: block,
  eth_getTransactionByHash: record({ hash: isHash }),
  eth_getTransactionReceipt: record({
    transactionHash: isHash,
    blockHash: isHash,
    blockNumber: isQuantity,
    status: isQuantity,
  }),
  eth_getLogs: (logs) => Array.isArray(logs) && logs.every((each) => each !== null && log(each)),
};

/** @throws RetryableError `CHAIN_RPC` for an answer that is none */
export function checkAnswer(url: string, method: string, answer: unknown): void {
  const form = forms[method];
  if (!form || form(answer)) return;
  throw new RetryableError(
    "CHAIN_RPC",
    `The chain's RPC at ${redactUrl(url)} answered ${method} with ${answer === null ? "null" : "what is no answer to it"}: it is asked again.`,
  );
}
