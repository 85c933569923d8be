/** Has the root in its window pay once that is over, which anybody may: of compute and of revenue. */
import { activateRoot } from "@cotrain/sdk/actions";
import type { Hex } from "@cotrain/sdk/protocol";

import { timeText, UserError } from "../base/index.ts";
import { kindText, waitingRoot } from "../run/index.ts";
import { nowOf, type Place, type PlaceFlags, requireEntries, signingAs } from "./place.ts";

/** @throws UserError `ROOT_NOTHING`, `ROOT_DISPUTED`, `ROOT_WINDOW`; what `activateRoot` does */
export async function activateWaiting(
  place: Place,
  kind: number,
  options: PlaceFlags & { readonly maxFee: number },
): Promise<{ readonly index: number; readonly total: bigint; readonly transaction: Hex }> {
  const [entry] = requireEntries(place, options);
  const what = kindText(kind);
  const pending = await waitingRoot(place, kind);
  if (!pending || !entry) throw new UserError("ROOT_NOTHING", `No root of ${what} is posted and waits to pay.`);
  const { attestation, activatableAt, index } = pending;
  if (activatableAt === undefined)
    throw new UserError(
      "ROOT_DISPUTED",
      `Root ${index} of ${what} is disputed: "npx cotrain vote" has the vote on it.`,
    );
  if ((await nowOf(place)) < activatableAt)
    throw new UserError("ROOT_WINDOW", `Root ${index} of ${what} can pay from ${timeText(activatableAt)} on.`);
  const client = await signingAs(place, entry, options);
  const call = { addresses: place.addresses, attestation };
  await activateRoot.simulate(client, call);
  const { receipt, event } = await activateRoot.sync(client, call);
  return { index, total: event.total, transaction: receipt.transactionHash };
}
