/** What the workers of a local network compute with, by what `--device` names. */
import { expect, test, vi } from "vitest";

import { keptDevice, workerCount, workerDevices } from "../../../offchain/src/localnet/devices.ts";

const probed = vi.hoisted(() => ({ times: 0, threads: 0, names: ["webgpu", "cpu"] }));
vi.mock("../../../offchain/src/engine/runtime/node/index.ts", async (original) => ({
  ...(await original<object>()),
  probeDevices: async ({ threads }: { threads: number }) => {
    probed.times++;
    probed.threads = threads;
  },
  chooseDevices: () => ({ names: probed.names, sentence: "Trains on webgpu, the fastest device here." }),
}));

test("named devices are taken as they are; what stands for the fastest is measured once and said", async () => {
  const said: string[] = [];
  const display = { update: () => undefined, say: (lines: readonly string[]) => void said.push(...lines) };
  const { signal } = new AbortController();
  expect(await workerDevices(["cuda:0", "cuda:1"], display, signal)).toEqual([["cuda:0"], ["cuda:1"]]);
  expect([probed.times, said]).toEqual([0, []]);
  expect(await workerDevices(["auto", "wasm", "auto"], display, signal)).toEqual([
    ["webgpu", "cpu"],
    ["wasm"],
    ["webgpu", "cpu"],
  ]);
  // Its workers have one each.
  expect([probed.times, probed.threads, said]).toEqual([1, 1, ["Trains on webgpu, the fastest device here."]]);
});

test("of several GPUs of the fastest kind each is the first of a worker", async () => {
  probed.names = ["cuda", "cuda:2", "webgpu", "cuda:1", "cpu"];
  const display = { update: () => undefined, say: () => undefined };
  const found = await workerDevices(["auto"], display, new AbortController().signal);
  expect(found).toEqual([
    ["cuda", "cuda:2", "webgpu", "cuda:1", "cpu"],
    ["cuda:2", "cuda", "webgpu", "cuda:1", "cpu"],
    ["cuda:1", "cuda", "cuda:2", "webgpu", "cpu"],
  ]);
  expect(workerCount({ options: { workers: 3 }, config: { explicit: () => false } } as never, found.slice(1))).toBe(2);
});

const count = (device: readonly string[], explicit: boolean): number =>
  workerCount(
    { options: { workers: 3 }, config: { explicit: () => explicit } } as never,
    device.map((name) => [name]),
  );

test("there are as many workers as devices, and three at least, where nobody says how many", () => {
  expect(count(["cpu"], false)).toBe(3);
  expect(count(["cuda:0", "cuda:1", "cuda:2", "cuda:3"], false)).toBe(4);
  expect(count(["cuda:0", "cuda:1", "cuda:2", "cuda:3"], true)).toBe(3);
});

test("several GPUs have one worker each; one GPU has as many as there are usually", () => {
  expect(count(["cuda:0", "cuda:1"], false)).toBe(2);
  expect(count(["webgpu", "cuda:1"], false)).toBe(2);
  expect(count(["cuda:0", "cuda:1"], true)).toBe(3);
  expect(count(["cuda:0"], false)).toBe(3);
  expect(count(["cuda", "cuda:0"], false)).toBe(3);
  expect(count(["cpu", "wasm"], false)).toBe(3);
});

const kept = (explicit: boolean) =>
  keptDevice({ options: { device: ["webgpu", "cpu"] }, config: { explicit: () => explicit } } as never);

test("what a start was told of devices is kept for who names the next one, and nothing where it was told nothing", () => {
  expect([kept(true), kept(false)]).toEqual(["webgpu,cpu", null]);
});
