/** From what viem, ethers or a node throws to the contract's own error: reverts from deep inside a proposal included. */
import { decodeErrorResult, type Hex } from "viem";
import { errorsAbi } from "./abis/index.ts";
import { CotrainError } from "./baseErrors.ts";
import * as contractErrors from "./contractErrors/index.ts";
import { ContractError } from "./contractErrors/index.ts";

type AnyClass = new (args: readonly unknown[], options: { readonly cause?: unknown }) => ContractError;

const classes: ReadonlyMap<string, AnyClass> = new Map(
  Object.values(contractErrors as Readonly<Record<string, unknown>>).flatMap((value) =>
    typeof value === "function" && "errorName" in value && typeof value.errorName === "string"
      ? [[value.errorName, value as unknown as AnyClass]]
      : [],
  ),
);

const revertPattern = /^0x([0-9a-f]{2})+$/i;

/** Fields under which libraries and nodes hide the answer of the node. */
const nested = ["data", "raw", "cause", "error", "info", "result"] as const;

/** Return data of the revert behind an error, wherever a library has put it. */
export function revertDataOf(error: unknown): Hex | undefined {
  const seen = new Set<object>();
  const search = (value: unknown): Hex | undefined => {
    if (typeof value !== "object" || value === null || seen.has(value)) return undefined;
    seen.add(value);
    const fields = value as Readonly<Record<string, unknown>>;
    for (const key of nested) {
      const field = fields[key];
      if ((key === "data" || key === "raw") && typeof field === "string" && revertPattern.test(field))
        return field as Hex;
      const found = search(field);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return search(error);
}

/** Characters that are told of what a contract says in words of its own. */
const MOST_SAID = 200;

/** Those words as part of a sentence: whoever made the contract wrote them, of any length and with whatever moves a cursor. */
function saidText(words: string): string {
  const cut = words.length > MOST_SAID ? `${words.slice(0, MOST_SAID)}…` : words;
  return JSON.stringify(cut.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, "\uFFFD"));
}

/** The error that return data stands for; undefined for data of no known error. */
export function decodeRevertData(data: Hex, cause?: unknown): ContractError | undefined {
  let decoded: { readonly errorName: string; readonly args?: readonly unknown[] | undefined };
  try {
    decoded = decodeErrorResult({ abi: errorsAbi, data });
  } catch {
    return undefined;
  }
  const { errorName, args = [] } = decoded;
  const options = cause === undefined ? {} : { cause };
  const Class = classes.get(errorName);
  if (Class) return new Class(args, options);
  const sentence =
    errorName === "Panic"
      ? `The contract failed an internal check (panic ${String(args[0])}).`
      : `The contract, or one that it calls, refused in words of its own: ${saidText(String(args[0]))}.`;
  return new ContractError(errorName, args, sentence, options);
}

/** The contract's error behind an error of viem, of ethers or of a node; undefined where there is none. */
export function decodeError(error: unknown): ContractError | undefined {
  if (error instanceof ContractError) return error;
  const data = revertDataOf(error);
  return data === undefined ? undefined : decodeRevertData(data, error);
}

/** Awaits a call to the chain and throws the contract's error instead of the library's, where there is one. */
export async function withContractErrors<T>(promise: Promise<T>): Promise<T> {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof CotrainError) throw error;
    throw decodeError(error) ?? error;
  }
}
