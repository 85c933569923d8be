/**
 * What a token costs on a machine, before anybody has measured it: the makers' figure of half precision, at a share of it that
 * training reaches, for a reference model. An estimate to compare machines by, not what a run will cost: links, deaths and batches
 * are the planner's.
 */
import { tflopsOf } from "./gpus.ts";
import type { MicroUsd } from "./money.ts";
import type { Offer } from "./offer.ts";

/** Share of the makers' figure that training reaches, until it is measured. */
export const ASSUMED_MFU = 0.35;
/** FLOP of a token: 6 for each of 10^9 parameters, and 12 · layers · width · sequence for attention (24, 1,536, 1,024). */
const FLOP_PER_TOKEN = 6 * 1e9 + 12 * 24 * 1_536 * 1_024;

/** Tokens a second of a machine as estimated here; undefined for GPUs whose figure is not known. */
function tokensPerSecond({ gpu, count }: Pick<Offer, "gpu" | "count">): number | undefined {
  const tflops = tflopsOf(gpu);
  return tflops === undefined ? undefined : (count * tflops * 1e12 * ASSUMED_MFU) / FLOP_PER_TOKEN;
}

/** µUSD of 10^9 tokens; undefined without a price or a speed. */
export function usdPerBillionTokens(offer: Pick<Offer, "gpu" | "count" | "price">): MicroUsd | undefined {
  const speed = tokensPerSecond(offer);
  const { perHour } = offer.price;
  if (speed === undefined || perHour === undefined) return undefined;
  return BigInt(Math.ceil((Number(perHour) * 1e9) / (speed * 3_600)));
}
