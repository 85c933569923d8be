/**
 * Policies that plan again after measuring, by the planner's own code: what is rented counts as it was measured, what is not by what others
 * were measured to be. Beside it stands one that is told what all machines are as soon as its own are measured: it learns perfectly, and
 * pays for learning.
 */
import { createRandom, type Random } from "../../../offchain/src/base/index.ts";
import { gpuText } from "../../../offchain/src/market/offer.ts";
import { replanOf, type Running } from "../../../offchain/src/market/planner/again.ts";
import { expectedOf, hopeful, type Seen } from "../../../offchain/src/market/planner/belief.ts";
import { loadSeconds, type Machine } from "../../../offchain/src/market/planner/model.ts";
import type { Task } from "../../../offchain/src/market/planner/search.ts";
import type { Play, Stay } from "./playing.ts";
import type { Believed } from "./policies.ts";

/** How they look again. */
const looks = {
  /** Seconds after the last change, at the least; rounds that are measured. */
  after: 1_800,
  rounds: 2,
  /** By how much longer it waits after each look that changed nothing: what is found late is worth less, and looking on finds what luck brings. */
  longer: 1.5,
  /** Looks in a run, the share of the time to the deadline after which there is none, and of the tokens that must be left. */
  most: 24,
  until: 0.8,
  left: 0.1,
  /** Deviation of the logarithm of what is measured from what is so. */
  noise: 0.03,
} as const;

/** What a policy may know. */
export interface Market {
  readonly believed: readonly Believed[];
  readonly real: readonly Believed[];
  readonly task: Task;
  readonly goal: Extract<Task["goal"], { readonly kind: "least cost" }>;
  readonly seed: string;
}

const isMeasured = ({ leases }: Stay, at: number, needed: number): boolean =>
  leases.some(({ ready, dies }) => Math.min(dies, at) - ready >= needed);

/** What was measured so far, and what it lets expect of others. */
class Measuring {
  readonly #random: Random;
  readonly #prior: ReadonlyMap<string, Believed>;
  readonly #known = new Map<string, Machine>();

  constructor(prior: ReadonlyMap<string, Believed>, seed: string) {
    [this.#prior, this.#random] = [prior, createRandom(`measured ${seed}`)];
  }

  measure(stays: readonly Stay[], at: number, roundSeconds: number): void {
    const noise = (): number => Math.exp(looks.noise * this.#random.normal());
    for (const stay of stays) {
      const { id, price, speed, up, down } = stay.machine;
      const expected = this.#prior.get(id)?.machine;
      if (expected === undefined || this.#known.has(id) || !isMeasured(stay, at, roundSeconds)) continue;
      this.#known.set(id, { ...expected, price, speed: speed * noise(), up: up * noise(), down: down * noise() });
    }
  }

  /** Of those that were measured, what came of what was expected. */
  seen(): readonly Seen[] {
    return [...this.#known].flatMap(([id, { speed, up, down }]): Seen[] => {
      const was = this.#prior.get(id);
      if (was === undefined) return [];
      const { machine, offer } = was;
      const shares = { speed: speed / machine.speed, up: up / machine.up, down: down / machine.down };
      return [{ gpu: gpuText(offer.gpu), cloud: offer.upstream, ...shares }];
    });
  }

  known(id: string): Machine | undefined {
    return this.#known.get(id);
  }
}

/** A machine by what others like it were measured to be. */
function expected({ machine, offer }: Believed, seen: readonly Seen[]): Machine {
  const { speed, up, down } = expectedOf(seen, { gpu: gpuText(offer.gpu), cloud: offer.upstream });
  return { ...machine, speed: machine.speed * speed, up: machine.up * up, down: machine.down * down };
}

/** Plays on what is rented already, and changes it as the planner says. @param told whether it is told what all machines are */
export function playAgain(play: Play, { believed, real, task, goal, seed }: Market, told: boolean): void {
  const truth = new Map(real.map(({ machine }) => [machine.id, machine]));
  const prior = new Map(believed.map((each) => [each.machine.id, each]));
  const measuring = new Measuring(prior, seed);
  let quiet = 0;
  let next = Math.max(...play.stays.map(({ machine }) => loadSeconds(machine, task.run)));
  for (let look = 0; look < looks.most; look++) {
    const round = play.roundSeconds;
    // Between two rounds.
    next += Math.max(looks.after, looks.rounds * round * 1.02) * looks.longer ** quiet;
    if (!(next < looks.until * goal.deadline)) return;
    const left = goal.tokens - play.tokensBy(next);
    if (left <= looks.left * goal.tokens) return;
    measuring.measure(play.stays, next, round);
    const seen = measuring.seen();
    const sure = (id: string): Machine | undefined => (told ? truth.get(id) : measuring.known(id));
    const ids = new Set(play.stays.map(({ machine }) => machine.id));
    const running = play.stays.flatMap(({ machine: { id }, from }): Running[] => {
      const was = prior.get(id);
      if (was === undefined) return [];
      const machine = sure(id) ?? expected(was, seen);
      const minTerm = Math.max(0, machine.minTerm - (next - from));
      return [{ machine: { ...machine, minTerm, ready: true }, leaving: machine.price * (minTerm + machine.kill) }];
    });
    const others = believed
      .filter(({ machine }) => !ids.has(machine.id))
      .map((each) => sure(each.machine.id) ?? hopeful(expected(each, seen)));
    const rest: Task = { ...task, goal: { ...goal, tokens: left, deadline: goal.deadline - next } };
    const plan = replanOf(running, others, rest);
    quiet = plan === undefined ? quiet + 1 : 0;
    if (plan === undefined) continue;
    const gone = new Set(plan.leaves.map(({ id }) => id));
    const taken = plan.takes.flatMap(({ id }) => truth.get(id) ?? []);
    const kept = [...ids].flatMap((id) => (gone.has(id) ? [] : (truth.get(id) ?? [])));
    play.rent([...kept, ...taken], next, plan.leaves[0]?.replace ?? 0);
    next += Math.max(0, ...taken.map((machine) => loadSeconds(machine, task.run)));
  }
}
