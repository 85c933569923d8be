/**
 * What a cluster may come to, beside its mean: seeded draws of boots, deaths, stock and prices under the model of model.ts. Each
 * draw plays every machine's leases one after the other and counts, at some moments, the tokens of whole rounds and what was paid by
 * then. The luck of a machine is that of its id: the same plan has the same ranges.
 */
import { createRandom, type Random } from "../../base/index.ts";
import { billed, loadSeconds, type Machine, type Member, type TrainingRun } from "./model.ts";
import type { Goal, Outcome, Task } from "./search.ts";

export const DRAWS = 1_000;
/** Draws of a cluster that is only held against another. */
const FEW = 200;
/** Share of the draws that a limit must hold in. */
export const SURE = 0.9;
/** Moments at which a draw is counted. */
const MOMENTS = 96;
/** Tries to have a machine, at the most. */
const MOST_TRIES = 1_000;

/** A tenth of the draws is below the first, nine tenths are not above the last. */
export interface Range {
  readonly p10: number;
  readonly p50: number;
  readonly p90: number;
}

interface Ranges {
  readonly seconds: Range;
  /** Effective. */
  readonly tokens: Range;
  /** µUSD. */
  readonly cost: Range;
  /** Share of the draws that keep to budget and deadline. */
  readonly sure: number;
}

/** The smallest value that is not below this share of them. */
export const quantile = (sorted: ArrayLike<number>, share: number): number =>
  sorted[Math.max(0, Math.ceil(share * sorted.length - 1e-9) - 1)] ?? 0;

function rangeOf(values: Float64Array): Range {
  const sorted = values.toSorted();
  return { p10: quantile(sorted, 0.1), p50: quantile(sorted, 0.5), p90: quantile(sorted, SURE) };
}

/** A factor around 1, of mean 1: log-normal. */
const factor = (random: Random, spread: number): number =>
  spread === 0 ? 1 : Math.exp(spread * random.normal() - (spread * spread) / 2);

/** One lease of a draw: seconds since the beginning. */
export interface Leased {
  readonly begins: number;
  /** From when it trains. */
  readonly ready: number;
  readonly dies: number;
  /** By which its price is another than the quote. */
  readonly price: number;
}

/** The next lease of a machine: what is not to be had is asked for again, and who follows a dead one is another's offer. */
export function leaseOf(machine: Machine, run: TrainingRun, now: number, random: Random): Leased {
  const isReady = machine.ready === true && now === 0;
  const missing = isReady ? 0 : machine.missing;
  let tries = 1;
  while (tries < MOST_TRIES && random.float() < missing) tries += 1;
  const begins = now + (tries - 1) * machine.retry;
  const ready = isReady ? 0 : begins + loadSeconds(machine, run) * factor(random, machine.bootSpread);
  const lifetime = machine.deathRate === 0 ? Infinity : -Math.log1p(-random.float()) / machine.deathRate;
  return {
    begins,
    ready,
    dies: Math.max(ready, Math.min(ready + lifetime, begins + machine.ends)),
    price: now === 0 ? 1 : factor(random, machine.priceSpread),
  };
}

/** Tokens and µUSD of a lease by a moment that is not before its beginning. */
function sumsOf(
  { machine, steps }: Member,
  { begins, ready, dies, price }: Leased,
  at: number,
  roundSeconds: number,
  run: TrainingRun,
): readonly [tokens: number, cost: number] {
  const until = Math.min(at, dies);
  const alive = Math.max(0, until - ready);
  const rounds = Math.floor(alive / roundSeconds);
  const booting = machine.bootBilled ? Math.min(until, ready) - begins : 0;
  const traffic = machine.upPrice * run.payloadBytes + machine.downPrice * run.updateBytes;
  return [
    rounds * machine.workers * steps * run.batchTokens,
    price * machine.price * billed(machine, booting + alive + machine.kill) +
      machine.storage * (until - begins + machine.kill) +
      (machine.ready === true && begins === 0 && ready === 0 ? 0 : machine.downPrice * run.startBytes) +
      rounds * machine.workers * traffic,
  ];
}

/** Plays a machine through the moments, and adds what it does and costs by each. */
function play(
  member: Member,
  { roundSeconds, run, every }: { roundSeconds: number; run: TrainingRun; every: number },
  random: Random,
  sums: Sums,
): void {
  const end = MOMENTS * every;
  let [tokens, cost] = [0, 0];
  let moment = 0;
  const count = (until: number, of: (at: number) => readonly [number, number]): void => {
    for (; moment < MOMENTS && (moment + 1) * every < until; moment++) {
      const [more, paid] = of((moment + 1) * every);
      sums.tokens[moment] = (sums.tokens[moment] ?? 0) + tokens + more;
      sums.cost[moment] = (sums.cost[moment] ?? 0) + cost + paid;
    }
  };
  for (let now = 0; now <= end;) {
    const lease = leaseOf(member.machine, run, now, random);
    count(lease.begins, () => [0, 0]);
    count(lease.dies, (at) => sumsOf(member, lease, at, roundSeconds, run));
    const [more, paid] = sumsOf(member, lease, lease.dies, roundSeconds, run);
    [tokens, cost] = [tokens + more, cost + paid];
    now = lease.dies + member.machine.replace;
  }
  count(Infinity, () => [0, 0]);
}

/** By each moment: effective tokens, µUSD. */
interface Sums {
  readonly tokens: Float64Array;
  readonly cost: Float64Array;
}

/** The draws of a cluster over some seconds. */
interface Drawn {
  /** Seconds between two moments; the first is after so many. */
  readonly every: number;
  readonly draws: readonly Sums[];
}

/**
 * Plays a cluster so many times.
 * @param seconds as far as it is counted
 */
export function drawsOf(
  { cluster }: Pick<Outcome, "cluster">,
  { run, hub }: Pick<Task, "run" | "hub">,
  seconds: number,
  { seed = "plan", count = DRAWS }: { readonly seed?: string; readonly count?: number } = {},
): Drawn {
  const every = seconds / MOMENTS;
  const { roundSeconds, members, effectiveness } = cluster;
  const luck = members.map(({ machine }) => createRandom(`${seed} ${machine.id}`));
  const draws = Array.from({ length: count }, (): Sums => {
    const sums = { tokens: new Float64Array(MOMENTS), cost: new Float64Array(MOMENTS) };
    for (const [index, member] of members.entries()) {
      const random = luck[index];
      if (random !== undefined) play(member, { roundSeconds, run, every }, random, sums);
    }
    for (let moment = 0; moment < MOMENTS; moment++) {
      sums.tokens[moment] = (sums.tokens[moment] ?? 0) * effectiveness;
      sums.cost[moment] = (sums.cost[moment] ?? 0) + hub.cost * (moment + 1) * every;
    }
    return sums;
  });
  return { every, draws };
}

/** When a sum that grows reaches a figure; beyond the last moment it is taken to go on as it did in the mean. */
function whenReached(sum: Float64Array, figure: number, every: number): number {
  const after = sum.findIndex((each) => each >= figure);
  if (after < 0) return (MOMENTS * every * figure) / (sum.at(-1) || Number.MIN_VALUE);
  const before = after === 0 ? 0 : (sum[after - 1] ?? 0);
  return (after + (figure - before) / ((sum[after] ?? 0) - before || 1)) * every;
}

/** A sum at a time, between the moments in a straight line. */
function sumAt(sum: Float64Array, seconds: number, every: number): number {
  const place = seconds / every;
  if (place >= MOMENTS) return ((sum.at(-1) ?? 0) * place) / MOMENTS;
  const [low, high] = [Math.floor(place), Math.ceil(place)];
  const below = low === 0 ? 0 : (sum[low - 1] ?? 0);
  return below + ((high === 0 ? 0 : (sum[high - 1] ?? 0)) - below) * (place - low);
}

const column = (draws: readonly Sums[], of: (sums: Sums) => number): Float64Array => Float64Array.from(draws, of);
const shareOf = (values: Float64Array, isKept: (value: number) => boolean): number =>
  values.filter(isKept).length / values.length;

/** An outcome with its ranges. */
export interface Ranged extends Outcome {
  readonly ranges: Ranges;
}

/** It ends when the budget does, whenever that is. */
function spent(outcome: Outcome, budget: number, task: Task): Ranged {
  const { every, draws } = drawsOf(outcome, task, 1.5 * outcome.seconds);
  const seconds = column(draws, ({ cost }) => whenReached(cost, budget, every));
  const tokens = Float64Array.from(draws, (sums, index) => sumAt(sums.tokens, seconds[index] ?? 0, every));
  const all = { p10: budget, p50: budget, p90: budget };
  return { ...outcome, ranges: { seconds: rangeOf(seconds), tokens: rangeOf(tokens), cost: all, sure: 1 } };
}

/** It ends at the last moment by which nine draws of ten are within the budget; undefined where there is none. */
function within(outcome: Outcome, budget: number, task: Task): Ranged | undefined {
  const { every, draws } = drawsOf(outcome, task, outcome.seconds);
  for (let moment = MOMENTS - 1; moment >= 0; moment--) {
    const cost = column(draws, (sums) => sums.cost[moment] ?? 0);
    const paid = rangeOf(cost);
    if (paid.p90 > budget) continue;
    const seconds = (moment + 1) * every;
    const tokens = rangeOf(column(draws, (sums) => sums.tokens[moment] ?? 0));
    if (tokens.p50 === 0) return undefined;
    const sure = shareOf(cost, (each) => each <= budget);
    const { rate, cost: perSecond } = outcome.cluster;
    return {
      cluster: outcome.cluster,
      seconds,
      tokens: rate * seconds,
      cost: perSecond * seconds,
      score: -tokens.p50,
      ranges: { seconds: { p10: seconds, p50: seconds, p90: seconds }, tokens, cost: paid, sure },
    };
  }
  return undefined;
}

/** Share of the draws in which a cluster has its tokens by the deadline; 1 where it is for no number of tokens. */
export function sureOf(outcome: Outcome, task: Task): number {
  const { goal } = task;
  if (goal.kind !== "least cost") return 1;
  const { every, draws } = drawsOf(outcome, task, Math.min(1.5 * goal.deadline, 2.5 * outcome.seconds), { count: FEW });
  return shareOf(
    column(draws, ({ tokens }) => whenReached(tokens, goal.tokens, every)),
    (each) => each <= goal.deadline,
  );
}

/** It ends with its tokens, nine times of ten before the deadline; undefined where it would not. */
function done(
  outcome: Outcome,
  { tokens: target, deadline }: Extract<Goal, { readonly kind: "least cost" }>,
  task: Task,
): Ranged | undefined {
  const { every, draws } = drawsOf(outcome, task, Math.min(1.5 * deadline, 2.5 * outcome.seconds));
  const seconds = column(draws, ({ tokens }) => whenReached(tokens, target, every));
  const sure = shareOf(seconds, (each) => each <= deadline);
  if (sure < SURE) return undefined;
  const cost = Float64Array.from(draws, (sums, index) => sumAt(sums.cost, seconds[index] ?? 0, every));
  const all = { p10: target, p50: target, p90: target };
  return { ...outcome, ranges: { seconds: rangeOf(seconds), tokens: all, cost: rangeOf(cost), sure } };
}

/** An outcome of a task with its ranges; undefined where it does not keep to budget and deadline in nine draws of ten. */
export function rangedOf(outcome: Outcome, task: Task): Ranged | undefined {
  const { goal } = task;
  if (outcome.score === Infinity) return undefined;
  if (goal.kind === "budget") return spent(outcome, goal.budget, task);
  return goal.kind === "most tokens" ? within(outcome, goal.budget, task) : done(outcome, goal, task);
}
