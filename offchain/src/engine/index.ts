/**
 * engine: the inner step as an ONNX program. Builds it (graph, automatic differentiation, model, AdamW), runs it (ONNX
 * Runtime on the CPU, in a process of its own), samples from it, hashes its state. May import base and the SDK's
 * errors and protocol. Start at model.ts (the model), rules.ts (operations and their gradients), then engine.ts (the
 * runtime); inspect/ says which programs are accepted, host/ runs them; products.ts says what makes a step bit-exact.
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
export { deviceClass, runtimeVersion, thisDevice, type Device } from "./device.ts";
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
export { openEngineHost } from "./host/host.ts";
export { defaultOptimizer, type OptimizerConfig } from "./optimizer.ts";
export { buildPrograms, productFlops, type Program, type ProgramOptions, type Programs } from "./programs.ts";
export { defaultSchedule, learningRateAt, type Schedule, type StepClock } from "./schedule.ts";
export { type Preset, presetNames, presetOf, presets, type PresetName } from "./presets.ts";
export { readSignature, SIGNATURE_KEY, type ProgramKind, type ProgramOutline, type Signature } from "./signature.ts";
export { digestState, type OptimizerState, type TrainingState } from "./state.ts";
