/** Defences of what is told of devices: their speed, their class, and how many steps they are handed at once. */
import type { Breakage } from "./breakage.ts";

export const devices: readonly Breakage[] = [
  {
    name: "a machine with more threads than keep a program exact is measured on all of them, and so can train nothing",
    file: "offchain/src/engine/measure.ts",
    text: "const used = Math.min(threads, most);",
    instead: "const used = threads * Math.min(1, most);",
    tests: ["test/offchain/engine/measure.test.ts"],
  },
  {
    name: "the first step, for which a device compiles, counts in its speed",
    file: "offchain/src/engine/measure.ts",
    text: "    await take(1);\n    const firstAt = clock.monotonic();",
    instead: "    const firstAt = clock.monotonic();\n    await take(1);",
    tests: ["test/offchain/engine/measure.test.ts"],
  },
  {
    name: "a device shows another class once it was measured",
    file: "offchain/src/engine/measure.ts",
    text: "    await engine.resetOptimizer();\n",
    instead: "",
    tests: ["test/offchain/engine/measure.test.ts"],
  },
  {
    name: "a device whose losses are off by five thousandths is taken by itself",
    file: "offchain/src/engine/runtime/node/probe.ts",
    text: "const TOLERANCE = 1e-3;",
    instead: "const TOLERANCE = 5e-3;",
    tests: ["test/offchain/engine/devices.test.ts"],
  },
  {
    name: "a worker hands CUDA as few steps at once as if its state stayed there",
    file: "offchain/src/worker/deviceTrainer.ts",
    text: "callMs: Math.max(TARGET_CALL_MS, blockMs)",
    instead: "callMs: TARGET_CALL_MS",
    tests: ["test/offchain/worker/deviceTrainer.test.ts"],
  },
  {
    name: "GPUs of two makers, which compute different bits, are of one class",
    file: "offchain/src/run/machineClass.ts",
    text: "const EXACT = /^exact-/;",
    instead: "const EXACT = /^/;",
    tests: ["test/offchain/coordinator/classes.test.ts"],
  },
  {
    name: "a GPU adds the embedding's rows in another order every time, so that nobody computes a build in fp16",
    file: "offchain/src/engine/rules.ts",
    text: 'if (table.graph.precision === "fp16")',
    instead: 'if (table.graph.precision === "fp16" && tokens.shape.length > 9)',
    tests: ["test/offchain/engine/half.test.ts"],
  },
  {
    name: "who looks at a run's builds waits without end for a program of a stranger's",
    file: "offchain/src/run/builds.ts",
    text: "endedBy(AbortSignal.timeout(patience), device).open",
    instead: "device.open",
    tests: ["test/offchain/run/builds.test.ts"],
  },
  {
    name: "a processor without AVX2 trains nothing, not even on WebAssembly",
    file: "deploy/bootstrap.mjs",
    text: '  if (Number(node.split(".")[0]) < 20)\n',
    instead:
      '  if (arguments[0]?.cpuinfo && !arguments[0].cpuinfo.includes("avx2")) return "this CPU lacks AVX2.";\n  if (Number(node.split(".")[0]) < 20)\n',
    tests: ["test/deploy/bootstrap.test.ts"],
  },
  {
    name: "what a large step took is kept for ever",
    file: "offchain/src/engine/runtime/node/cpu.ts",
    text: "enableCpuMemArena: peak <= ARENA_BYTES,",
    instead: "enableCpuMemArena: peak >= 0 || ARENA_BYTES > 0,",
    tests: ["test/offchain/engine/memory.test.ts"],
  },
  {
    name: "beside a GPU a worker is said to take what it takes on the processor",
    file: "offchain/src/cli/commands/doctor.ts",
    text: 'needsOf(size, 0, "webgpu")',
    instead: 'needsOf(size, 0, "cpu")',
    tests: ["test/offchain/cli/doctor.test.ts"],
  },
  {
    name: "a build in fp16 is proposed with another optimizer's step",
    file: "offchain/src/run/builds.ts",
    text: "const options = { microBatch, accumulation, optimizer: innerOptimizer };",
    instead: "const options = { microBatch, accumulation };",
    tests: ["test/offchain/run/builds.test.ts"],
  },
  {
    name: "the step of a preset that nobody trains here becomes another",
    file: "offchain/src/engine/presets.ts",
    text: "      ropeTheta: 500_000,\n",
    instead: "      ropeTheta: 10_000,\n",
    tests: ["test/offchain/engine/programs.test.ts"],
  },
  {
    name: "each micro-batch has zeros of its own for the embedding's rows, which a GPU keeps",
    file: "offchain/src/engine/ops.ts",
    text: "once(like.graph, `zeros ${shape.join()}`, () => full(like, shape, 0))",
    instead: "full(like, shape, 0)",
    tests: ["test/offchain/engine/half.test.ts"],
  },
];
