/**
 * Offers as the planner's machines: what fits a run at all, and what is assumed where an offer does not tell. Assumptions are
 * printed with every plan; what has been measured takes their place once machines are rented.
 */
import type { Creates, CreatesOf } from "../creates.ts";
import type { KnownMachine, MeasuredOf } from "../measured.ts";
import { perGpuHour, type Offer, whyNever } from "../offer.ts";
import { flopsOf } from "../speed.ts";
import { type Machine, type TrainingRun, waitSeconds } from "./model.ts";
import { type Kind, rulesOf } from "./modes.ts";

/** What is assumed, until it is measured. */
export const assumptions = {
  /** Mbit/s of a link that nobody tells. */
  mbps: { secure: 500, community: 100, unknown: 100 },
  /** Seconds from one preemption or failure to the next, in the mean. */
  lifetime: { spot: 6 * 3_600, secure: 30 * 86_400, community: 7 * 86_400, unknown: 7 * 86_400 },
  /** Seconds until a machine loads its image. */
  provisioning: 180,
  /** Seconds from the decision to end a machine to the end of its bill, and from a death to the next create. */
  kill: 60,
  replace: 60,
  /** Chance that a create finds none, by what the provider says of its stock, and seconds until it is asked for again. */
  missing: { "in stock": 0.03, low: 0.25, none: 0.9, unknown: 0.5 },
  retry: 600,
  /** So many creates that went as expected stand beside those that were tried; however often none came, one may. */
  triedBefore: 4,
  mostMissing: 0.9,
  /** Standard deviations of the logarithm: of the time to boot, and of the price from one lease to the next. */
  bootSpread: 0.5,
  priceSpread: { spot: 0.15, "on-demand": 0.03 },
  /** Bytes a parameter: optimizer, gradients and parameters on the GPU, half weights besides; memory of the host; of a checkpoint. */
  gpuBytes: 18,
  hostBytes: 12,
  checkpointBytes: 8,
  /** Bytes of activations and workspace on the GPU. */
  activations: 2e9,
  /** Bytes of image and data. */
  image: 5e9,
  data: 2e9,
  /** Tokens of the critical batch. */
  criticalBatch: 1e6,
} as const;

const GB = 1e9;
/** Mbit/s → bytes/s. */
const LINK = 125_000;
/** Seconds of a month. */
const MONTH = 730 * 3_600;

/** Makers and processors that no build of a program runs on yet. */
function noBuild({ gpu, architecture }: Offer): string | undefined {
  if (gpu.slice !== undefined) return "a slice of a GPU";
  if (architecture !== "x86_64") return `${architecture}, for which there is no build`;
  return gpu.model === "MI300X" ? "ROCm, for which there is no build" : undefined;
}

/** A need that is not met, in words; what an offer does not tell is no reason. */
const needs = (what: string, bytes: number, gb: number | undefined): string | undefined =>
  gb !== undefined && gb * GB < bytes ? `${what}: ${gb} GB, needs ${Math.ceil(bytes / GB)}` : undefined;

/** Why a run does not fit a machine; undefined where it does. */
function tooSmall({ gpu, count, ramGb, diskGb }: Offer, { parameters }: TrainingRun): string | undefined {
  const a = assumptions;
  return (
    needs("memory of a GPU", a.gpuBytes * parameters + a.activations, gpu.vramGb) ??
    needs("memory", count * a.hostBytes * parameters, ramGb) ??
    needs("disk", diskBytes(parameters), diskGb)
  );
}

/** Image, data and two checkpoints. */
const diskBytes = (parameters: number): number =>
  assumptions.image + assumptions.data + 2 * assumptions.checkpointBytes * parameters;

/** The link, its price, and the time that a machine lasts. */
function linkOf(
  { tier, upMbps, downMbps, egressPerGb = 0n, ingressPerGb = 0n }: Read,
  known: Pick<KnownMachine, "up" | "down"> | undefined,
) {
  const assumed = assumptions.mbps[tier];
  return {
    up: known?.up ?? LINK * (upMbps || assumed),
    down: known?.down ?? LINK * (downMbps || assumed),
    upPrice: Number(egressPerGb) / GB,
    downPrice: Number(ingressPerGb) / GB,
  };
}

/** µUSD a second of disk beyond what the price has. */
const storageOf = ({ storagePerGbMonth = 0n, diskIncludedGb = 0 }: Read, { parameters }: TrainingRun): number =>
  (Number(storagePerGbMonth) * Math.max(0, diskBytes(parameters) / GB - diskIncludedGb)) / MONTH;

/** The chance that a create finds none, by what is expected of it and what came of those that were tried. */
function missingOf(stock: Offer["stock"], creates: Creates | undefined): number {
  const { missing, triedBefore, mostMissing } = assumptions;
  const expected = missing[stock];
  if (creates === undefined) return expected;
  const found = (triedBefore * expected + creates.failed) / (triedBefore + creates.tried);
  return Math.min(Math.max(expected, mostMissing), found);
}

/** Seconds in the mean until a create of an offer finds a machine. */
export const waitFor = (offer: Offer, createsOf: CreatesOf | undefined): number =>
  waitSeconds({ missing: missingOf(offer.stock, createsOf?.(offer)), retry: assumptions.retry });

/** Why an offer is no machine for a run; undefined where it is. @param sample whether a sample may stand for an offer */
const whyNone = (offer: Offer, run: TrainingRun, now: number, sample: boolean): string | undefined =>
  whyNever(sample && offer.source === "sample" ? { ...offer, source: "live" } : offer, now) ??
  noBuild(offer) ??
  tooSmall(offer, run);

/** How offers are read. */
interface Reading {
  readonly now: number;
  readonly sample: boolean;
  readonly mode?: Kind | undefined;
  /** What is known of their machines by measuring. */
  readonly measuredOf?: MeasuredOf | undefined;
  /** What became of creates before. */
  readonly createsOf?: CreatesOf | undefined;
}

/** An offer as a machine, or why it is none. */
export function machineOf(
  offer: Offer,
  run: TrainingRun,
  { now, sample, mode, measuredOf, createsOf }: Reading,
): Machine | string {
  const why = whyNone(offer, run, now, sample) ?? rulesOf(mode).misses(offer);
  return why ?? machineBy(offer, run, now, measuredOf?.(offer), createsOf?.(offer));
}

/** What a machine is read from, offered or rented. */
export type Read = Pick<
  Offer,
  | "id"
  | "gpu"
  | "count"
  | "tier"
  | "upstream"
  | "upMbps"
  | "downMbps"
  | "egressPerGb"
  | "ingressPerGb"
  | "storagePerGbMonth"
  | "diskIncludedGb"
  | "price"
  | "granularitySeconds"
  | "minTermSeconds"
  | "bootBilled"
  | "bootSeconds"
  | "endsAt"
  | "stock"
>;

/** A machine by what is told and known of it, or why it is none. */
export function machineBy(
  offer: Read,
  run: TrainingRun,
  now: number,
  known: Pick<KnownMachine, "flops" | "up" | "down"> | undefined,
  creates?: Creates,
): Machine | string {
  const flops = known?.flops ?? flopsOf(offer.gpu);
  if (flops === undefined) return "its speed is not known";
  const { tier, price, count, endsAt, stock, upstream } = offer;
  return {
    id: offer.id,
    gpus: count,
    workers: count,
    speed: (count * flops) / run.flopPerToken,
    ...linkOf(offer, known),
    price: Number(price.perHour ?? 0n) / 3_600,
    storage: storageOf(offer, run),
    granularity: offer.granularitySeconds,
    minTerm: offer.minTermSeconds ?? 0,
    bootBilled: offer.bootBilled,
    provisioning: offer.bootSeconds ?? assumptions.provisioning,
    deathRate: 1 / assumptions.lifetime[price.charge === "spot" ? "spot" : tier],
    kill: assumptions.kill,
    replace: assumptions.replace,
    ends: endsAt === undefined ? Infinity : (endsAt - now) / 1_000,
    missing: missingOf(stock, creates),
    retry: assumptions.retry,
    bootSpread: assumptions.bootSpread,
    priceSpread: assumptions.priceSpread[price.charge],
    island: upstream,
  };
}

/** In the order of a plan's table: the dearest first. */
export const byPrice = (a: Offer, b: Offer): number =>
  Number((perGpuHour(b) ?? 0n) - (perGpuHour(a) ?? 0n)) || (a.id < b.id ? -1 : 1);
