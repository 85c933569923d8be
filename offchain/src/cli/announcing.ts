/** What a young model's organiser does in its holders' place: it says so first, and does it by the same command a window later. */
import {
  announceAct,
  announcedAct,
  bootstrapOf,
  carryOutAct,
  organiserOf,
  type ProposalCall,
  withdrawAct,
} from "@cotrain/sdk/actions";
import type { Address, Hex } from "@cotrain/sdk/protocol";

import { formatAddress, timeText, UserError } from "../base/index.ts";
import { ACT_GRACE } from "../run/index.ts";
import { toggle } from "../service/index.ts";
import type { Intention } from "./decision.ts";
import { type Place, signingAs } from "./place.ts";
import type { DecidingPlace } from "./proposing.ts";

/** Of commands that decide what an organiser may do in bootstrap, too. */
export const announcingOptions = {
  announce: toggle({
    description:
      "as the model's organiser, who may while it is in its bootstrap: announce it, and carry it out by the same command a window later",
    default: false,
  }),
};

/** What came of it, or would. */
export interface Announcement {
  readonly step: "announce" | "wait" | "carryOut";
  /** From when on it may be carried out, chain seconds; null where it is not announced. */
  readonly readyAt: number | null;
  readonly account: Address | null;
  readonly transaction: Hex | null;
}

const UNPINNED =
  "Which model that is is the coordinator's word alone: name the run with --run and its contracts with --deployment.";

/** A client of who acts for the model. @throws UserError `ACT_UNPINNED` */
export async function organisingAs(
  place: DecidingPlace,
  entry: Place["entries"][number],
  fees: { readonly maxFee: number },
) {
  if (!place.pinned) throw new UserError("ACT_UNPINNED", UNPINNED);
  return signingAs(place, entry, fees);
}

const sentences = {
  announce: "announces, and can carry out a window later by the same command,",
  wait: "has announced",
  carryOut: "carries out, as announced,",
} as const;

/** In a sentence, and what was sent. */
export function announcementText({ step, readyAt, account, transaction }: Announcement, title: string): string {
  const who = account === null ? "The organiser" : formatAddress(account);
  const from = readyAt === null ? "" : ` It can be carried out from ${timeText(readyAt)} on, by this command.`;
  const sent = transaction === null ? "Nothing was sent." : `It was sent in ${transaction}.`;
  return `${who} ${sentences[step]} this: ${title}. ${sent}${step === "carryOut" ? "" : from}`;
}

/**
 * Announces what is meant, or carries it out where that was done a window ago.
 * @param entry who sends it; undefined sends nothing
 * @throws UserError `ACT_UNPINNED`; what the contracts refuse
 */
export async function announceOrCarryOut(
  place: DecidingPlace,
  { call: act, rehearse }: Pick<Intention, "call" | "rehearse">,
  entry: Place["entries"][number] | undefined,
  { maxFee }: { readonly maxFee: number },
): Promise<Announcement> {
  const { connection, addresses, modelId } = place;
  const bootstrap = await connection.call((client) => bootstrapOf(client, { addresses }));
  const asked = { bootstrap, modelId, act };
  const readyAtNow = () => connection.call((client) => announcedAct(client, asked));
  const [announced, { timestamp }] = await Promise.all([readyAtNow(), connection.call((client) => client.getBlock())]);
  await rehearse();
  const readyAt = announced === undefined || timestamp > announced + ACT_GRACE ? undefined : announced;
  const waits = readyAt !== undefined && timestamp < readyAt;
  const step = readyAt === undefined ? "announce" : waits ? "wait" : "carryOut";
  const nothing = { step, readyAt: readyAt ?? null, account: entry?.account ?? null, transaction: null } as const;
  if (step === "wait") return nothing;
  const action = step === "announce" ? announceAct : carryOutAct;
  if (!entry) {
    // What the contract would refuse is said before anybody signs it.
    const account = await connection.call((client) => organiserOf(client, { addresses, modelId }));
    await connection.call(async (client) => void (await action.simulate(client, { ...asked, account })));
    return nothing;
  }
  const client = await organisingAs(place, entry, { maxFee });
  await action.simulate(client, asked);
  const { receipt } = await action.sync(client, asked);
  return {
    ...nothing,
    readyAt: step === "announce" ? ((await readyAtNow()) ?? null) : nothing.readyAt,
    transaction: receipt.transactionHash,
  };
}

/** Takes an announcement back. @returns the transaction @throws UserError `ACT_UNPINNED`; what the contracts refuse */
export async function withdrawAnnounced(
  place: DecidingPlace,
  act: Pick<ProposalCall, "to" | "data">,
  entry: Place["entries"][number],
  fees: { readonly maxFee: number },
): Promise<Hex> {
  const { connection, addresses, modelId } = place;
  const bootstrap = await connection.call((client) => bootstrapOf(client, { addresses }));
  const client = await organisingAs(place, entry, fees);
  await withdrawAct.simulate(client, { bootstrap, modelId, act });
  const { receipt } = await withdrawAct.sync(client, { bootstrap, modelId, act });
  return receipt.transactionHash;
}
