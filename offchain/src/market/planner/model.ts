/**
 * What a cluster of rented machines trains and costs: rounds by the slowest link, machines that die, boots that are paid, terms that
 * are rounded up. Pure; seconds, bytes, tokens and µUSD, in floats, for a byte costs far less than one µUSD. The formulas are those
 * of docs/market.md.
 */
import { effectiveness } from "./penalty.ts";

/** What is trained, and how. */
export interface TrainingRun {
  readonly parameters: number;
  readonly flopPerToken: number;
  /** b: tokens of one worker's batch. */
  readonly batchTokens: number;
  /** H: inner steps of a round, in the mean. */
  readonly innerSteps: number;
  readonly fragments: number;
  /** U and D: what a worker sends and gets in a round. */
  readonly payloadBytes: number;
  readonly updateBytes: number;
  /** Image, data and checkpoint, which a machine loads before it trains. */
  readonly startBytes: number;
  readonly criticalBatch: number;
}

/** Where payloads meet. */
export interface Hub {
  /** Bytes a second. */
  readonly inRate: number;
  readonly outRate: number;
  readonly reduceSeconds: number;
  /** µUSD a second of coordinator, validators and storage. */
  readonly cost: number;
}

/** A machine as the planner sees it. */
export interface Machine {
  readonly id: string;
  readonly gpus: number;
  /** w: workers that share its link. */
  readonly workers: number;
  /** s: tokens a second of all of them. */
  readonly speed: number;
  /** Bytes a second. */
  readonly up: number;
  readonly down: number;
  /** µUSD a second of time that is billed, and of the disk. */
  readonly price: number;
  readonly storage: number;
  /** µUSD a byte. */
  readonly upPrice: number;
  readonly downPrice: number;
  readonly granularity: number;
  readonly minTerm: number;
  readonly bootBilled: boolean;
  /** Seconds from asking for it to its first download. */
  readonly provisioning: number;
  /** λ: preemptions and failures a second. */
  readonly deathRate: number;
  /** Seconds from the decision to end it to the end of its bill, and from a death to the next create. */
  readonly kill: number;
  readonly replace: number;
  /** Seconds from now to the end of the offer; Infinity where it has none. */
  readonly ends: number;
  /** Chance that a create finds none, and seconds until it is asked for again. */
  readonly missing: number;
  readonly retry: number;
  /** Standard deviations of the logarithm: of the time to boot, and of the price from one lease to the next. */
  readonly bootSpread: number;
  readonly priceSpread: number;
  /** The cloud whose machine it is. */
  readonly island: string;
  /** Whether it is rented and trains: it is waited for, and loads, only after a death. */
  readonly ready?: boolean;
}

/** A machine in a cluster. */
export interface Member {
  readonly machine: Machine;
  /** H_i: its inner steps of a round. */
  readonly steps: number;
  /** v: tokens a second; c: µUSD a second. Both over lease, death and replacement. */
  readonly tokens: number;
  readonly cost: number;
}

export interface Cluster {
  readonly members: readonly Member[];
  /** Machines that cannot take part, with why. */
  readonly left: readonly { readonly machine: Machine; readonly why: string }[];
  readonly workers: number;
  /** R, and of it the part that is training. */
  readonly roundSeconds: number;
  readonly computeSeconds: number;
  /** σ, and effective tokens a second. */
  readonly effectiveness: number;
  readonly rate: number;
  /** µUSD a second, the hub's included. */
  readonly cost: number;
}

/** Seconds that its link takes in a round. */
export const exchangeSeconds = ({ workers, up, down }: Machine, { payloadBytes, updateBytes }: TrainingRun): number =>
  workers * (payloadBytes / up + updateBytes / down);

/** Seconds from its create to its first round. */
export const loadSeconds = ({ provisioning, down }: Machine, { startBytes }: TrainingRun): number =>
  provisioning + startBytes / down;

/** Seconds in the mean until a create finds one. */
export const waitSeconds = ({ missing, retry }: Pick<Machine, "missing" | "retry">): number =>
  (missing / (1 - missing)) * retry;

/** Seconds that are billed for so many. */
export const billed = ({ granularity, minTerm }: Machine, seconds: number): number =>
  Math.max(minTerm, Math.ceil(seconds / granularity) * granularity);

/** Steps of a round for each machine: as many as it takes in the time of the mean, in whole fragments. */
function stepsOf(machines: readonly Machine[], run: TrainingRun): { computeSeconds: number; steps: number[] } {
  const workers = machines.reduce((sum, each) => sum + each.workers, 0);
  const speed = machines.reduce((sum, each) => sum + each.speed, 0);
  const computeSeconds = (run.innerSteps * run.batchTokens * workers) / speed;
  const steps = machines.map((each) => {
    const whole = Math.floor((each.speed * computeSeconds) / (each.workers * run.batchTokens) + 1e-9);
    return whole - (whole % run.fragments);
  });
  return { computeSeconds, steps };
}

/** What one machine does in a cluster whose rounds last so long; undefined where no whole round fits. */
function memberOf(
  machine: Machine,
  steps: number,
  roundSeconds: number,
  horizon: number,
  run: TrainingRun,
): Member | undefined {
  const { deathRate: rate, workers } = machine;
  // What trains already boots as often as it dies.
  const again = machine.ready === true ? -Math.expm1(-rate * horizon) : 1;
  const boot = again * loadSeconds(machine, run);
  const wait = again * waitSeconds(machine);
  const working = Math.min(horizon - wait, machine.ends) - boot;
  const rounds = Math.floor(working / roundSeconds);
  if (rounds < 1) return undefined;
  const survival = Math.exp(-rate * roundSeconds);
  const whole =
    rate === 0 ? rounds : (survival * -Math.expm1(-rate * roundSeconds * rounds)) / -Math.expm1(-rate * roundSeconds);
  const alive = rate === 0 ? working : -Math.expm1(-rate * working) / rate;
  const bytes = again * machine.downPrice * run.startBytes;
  const traffic = whole * workers * (machine.upPrice * run.payloadBytes + machine.downPrice * run.updateBytes);
  const paid = billed(machine, (machine.bootBilled ? boot : 0) + alive + machine.kill);
  const cost = machine.price * paid + machine.storage * (boot + alive + machine.kill) + bytes + traffic;
  const replaced = machine.ends < horizon ? 1 : -Math.expm1(-rate * working);
  const cycle = wait + boot + alive + replaced * machine.replace;
  return { machine, steps, tokens: (whole * workers * steps * run.batchTokens) / cycle, cost: cost / cycle };
}

/**
 * A cluster of machines over a horizon; machines that cannot take part are left out, and the rest counted without them.
 * @param horizon seconds of the run
 * @returns undefined where none can
 */
export function clusterOf(
  machines: readonly Machine[],
  run: TrainingRun,
  hub: Hub,
  horizon: number,
): Cluster | undefined {
  const left: { machine: Machine; why: string }[] = [];
  let kept = machines;
  while (kept.length > 0) {
    const { computeSeconds, steps } = stepsOf(kept, run);
    const workers = kept.reduce((sum, each) => sum + each.workers, 0);
    const slowest = kept.reduce((most, each) => Math.max(most, exchangeSeconds(each, run)), 0);
    const meeting = workers * (run.payloadBytes / hub.inRate + run.updateBytes / hub.outRate);
    const roundSeconds = computeSeconds + slowest + meeting + hub.reduceSeconds;
    const members: Member[] = [];
    const dropped: { machine: Machine; why: string }[] = [];
    for (const [index, machine] of kept.entries()) {
      const own = steps[index] ?? 0;
      const member = own === 0 ? undefined : memberOf(machine, own, roundSeconds, horizon, run);
      if (member !== undefined) members.push(member);
      else
        dropped.push({
          machine,
          why: own === 0 ? "too slow for a step of each fragment" : "no whole round fits into its lease",
        });
    }
    left.push(...dropped);
    if (dropped.length === 0) {
      const sigma = effectiveness(workers, run.parameters, run.batchTokens, run.criticalBatch);
      const rate = sigma * members.reduce((sum, each) => sum + each.tokens, 0);
      const cost = members.reduce((sum, each) => sum + each.cost, hub.cost);
      return { members, left, workers, roundSeconds, computeSeconds, effectiveness: sigma, rate, cost };
    }
    kept = members.map(({ machine }) => machine);
  }
  return undefined;
}
