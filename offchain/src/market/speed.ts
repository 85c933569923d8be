/**
 * What a token costs on a machine, before anybody has measured it: the makers' figure of half precision, at a share of it that
 * training reaches, for a reference model. An estimate to compare machines by, not what a run will cost: links, deaths and batches
 * are the planner's.
 */
import { flopPerToken } from "../engine/index.ts";
import { type Gpu, tflopsOf } from "./gpus.ts";
import type { MicroUsd } from "./money.ts";
import type { Offer } from "./offer.ts";

/** Share of the makers' figure that training reaches, until it is measured. */
export const ASSUMED_MFU = 0.35;

/** The reference: a model of 10^9 parameters. */
const FLOP_PER_TOKEN = flopPerToken(1e9, { layers: 24, width: 1_536, sequence: 1_024 });

/** FLOP/s that one GPU trains with, as estimated here; undefined for GPUs whose figure is not known. */
export function flopsOf(gpu: Gpu): number | undefined {
  const tflops = tflopsOf(gpu);
  return tflops === undefined ? undefined : tflops * 1e12 * ASSUMED_MFU;
}

/** µUSD of 10^9 tokens; undefined without a price or a speed. */
export function usdPerBillionTokens({
  gpu,
  count,
  price,
}: Pick<Offer, "gpu" | "count" | "price">): MicroUsd | undefined {
  const flops = flopsOf(gpu);
  const { perHour } = price;
  if (flops === undefined || perHour === undefined) return undefined;
  return BigInt(Math.ceil((Number(perHour) * 1e9 * FLOP_PER_TOKEN) / (count * flops * 3_600)));
}
