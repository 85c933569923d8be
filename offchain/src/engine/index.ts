/**
 * engine: the inner step as an ONNX program. Builds it (graph, automatic differentiation, model, optimizers), runs it on a device,
 * samples from it, hashes its state. Runs in a browser too; Node's devices are entered by runtime/node/index.ts, what takes no program by core.ts. May import
 * base and the SDK's errors and protocol. Start at model.ts (the model), rules.ts (operations and their gradients), then
 * openEngine.ts over runtime/port.ts; inspect/ says which programs are accepted; products.ts says what makes a step bit-exact.
 */
export { conformance, conformanceOf1m, firstLosses, type FirstSteps, firstSteps } from "./conformance.ts";
export * from "./core.ts";
export type { Engine, StepResult } from "./engine.ts";
export { GraphError, ProductRuleError } from "./errors.ts";
export { LARGEST_MACHINE, problemOfProgram } from "./fitsProgram.ts";
export { generate, sample } from "./generate.ts";
export { requireHalf, takesHalf } from "./halfProducts.ts";
export { programLimits } from "./inspect/inspect.ts";
export { type PresetName, presets } from "./presets.ts";
export { buildPrograms, halfStep } from "./programs.ts";
export type { DeviceName } from "./runtime/deviceNames.ts";
export { readSignature, SIGNATURE_KEY } from "./signature.ts";
export { digestState } from "./state.ts";
