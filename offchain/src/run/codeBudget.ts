/** What of a model's emission may be granted for code now, as Emission.draw would count it. */
import { authorisable, authorisedThrough, budgetOf, distributorFor, epochOf, scheduleOf } from "@cotrain/sdk/actions";
import { asAddress, rewardKind } from "@cotrain/sdk/protocol";

import { type GrantsPlace, grantsContractOf } from "./grants.ts";
import { BUDGET_AGE } from "./paidRoots.ts";

export interface CodeBudget {
  /** What is left, in share wei; 0 once another contract grants for code. */
  readonly shares: bigint;
  /** Epochs of which it is, the first perhaps in part; undefined where nothing is left. */
  readonly epochs: { readonly from: bigint; readonly to: bigint } | undefined;
  /** What each epoch adds by the budget in force, in share wei. */
  readonly perEpoch: bigint;
  /** Whether the holders had another contract take over what is granted for code. */
  readonly succeeded: boolean;
}

/** @throws UserError `CODE_UNPAID`; RetryableError of the chain */
export async function codeBudgetAt(place: GrantsPlace): Promise<CodeBudget> {
  const { connection, addresses, modelId } = place;
  const { call } = connection;
  const of = { addresses, modelId };
  const kind = rewardKind.code;
  const grants = await grantsContractOf(place);
  const asOf = Number((await call((client) => client.getBlock())).timestamp);
  const to = await call((client) => epochOf(client, { ...of, timestamp: asOf }));
  const [left, through, budget, schedule, present] = await Promise.all([
    call((client) => authorisable(client, { ...of, kind, from: 1n, to, asOf })),
    call((client) => authorisedThrough(client, { ...of, kind })),
    call((client) => budgetOf(client, { ...of, epoch: to })),
    call((client) => scheduleOf(client, of)),
    call((client) => distributorFor(client, { ...of, kind })),
  ]);
  const succeeded = asAddress(present) !== grants;
  const shares = succeeded ? 0n : left;
  // What ended longer ago than that is granted no more.
  const young = Math.ceil((asOf - BUDGET_AGE - schedule.start) / schedule.epochLength);
  const from = young > Number(through) ? BigInt(young) : through + 1n;
  return {
    shares,
    epochs: shares === 0n ? undefined : { from, to },
    perEpoch: (budget.perEpoch * BigInt(budget.codeBps)) / 10_000n,
    succeeded,
  };
}
