/** Proposals that replace what has been replaced since: the contracts refuse to execute them, and who votes is told before. */
import {
  bondTerms,
  budgetOf,
  currentParamsVersion,
  decodeCall,
  grantCapsOf,
  newestMaintainers,
  newestSaleTerms,
  newestSetVersion,
  type ProposalState,
} from "@cotrain/sdk/actions";
import type { Client } from "viem";

import type { ProposalStanding } from "../../run/index.ts";
import type { DecidingPlace } from "../proposing.ts";
import type { ToldProposal } from "../voting.ts";

/** Whose calls may come to pass. */
const open: ReadonlySet<ProposalState> = new Set<ProposalState>(["pending", "active", "succeeded", "queued"]);

/** Whether its calls may come to pass. */
export const isUndecided = ({ state }: Pick<ProposalStanding, "state">): boolean => open.has(state);

/** Of any model the newest of its budgets is in force then. */
const LAST_EPOCH = 2n ** 64n - 1n;

/** What a call replaces, in words, and the number of the newest of these, of this run or model. */
interface Replaced {
  readonly what: string;
  readonly newest: (client: Client, place: DecidingPlace) => Promise<number>;
}

/** Functions whose second argument is the number of what they replace. */
const replacing: Readonly<Record<string, Replaced>> = {
  "RunRegistry.setParams": {
    what: "parameters",
    newest: (client, { addresses, runId }) => currentParamsVersion(client, { addresses, runId }),
  },
  "ValidatorSet.setValidators": {
    what: "validators",
    newest: (client, { addresses, modelId }) => newestSetVersion(client, { addresses, modelId }),
  },
  "ValidatorSet.setMaintainers": {
    what: "maintainers",
    newest: (client, { addresses, modelId }) => newestMaintainers(client, { addresses, modelId }),
  },
  "Emission.setBudget": {
    what: "budgets",
    newest: async (client, { addresses, modelId }) =>
      (await budgetOf(client, { addresses, modelId, epoch: LAST_EPOCH })).version,
  },
  "ComputeRewards.setBond": {
    what: "bonds of disputes",
    newest: async (client, { addresses, modelId }) => (await bondTerms(client, { addresses, modelId })).version,
  },
  // Decoded only where these contracts are known.
  "CapitalSale.setTerms": {
    what: "terms of the sale",
    newest: async (client, { capitalSale: sale, modelId }) =>
      sale ? (await newestSaleTerms(client, { sale, modelId })).version : 0,
  },
  "CodeGrants.setCaps": {
    what: "caps",
    newest: async (client, { codeGrants: grants, modelId }) =>
      grants ? (await grantCapsOf(client, { grants, modelId })).version : 0,
  },
};

/**
 * Sentences about the calls of an open proposal that can no longer be executed, since what they replace was replaced. Of what calls
 * pass on they tell nothing: that is told whole, as all calls are.
 */
export async function replacedSince(
  place: DecidingPlace,
  { proposal, standing, calls }: Pick<ToldProposal, "proposal" | "standing" | "calls">,
): Promise<string[]> {
  const sentences: string[] = [];
  if (!isUndecided(standing)) return sentences;
  const ours = new Set([place.runId.toLowerCase(), place.modelId.toLowerCase()]);
  for (const [i, target] of proposal.targets.slice(0, calls.length).entries()) {
    const decoded = decodeCall(place, { target, data: proposal.calldatas[i] ?? "0x" });
    const row = decoded && replacing[`${decoded.contract}.${decoded.functionName}`];
    if (!row || !ours.has(String(decoded.args[0]).toLowerCase())) continue;
    const replaces = Number(decoded.args[1]);
    const newest = await place.connection.call((client) => row.newest(client, place));
    // Not what is newer: an earlier call of the same proposal may make it.
    if (replaces < newest)
      sentences.push(
        `It replaces number ${replaces} of the ${row.what}, and number ${newest} is the newest: nobody can execute it; it has to be proposed anew.`,
      );
  }
  return sentences;
}
