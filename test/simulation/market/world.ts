/**
 * The world of the simulation of policies: a market of a seed, and what its machines really are, under seeds that no planner sees.
 * Every distribution stands here with its source. Where there is none it is an assumption of ours, made before any result was seen.
 * Figures of papers were entered without the papers at hand.
 */
import { createRandom, type Random } from "../../../offchain/src/base/index.ts";
import { gpuOf } from "../../../offchain/src/market/gpus.ts";
import type { Offer } from "../../../offchain/src/market/offer.ts";
import type { Machine } from "../../../offchain/src/market/planner/model.ts";
import { ASSUMED_MFU } from "../../../offchain/src/market/speed.ts";
import { NOW, offerOf } from "../../offchain/market/offers.ts";

/** A log-normal value: its median and the deviation of its logarithm. */
interface Spread {
  readonly median: number;
  readonly deviation: number;
}
const drawn = ({ median, deviation }: Spread, random: Random): number => median * Math.exp(deviation * random.normal());

/** What is true, and who says so. */
const truth = {
  /**
   * Share of the maker's figure that training reaches, by class. Data centre: 38 to 43% for Llama 3 on H100
   * (https://arxiv.org/abs/2407.21783), 46% for PaLM on TPU v4 (https://arxiv.org/abs/2204.02311); less here, since small models on few
   * machines are tuned less. Others: assumed. Between machines of a class: assumed.
   */
  mfu: {
    "data centre": { median: 0.36, deviation: 0.15 },
    workstation: { median: 0.3, deviation: 0.2 },
    other: { median: 0.3, deviation: 0.25 },
  },
  /** Share of the advertised link that lasts through a transfer, never above all of it: assumed. */
  link: { secure: { median: 0.8, deviation: 0.3 }, community: { median: 0.55, deviation: 0.5 } },
  /**
   * Seconds between deaths, as a multiple of what the planner assumes. The planner's 30 days of a machine in a data centre are far below one
   * GPU's 2,100 days by Llama 3's 419 interruptions in 54 days on 16,384 GPUs (https://arxiv.org/abs/2407.21783), for machines of
   * clouds are also taken away: assumed.
   */
  lifetime: { spot: { median: 0.8, deviation: 0.7 }, other: { median: 1.5, deviation: 0.7 } },
  /** Seconds to boot, as a multiple of what the planner assumes: assumed. */
  boot: { median: 1.2, deviation: 0.5 },
  /** Chance that a create finds none, as a multiple of what the planner assumes: assumed. */
  missing: { median: 1, deviation: 0.6 },
  /** Price when it is rented, as a multiple of the listing: assumed; the price guard ends what is more than 5% dearer. */
  price: { median: 1, deviation: 0.02 },
} as const;

/** GPU, US cents of one for an hour, how common; the order of what such GPUs cost in 2026, from no provider's list. */
const models = [
  ["RTX 3060", 8, 2],
  ["RTX 3080", 13, 2],
  ["RTX 3090", 20, 4],
  ["RTX 4070 Ti", 22, 2],
  ["RTX 4080", 28, 2],
  ["RTX 4090", 38, 6],
  ["RTX 5080", 40, 1],
  ["RTX 5090", 60, 3],
  ["A4000", 18, 2],
  ["A5000", 28, 2],
  ["A6000", 48, 3],
  ["L4", 45, 2],
  ["L40S", 90, 3],
  ["RTX 6000 Ada", 80, 2],
  ["A100 SXM 80 GB", 130, 4],
  ["H100 PCIe", 210, 2],
  ["H100 SXM", 240, 4],
  ["H200 SXM", 310, 2],
  ["B200", 480, 1],
  ["B300", 620, 1],
] as const;
const pool = models.flatMap((model) => Array.from({ length: model[2] }, () => model));
/** Clouds: whether an audited data centre, by how much dearer, Mbit/s up in the middle. */
const clouds = [
  ["bazaar", "community", 0.85, 200],
  ["hosts", "community", 0.95, 400],
  ["forge", "secure", 1.15, 1_500],
  ["summit", "secure", 1.3, 5_000],
] as const;

/** A link: so many Mbit/s up in the middle, half as much again down. */
export function linkOf(mbps: number, random: Random): Required<Pick<Offer, "upMbps" | "downMbps">> {
  const up = Math.round(mbps * Math.exp(0.7 * random.normal()));
  return { upMbps: up, downMbps: Math.round(up * 1.5) };
}

/** What machines of a tier have in common. */
export const standing = (tier: Offer["tier"], gpus: number): Partial<Offer> => ({
  tier,
  cpus: 16 * gpus,
  ramGb: 128 * gpus,
  diskGb: 2_000,
  granularitySeconds: tier === "secure" ? 60 : 1,
  bootBilled: tier === "secure",
  expiresAt: NOW + 86_400_000,
});

/** A market of so many offers. */
export function marketOf(seed: string, count: number): Offer[] {
  const random = createRandom(`market ${seed}`);
  return Array.from({ length: count }, (_, index): Offer => {
    const [name, cents] = random.pick(pool);
    const [cloud, tier, dearer, mbps] = random.pick(clouds);
    const gpus = random.pick([1, 1, 1, 2, 4, 8]);
    const spot = random.below(4) === 0;
    const perGpu = cents * 10_000 * dearer * (spot ? 0.55 : 1) * Math.exp(0.2 * random.normal());
    return offerOf({
      ...standing(tier, gpus),
      ...linkOf(mbps, random),
      id: `${cloud}:${index}`,
      provider: cloud,
      upstream: cloud,
      providerId: String(index),
      gpu: gpuOf(name) ?? offerOf().gpu,
      count: gpus,
      interconnect: random.pick(["nvlink", "pcie"]),
      stock: random.below(5) === 0 ? "low" : "in stock",
      price: { charge: spot ? "spot" : "on-demand", perHour: BigInt(Math.ceil(perGpu * gpus)), firm: true },
    });
  });
}

/** What a machine really is in the world of a seed. */
export function trueMachine(machine: Machine, offer: Offer, seed: string): Machine {
  const random = createRandom(`truth ${seed}`).split(offer.id);
  const kind = offer.gpu.class === "data centre" || offer.gpu.class === "workstation" ? offer.gpu.class : "other";
  const link = truth.link[offer.tier === "secure" ? "secure" : "community"];
  const lifetime = truth.lifetime[offer.price.charge === "spot" ? "spot" : "other"];
  const [mfu, up, down] = [drawn(truth.mfu[kind], random), drawn(link, random), drawn(link, random)];
  return {
    ...machine,
    speed: (machine.speed * Math.min(0.6, mfu)) / ASSUMED_MFU,
    up: machine.up * Math.min(1, up),
    down: machine.down * Math.min(1, down),
    deathRate: machine.deathRate / drawn(lifetime, random),
    provisioning: machine.provisioning * drawn(truth.boot, random),
    missing: Math.min(0.9, machine.missing * drawn(truth.missing, random)),
    price: machine.price * Math.min(1.05, drawn(truth.price, random)),
  };
}
