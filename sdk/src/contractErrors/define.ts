/** What a class for a custom error is made of, and the words that its sentences share. */
import type { AbiParametersToPrimitiveTypes, ExtractAbiError, ExtractAbiErrorNames } from "abitype";
import { formatUnits, type Hex, hexToString } from "viem";
import type { errorsAbi } from "../abis/index.ts";
import { nameOfCode, rewardKind } from "../protocol/codes.ts";
import { CotrainError, type CotrainErrorOptions } from "../baseErrors.ts";

export type ContractErrorName = ExtractAbiErrorNames<typeof errorsAbi>;

/** Arguments of an error, in the order of its declaration. */
export type ContractErrorArgs<N extends ContractErrorName> = AbiParametersToPrimitiveTypes<
  ExtractAbiError<typeof errorsAbi, N>["inputs"]
>;

/** A contract refused. `errorName` is the contract's own name for it; `Error` and `Panic` are Solidity's. */
export class ContractError extends CotrainError {
  override readonly name: string = "ContractError";
  readonly errorName: string;
  readonly args: readonly unknown[];

  constructor(errorName: string, args: readonly unknown[], message: string, options: CotrainErrorOptions = {}) {
    const code = errorName.replace(/(?<=[a-z0-9])(?=[A-Z])/g, "_").toUpperCase();
    super(code, message, { ...options, details: { ...options.details, revert: errorName } });
    this.errorName = errorName;
    this.args = args;
  }
}

/** A class of `ContractError` for one custom error. */
export interface ContractErrorClass<N extends ContractErrorName> {
  new (args: ContractErrorArgs<N>, options?: CotrainErrorOptions): ContractError & { readonly errorName: N };
  readonly errorName: N;
}

/** Makes the class of one custom error. @param sentence what it says to a user, of its arguments */
export function define<N extends ContractErrorName>(
  errorName: N,
  sentence: (...args: ContractErrorArgs<N>) => string,
  retryable = false,
): ContractErrorClass<N> {
  const Class = class extends ContractError {
    static readonly errorName = errorName;
    override readonly name = `${errorName}Error`;
    declare readonly errorName: N;

    constructor(args: ContractErrorArgs<N>, options: CotrainErrorOptions = {}) {
      super(errorName, args, sentence(...args), { retryable, ...options });
    }
  };
  return Object.defineProperty(Class, "name", { value: `${errorName}Error` });
}

/** The latest time that JavaScript's dates can say. */
const LAST_SECOND = 8_640_000_000_000;
/** A chain time in words; a node may claim any number to be one. */
export const time = (seconds: bigint | number): string =>
  Number(seconds) <= LAST_SECOND ? new Date(Number(seconds) * 1_000).toISOString() : `second ${seconds}`;
export const shares = (amount: bigint): string => `${formatUnits(amount, 18)} shares`;
/** What is paid for, by its code in the contracts. */
export const kindOf = (kind: number): string => nameOfCode(rewardKind, kind) ?? String(kind);
/** An amount of the chain's coin. */
export const coins = (amount: bigint): string => `${formatUnits(amount, 18)} coins`;
/** A name that a contract gives as bytes32. */
export const word = (hex: Hex): string => hexToString(hex, { size: 32 });
