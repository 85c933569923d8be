/**
 * Plays what is rented, machine by machine and phase by phase: in each phase a cluster does rounds of its own length, and between two
 * machines may go and come. What a machine costs and when it dies is that of the machine and the world's seed, whoever rents it.
 */
import { createRandom } from "../../../offchain/src/base/index.ts";
import { type Leased, leaseOf } from "../../../offchain/src/market/planner/draws.ts";
import { billed, type Cluster, clusterOf, type Machine } from "../../../offchain/src/market/planner/model.ts";
import type { Task } from "../../../offchain/src/market/planner/search.ts";

/** A machine that is rented from a moment on. */
export interface Stay {
  readonly machine: Machine;
  readonly from: number;
  readonly leases: readonly Leased[];
  /** When it is let go; Infinity while it is not. */
  until: number;
}

interface Phase {
  readonly cluster: Cluster | undefined;
  readonly stays: readonly Stay[];
  readonly from: number;
  until: number;
}

/** Seconds of which something is alive in a phase. */
const aliveIn = ({ ready, dies }: Leased, stay: Stay, from: number, until: number): number =>
  Math.max(0, Math.min(dies, until, stay.until) - Math.max(ready, from));

/** What is rented in a world by one policy. */
export class Play {
  readonly #task: Pick<Task, "run" | "hub">;
  readonly #seed: string;
  readonly #horizon: number;
  readonly #phases: Phase[] = [];
  readonly #all: Stay[] = [];

  constructor(task: Pick<Task, "run" | "hub">, seed: string, horizon: number) {
    [this.#task, this.#seed, this.#horizon] = [task, seed, horizon];
  }

  /** Those that are rented now. */
  get stays(): readonly Stay[] {
    return this.#phases.at(-1)?.stays ?? [];
  }

  get roundSeconds(): number {
    return this.#phases.at(-1)?.cluster?.roundSeconds ?? Infinity;
  }

  /** From a moment on these are rented: who is there already goes on, who is not is let go. @param taken seconds until new ones are asked for */
  rent(machines: readonly Machine[], from: number, taken = 0): void {
    const last = this.#phases.at(-1);
    if (last !== undefined) last.until = from;
    const ids = new Set(machines.map(({ id }) => id));
    for (const stay of this.stays) if (!ids.has(stay.machine.id)) stay.until = from;
    const stays = machines.map((machine) => this.#stayOf(machine, from + taken));
    const cluster = clusterOf(machines, this.#task.run, this.#task.hub, this.#horizon);
    this.#phases.push({ cluster, stays, from, until: Infinity });
  }

  #stayOf(machine: Machine, from: number): Stay {
    const there = this.stays.find((stay) => stay.machine.id === machine.id);
    if (there !== undefined) return there;
    const random = createRandom(`luck ${this.#seed} ${machine.id}`);
    const leases: Leased[] = [];
    for (let now = 0; from + now <= this.#horizon;) {
      const lease = leaseOf(machine, this.#task.run, now, random);
      leases.push({
        ...lease,
        begins: from + lease.begins,
        ready: from + lease.ready,
        dies: from + lease.dies,
      });
      now = lease.dies + machine.replace;
    }
    const stay = { machine, from, leases, until: Infinity };
    this.#all.push(stay);
    return stay;
  }

  /** Effective tokens, and µUSD of traffic, by a moment. */
  #trained(at: number): readonly [tokens: number, traffic: number] {
    const { run } = this.#task;
    let [tokens, traffic] = [0, 0];
    for (const { cluster, stays, from, until } of this.#phases) {
      if (cluster === undefined || from >= at) continue;
      const byId = new Map(stays.map((stay) => [stay.machine.id, stay]));
      for (const { machine, steps } of cluster.members) {
        const stay = byId.get(machine.id);
        for (const lease of stay?.leases ?? []) {
          const alive = stay === undefined ? 0 : aliveIn(lease, stay, from, Math.min(at, until));
          const rounds = Math.floor(alive / cluster.roundSeconds);
          tokens += cluster.effectiveness * rounds * machine.workers * steps * run.batchTokens;
          traffic +=
            rounds * machine.workers * (machine.upPrice * run.payloadBytes + machine.downPrice * run.updateBytes);
        }
      }
    }
    return [tokens, traffic];
  }

  tokensBy(at: number): number {
    return this.#trained(at)[0];
  }

  /** µUSD if all is ended then. */
  costBy(at: number): number {
    let cost = this.#task.hub.cost * at + this.#trained(at)[1];
    for (const { machine, leases, until } of this.#all)
      for (const { begins, ready, dies, price } of leases) {
        const end = Math.min(at, until, dies);
        if (begins >= Math.min(at, until)) continue;
        const booting = machine.bootBilled ? Math.min(end, ready) - begins : 0;
        const alive = Math.max(0, end - ready);
        cost +=
          price * machine.price * billed(machine, booting + alive + machine.kill) +
          machine.storage * (end - begins + machine.kill) +
          machine.downPrice * this.#task.run.startBytes;
      }
    return cost;
  }

  /** When so many tokens are trained, Infinity where none are; beyond the horizon it is taken to go on as it did in the mean. */
  reaches(tokens: number): number {
    let [low, high] = [0, this.#horizon];
    const all = this.tokensBy(high);
    if (all === 0) return Infinity;
    if (all < tokens) return (this.#horizon * tokens) / all;
    while (high - low > 30) {
      const middle = (low + high) / 2;
      if (this.tokensBy(middle) >= tokens) high = middle;
      else low = middle;
    }
    return high;
  }

  /** µUSD until a moment, which may be beyond the horizon. */
  costUntil(at: number): number {
    return at <= this.#horizon ? this.costBy(at) : (this.costBy(this.#horizon) * at) / this.#horizon;
  }
}
