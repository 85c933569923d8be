/**
 * Community machines as offers among the others. Who they are and what they cost, their owners have signed; what they have is their
 * owners' word, and shows once they work. Prices are in a token: what it is worth in dollars whoever rents says.
 */
import { CotrainError } from "@cotrain/sdk/errors";
import {
  asAddress,
  fromWire,
  hardwareOf,
  hashMachineOffer,
  type Hex,
  leaseKind,
  type MachineView,
  regionName,
  requireMachineOffer,
} from "@cotrain/sdk/protocol";

import type { Listing } from "../base/adapter.ts";
import { gpuOf } from "../gpus.ts";
import type { MicroUsd } from "../money.ts";
import { type Offer, OfferForm } from "../offer.ts";
import { findMiss } from "../../service/index.ts";
import type { Community, CommunityToken } from "./file.ts";

export const COMMUNITY = "community";
/** As long as a machine is listed that does not call any more. */
const VALID_FOR = 60_000;

/** µUSD of an amount in a token's smallest units, rounded up. */
export const usdOfAmount = (amount: bigint, { microUsd, decimals }: CommunityToken): MicroUsd =>
  (amount * microUsd + 10n ** BigInt(decimals) - 1n) / 10n ** BigInt(decimals);

/** What its owner has signed, held against all that can be known of it. @throws CotrainError */
export async function requireListed(view: MachineView, { chainId, escrow, tokens }: Community, now: number) {
  const offer = fromWire("MachineOffer", view.offer);
  await requireMachineOffer(offer, view.signature, { chainId, escrow, now: Math.floor(now / 1_000) });
  if (asAddress(view.escrow) !== escrow) throw new CotrainError("MACHINE_ELSEWHERE", "it is paid by another escrow");
  if (hardwareOf(view.facts) !== offer.hardware)
    throw new CotrainError("MACHINE_FOREIGN", "what it says of its hardware is not what its owner signed");
  if (offer.kind !== leaseKind.paid) throw new CotrainError("MACHINE_FREE", "it works for shares, as any worker");
  const token = tokens.find(({ address }) => address === asAddress(offer.token));
  if (token === undefined) throw new CotrainError("TOKEN_UNKNOWN", "it is paid in a token that has no rate here");
  return { offer, token };
}

function offerOf(view: MachineView, checked: Awaited<ReturnType<typeof requireListed>>, now: number): Offer {
  const { offer, token } = checked;
  const { facts, taken, heardMs } = view;
  // Whoever reads a list of machines reads it at a terminal.
  const gpu = /^[\x20-\x7e]+$/.test(facts.gpu) ? gpuOf(facts.gpu, facts.vramGb) : undefined;
  if (gpu === undefined) throw new CotrainError("GPU_UNKNOWN", "its GPU is not known");
  const name: Hex = hashMachineOffer(offer);
  const region = regionName(offer.region);
  return {
    id: `${COMMUNITY}:${name}`,
    provider: COMMUNITY,
    providerId: name,
    upstream: asAddress(offer.owner),
    machineId: asAddress(offer.machine),
    kind: "bare-metal",
    gpu,
    count: facts.gpus,
    architecture: "x86_64",
    cpus: facts.cpus,
    ramGb: facts.ramGb,
    diskGb: facts.diskGb,
    diskIncludedGb: facts.diskGb,
    tier: "community",
    price: {
      charge: "on-demand",
      perHour: usdOfAmount(offer.pricePerSecond * 3_600n, token),
      firm: true,
    },
    stock: taken ? "none" : "in stock",
    endsAt: Number(offer.validUntil) * 1_000,
    ...(region === undefined ? {} : { region }),
    // The least that is rented, and not the least that is paid.
    minTermSeconds: offer.minSeconds,
    backstop: "vouchers",
    granularitySeconds: 1,
    bootBilled: false,
    prepaid: false,
    observedAt: now - Math.min(heardMs, VALID_FOR),
    expiresAt: now + VALID_FOR,
    source: "live",
  };
}

/** @throws CoordinatorError; a machine that is not to be had is counted with why */
export async function listCommunity(
  community: Community,
  machines: readonly MachineView[],
  now: number,
): Promise<Listing> {
  const offers: Offer[] = [];
  const refused: Record<string, number> = {};
  for (const view of machines) {
    try {
      const offer = offerOf(view, await requireListed(view, community, now), now);
      const miss = findMiss(OfferForm, offer);
      if (miss !== undefined) throw new CotrainError("ROW_FIELD", miss);
      offers.push(offer);
    } catch (error) {
      if (!(error instanceof CotrainError)) throw error;
      refused[error.message] = (refused[error.message] ?? 0) + 1;
    }
  }
  return { provider: COMMUNITY, offers, refused, observedAt: now };
}
