/** What the fake provider has let: machines, whether there are more, and what each costs by its meter. */
import type { Clock } from "../../base/index.ts";
import type { Logger } from "../../service/index.ts";
import type { MicroUsd } from "../money.ts";
import type { FakeMachines, FakeOrder } from "./machines.ts";

/** From an end that was accepted to the end of the bill at the latest, ms: its terms say so. */
const KILL_MS = 5_000;
/** Machines that it remembers. */
const MOST_MACHINES = 10_000;
/** The longest that a timer waits. */
const LONGEST_MS = 2 ** 31 - 1;

export interface FakeMachine {
  readonly id: string;
  readonly label: string;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  state: "running" | "failed" | "ending" | "gone";
  /** When the meter stopped. */
  endedAt?: number;
  readonly timer: AbortController;
}

export interface FakeStockOptions {
  /** Machines that there are. */
  readonly machines: number;
  readonly perHour: MicroUsd;
  readonly boots: FakeMachines;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface FakeStock {
  /** All that were ever let. */
  readonly machines: readonly FakeMachine[];
  /** Undefined where there is none left. */
  create(order: FakeOrder, endsAt: number | undefined): FakeMachine | undefined;
  end(machine: FakeMachine): void;
  /** µUSD by now, by the second. */
  meter(machine: FakeMachine): MicroUsd;
  close(): Promise<void>;
}

export const isThere = ({ state }: FakeMachine): boolean => state !== "gone";

export function createFakeStock({ machines: most, perHour, boots, clock, logger }: FakeStockOptions): FakeStock {
  const machines: FakeMachine[] = [];

  function end(machine: FakeMachine): void {
    if (machine.state === "ending" || machine.state === "gone") return;
    machine.state = "ending";
    machine.timer.abort();
    const accepted = clock.now();
    const ended = (): void => {
      machine.endedAt = Math.min(clock.now(), accepted + KILL_MS);
      machine.state = "gone";
    };
    boots.stop(machine.label).then(ended, (error: unknown) => {
      logger.error({ err: error, machine: machine.id }, "a machine could not be ended cleanly");
      ended();
    });
  }

  return {
    machines,
    create: (order, endsAt) => {
      const { label } = order;
      const isFull = machines.filter(isThere).length >= most || machines.length >= MOST_MACHINES;
      // A label is a directory here.
      if (isFull || machines.some((machine) => machine.label === label)) return undefined;
      const timer = new AbortController();
      const createdAt = clock.now();
      const machine: FakeMachine = { id: `fake-${machines.length + 1}`, label, createdAt, state: "running", timer };
      machines.push(machine);
      boots.start(order, () => {
        if (machine.state === "running") machine.state = "failed";
      });
      if (endsAt !== undefined)
        clock.sleep(Math.min(LONGEST_MS, Math.max(0, endsAt - createdAt)), timer.signal).then(
          () => end(machine),
          () => undefined,
        );
      return machine;
    },
    end,
    meter: ({ createdAt, endedAt = clock.now() }) =>
      (perHour * BigInt(Math.ceil(Math.max(0, endedAt - createdAt) / 1_000)) + 3_599n) / 3_600n,
    close: async () => {
      for (const { timer } of machines) timer.abort();
      await boots.stopAll();
    },
  };
}
