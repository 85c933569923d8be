/** ValidatorSet: who signs for a model. */
import { type Address, type Client, decodeFunctionResult, type Hex } from "viem";
import { readContract } from "viem/actions";
import { validatorSetAbi } from "../abis/index.ts";
import { addressesFor } from "../addresses.ts";
import { withContractErrors } from "../decodeError.ts";
import { type Addressed, callOf, defineWrite, eventOf, type ReadArgs } from "./action.ts";

export interface SetValidatorsArgs extends Addressed {
  readonly modelId: Hex;
  /** Strictly ascending. */
  readonly validators: readonly Address[];
  readonly threshold: number;
}

/** Chooses the next set, which counts after one full window; the timelock's to send. */
export const setValidators = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, modelId, validators, threshold }: SetValidatorsArgs) =>
    callOf(addresses.validatorSet, validatorSetAbi, "setValidators", [modelId, validators, threshold]),
  decode: (data) => decodeFunctionResult({ abi: validatorSetAbi, functionName: "setValidators", data }),
  extractEvent: (receipt) => eventOf(receipt, validatorSetAbi, "ValidatorsSet"),
});

const contract = (client: Client, { addresses, blockNumber }: ReadArgs<object>) => ({
  abi: validatorSetAbi,
  address: addressesFor(client, addresses).validatorSet,
  ...(blockNumber === undefined ? {} : { blockNumber }),
});

/** Version of the set in force; 0 for a model that does not exist. */
export const currentSetVersion = (client: Client, args: ReadArgs<{ readonly modelId: Hex }>): Promise<number> =>
  withContractErrors(
    readContract(client, { ...contract(client, args), functionName: "currentVersion", args: [args.modelId] }),
  );

export interface ValidatorSet {
  readonly version: number;
  /** Ascending. */
  readonly validators: readonly Address[];
  /** Signatures needed. */
  readonly threshold: number;
  /** From when on the set counts, chain seconds. */
  readonly effectiveAt: number;
}

/** A set; the one in force if no version is given. @throws ValidatorSetUnknownVersionError */
export async function setOf(
  client: Client,
  args: ReadArgs<{ readonly modelId: Hex; readonly version?: number }>,
): Promise<ValidatorSet> {
  const version = args.version ?? (await currentSetVersion(client, args));
  const [validators, threshold, effectiveAt] = await withContractErrors(
    readContract(client, { ...contract(client, args), functionName: "setOf", args: [args.modelId, version] }),
  );
  return { version, validators, threshold, effectiveAt };
}

/** How many members of a set signed a digest. @throws ValidatorSetBadSignerError */
export async function countSigners(
  client: Client,
  args: ReadArgs<{
    readonly modelId: Hex;
    readonly version: number;
    readonly digest: Hex;
    /** By ascending signer. */
    readonly signatures: readonly Hex[];
  }>,
): Promise<{ readonly count: number; readonly size: number }> {
  const [count, size] = await withContractErrors(
    readContract(client, {
      ...contract(client, args),
      functionName: "countSigners",
      args: [args.modelId, args.version, args.digest, args.signatures],
    }),
  );
  return { count: Number(count), size: Number(size) };
}
