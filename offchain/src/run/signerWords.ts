/** What a proposal about who signs would do, in words. */
import type { Address, ContractAddresses, Hex, RunId } from "@cotrain/sdk/protocol";

import type { ChainConnection } from "../chain/index.ts";
import { modelText } from "./saleWords.ts";
import { MOST_SIGNERS, type SignerRole, signerRoles } from "./signers.ts";

/** Whose run and model it is about. */
interface SignersPlace {
  readonly connection: Pick<ChainConnection, "call">;
  readonly addresses: ContractAddresses;
  readonly runId: RunId;
}

/** What replaces something that is not there yet tells nothing by what it changes: another call may come between. */
export const absentText = (newest: number): string =>
  `, which it does not have now${newest > 0 ? ` (the newest is ${newest})` : ""}`;

function membersText(members: readonly Address[]): string {
  if (members.length === 0) return "nobody";
  const more = members.length - MOST_SIGNERS;
  const shown = members.slice(0, MOST_SIGNERS).join(", ");
  return more > 0 ? `${shown} and ${more} further, more than a set may have` : shown;
}

/** What choosing others would do. @param args of ValidatorSet.setValidators or setMaintainers */
export async function signersText(
  role: SignerRole,
  place: SignersPlace,
  [id, replaces, members, needed]: readonly unknown[],
): Promise<string> {
  const { connection, addresses } = place;
  const [modelId, version, after] = [id as Hex, Number(replaces), members as readonly Address[]];
  const { newest, before } = await connection.call(async (client) => {
    const newest = await signerRoles[role].newest(client, { addresses, modelId });
    let before: { readonly validators: readonly Address[]; readonly threshold: number } | undefined;
    if (version >= 1 && version <= newest) before = await signerRoles[role].of(client, { addresses, modelId, version });
    return { newest, before };
  });
  const model = await modelText(place, modelId);
  const threshold = `${Number(needed)} of ${after.length}`;
  if (role === "maintainers" && version === 0) {
    const since = newest === 0 ? "" : `, which has set ${newest} by now`;
    return `ValidatorSet chooses the first maintainers of ${model}${since}: ${membersText(after)}; ${threshold} must sign.`;
  }
  const words = `ValidatorSet chooses ${role} of ${model} in the place of set ${version}`;
  // Always, since who they are is the node's word: whom it says to be there before stands here.
  const all = `Whoever they are before, these would be: ${membersText(after)}; ${threshold} must sign.`;
  if (!before) return `${words}${absentText(newest)}. ${all}`;
  const [old, next] = [new Set(before.validators), new Set(after)];
  const come = after.filter((member) => !old.has(member));
  const gone = before.validators.filter((member) => !next.has(member));
  return `${words}: coming ${membersText(come)}; going ${membersText(gone)}; it was ${before.threshold} of ${before.validators.length} who must sign. ${all}`;
}
