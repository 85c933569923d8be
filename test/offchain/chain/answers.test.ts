/** The form of an RPC's answers: what is a price, what is a count, and how long the text of an integer may be. */
import { describe, expect, it } from "vitest";

import { checkAnswer } from "../../../offchain/src/chain/answers.ts";

const hash = `0x${"11".repeat(32)}`;
const check = (method: string, answer: unknown): void => checkAnswer("http://127.0.0.1:1", method, answer);
const quantity = (value: bigint): string => `0x${value.toString(16)}`;
/** The text of an integer that takes long to write in decimals, and longer to read. */
const endless = `0x${"f".repeat(10_000)}`;

const transaction = { hash, nonce: "0x1", gas: "0x5208", gasPrice: "0x1", blockNumber: "0x2", value: "0x0", v: "0x1b" };
const log = {
  address: "0x",
  topics: [hash],
  data: "0x",
  blockNumber: "0x1",
  blockHash: hash,
  transactionHash: hash,
  logIndex: "0x0",
};
const receipt = { transactionHash: hash, blockHash: hash, blockNumber: "0x1", status: "0x1", logs: [log] };
const block = { hash, parentHash: hash, number: "0x1", timestamp: "0x1", baseFeePerGas: "0x7", transactions: [hash] };
const filled = { raw: "0x", tx: { nonce: "0x0", gas: "0x5208", maxFeePerGas: "0x2", maxPriorityFeePerGas: "0x1" } };

/** Each place in which an RPC names a price. */
const prices: readonly [method: string, place: string, answer: (price: unknown) => unknown][] = [
  ["eth_gasPrice", "itself", (price) => price],
  ["eth_maxPriorityFeePerGas", "itself", (price) => price],
  ["eth_getBlockByNumber", "baseFeePerGas", (baseFeePerGas) => ({ ...block, baseFeePerGas })],
  ["eth_getBlockByHash", "baseFeePerGas", (baseFeePerGas) => ({ ...block, baseFeePerGas })],
  ...["gasPrice", "maxFeePerGas", "maxPriorityFeePerGas", "maxFeePerBlobGas"].flatMap(
    (name): (typeof prices)[number][] => [
      ["eth_fillTransaction", name, (price) => ({ raw: "0x", tx: { ...filled.tx, [name]: price } })],
      ["eth_getTransactionByHash", name, (price) => ({ ...transaction, [name]: price })],
    ],
  ),
  ["eth_getTransactionReceipt", "effectiveGasPrice", (effectiveGasPrice) => ({ ...receipt, effectiveGasPrice })],
  ["eth_getTransactionReceipt", "blobGasPrice", (blobGasPrice) => ({ ...receipt, blobGasPrice })],
];

/** Each place in which it says how much or which of something is. */
const integers: readonly [method: string, place: string, answer: (text: string) => unknown][] = [
  ...["eth_chainId", "eth_blockNumber", "eth_estimateGas", "eth_getBalance", "eth_getTransactionCount"].map(
    (method): (typeof integers)[number] => [method, "itself", (text) => text],
  ),
  ...["number", "timestamp", "gasLimit", "gasUsed", "size", "difficulty", "totalDifficulty", "blobGasUsed"].map(
    (name): (typeof integers)[number] => ["eth_getBlockByNumber", name, (text) => ({ ...block, [name]: text })],
  ),
  [
    "eth_getBlockByNumber",
    "a transaction's nonce",
    (nonce) => ({ ...block, transactions: [{ ...transaction, nonce }] }),
  ],
  ...["nonce", "gas", "chainId", "value", "v", "transactionIndex"].map((name): (typeof integers)[number] => [
    "eth_getTransactionByHash",
    name,
    (text) => ({ ...transaction, [name]: text }),
  ]),
  ...["blockNumber", "gasUsed", "cumulativeGasUsed", "transactionIndex"].map((name): (typeof integers)[number] => [
    "eth_getTransactionReceipt",
    name,
    (text) => ({ ...receipt, [name]: text }),
  ]),
  ["eth_getTransactionReceipt", "a log's index", (logIndex) => ({ ...receipt, logs: [{ ...log, logIndex }] })],
  ["eth_getLogs", "transactionIndex", (transactionIndex) => [{ ...log, transactionIndex }]],
  ["eth_fillTransaction", "gas", (gas) => ({ raw: "0x", tx: { ...filled.tx, gas } })],
];

const refused = expect.objectContaining({ code: "CHAIN_RPC", retryable: true }) as Error;

describe("an RPC's answer", () => {
  it.each(prices)("to %s names no price above 2^128 wei: %s", (method, _place, answer) => {
    check(method, answer(quantity(2n ** 128n)));
    for (const price of [quantity(2n ** 128n + 1n), quantity(2n ** 256n - 1n), endless, "7", 7])
      expect(() => check(method, answer(price))).toThrow(refused);
  });

  it.each(integers)("to %s has no integer of more digits than 256 bits have: %s", (method, _place, answer) => {
    check(method, answer("0x1"));
    expect(() => check(method, answer(endless))).toThrow(refused);
  });

  it("to what is counted is a number that can be told from the next", () => {
    const most = 2n ** 53n - 1n;
    for (const method of ["eth_chainId", "eth_blockNumber", "eth_estimateGas", "eth_getTransactionCount"]) {
      check(method, quantity(most));
      expect(() => check(method, quantity(most + 1n))).toThrow(refused);
    }
    check("eth_getBalance", quantity(2n ** 256n - 1n));
  });

  it("may lack what it does not have", () => {
    check("eth_getBlockByNumber", {
      ...block,
      baseFeePerGas: undefined,
      transactions: undefined,
      totalDifficulty: null,
    });
    check("eth_getTransactionReceipt", { ...receipt, effectiveGasPrice: null, logs: undefined });
    for (const method of ["eth_getBlockByNumber", "eth_getTransactionByHash", "eth_getTransactionReceipt"])
      check(method, null);
    for (const method of ["eth_gasPrice", "eth_getLogs"]) expect(() => check(method, null)).toThrow(refused);
    expect(() => check("eth_getLogs", [null])).toThrow(refused);
  });
});
