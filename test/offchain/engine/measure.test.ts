/** What `doctor` and `--device auto` are told of a device: its speed, the threads that it is of, and the value that shows its class. */
import { expect, test } from "vitest";

import { buildPrograms, conformance, type Device, presets, readSignature } from "../../../offchain/src/engine/index.ts";
import { measureSteps } from "../../../offchain/src/engine/measure.ts";
import { devices } from "../../../offchain/src/engine/runtime/node/index.ts";
import { createManualClock } from "../manualClock.ts";
import { fakeDevice } from "../run/fakeDevice.ts";

const preset = presets["0.1m"];
const { step } = buildPrograms(preset.model, preset);
const tokensOfStep = preset.microBatch * preset.model.sequence;

test("a machine of more threads than keep the program exact is measured on as many as do, as it would train", async () => {
  const most = readSignature(step.bytes, 2 ** 40).signature.maxThreads!;
  const opened: number[] = [];
  const device = fakeDevice("cpu", () => "0x");
  const watched: Device = { ...device, open: (given) => (opened.push(given.threads), device.open(given)) };
  const clock = createManualClock();
  for (const threads of [most - 1, most, 4 * most])
    expect((await measureSteps(watched, preset, { milliseconds: 0, clock, threads })).threads).toBe(opened.at(-1));
  expect(opened).toEqual([most - 1, most, most]);
});

test("the first step, for which some devices compile, does not count", async () => {
  const clock = createManualClock();
  const device = fakeDevice("gpu", () => "0x", [0], false);
  const open: Device["open"] = async (given) => {
    const engine = await device.open(given);
    let steps = 0;
    const train: typeof engine.train = async (...asked) => {
      await clock.advance(steps++ === 0 ? 60_000 : 100);
      return engine.train(...asked);
    };
    return { ...engine, train };
  };
  const gpu: Device = { ...device, open, blockMs: undefined };
  const found = await measureSteps(gpu, preset, { milliseconds: 1_000, clock });
  expect(found).toMatchObject({ tokensPerSecond: 10 * tokensOfStep, startMs: 60_000 });
});

test("its value is the conformance value, whatever it trained before", async () => {
  const { value, losses } = await measureSteps(devices.cpu, preset, { milliseconds: 0, clock: createManualClock() });
  expect(losses).toHaveLength(3);
  expect(value).toBe(await conformance(devices.cpu.open, step.bytes));
});
