/** What a model's holders let others spend from its treasury, as the chain tells it. Amounts are in the token's smallest units. */
import {
  computeBudgetCount,
  computeBudgetLeft,
  computeBudgetOf,
  computeBudgetOpened,
  computeBudgetSpent,
  type ComputeBudgetState,
  getAllLogs,
} from "@cotrain/sdk/actions";
import { type Address, asAddress, type Hex } from "@cotrain/sdk/protocol";
import { erc20Abi } from "viem";

import { UserError } from "../base/index.ts";
import { type CapitalToken, tokenAt } from "./capital.ts";
import { contractAt, type ContractsPlace } from "./contracts.ts";
import { isNobody } from "./shares.ts";

/** Where budgets are looked for. */
export interface BudgetsPlace extends ContractsPlace {
  /** Block at or before the contract's first. */
  readonly fromBlock: number;
}

/** A budget as it stands, and what it may still spend. */
export interface Spending {
  readonly id: bigint;
  readonly state: ComputeBudgetState;
  readonly token: CapitalToken;
  /** In this epoch, whatever the treasury has. */
  readonly left: bigint;
}

/** What the treasury has of a token, and lets ComputeBudget move. */
export interface Funds {
  readonly token: CapitalToken;
  readonly balance: bigint;
  readonly allowance: bigint;
}

/** One payment, of the public record. */
export interface Payment {
  readonly epoch: bigint;
  readonly amount: bigint;
  readonly memo: string;
  readonly transaction: Hex;
}

/** @throws UserError `BUDGETS_NONE` where the deployment has no ComputeBudget; as {@link contractAt} */
export async function budgetsContractOf(place: ContractsPlace): Promise<Address> {
  const budgets = await contractAt(place, "computeBudget");
  if (!isNobody(budgets)) return budgets;
  throw new UserError("BUDGETS_NONE", "The contracts of this run let nobody spend from a treasury.");
}

/** What the model's treasury has of a token. */
export async function fundsOf(place: BudgetsPlace, budgets: Address, token: CapitalToken): Promise<Funds> {
  const { connection } = place;
  const treasury = await contractAt(place, "timelock");
  const read = { address: token.address, abi: erc20Abi } as const;
  const [balance, allowance] = await connection.call((client) =>
    Promise.all([
      client.readContract({ ...read, functionName: "balanceOf", args: [treasury] }),
      client.readContract({ ...read, functionName: "allowance", args: [treasury, budgets] }),
    ]),
  );
  return { token, balance, allowance };
}

/** Budgets of a model that are read; each takes a vote of the holders. */
const MOST_BUDGETS = 1_024n;

/**
 * Budgets of a model, oldest first; each costs two requests and what its token says of itself.
 * @throws UserError `BUDGETS_BEYOND` where the node says that there are more than are read; as {@link budgetsContractOf}
 */
export async function budgetsOf(place: BudgetsPlace): Promise<{ readonly budgets: Address; readonly all: Spending[] }> {
  const { connection, modelId } = place;
  const budgets = await budgetsContractOf(place);
  const count = await connection.call((client) => computeBudgetCount(client, { budgets, modelId }));
  if (count > MOST_BUDGETS)
    throw new UserError(
      "BUDGETS_BEYOND",
      `The node says that this model has ${count} budgets, and ${MOST_BUDGETS} at most are read: ask another node.`,
    );
  const tokens = new Map<Address, CapitalToken>();
  const all: Spending[] = [];
  for (let id = 1n; id <= count; id++) {
    const [state, left] = await connection.call((client) =>
      Promise.all([
        computeBudgetOf(client, { budgets, modelId, id }),
        computeBudgetLeft(client, { budgets, modelId, id }),
      ]),
    );
    const address = asAddress(state.terms.token);
    const token = tokens.get(address) ?? (await tokenAt(place, address));
    tokens.set(address, token);
    all.push({ id, state, token, left });
  }
  return { budgets, all };
}

/** What a budget is for, as the proposal said, and all that was paid of it, oldest first. */
export async function recordOf(
  { connection, modelId, fromBlock }: BudgetsPlace,
  budgets: Address,
  id: bigint,
): Promise<{ readonly purpose: string; readonly payments: readonly Payment[] }> {
  const span = { from: BigInt(fromBlock) };
  const [opened, spent] = await Promise.all([
    connection.call((client) => getAllLogs(client, computeBudgetOpened({ budgets, modelId, id }), span)),
    connection.call((client) => getAllLogs(client, computeBudgetSpent({ budgets, modelId, id }), span)),
  ]);
  return {
    purpose: opened.logs[0]?.args.purpose ?? "",
    payments: spent.logs.map(({ args: { epoch, amount, memo }, transactionHash }) => ({
      epoch,
      amount,
      memo,
      transaction: transactionHash,
    })),
  };
}
