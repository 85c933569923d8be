/** Which machines may claim which class. */
import { describe, expect, test } from "vitest";

import { EngineError } from "../../../offchain/src/engine/index.ts";
import { devices } from "../../../offchain/src/engine/runtime/node/index.ts";
import { leftByGroups } from "../../../offchain/src/engine/runtime/node/controlGroups.ts";
import { availableMemory, deviceClass, wasmMemory } from "../../../offchain/src/engine/runtime/node/machine.ts";

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

const among = (files: Readonly<Record<string, string>>) => leftByGroups((path) => files[path]);
const groups = (lines: string) => ({ "/proc/self/cgroup": lines });

describe("memory that control groups leave", () => {
  test("the tightest limit of a group and those around it counts, and files in the cache are no use of it", () => {
    const files = {
      ...groups("0::/pod/worker\n"),
      "/sys/fs/cgroup/pod/worker/memory.max": "max\n",
      "/sys/fs/cgroup/pod/worker/memory.high": "max\n",
      "/sys/fs/cgroup/pod/worker/memory.current": "700\n",
      "/sys/fs/cgroup/pod/memory.max": "1000\n",
      "/sys/fs/cgroup/pod/memory.current": "900\n",
      "/sys/fs/cgroup/pod/memory.stat": "anon 500\ninactive_file 300\nactive_file 100\n",
    };
    expect(among(files)).toBe(400);
    expect(among({ ...files, "/sys/fs/cgroup/pod/worker/memory.max": "800\n" })).toBe(100);
    expect(among({ ...files, "/sys/fs/cgroup/pod/worker/memory.high": "750\n" })).toBe(50);
    expect(among({ ...files, "/sys/fs/cgroup/pod/worker/memory.max": "600\n" })).toBe(0);
  });

  test("in the first version they lie elsewhere; a container sees its own group as the root of a path that it does not have", () => {
    expect(
      among({
        ...groups("9:name=systemd:/\n4:cpu,memory:/docker/5f\n0::/\n"),
        "/sys/fs/cgroup/memory/memory.limit_in_bytes": "1000\n",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes": "600\n",
        "/sys/fs/cgroup/memory/memory.stat": "inactive_file 1\ntotal_inactive_file 50\n",
      }),
    ).toBe(450);
  });

  test("where there are no groups or no limits nothing bounds it", () => {
    expect(among({})).toBe(Infinity);
    expect(among({ ...groups("0::/a\n"), "/sys/fs/cgroup/a/memory.max": "max\n" })).toBe(Infinity);
  });
});

const told = (platform: string, free: number, available: number, left = Infinity) =>
  availableMemory({ platform, free: () => free, available: () => available, leftByGroups: () => left });

describe("memory that is available", () => {
  test("to WebAssembly it is what its addresses reach, on a machine that has more", () => {
    expect(wasmMemory(() => 2 ** 40)).toBe(2 ** 32);
    expect(wasmMemory(() => 2 ** 30)).toBe(2 ** 30);
    expect(devices.wasm.availableMemory()).toBeLessThanOrEqual(2 ** 32);
  });

  test("macOS, which keeps hardly a page free, and Windows are asked what they would give up", () => {
    expect(told("darwin", 100, 4_000)).toBe(4_000);
    expect(told("win32", 100, 4_000)).toBe(4_000);
    expect(told("darwin", 100, 0)).toBe(100);
  });

  test("on Linux it is never more than is free, nor than groups leave", () => {
    expect(told("linux", 100, 4_000)).toBe(100);
    expect(told("linux", 4_000, 100)).toBe(100);
    expect(told("linux", 4_000, 100, 300)).toBe(300);
    expect(told("linux", 4_000, 0)).toBe(4_000);
    expect(told("linux", 100, 4_000, 300)).toBe(100);
  });
});
