/**
 * The part of engine that neither makes nor reads a program: models and their sizes, presets, optimizers, names and classes of devices.
 * It is engine's door for options and for what a run is made of: nearly every command has those, and few have use for ONNX.
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
export {
  createEngineGuard,
  ENGINE_LIMITS,
  type EngineGuard,
  type EngineLimits,
  isLost,
  PREPARATION_MS,
} from "./engineGuard.ts";
export { EngineClosedError, EngineError, RuntimeError } from "./errors.ts";
export { engineMemory, type StepMemory, stepSize } from "./memory.ts";
export { defaultOptimizer, type OptimizerConfig, stateElements } from "./optimizer.ts";
export { presetNames, presetOf, presetsFor } from "./presets.ts";
export { classOf, endedBy, type Device, memoryOf, type OpenEngine, type Place, placeOf } from "./runtime/device.ts";
export { AUTO, DEVICE_FORM, deviceNames } from "./runtime/deviceNames.ts";
export { learningRateAt, type Schedule } from "./schedule.ts";
