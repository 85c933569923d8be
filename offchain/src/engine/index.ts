/**
 * engine: the inner step as an ONNX program. Builds it (graph, automatic differentiation, model, optimizers), runs it on a device,
 * samples from it, hashes its state. Runs in a browser too; Node's devices are entered by runtime/node/index.ts. May import
 * base and the SDK's errors and protocol. Start at model.ts (the model), rules.ts (operations and their gradients), then
 * openEngine.ts over runtime/port.ts; inspect/ says which programs are accepted; products.ts says what makes a step bit-exact.
 */
export {
  checkConfig,
  flopPerToken,
  initialParameters,
  parameterCount,
  tensorSpecs,
  type TransformerConfig,
  type NamedTensor,
} from "./config.ts";
export { conformance, conformanceOf1m, firstLosses, type FirstSteps, firstSteps } from "./conformance.ts";
export type { Engine, StepResult } from "./engine.ts";
export {
  createEngineGuard,
  ENGINE_LIMITS,
  type EngineGuard,
  type EngineLimits,
  isLost,
  PREPARATION_MS,
} from "./engineGuard.ts";
export { EngineClosedError, EngineError, GraphError, ProductRuleError, RuntimeError } from "./errors.ts";
export { LARGEST_MACHINE, problemOfProgram } from "./fitsProgram.ts";
export { generate, sample } from "./generate.ts";
export { requireHalf, takesHalf } from "./halfProducts.ts";
export { engineMemory, type StepMemory, stepSize } from "./memory.ts";
export { programLimits } from "./inspect/inspect.ts";
export { classOf, endedBy, type Device, memoryOf, type OpenEngine, type Place, placeOf } from "./runtime/device.ts";
export { defaultOptimizer, type OptimizerConfig, stateElements } from "./optimizer.ts";
export { buildPrograms, halfStep } from "./programs.ts";
export { learningRateAt, type Schedule } from "./schedule.ts";
export { presetNames, presetOf, presets, presetsFor, type PresetName } from "./presets.ts";
export { readSignature, SIGNATURE_KEY } from "./signature.ts";
export { digestState } from "./state.ts";
