/**
 * A cloud of machines that do not exist, behind every fake provider: who owns them, when they are listed, when they boot and end, and
 * what they cost, by a clock. What a provider calls all that is its dialect's (`dialects/`).
 */
import type { Clock } from "../../../../offchain/src/base/index.ts";

export type Phase = "creating" | "running" | "stopped" | "ending" | "gone" | "failed";

/** What a machine was started with, as its provider's form carried it. */
export interface Started {
  readonly image: string;
  readonly script: string;
  readonly environment: Readonly<Record<string, string>>;
}

export interface Machine {
  readonly id: string;
  readonly label: string;
  /** The key that it was created with. */
  readonly owner: string;
  readonly createdAt: number;
  /** As its create said it, in the provider's own form. */
  readonly ordered: unknown;
  /** µUSD; a provider may charge more than it offered. */
  perHour: bigint;
  phase: Phase;
  /** When it ends to be billed, once its end was accepted. */
  endsAt?: number;
  /** When the provider ends it by itself. */
  dueAt?: number;
  /** A word of the provider's own in place of that for its phase. */
  says?: string;
}

export interface Cloud {
  readonly clock: Pick<Clock, "now">;
  readonly machines: readonly Machine[];
  /** Milliseconds until a machine is listed, until it runs, and from its end to the end of its bill. */
  visibleAfter: number;
  bootFor: number;
  killFor: number;
  /** Whether none can be created, or none can be ended before it runs. */
  isFull: boolean;
  refusesWhileCreating: boolean;
  /** Whether machines that are gone are shown for ever. */
  remembers: boolean;
  /** µUSD of an hour by the provider's name of an offer, where it lets others than its dialect's. */
  shelf: ReadonlyMap<string, bigint> | undefined;
  create(order: { label: string; owner: string; perHour: bigint; ordered: unknown }): Machine;
  /** What a key's owner sees now. */
  seenBy(owner: string): readonly Machine[];
  find(owner: string, id: string): Machine | undefined;
  /** False where it is refused. */
  end(machine: Machine): boolean;
  /** µUSD that a machine has cost until now, by the second. */
  meter(machine: Machine): bigint;
}

/** @param idOf the provider's way to name its machines */
export function createCloud(clock: Cloud["clock"], idOf: (index: number) => string): Cloud {
  const machines: Machine[] = [];
  /** Phases pass with time; one that was set by a test stays. */
  const passTo = (machine: Machine): Machine => {
    const now = clock.now();
    if (machine.dueAt !== undefined && now >= machine.dueAt) machine.endsAt ??= machine.dueAt;
    if (machine.endsAt !== undefined) machine.phase = now >= machine.endsAt ? "gone" : "ending";
    else if (machine.phase === "creating" && now >= machine.createdAt + cloud.bootFor) machine.phase = "running";
    return machine;
  };
  const cloud: Cloud = {
    clock,
    machines,
    visibleAfter: 0,
    bootFor: 60_000,
    killFor: 5_000,
    isFull: false,
    refusesWhileCreating: false,
    remembers: false,
    shelf: undefined,
    create: (order) => {
      const machine: Machine = { id: idOf(machines.length), createdAt: clock.now(), phase: "creating", ...order };
      machines.push(machine);
      return machine;
    },
    seenBy: (owner) =>
      machines
        .map(passTo)
        .filter(
          (machine) =>
            machine.owner === owner &&
            (machine.phase !== "gone" || cloud.remembers || machine.says !== undefined) &&
            clock.now() >= machine.createdAt + cloud.visibleAfter,
        ),
    find: (owner, id) => cloud.seenBy(owner).find((machine) => machine.id === id),
    end: (machine) => {
      if (cloud.refusesWhileCreating && passTo(machine).phase === "creating") return false;
      machine.endsAt ??= clock.now() + cloud.killFor;
      return true;
    },
    meter: ({ createdAt, endsAt, perHour }) => {
      const until = Math.min(endsAt ?? clock.now(), clock.now());
      return (perHour * BigInt(Math.ceil((until - createdAt) / 1_000)) + 3_599n) / 3_600n;
    },
  };
  return cloud;
}

/** Dollars of the whole machine for an hour, as JSON has them. */
export const usd = (perHour: bigint): number => Number(perHour) / 1e6;
