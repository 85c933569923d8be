/**
 * An offer: one configuration of a machine that one provider would rent now, in the units of this room, whatever the provider's.
 * Optional fields are what not every provider tells; absent means unknown, never zero.
 */
import { formatUsd } from "../base/index.ts";
import { type Static, Type } from "typebox";

import type { Gpu } from "./gpus.ts";
import type { MicroUsd } from "./money.ts";

/** What ends a machine's bill when its renter is gone (docs/market.md). */
export type Backstop = "scoped-key" | "provider-ttl" | "prepaid" | "own" | "vouchers" | "none";

/** Whether one can be had, by the provider's word. */
export type Stock = "in stock" | "low" | "none" | "unknown";

/** How a price is charged: `spot` machines are taken away when others pay more. */
export type Charge = "on-demand" | "spot";

interface Price {
  readonly charge: Charge;
  /** µUSD of the whole machine for an hour; undefined where none was told, or a figure that stands for none. */
  readonly perHour: MicroUsd | undefined;
  /** Whether the machine is to be had at this price; false for a figure that others paid. */
  readonly firm: boolean;
  /** Of an auction: what others paid, or, once it is firm, the most that a bid may be. */
  readonly auction?: true;
}

/** What an adapter makes out of a row. */
export interface OfferDraft {
  /** The provider's own name for what is rented. */
  readonly providerId: string;
  /** Whose machine it is: the provider, or the cloud that it resells. */
  readonly upstream: string;
  /** The upstream's own name for what is rented, by which one machine on two roads is told. */
  readonly upstreamId?: string;
  readonly dataCenter?: string;
  readonly machineId?: string;
  readonly kind: "vm" | "container" | "bare-metal";
  readonly gpu: Gpu;
  readonly count: number;
  readonly architecture: "x86_64" | "arm64";
  /** Highest CUDA version of the driver, in tenths: 12.4 is 124. */
  readonly cudaTenths?: number;
  /** CUDA compute capability in tenths: 9.0 is 90. */
  readonly capabilityTenths?: number;
  readonly cpus?: number;
  readonly ramGb?: number;
  readonly diskGb?: number;
  /** ISO 3166-1 alpha-2. */
  readonly country?: string;
  readonly region?: string;
  /** `secure`: an audited data centre; `community`: somebody's machine. */
  readonly tier: "secure" | "community" | "unknown";
  /** Between the GPUs of the machine. */
  readonly interconnect?: "nvlink" | "pcie";
  /** Mbit/s, as advertised. */
  readonly downMbps?: number;
  readonly upMbps?: number;
  readonly price: Price;
  /** µUSD of a gigabyte-month beyond what the price includes. */
  readonly storagePerGbMonth?: MicroUsd;
  /** GB of disk that the price includes. */
  readonly diskIncludedGb?: number;
  /** µUSD of a gigabyte. */
  readonly ingressPerGb?: MicroUsd;
  readonly egressPerGb?: MicroUsd;
  /** Seconds that the provider says a start takes. */
  readonly bootSeconds?: number;
  /** Seconds that are paid at the least, and after which the offer ends. */
  readonly minTermSeconds?: number;
  readonly endsAt?: number;
  readonly stock: Stock;
  /** Of a million. */
  readonly reliabilityPpm?: number;
  /** What the provider must be told to rent it, beside what stands above, in its own words. */
  readonly rentBy?: Readonly<Record<string, string>>;
}

export interface Offer extends OfferDraft {
  /** `provider:providerId`, and `:spot` for a spot price. */
  readonly id: string;
  readonly provider: string;
  readonly backstop: Backstop;
  /** Seconds by which time is billed. */
  readonly granularitySeconds: number;
  readonly bootBilled: boolean;
  readonly prepaid: boolean;
  /** Milliseconds since the epoch. */
  readonly observedAt: number;
  readonly expiresAt: number;
  /** `sample` is ours, for looking around before any key is set: it never wins. */
  readonly source: "live" | "sample";
}

const Money = Type.BigInt({ minimum: 0n, maximum: 100_000_000_000n });
const Name = Type.String({ minLength: 1, maxLength: 200 });
const whole = (minimum: number, maximum: number) => Type.Integer({ minimum, maximum });
/** Ten years on either side of any honest date. */
const Moment = whole(1_500_000_000_000, 4_000_000_000_000);

/** Bounds of every field: what no machine has is a provider's error or attack, and the row is refused. */
export const OfferForm = Type.Object(
  {
    id: Name,
    provider: Name,
    providerId: Name,
    upstream: Name,
    upstreamId: Type.Optional(Name),
    dataCenter: Type.Optional(Name),
    machineId: Type.Optional(Name),
    kind: Type.Union([Type.Literal("vm"), Type.Literal("container"), Type.Literal("bare-metal")]),
    gpu: Type.Object(
      {
        model: Type.String({ minLength: 1, maxLength: 80 }),
        known: Type.Boolean(),
        class: Type.String({ maxLength: 40 }),
        form: Type.Optional(Type.Union([Type.Literal("PCIe"), Type.Literal("SXM"), Type.Literal("NVL")])),
        vramGb: whole(1, 2_048),
        slice: Type.Optional(Type.String({ maxLength: 20 })),
      },
      { additionalProperties: false },
    ),
    count: whole(1, 1_024),
    architecture: Type.Union([Type.Literal("x86_64"), Type.Literal("arm64")]),
    cudaTenths: Type.Optional(whole(50, 500)),
    capabilityTenths: Type.Optional(whole(10, 500)),
    cpus: Type.Optional(whole(0, 16_384)),
    ramGb: Type.Optional(whole(0, 131_072)),
    diskGb: Type.Optional(whole(0, 10_000_000)),
    country: Type.Optional(Type.String({ pattern: "^[A-Z]{2}$" })),
    region: Type.Optional(Name),
    tier: Type.Union([Type.Literal("secure"), Type.Literal("community"), Type.Literal("unknown")]),
    interconnect: Type.Optional(Type.Union([Type.Literal("nvlink"), Type.Literal("pcie")])),
    downMbps: Type.Optional(whole(0, 10_000_000)),
    upMbps: Type.Optional(whole(0, 10_000_000)),
    price: Type.Object(
      {
        charge: Type.Union([Type.Literal("on-demand"), Type.Literal("spot")]),
        perHour: Type.Union([Money, Type.Undefined()]),
        firm: Type.Boolean(),
        auction: Type.Optional(Type.Literal(true)),
      },
      { additionalProperties: false },
    ),
    storagePerGbMonth: Type.Optional(Money),
    diskIncludedGb: Type.Optional(whole(0, 10_000_000)),
    ingressPerGb: Type.Optional(Money),
    egressPerGb: Type.Optional(Money),
    bootSeconds: Type.Optional(whole(0, 604_800)),
    minTermSeconds: Type.Optional(whole(0, 316_000_000)),
    endsAt: Type.Optional(Moment),
    stock: Type.Union([Type.Literal("in stock"), Type.Literal("low"), Type.Literal("none"), Type.Literal("unknown")]),
    reliabilityPpm: Type.Optional(whole(0, 1_000_000)),
    rentBy: Type.Optional(Type.Record(Type.String({ pattern: "^[a-zA-Z]{1,20}$" }), Name, { maxProperties: 8 })),
    backstop: Type.Union([
      Type.Literal("scoped-key"),
      Type.Literal("provider-ttl"),
      Type.Literal("prepaid"),
      Type.Literal("own"),
      Type.Literal("vouchers"),
      Type.Literal("none"),
    ]),
    granularitySeconds: whole(1, 2_678_400),
    bootBilled: Type.Boolean(),
    prepaid: Type.Boolean(),
    observedAt: Moment,
    expiresAt: Moment,
    source: Type.Union([Type.Literal("live"), Type.Literal("sample")]),
  },
  { additionalProperties: false },
);
export type OfferForm = Static<typeof OfferForm>;

/** µUSD of one GPU for an hour, rounded up; undefined without a price. */
export const perGpuHour = ({ price, count }: Pick<Offer, "price" | "count">): MicroUsd | undefined =>
  price.perHour === undefined ? undefined : (price.perHour + BigInt(count) - 1n) / BigInt(count);

/** Whether its price is the most that it may cost, and what it does cost is known once somebody has bid. */
export const isLimit = ({ price }: Pick<Offer, "price">): boolean => price.auction === true && price.firm;

/** The same offer with another limit. */
export const limitedTo = (offer: Offer, perHour: MicroUsd): Offer => ({
  ...offer,
  price: { ...offer.price, perHour, firm: true },
});

/** Offers of auctions at what others paid and so many percent, as a limit; without a percentage they have no firm price. */
export const auctioned = (offers: readonly Offer[], percent: number | undefined): readonly Offer[] =>
  percent === undefined
    ? offers
    : offers.map((offer) => {
        const { auction, firm, perHour } = offer.price;
        return auction !== true || firm || perHour === undefined
          ? offer
          : limitedTo(offer, (perHour * BigInt(100 + percent) + 99n) / 100n);
      });

/** Why an offer cannot win, in a clause; undefined where it can. */
export function whyNever(offer: Offer, now: number): string | undefined {
  if (offer.source === "sample") return "a sample, not to be rented";
  if (now >= offer.expiresAt) return "stale";
  if (offer.endsAt !== undefined && now >= offer.endsAt) return "it has ended";
  if (offer.price.perHour === undefined) return "no price";
  if (!offer.price.firm)
    return offer.price.auction === true ? "what others paid: --auction makes it a limit" : "no firm price";
  if (offer.stock === "none") return "out of stock";
  return offer.stock === "unknown" ? "stock not told" : undefined;
}

/** A GPU in words: `H100 SXM 80 GB`. */
export function gpuText(gpu: Gpu): string {
  const form = gpu.form === undefined || gpu.model.endsWith(gpu.form) ? "" : ` ${gpu.form}`;
  return `${gpu.model}${form}${gpu.slice === undefined ? "" : ` (${gpu.slice})`} ${gpu.vramGb} GB`;
}

/** `8x H100 SXM 80 GB`. */
export const machineText = ({ gpu, count }: Pick<Offer, "gpu" | "count">): string => `${count}x ${gpuText(gpu)}`;

/** A price as a cell; a dash where none was told. */
export const priceText = (money: MicroUsd | undefined): string => (money === undefined ? "–" : formatUsd(money));

/** A price of an offer as a cell, which says where it is a limit. */
export const offerPriceText = (offer: Pick<Offer, "price">, money: MicroUsd | undefined): string =>
  isLimit(offer) && money !== undefined ? `at most ${priceText(money)}` : priceText(money);
