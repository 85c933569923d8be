/** Has the root in its window pay once that is over, which anybody may: of compute and of revenue. */
import { activateRoot, activeRoot, getAllLogs, rootActivated } from "@cotrain/sdk/actions";
import type { Hex } from "@cotrain/sdk/protocol";

import { RetryableError, timeText, UserError } from "../base/index.ts";
import { kindText, waitingRoot } from "../run/index.ts";
import { nowOf, type Place, type PlaceFlags, requireEntries, signingAs } from "./place.ts";

/** A root that pays. */
interface Activated {
  readonly index: number;
  readonly total: bigint;
  /** Null where it was active before, as where the coordinator was first: then nothing was sent. */
  readonly transaction: Hex | null;
  /** In which it became active, whoever sent that; undefined where a node does not tell. */
  readonly since: Hex | undefined;
}

/** The newest active root; undefined where none is. */
async function newestActive(
  { connection, addresses, modelId, fromBlock }: Place,
  kind: number,
): Promise<Activated | undefined> {
  const of = { addresses, modelId, kind };
  const active = await connection.call((client) => activeRoot(client, of));
  if (!active) return undefined;
  const { index, total } = active;
  const { logs } = await connection.call((client) =>
    getAllLogs(client, rootActivated(of), { from: BigInt(fromBlock) }),
  );
  const since = logs.findLast(({ args }) => args.index === BigInt(index))?.transactionHash;
  return { index, total, transaction: null, since };
}

/** What became of a root, in a sentence. @param pays what all of it comes to, in words */
export function activatedText({ index, transaction, since }: Activated, kind: number, pays: string): string {
  const root = `Root ${index} of ${kindText(kind)}`;
  if (transaction !== null) return `${root} pays ${pays}, since ${transaction}.`;
  return `${root} is active already and pays ${pays}${since === undefined ? "" : `, since ${since}`}. No other waits, and nothing was sent.`;
}

/** @throws UserError `ROOT_NOTHING`, `ROOT_DISPUTED`; RetryableError `ROOT_WINDOW`; what `activateRoot` does */
export async function activateWaiting(
  place: Place,
  kind: number,
  options: PlaceFlags & { readonly maxFee: number },
): Promise<Activated> {
  const what = kindText(kind);
  const pending = await waitingRoot(place, kind);
  if (!pending) {
    const before = await newestActive(place, kind);
    if (before) return before;
    throw new UserError("ROOT_NOTHING", `No root of ${what} is posted and waits to pay.`);
  }
  const { attestation, activatableAt, index } = pending;
  if (activatableAt === undefined)
    throw new UserError(
      "ROOT_DISPUTED",
      `Root ${index} of ${what} is disputed: "npx cotrain vote" has the vote on it.`,
    );
  if ((await nowOf(place)) < activatableAt)
    throw new RetryableError("ROOT_WINDOW", `Root ${index} of ${what} can pay from ${timeText(activatableAt)} on.`);
  const [entry] = requireEntries(place, options);
  const client = await signingAs(place, entry!, options);
  const call = { addresses: place.addresses, attestation };
  try {
    await activateRoot.simulate(client, call);
    const { receipt, event } = await activateRoot.sync(client, call);
    return { index, total: event.total, transaction: receipt.transactionHash, since: receipt.transactionHash };
  } catch (error) {
    // Anybody may, the coordinator does by itself: where it was first, that is what was asked for.
    const active = await newestActive(place, kind).catch(() => undefined);
    if (active && active.index >= index) return active;
    throw error;
  }
}
