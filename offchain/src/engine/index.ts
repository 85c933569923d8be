/**
 * engine: the inner step as an ONNX program. Builds it (graph, automatic differentiation, model, AdamW), runs it on a device,
 * samples from it, hashes its state. Runs in a browser too; Node's devices are entered by runtime/node/index.ts. May import
 * base and the SDK's errors and protocol. Start at model.ts (the model), rules.ts (operations and their gradients), then
 * openEngine.ts over runtime/port.ts; inspect/ says which programs are accepted; products.ts says what makes a step bit-exact.
 */
export {
  checkConfig,
  initialParameters,
  parameterCount,
  tensorSpecs,
  type ModelConfig,
  type NamedTensor,
  type TensorSpec,
} from "./config.ts";
export { conformance } from "./conformance.ts";
export type {
  BatchShape,
  Engine,
  EngineOptions,
  EvaluateInput,
  EvaluateResult,
  StepInput,
  StepResult,
  TensorShape,
  Tokens,
  TrainInput,
  TrainOptions,
} from "./engine.ts";
export { EngineClosedError, EngineError, GraphError, ProductRuleError, RuntimeError } from "./errors.ts";
export { generate, sample, type GenerateOptions } from "./generate.ts";
export { programLimits } from "./inspect/inspect.ts";
export type { Device, OpenEngine } from "./runtime/device.ts";
export { defaultOptimizer, type OptimizerConfig } from "./optimizer.ts";
export { buildPrograms, productFlops, type Program, type ProgramOptions, type Programs } from "./programs.ts";
export { defaultSchedule, learningRateAt, type Schedule, type StepClock } from "./schedule.ts";
export { type Preset, presetNames, presetOf, presets, type PresetName } from "./presets.ts";
export { readSignature, SIGNATURE_KEY, type ProgramKind, type ProgramOutline, type Signature } from "./signature.ts";
export { digestState, type OptimizerState, type TrainingState } from "./state.ts";
