/** That the daemons of a local network read back what they are started with. */
import { EventEmitter } from "node:events";

import { describe, expect, test } from "vitest";

import { understood } from "../cli/lines.ts";
import {
  coordinatorProcess,
  restartText,
  validatorProcess,
  watchProcesses,
  workerProcess,
} from "../../../offchain/src/localnet/processes.ts";
import { coordinatorOptions, validatorOptions, workerOptions } from "../../../offchain/src/run/index.ts";
import {
  type OptionSet,
  type ProcessSpec,
  resolveConfig,
  type SupervisorEvents,
} from "../../../offchain/src/service/index.ts";
import { ENGINE_LIMITS } from "../../../offchain/src/engine/index.ts";

const PROGRAM = "/somewhere/main.ts";

/** What a process's command reads of its command line, without what is left at its default. */
function readBack(options: OptionSet, { args = [] }: Pick<ProcessSpec, "args">): Record<string, unknown> {
  const line = understood(args.slice(args.indexOf(PROGRAM) + 1));
  const { values, origins } = resolveConfig(options, { flags: line?.flags ?? {} });
  return Object.fromEntries(Object.entries(values).filter(([key]) => origins[key] === "flag"));
}

test("a coordinator reads back every kind of value: text, numbers, times, sizes", () => {
  const flags = {
    state: "a state",
    host: "::1",
    port: 0,
    loopbackPort: 7_701,
    tlsCert: "--cert",
    maxFee: 0.000_25,
    bondAtMost: 2.5,
    keepPayloads: 5_400_000,
    keepCheckpoints: 12,
    keepBytes: 2 ** 31,
    publicRpc: undefined,
  };
  const { publicRpc: _, ...given } = flags;
  expect(readBack(coordinatorOptions, coordinatorProcess(PROGRAM, flags))).toEqual(given);
});

test("validators and workers are processes by the name of their role", () => {
  const shared = { state: "state", coordinator: "http://127.0.0.1:7700" };
  const validator = { ...shared, role: "validator-1", loss: false, first: true };
  expect(validatorProcess(PROGRAM, validator).name).toBe("validator-1");
  expect(readBack(validatorOptions, validatorProcess(PROGRAM, validator))).toEqual(validator);
  const worker = { ...shared, role: "worker-2", threads: 1 };
  expect(workerProcess(PROGRAM, worker).name).toBe("worker-2");
  expect(readBack(workerOptions, workerProcess(PROGRAM, worker))).toEqual(worker);
});

// It is ready when it has joined, which it does once a device opened its program and computed the conformance value.
test("a worker is given the time that its engines are given on every device", () => {
  const limitOf = (...device: string[]) => workerProcess(PROGRAM, { role: "worker-1", device }).readyTimeout ?? 0;
  const oneDevice = 2 * ENGINE_LIMITS.conformance;
  // The last one is opened once again.
  expect(limitOf("cpu")).toBeGreaterThan(2 * oneDevice);
  expect(limitOf("cuda", "webgpu", "cpu")).toBeGreaterThan(4 * oneDevice);
  expect(workerProcess(PROGRAM, { role: "worker-1" }).readyTimeout).toBe(limitOf("cpu"));
});

test("a process that is started again is named with the reason, where there is one", () => {
  expect(restartText({ name: "worker-1", reason: undefined })).toBe("worker-1 ended and is started again");
  expect(restartText({ name: "worker-1", reason: "worker-1 was not ready within 60 s." })).toBe(
    "worker-1 ended and is started again: worker-1 was not ready within 60 s.",
  );
});

const gaveUp = (name: string): Error => new Error(`${name} ended 6 times within a minute and was given up.`);
const usual = { pid: undefined, restarts: 5, since: 0, exit: undefined, reason: undefined, details: {} };

function watch() {
  const events = new EventEmitter<SupervisorEvents>();
  const told: unknown[] = [];
  const tell = (what: unknown): void => void told.push(what);
  const lost = watchProcesses(events, { announce: tell, update: tell });
  return {
    told,
    lost,
    serves: (name: string) => events.emit("state", { ...usual, name, state: "ready" }),
    fails: (name: string) => events.emit("failed", { ...usual, name, state: "failed" }, gaveUp(name)),
  };
}

describe("a process that was given up", () => {
  test.each(["coordinator", "chain"])("ends the session where it is the %s, with why", (name) => {
    const { told, lost, serves, fails } = watch();
    serves(name);
    expect(lost.aborted).toBe(false);
    fails(name);
    expect(lost.reason).toEqual(gaveUp(name));
    expect(told).toEqual([]);
  });

  test("is told where it is another, and the others go on", () => {
    const { told, lost, serves, fails } = watch();
    serves("worker-2");
    fails("worker-2");
    expect(told).toEqual([{ warning: gaveUp("worker-2").message }]);
    expect(lost.aborted).toBe(false);
  });

  test("before it ever served is told by its start alone", () => {
    const { told, lost, fails } = watch();
    for (const name of ["coordinator", "worker-1"]) fails(name);
    expect(told).toEqual([]);
    expect(lost.aborted).toBe(false);
  });
});
