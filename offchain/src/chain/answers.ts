/**
 * The form of an RPC's answers, held before viem reads them: it takes `null` for 0 where a number is due, takes numbers of any length,
 * and fails in its own words elsewhere. What may be missing (a block, a receipt, a transaction) may be null. Every price of the chain
 * comes through here, and none is above {@link MOST_PRICE}.
 */
import { redactUrl, RetryableError } from "../base/index.ts";

type Form = (value: unknown) => boolean;

/** Wei a gas: what none of a chain comes near, and what a sum of fees in 256 bits has room for. */
const MOST_PRICE = 2n ** 128n;

const isQuantity = (value: unknown): value is string =>
  typeof value === "string" && /^0x[0-9a-fA-F]{1,64}$/.test(value);
/** What is read as a number: of blocks, of seconds, of transactions, of gas. */
const isCount: Form = (value) => isQuantity(value) && Number.isSafeInteger(Number(value));
const isPrice: Form = (value) => isQuantity(value) && BigInt(value) <= MOST_PRICE;
/** What viem reads as an integer and nobody looks at: it may be missing, and is not longer than an integer's text. */
const isShort: Form = (value) =>
  value === undefined ||
  value === null ||
  typeof value === "number" ||
  (typeof value === "string" && value.length <= 66);
const isData = (value: unknown): boolean =>
  typeof value === "string" && /^0x[0-9a-fA-F]*$/.test(value) && value.length % 2 === 0;
const isHash = (value: unknown): boolean => typeof value === "string" && /^0x[0-9a-fA-F]{64}$/.test(value);

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
/** An object with these fields at least, or nothing. */
const record =
  (fields: Readonly<Record<string, Form>>): Form =>
  (value) =>
    value === null || (isObject(value) && Object.entries(fields).every(([name, form]) => form(value[name])));

/** What may be missing. */
const optional =
  (form: Form): Form =>
  (value) =>
    value === undefined || value === null || form(value);
const listOf =
  (form: Form): Form =>
  (values) =>
    Array.isArray(values) && values.every((value) => value !== null && form(value));
const short = (...names: readonly string[]): Readonly<Record<string, Form>> =>
  Object.fromEntries(names.map((name) => [name, isShort]));

const filled = record({
  ...short("blockNumber", "blockTimestamp", "transactionIndex", "value", "v", "yParity"),
  chainId: optional(isCount),
  nonce: optional(isCount),
  gas: optional(isCount),
  gasPrice: optional(isPrice),
  maxFeePerGas: optional(isPrice),
  maxPriorityFeePerGas: optional(isPrice),
  maxFeePerBlobGas: optional(isPrice),
});
const transaction: Form = (value) => record({ hash: isHash })(value) && filled(value);
const block = record({
  ...short("blobGasUsed", "difficulty", "excessBlobGas", "gasLimit", "gasUsed", "size", "totalDifficulty"),
  hash: isHash,
  parentHash: isHash,
  number: isCount,
  timestamp: isCount,
  baseFeePerGas: optional(isPrice),
  transactions: optional(listOf((each) => isHash(each) || transaction(each))),
});
const log = record({
  ...short("blockTimestamp", "transactionIndex"),
  address: isData,
  topics: listOf(isHash),
  data: isData,
  blockNumber: isCount,
  blockHash: isHash,
  transactionHash: isHash,
  logIndex: isCount,
});
const receipt = record({
  ...short("blobGasUsed", "cumulativeGasUsed", "gasUsed", "transactionIndex"),
  transactionHash: isHash,
  blockHash: isHash,
  blockNumber: isCount,
  status: isQuantity,
  effectiveGasPrice: optional(isPrice),
  blobGasPrice: optional(isPrice),
  logs: optional(listOf(log)),
});

/** By method. Others are held to what viem makes of them. */
const forms: Readonly<Record<string, Form>> = {
  eth_chainId: isCount,
  eth_blockNumber: isCount,
  eth_gasPrice: isPrice,
  eth_maxPriorityFeePerGas: isPrice,
  eth_estimateGas: isCount,
  eth_getBalance: isQuantity,
  eth_getTransactionCount: isCount,
  eth_call: isData,
  eth_getCode: isData,
  eth_sendRawTransaction: isHash,
  eth_getBlockByNumber: block,
  eth_getBlockByHash: block,
  eth_getTransactionByHash: transaction,
  eth_getTransactionReceipt: receipt,
  eth_fillTransaction: record({ tx: filled }),
  eth_getLogs: listOf(log),
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
