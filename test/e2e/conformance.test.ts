/**
 * The conformance values of presets against test/vectors/conformance.json, beyond those that `npm test` has (engine/programs.test.ts).
 * A machine of a class without vectors says so and passes; on WebAssembly every machine has the same bits.
 */
import { expect, test, vi } from "vitest";

import { conformance, type Device, type PresetName } from "../../offchain/src/engine/index.ts";
import { devices } from "../../offchain/src/engine/runtime/node/index.ts";
import { deviceClass } from "../../offchain/src/engine/runtime/node/machine.ts";
import { mismatch, stepOf, vectorOf } from "../vectors/conformance.ts";

test.each([
  ["cpu", "3.5m"],
  ["wasm", "0.1m"],
  ["wasm", "1m"],
  ["wasm", "3.5m"],
] as const)("on %s, %s", async (name, preset) => {
  const device: Device = devices[name];
  expect(mismatch(device, preset, await conformance(device.open, stepOf(preset)))).toBeUndefined();
});

test("another value is a mistake in a class that has a vector, and a new class elsewhere", () => {
  const preset: PresetName = "0.1m";
  const [value, other] = [vectorOf("exact-wasm", preset)!, `0x${"00".repeat(32)}` as const];
  const told = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  try {
    const arm: Device = { ...devices.cpu, exactness: () => "arm64-linux" };
    expect(mismatch(devices.wasm, preset, value)).toBeUndefined();
    expect(mismatch(devices.wasm, preset, other)).toContain("is not the vector of exact-wasm");
    expect(told).not.toHaveBeenCalled();
    expect(mismatch(arm, preset, other)).toBeUndefined();
    expect(told).toHaveBeenLastCalledWith(`conformance of 0.1m: arm64-linux on cpu is a new class: ${other}\n`);
    expect(mismatch(arm, preset, value)).toBeUndefined();
    expect(told).toHaveBeenLastCalledWith(
      `conformance of 0.1m: arm64-linux on cpu is the same as exact-wasm: ${value}\n`,
    );
    const old: Device = {
      ...devices.cpu,
      exactness: () => deviceClass({ arch: "x64", platform: "linux", cpuInfo: "flags : sse2" }),
    };
    expect(mismatch(old, preset, other)).toBeUndefined();
    expect(told).toHaveBeenLastCalledWith(`conformance of 0.1m: other on cpu is a new class: ${other}\n`);
  } finally {
    told.mockRestore();
  }
});
