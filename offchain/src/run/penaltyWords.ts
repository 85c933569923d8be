/** What proposals about the price of a dispute and of offences would do, in words. */
import { bondTerms, rulingOf, slashTermsOf } from "@cotrain/sdk/actions";
import type { Hex } from "@cotrain/sdk/protocol";
import { formatEther } from "viem";

import type { WordsPlace } from "./proposalWords.ts";
import { modelText } from "./saleWords.ts";

/** What setting the bond of disputes would do. @param args of ComputeRewards.setBond */
export async function bondText(place: WordsPlace, [id, replaces, base]: readonly unknown[]): Promise<string> {
  const { connection, addresses } = place;
  const modelId = id as Hex;
  const terms = await connection.call((client) => bondTerms(client, { addresses, modelId }));
  const now = terms.version === 0 ? "there is none now" : `it is ${formatEther(terms.base)} coins now`;
  return `ComputeRewards sets what the first dispute of a row costs in ${await modelText(place, modelId)}, in the place of bond ${String(replaces)}, to ${formatEther(base as bigint)} coins: ${now}. Each further one of the row costs twice as much, and so does a root after one that did not stand.`;
}

const percentText = (bps: unknown): string => `${Number(bps) / 100}%`;

/** What setting the price of offences would do. @param args of StakeManager.setTerms */
export async function slashText(place: WordsPlace, [id, replaces, ...set]: readonly unknown[]): Promise<string> {
  const { connection, stakeManager: stakes } = place;
  const modelId = id as Hex;
  const terms =
    stakes === undefined ? undefined : await connection.call((client) => slashTermsOf(client, { stakes, modelId }));
  const [conflict, voided, ruling] = set.map(percentText);
  const now = terms
    ? `; now these are ${percentText(terms.conflictBps)}, ${percentText(terms.voidedBps)} and ${percentText(terms.rulingBps)}`
    : "";
  return `StakeManager sets what is lost of a stake in ${await modelText(place, modelId)}, in the place of terms ${String(replaces)}: ${conflict} for two statements that contradict each other, ${voided} for a signature under a root that holders voided or a ruling that they vetoed, ${ruling} for work that validators ruled against${now}.`;
}

/** What vetoing a ruling would do. @param args of StakeManager.vetoRuling */
export async function vetoText(
  place: WordsPlace,
  [id, worker, receiptHash]: readonly unknown[],
): Promise<string | undefined> {
  const { connection, stakeManager: stakes } = place;
  if (stakes === undefined) return undefined;
  const of = { stakes, modelId: id as Hex, worker: worker as Hex, receiptHash: receiptHash as Hex };
  const ruling = await connection.call((client) => rulingOf(client, of));
  const where = `in ${await modelText(place, of.modelId)}`;
  const which = `the validators' ruling on receipt ${of.receiptHash} of ${of.worker} ${where}`;
  // A vote lasts: what is not proposed yet may be by the time that this is carried out, and is vetoed then.
  if (!ruling)
    return `StakeManager vetoes ${which}, which is not there now: if it is proposed before this is carried out, it takes nothing for ever, and who signed it may lose stake.`;
  if (ruling.state !== "proposed") return `StakeManager vetoes ${which}, which is ${ruling.state}: nothing changes.`;
  return `StakeManager vetoes ${which} for ever: the worker keeps the ${formatEther(ruling.amount)} coins of its stake that it would lose, and who signed the ruling may lose stake.`;
}
