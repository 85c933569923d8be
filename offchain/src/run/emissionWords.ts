/** What a proposal about a model's budget would do, in words. */
import { budgetOf } from "@cotrain/sdk/actions";
import { type ContractAddresses, type Hex, mintedKind, type RunId } from "@cotrain/sdk/protocol";
import { formatEther } from "viem";

import type { ChainConnection } from "../chain/index.ts";
import { modelText } from "./saleWords.ts";

/** Whose run and model it is about. */
interface EmissionWordsPlace {
  readonly connection: Pick<ChainConnection, "call">;
  readonly addresses: ContractAddresses;
  readonly runId: RunId;
}

/** Of any model the last of its budgets is in force then. */
const LAST_EPOCH = 2n ** 64n - 1n;

/** What an epoch is split among, in the contract's order. */
const kinds = Object.keys(mintedKind);

const percentText = (bps: number): string => `${bps / 100}%`;

/** What setting a budget would do. @param args of Emission.setBudget */
export async function budgetText(
  place: EmissionWordsPlace,
  [id, replaces, perEpoch, split]: readonly unknown[],
): Promise<string> {
  const { connection, addresses } = place;
  const modelId = id as Hex;
  const after = formatEther(perEpoch as bigint);
  const parts = (split as readonly number[]).map(percentText);
  const budget = await connection.call((client) => budgetOf(client, { addresses, modelId, epoch: LAST_EPOCH }));
  const words = `Emission sets the budget of ${await modelText(place, modelId)} from the next epoch on, in the place of budget ${String(replaces)}`;
  // Always, since what is in force is the node's word: a change that it hides stands here.
  const all = `Whatever is in force before, an epoch could then mint ${after} shares at the most: ${kinds.map((kind, i) => `${parts[i]} for ${kind}`).join(", ")}.`;
  if (budget.fromEpoch === 0) return `${words}: there is none now. ${all}`;
  // Of one that was set since, or by this very call, a comparison would say that nothing changes.
  if (budget.version > Number(replaces))
    return `${words}; budget ${budget.version} was set since, by this proposal or another. ${all}`;
  const before = [budget.computeBps, budget.codeBps, budget.capitalBps, budget.treasuryBps].map(percentText);
  const shares = formatEther(budget.perEpoch);
  const changes = [
    ...(shares === after ? [] : [`${shares} → ${after} shares an epoch`]),
    ...kinds.flatMap((kind, i) => (before[i] === parts[i] ? [] : [`${before[i]} → ${parts[i]} for ${kind}`])),
  ];
  return `${words}: ${changes.length === 0 ? "all stays as it is" : changes.join(", ")}. ${all}`;
}
