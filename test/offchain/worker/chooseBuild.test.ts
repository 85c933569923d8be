/** Which build a machine trains, by its device and by what it computes. */
import { digestOfJson } from "@cotrain/sdk/protocol";
import { describe, expect, test } from "vitest";

import { createManualClock } from "../manualClock.ts";
import { type Device, EngineClosedError } from "../../../offchain/src/engine/index.ts";
import { devices } from "../../../offchain/src/engine/runtime/node/index.ts";
import { RetryableError, UserError } from "../../../offchain/src/base/index.ts";
import type { AdmittedBuild, Artefacts, RunDescription } from "../../../offchain/src/worker/artefacts.ts";
import { chooseBuild } from "../../../offchain/src/worker/chooseBuild.ts";
import type { Trainer } from "../../../offchain/src/worker/trainer.ts";
import { workerDevice } from "../../../offchain/src/worker/workerDevice.ts";
import { openRounding } from "../engine/halfRounding.ts";

const build = (deviceClass: string, step: string, conformance: string): AdmittedBuild =>
  ({
    digest: digestOfJson([deviceClass, step]),
    document: { deviceClass, graphs: { step: digestOfJson(step) }, conformance },
  }) as unknown as AdmittedBuild;

const cpu = build("exact-x86", "one program", "0xc");
const wasm = build("exact-wasm", "one program", "0xa");
const large = build("exact-x86", "another program", "0xd");

/** @param values what the machine computes, by program, or why it cannot */
async function choose(
  deviceClass: string,
  builds: readonly AdmittedBuild[],
  values: Readonly<Record<string, string | Error>>,
  minutes = 0,
  takesHalf?: () => Promise<boolean>,
) {
  const opened: string[] = [];
  const closed: string[] = [];
  const patience: number[] = [];
  const clock = createManualClock();
  const chosen = await chooseBuild(
    { builds } as RunDescription,
    { get: async (digest: string) => new TextEncoder().encode(digest) } as unknown as Artefacts,
    { threads: 1, signal: new AbortController().signal },
    {
      deviceClass,
      ...(takesHalf && { takesHalf }),
      clock,
      openTrainer: async ({ program, patience: left = 0 }) => {
        const name = Object.keys(values).find((each) => digestOfJson(each) === new TextDecoder().decode(program))!;
        opened.push(name);
        patience.push(left / 60_000);
        return {
          conformance: async () => {
            await clock.advance(minutes * 60_000);
            const value = values[name];
            if (value instanceof Error) throw value;
            return value;
          },
          close: async () => void closed.push(name),
        } as unknown as Trainer;
      },
    },
  );
  return { build: chosen.build, conformance: chosen.conformance, opened, closed, ...(minutes > 0 && { patience }) };
}

test("that of its device, wherever it stands, if the machine computes what it should", async () => {
  const one = { "one program": "0xa" };
  expect(await choose("exact-wasm", [cpu, wasm], one)).toMatchObject({ build: wasm, opened: ["one program"] });
  expect(await choose("exact-x86", [wasm, cpu], { "one program": "0xc" })).toMatchObject({ build: cpu });
});

test("that of another class whose value it computes, and each program is tried once", async () => {
  expect(await choose("exact-x86", [cpu, wasm], { "one program": "0xa" })).toEqual({
    build: wasm,
    conformance: "0xa",
    opened: ["one program"],
    closed: [],
  });
  expect(await choose("arm64-linux", [cpu, large], { "one program": "0xe", "another program": "0xd" })).toEqual({
    build: large,
    conformance: "0xd",
    opened: ["one program", "another program"],
    closed: ["one program"],
  });
});

test("the first of its device's class where it computes what no build does", async () => {
  expect(await choose("exact-wasm", [cpu, large, wasm], { "one program": "0xe", "another program": "0xf" })).toEqual({
    build: wasm,
    conformance: "0xe",
    opened: ["one program", "another program"],
    closed: ["another program"],
  });
});

test("another where the program of one cannot be had or opened, and none where the coordinator is away", async () => {
  const unfit = new UserError("PROGRAM_UNFIT", "The step program has other parameters.");
  const away = new RetryableError("COORDINATOR_AWAY", "Not now.");
  expect(await choose("exact-x86", [cpu, large], { "one program": unfit, "another program": "0xd" })).toEqual({
    build: large,
    conformance: "0xd",
    opened: ["one program", "another program"],
    closed: ["one program"],
  });
  // What was opened before stays, though it is of no known class.
  expect(await choose("exact-x86", [cpu, large], { "one program": "0xe", "another program": unfit })).toMatchObject({
    build: cpu,
    closed: ["another program"],
  });
  await expect(choose("exact-x86", [cpu, large], { "one program": unfit, "another program": unfit })).rejects.toBe(
    unfit,
  );
  await expect(choose("exact-x86", [cpu, large], { "one program": "0xe", "another program": away })).rejects.toBe(away);
});

const inHalf = (of: AdmittedBuild): AdmittedBuild => ({ ...of, document: { ...of.document, precision: "fp16" } });
const takes = async (): Promise<boolean> => true;
const unasked = (): Promise<boolean> => Promise.reject(new RetryableError("ASKED", "It was asked."));

test("one with products in fp16 is for a device that says that it multiplies so: it comes first there, and nowhere else", async () => {
  const [gpu, half] = [build("webgpu", "one program", "0xa"), inHalf(build("webgpu", "half", "0xb"))];
  const values = { "one program": "0xa", half: "0xb" };
  expect(await choose("webgpu", [gpu, half], values, 0, takes)).toMatchObject({
    build: half,
    opened: ["half"],
  });
  for (const takesHalf of [undefined, async () => false])
    expect(await choose("webgpu", [half, gpu], values, 0, takesHalf)).toMatchObject({
      build: gpu,
      opened: ["one program"],
    });
  // Another class's comes after all others.
  expect(await choose("cuda", [half, gpu], { ...values, half: "0xe" }, 0, takes)).toMatchObject({
    build: gpu,
  });
  await expect(choose("webgpu", [half], values)).rejects.toMatchObject({ code: "DEVICE_HALF" });
  // Where no build asks for it nobody is asked.
  expect(await choose("webgpu", [gpu], values, 0, unasked)).toMatchObject({ build: gpu });
});

describe("one with products in fp16 whose value the device does not compute", () => {
  const [gpu, half] = [build("webgpu", "one program", "0xa"), inHalf(build("webgpu", "half", "0xb"))];

  test("is not trained: the one in fp32 is, though neither's is computed", async () => {
    const due = { build: gpu, conformance: "0x1" };
    expect(await choose("webgpu", [gpu, half], { "one program": "0x1", half: "0x2" }, 0, takes)).toEqual({
      ...due,
      opened: ["half", "one program"],
      closed: ["half"],
    });
    expect(await choose("cuda", [half, gpu], { "one program": "0x1", half: "0x2" }, 0, takes)).toEqual({
      ...due,
      opened: ["one program", "half"],
      closed: ["half"],
    });
    await expect(choose("webgpu", [half], { half: "0x2" }, 0, takes)).rejects.toMatchObject({
      code: "DEVICE_HALF",
      message: "All builds of the run multiply in fp16, and this device computes what none of them says.",
    });
  });

  test("is passed over where it ends the device's engine", async () => {
    const ended = new EngineClosedError("The engine's process ended.");
    expect(await choose("webgpu", [gpu, half], { "one program": "0xa", half: ended }, 0, takes)).toMatchObject({
      build: gpu,
      opened: ["half", "one program"],
    });
    await expect(choose("webgpu", [half], { half: ended }, 0, takes)).rejects.toBe(ended);
  });

  test("has half of the time, whatever their number", async () => {
    const names = Array.from({ length: 63 }, (_, i) => `half ${i}`);
    const halves = names.map((name) => inHalf(build("webgpu", name, "0xb")));
    const none = Object.fromEntries(names.map((name) => [name, "0x2"]));
    expect(await choose("webgpu", [...halves, gpu], { ...none, "one program": "0x1" }, 12, takes)).toMatchObject({
      build: gpu,
      opened: ["half 0", "half 1", "one program"],
      patience: [15, 3, 6],
    });
  });
});

test("a device is asked whether it multiplies so wherever its worker runs, which goes by its row alone", async () => {
  const gpu: Device = { ...devices.cpu, name: "cuda:1", exact: false, open: openRounding(devices.cpu.open) };
  const asWorker = workerDevice(gpu);
  expect(asWorker).toMatchObject({ name: "cuda:1", place: "cuda", deviceClass: gpu.exactness() });
  expect(await asWorker.takesHalf?.()).toBe(true);
  expect(await workerDevice({ ...gpu, open: devices.cpu.open }).takesHalf?.()).toBe(false);
  expect(await workerDevice(devices.cpu).takesHalf?.()).toBe(false);
});

test("all builds together have the time of one device: what was opened first is taken when it is over", async () => {
  const names = Array.from({ length: 64 }, (_, i) => `program ${i}`);
  const builds = names.map((name) => build("exact-x86", name, "0xc"));
  const none = Object.fromEntries(names.map((name) => [name, "0xe"]));
  const slow = await choose("exact-x86", builds, none, 12);
  expect(slow).toMatchObject({ build: builds[0], opened: names.slice(0, 3), closed: names.slice(1, 3) });
  expect(slow.patience).toEqual([30, 18, 6]);
  // One that was cut short is no lost device.
  const ended = { ...none, "program 2": new EngineClosedError("The engine gave no answer within 360 s.") };
  expect(await choose("exact-x86", builds, ended, 12)).toMatchObject({ build: builds[0], opened: names.slice(0, 3) });
});

describe("one whose program ends the device's engine", () => {
  const ended = new EngineClosedError("The engine's process ended (SIGFPE).");
  const deadly = build("exact-wasm", "deadly", "0xf");

  test("shuts out nobody, be it tried before another or after it", async () => {
    for (const builds of [
      [cpu, deadly],
      [deadly, cpu],
    ])
      for (const value of ["0xc", "0xe"])
        expect(await choose("arm64-linux", builds, { "one program": value, deadly: ended })).toMatchObject({
          build: cpu,
          conformance: value,
        });
    expect(await choose("exact-wasm", [cpu, deadly], { "one program": "0xe", deadly: ended })).toMatchObject({
      build: cpu,
      opened: ["deadly", "one program"],
    });
  });

  test("is a lost device's where no other can be trained on it, whatever is wrong with those", async () => {
    const unfit = new UserError("PROGRAM_UNFIT", "The step program has other parameters.");
    for (const other of [ended, unfit])
      await expect(choose("arm64-linux", [deadly, cpu], { deadly: ended, "one program": other })).rejects.toBe(ended);
  });
});
