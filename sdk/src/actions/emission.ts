/** Emission: epochs, budgets, and what may still be minted. */
import type { Client, Hex } from "viem";
import { readContract } from "viem/actions";
import { emissionAbi } from "../abis/index.ts";
import { addressesFor } from "../addresses.ts";
import { withContractErrors } from "../decodeError.ts";
import { type Addressed, callOf, defineWrite, eventOf, nothing, type ReadArgs } from "./action.ts";
import type { ModelArgs } from "./models.ts";

export interface SetBudgetArgs extends Addressed {
  readonly modelId: Hex;
  /** Share wei. */
  readonly perEpoch: bigint;
  /** Compute, code, capital, treasury; sums to 10,000. */
  readonly bps: readonly [number, number, number, number];
}

/** Sets the budget from the next epoch on; the timelock's to send. */
export const setBudget = /* @__PURE__ */ defineWrite({
  addressed: true,
  call: ({ addresses, modelId, perEpoch, bps }: SetBudgetArgs) =>
    callOf(addresses.emission, emissionAbi, "setBudget", [modelId, perEpoch, bps]),
  decode: nothing,
  extractEvent: (receipt) => eventOf(receipt, emissionAbi, "BudgetSet"),
});

const contract = (client: Client, { addresses, blockNumber }: ReadArgs<object>) => ({
  abi: emissionAbi,
  address: addressesFor(client, addresses).emission,
  ...(blockNumber === undefined ? {} : { blockNumber }),
});

/** Epoch of a time (chain seconds), counted from 1; 0 before the model's creation. */
export const epochOf = (client: Client, args: ReadArgs<ModelArgs & { readonly timestamp: number }>): Promise<bigint> =>
  withContractErrors(
    readContract(client, { ...contract(client, args), functionName: "epochOf", args: [args.modelId, args.timestamp] }),
  );

/** Chain time at which an epoch is over. */
export const epochEnd = (client: Client, args: ReadArgs<ModelArgs & { readonly epoch: bigint }>): Promise<number> =>
  withContractErrors(
    readContract(client, { ...contract(client, args), functionName: "epochEnd", args: [args.modelId, args.epoch] }),
  );

export interface AuthorisableArgs extends ModelArgs {
  /** `rewardKind` of the protocol. */
  readonly kind: number;
  /** First and last epoch. */
  readonly from: bigint;
  readonly to: bigint;
  /** Time at which the epochs' age is judged: an attestation's deadline. */
  readonly asOf: number;
}

/** What may still be authorised for a kind on account of some epochs, in share wei. */
export const authorisable = (client: Client, args: ReadArgs<AuthorisableArgs>): Promise<bigint> =>
  withContractErrors(
    readContract(client, {
      ...contract(client, args),
      functionName: "authorisable",
      args: [args.modelId, args.kind, args.from, args.to, args.asOf],
    }),
  );

/** The budget in force in an epoch; all zero for epoch 0. */
export const budgetOf = (client: Client, args: ReadArgs<ModelArgs & { readonly epoch: bigint }>) =>
  withContractErrors(
    readContract(client, { ...contract(client, args), functionName: "budgetOf", args: [args.modelId, args.epoch] }),
  );

/** The last epoch on whose account a kind was authorised. */
export const authorisedThrough = (
  client: Client,
  args: ReadArgs<ModelArgs & { readonly kind: number }>,
): Promise<bigint> =>
  withContractErrors(
    readContract(client, {
      ...contract(client, args),
      functionName: "authorisedThrough",
      args: [args.modelId, args.kind],
    }),
  );
