/** Defences of `engine`. */
import type { Breakage } from "./breakage.ts";

export const engine: readonly Breakage[] = [
  {
    name: "programs may use operators that no row of the table allows",
    file: "offchain/src/engine/inspect/inspect.ts",
    text: "const row = inspection.operators.get(op);",
    instead: 'const row = inspection.operators.get(op) ?? inspection.operators.get("Identity");',
    tests: ["test/attack/hostilePrograms.test.ts"],
  },
  {
    name: "the engine's process takes what memory it likes",
    file: "offchain/src/engine/runtime/node/host/memory.ts",
    text: "`--data=${bound}`",
    instead: "`--nofile=${bound % 100 + 512}`",
    tests: ["test/offchain/engine/host.test.ts"],
  },
  {
    name: "what a GPU's buffer held is never given back to it",
    file: "offchain/src/engine/runtime/onnxRuntime.ts",
    text: 'if (buffer.tensor.location !== "cpu") buffer.tensor.dispose();',
    instead: "",
    tests: ["test/offchain/engine/onnxRuntime.test.ts"],
  },
  {
    name: "tensors of WebAssembly are read where they were fed, not where they were answered",
    file: "offchain/src/engine/runtime/onnxRuntime.ts",
    text: "replace(buffer as OnnxBuffer, tensorOf(results, name));",
    instead: "tensorOf(results, name);",
    tests: ["test/e2e/wasm.test.ts"],
  },
  {
    name: "a runtime may compute every micro-batch forward before it goes back through one",
    file: "offchain/src/engine/programs.ts",
    text: "lossOf(op.afterAll(part, found))",
    instead: "lossOf(part)",
    tests: ["test/offchain/engine/accumulation.test.ts"],
  },
  {
    name: "a fresh optimizer steps at the run's full rate at once",
    file: "offchain/src/engine/schedule.ts",
    text: "rise(optimizerStep, freshWarmupSteps)",
    instead: "rise(optimizerStep, 0 * freshWarmupSteps)",
    tests: ["test/offchain/engine/optimizer.test.ts"],
  },
  {
    name: "a GPU in software is taken by itself",
    file: "offchain/src/engine/runtime/node/probe.ts",
    text: "if (found?.software) throw",
    instead: "if (found?.software === null) throw",
    tests: ["test/offchain/engine/devices.test.ts"],
  },
  {
    name: "a device that computes something else is taken by itself",
    file: "offchain/src/engine/runtime/node/probe.ts",
    text: "(losses[i] ?? NaN)) > TOLERANCE",
    instead: "(losses[i] ?? NaN)) > 1_000 * TOLERANCE",
    tests: ["test/offchain/engine/devices.test.ts"],
  },
  {
    name: "a driver that never answers is waited for",
    file: "offchain/src/engine/runtime/node/host/host.ts",
    text: "connection.kill(new EngineClosedError()), { once: true });",
    instead: "undefined, { once: true });",
    tests: ["test/offchain/engine/host.test.ts"],
  },
  {
    name: "a model may have as many layers as it says",
    file: "offchain/src/engine/config.ts",
    text: "config.layers > MAX_LAYERS",
    instead: "config.layers > 2 ** 48",
    tests: ["test/offchain/worker/parts.test.ts", "test/offchain/engine/programs.test.ts"],
  },
  {
    name: "activations that are computed again wait for nothing",
    file: "offchain/src/engine/gradients.ts",
    text: "const again = op.afterAll(x, [gradient]);",
    instead: "const again = x;",
    tests: ["test/offchain/engine/recompute.test.ts"],
  },
  {
    name: "a zero that is held back loses its sign",
    file: "offchain/src/engine/ops.ts",
    text: 'emit(x.graph, "Where", [never, x, x], x.shape, {}, x.type);',
    instead: 'emit(x.graph, "Add", [x, emit(x.graph, "Cast", [never], [], { to: 1 })], x.shape, {}, x.type);',
    tests: ["test/offchain/engine/recompute.test.ts"],
  },
];
