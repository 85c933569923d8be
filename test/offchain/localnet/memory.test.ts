/** Workers of one machine share its memory: what they take together is told before a run begins. */
import { expect, test, vi } from "vitest";

import { workerPlaces } from "../../../offchain/src/localnet/devices.ts";
import { memoryFor, requireMemory } from "../../../offchain/src/localnet/memory.ts";
import { checkRequest } from "../../../offchain/src/localnet/request.ts";
import { recipeOf } from "../../../offchain/src/run/index.ts";

vi.mock("../../../offchain/src/engine/runtime/node/index.ts", async (original) => ({
  ...(await original<object>()),
  availableMemory: () => 1_000_000,
}));

const recipe = recipeOf("20m", {});

test("three that fit each by itself are refused where all do not", () => {
  const one = memoryFor("20m", recipe, ["cpu"]);
  const three = ["cpu", "cpu", "cpu"] as const;
  expect(memoryFor("20m", recipe, three)).toBe(3 * one);
  expect(() => requireMemory("20m", recipe, three.slice(1), 2 * one)).not.toThrow();
  expect(() => requireMemory("20m", recipe, three, 2 * one)).toThrow(
    /^3 workers of 20m need about \d\.\d\d GiB of memory and \d\.\d\d GiB are available: start fewer with --workers, choose a smaller model with --preset, or stop other programs\.$/,
  );
  expect(() => requireMemory("20m", recipe, ["cpu"], one - 1)).toThrow(/^A worker of 20m needs about/);
});

test("what is asked for counts: another optimizer keeps less", () => {
  expect(memoryFor("20m", recipeOf("20m", { optimizer: "sgd" }), ["cpu"])).toBeLessThan(
    memoryFor("20m", recipe, ["cpu"]),
  );
});

const contextOf = (device: string[], workers: number, named = false) =>
  ({
    options: { device, workers, preset: "0.1m", host: "127.0.0.1", state: "/nowhere" },
    config: { explicit: (key: string) => named && key === "workers" },
  }) as never;

test("there are as many as are started, on what is named for them", () => {
  expect(workerPlaces(contextOf(["auto"], 3))).toEqual(["cpu", "cpu", "cpu"]);
  expect(workerPlaces(contextOf(["cpu", "wasm"], 3, true))).toEqual(["cpu", "wasm", "cpu"]);
  expect(workerPlaces(contextOf(["auto"], 0, true))).toEqual([]);
});

test("a start looks before anything is made", async () => {
  await expect(checkRequest(contextOf(["auto"], 2), undefined)).rejects.toMatchObject({
    code: "MEMORY_SHORT",
    message: expect.stringContaining("2 workers of 0.1m need about"),
  });
});
