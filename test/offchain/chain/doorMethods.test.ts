/** Which overrides a call at the embedded chain's door may have. */
import { expect, it } from "vitest";

import { boundedParams } from "../../../offchain/src/chain/doorMethods.ts";

const account = `0x${"aa".repeat(20)}`;
const word = (n: number): string => `0x${n.toString(16).padStart(64, "0")}`;
const diffOf = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [word(i), word(1)]));
const callWith = (...more: readonly unknown[]) => [{ to: account }, "latest", ...more];

it("a few words of storage are passed on", () => {
  for (const overrides of [{ [account]: { stateDiff: diffOf(64) } }, { [account]: { stateDiff: {} } }, {}])
    expect(boundedParams("eth_call", callWith(overrides))).toEqual(callWith(overrides));
});

const [one, half] = [diffOf(1), diffOf(33)];
it.each([
  ["more words", { [account]: { stateDiff: diffOf(65) } }],
  ["more words of two accounts", { [account]: { stateDiff: half }, [`0x${"bb".repeat(20)}`]: { stateDiff: half } }],
  ["code beside them", { [account]: { stateDiff: one, code: "0x00" } }],
  ["code that is called otherwise", { [account]: { code: one } }],
  ["a whole storage", { [account]: { state: one } }],
  ["coins", { [account]: { balance: "0x1" } }],
  ["a word that is short", { [account]: { stateDiff: { [word(0)]: "0x01" } } }],
  ["a word that is none", { [account]: { stateDiff: { [word(0)]: [word(1)] } } }],
  ["a slot that is short", { [account]: { stateDiff: { "0x0": word(1) } } }],
  ["a list", { [account]: { stateDiff: [word(1)] } }],
  ["an account that is none", { "0xaa": { stateDiff: one } }],
  ["an account without any", { [account]: {} }],
  ["nothing of an account", { [account]: null }],
  ["a list of accounts", [{ stateDiff: one }]],
  ["nothing", null],
])("%s is not", (_, overrides) => {
  expect(() => boundedParams("eth_call", callWith(overrides))).toThrow("takes no overrides here but a few words");
});

it("nor are they for what is no call, nor a block's overrides", () => {
  const told = { [account]: { stateDiff: one } };
  for (const method of ["eth_estimateGas", "eth_createAccessList"])
    expect(() => boundedParams(method, callWith(told))).toThrow(`${method} takes no overrides here`);
  expect(() => boundedParams("eth_call", callWith(told, {}))).toThrow("takes no overrides here");
});
