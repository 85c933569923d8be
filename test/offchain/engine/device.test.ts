/** Which machines may claim which class. */
import { expect, test } from "vitest";

import { EngineError } from "../../../offchain/src/engine/index.ts";
import { devices } from "../../../offchain/src/engine/runtime/node/index.ts";
import { deviceClass } from "../../../offchain/src/engine/runtime/node/machine.ts";

const x86 = (flags: string) => ({
  arch: "x64",
  platform: "linux",
  cpuInfo: `processor\t: 0\nflags\t\t: ${flags}\nbugs\t\t:\n`,
});

test("x86 with AVX2 and FMA is exact-x86, without it is refused", () => {
  expect(deviceClass(x86("fpu sse2 fma avx avx2"))).toBe("exact-x86");
  expect(() => deviceClass(x86("fpu sse2 avx avx2"))).toThrow(EngineError);
  expect(() => deviceClass(x86("fpu sse2 fma avx avx2_imitation"))).toThrow(/AVX2/);
});

test("other processors are classes of their own", () => {
  expect(deviceClass({ arch: "arm64", platform: "darwin", cpuInfo: undefined })).toBe("arm64-darwin");
  expect(deviceClass({ arch: "x64", platform: "win32", cpuInfo: undefined })).toBe("exact-x86");
});

test("the runtime has a version", () => {
  expect(devices.cpu.runtime()).toMatch(/^onnxruntime-node \d+\.\d+\.\d+/);
  expect(devices.wasm.runtime()).toMatch(/^onnxruntime-web \d+\.\d+\.\d+/);
});
