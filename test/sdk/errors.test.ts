import { BaseError, encodeErrorResult, type Hex, RpcRequestError } from "viem";
import { describe, expect, it } from "vitest";
import { errorsAbi } from "@cotrain/sdk/abis";
import * as errors from "@cotrain/sdk/errors";

/** A plausible argument of each type that custom errors have. */
function sampleOf(type: string): unknown {
  if (type === "bytes32") return `0x${"00".repeat(31)}05`;
  if (type === "bytes4") return "0x00000005";
  if (type === "address") return "0x00000000000000000000000000000000000000AA";
  if (type === "string") return "text";
  return Number(type.slice("uint".length)) <= 48 ? 3 : 3n;
}

const encode = (item: (typeof errorsAbi)[number]): Hex =>
  encodeErrorResult({
    abi: [item],
    errorName: item.name,
    args: item.inputs.map((input) => sampleOf(input.type)) as never,
  });

describe("every custom error of the contracts", () => {
  it.each(errorsAbi.map((item) => [item.name, item] as const))("%s has a class and one sentence", (name, item) => {
    const exported: Readonly<Record<string, unknown>> = errors;
    const error = errors.decodeRevertData(encode(item));
    expect(error).toBeInstanceOf(exported[`${name}Error`]);
    expect(error).toBeInstanceOf(errors.ContractError);
    expect(error).toMatchObject({ name: `${name}Error`, errorName: name, details: { revert: name } });
    expect(error?.code).toMatch(/^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$/);
    expect(error?.message).toMatch(/^[A-Z0-9].*\.$/);
    expect(error?.message).not.toMatch(/undefined|NaN|\[object/);
  });

  it("has a code of its own", () => {
    const codes = errorsAbi.map((item) => errors.decodeRevertData(encode(item))?.code);
    expect(new Set(codes).size).toBe(errorsAbi.length);
  });
});

describe("reverts", () => {
  const item = errorsAbi.find((each) => each.name === "ComputeRewardsWindowOpen")!;
  const data = encode(item);

  it.each([
    [
      "viem's errors",
      new BaseError("x", { cause: new RpcRequestError({ body: {}, url: "", error: { code: 3, message: "", data } }) }),
    ],
    ["ethers' errors", { code: "CALL_EXCEPTION", data }],
    [
      "ethers' errors with the node's inside",
      { code: "CALL_EXCEPTION", data: null, info: { error: { code: 3, data } } },
    ],
    ["nodes that nest them", { code: -32603, data: { message: "reverted", data } }],
    ["nodes that nest them deeper", { error: { data: { result: { data } } } }],
  ])("are found in %s", (_, error) => {
    expect(errors.revertDataOf(error)).toBe(data);
    expect(errors.decodeError(error)).toBeInstanceOf(errors.ComputeRewardsWindowOpenError);
    expect(errors.decodeError(error)?.cause).toBe(error);
  });

  it("name a time that no date can say as the number that it is", () => {
    const expired = errorsAbi.find((each) => each.name === "ComputeRewardsExpired")!;
    const encoded = encodeErrorResult({ abi: [expired], errorName: expired.name, args: [2n ** 64n - 1n] as never });
    expect(errors.decodeRevertData(encoded)?.message).toContain("second 18446744073709551615");
  });

  it("are not found where there are none", () => {
    const cyclic: Record<string, unknown> = {};
    cyclic["cause"] = cyclic;
    for (const error of [undefined, null, "text", {}, { data: "0x" }, { data: "text" }, cyclic, { data: "0xdeadbeef" }])
      expect(errors.decodeError(error)).toBeUndefined();
  });

  it("of Solidity itself keep their reason", () => {
    const message = encodeErrorResult({
      abi: [{ type: "error", name: "Error", inputs: [{ name: "", type: "string" }] }],
      args: ["no"],
    });
    expect(errors.decodeRevertData(message)).toMatchObject({
      errorName: "Error",
      message: 'The contract, or one that it calls, refused in words of its own: "no".',
    });
    const panic = encodeErrorResult({
      abi: [{ type: "error", name: "Panic", inputs: [{ name: "", type: "uint256" }] }],
      args: [17n],
    });
    expect(errors.decodeRevertData(panic)).toMatchObject({
      errorName: "Panic",
      message: "The contract failed an internal check (panic 17).",
    });
  });

  it("in a contract's own words are told to a bounded length, without what moves a cursor or turns the text", () => {
    const abi = [{ type: "error", name: "Error", inputs: [{ name: "", type: "string" }] }] as const;
    const words = `\u001b[2J\u202e"All is well."\n${"x".repeat(1_000_000)}`;
    expect(errors.decodeRevertData(encodeErrorResult({ abi, args: [words] }))?.message).toBe(
      `The contract, or one that it calls, refused in words of its own: "\uFFFD[2J\uFFFD\\"All is well.\\"\uFFFD${"x".repeat(180)}…".`,
    );
  });

  it("are thrown in place of the library's error, which stays for everything else", async () => {
    const known = { data };
    await expect(errors.withContractErrors(Promise.reject(known))).rejects.toBeInstanceOf(
      errors.ComputeRewardsWindowOpenError,
    );
    const other = { data: "0x" };
    await expect(errors.withContractErrors(Promise.reject(other))).rejects.toBe(other);
    const own = new errors.AccountMissingError();
    await expect(errors.withContractErrors(Promise.reject(own))).rejects.toBe(own);
    await expect(errors.withContractErrors(Promise.resolve(1))).resolves.toBe(1);
  });
});
