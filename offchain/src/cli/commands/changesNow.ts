/** What proposals change as things are by now: a call that sets several values puts those back that others changed meanwhile. */
import { decodeCall, grantCapsOf, newestSaleTerms, type ProposalState, saleBookOf } from "@cotrain/sdk/actions";
import type { Address, Hex } from "@cotrain/sdk/protocol";

import { capitalAt } from "../../run/index.ts";
import type { DecidingPlace } from "../proposing.ts";
import type { ToldProposal } from "../voting.ts";
import { termsTitle } from "./capitalTerms.ts";
import { capsTitle } from "./codeCaps.ts";
import { budgetTitleNow } from "./emission.ts";

/** Whose calls may come to pass. */
const open: ReadonlySet<ProposalState> = new Set<ProposalState>(["pending", "active", "succeeded", "queued"]);

/** The title that such a call would have if it were proposed now; empty where it changes nothing, undefined for other calls. */
async function titleNow(
  place: DecidingPlace,
  call: { readonly target: Address; readonly data: Hex },
): Promise<string | undefined> {
  const { connection, modelId, codeGrants: grants, capitalSale: sale } = place;
  const decoded = decodeCall(place, call);
  if (!decoded) return undefined;
  const [id, ...values] = decoded.args;
  if (String(id).toLowerCase() !== modelId.toLowerCase()) return undefined;
  switch (`${decoded.contract}.${decoded.functionName}`) {
    case "CapitalSale.setTerms": {
      // The contract refuses them to a model that sells nothing.
      if (!sale || !(await connection.call((client) => saleBookOf(client, { sale, modelId })))) return undefined;
      const [price, minimum] = values as [bigint, bigint];
      const before = await connection.call((client) => newestSaleTerms(client, { sale, modelId }));
      return termsTitle(before, { price, minimum }, (await capitalAt(place)).token);
    }
    case "CodeGrants.setCaps": {
      if (!grants) return undefined;
      const [perAuthor, perEpoch] = values as [bigint, bigint];
      const before = await connection.call((client) => grantCapsOf(client, { grants, modelId }));
      return capsTitle(before, { perAuthor, perEpoch });
    }
    case "Emission.setBudget": {
      const [perEpoch, bps] = values as [bigint, readonly [number, number, number, number]];
      return budgetTitleNow(place, perEpoch, bps);
    }
    default:
      return undefined;
  }
}

/**
 * Sentences about the calls of an open proposal that change by now what its title does not say. Of what calls pass on they tell
 * nothing: that is told whole, as all calls are.
 */
export async function changesNow(
  place: DecidingPlace,
  { proposal, standing, calls }: Pick<ToldProposal, "proposal" | "standing" | "calls">,
): Promise<string[]> {
  const sentences: string[] = [];
  if (!open.has(standing.state)) return sentences;
  for (const [i, target] of proposal.targets.slice(0, calls.length).entries()) {
    const now = await titleNow(place, { target, data: proposal.calldatas[i] ?? "0x" });
    if (now !== undefined && now !== "" && !proposal.description.startsWith(now))
      sentences.push(`Its title does not say what it changes as things are by now: ${now}.`);
  }
  return sentences;
}
