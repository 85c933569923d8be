/**
 * diloco: the outer loop as pure functions on typed arrays: pseudo-gradients, codecs, weights, reducing, the outer
 * optimizer, and which payloads count (screening.ts, gate.ts). No I/O; what is not in memory is read through ChunkSource. May import base and
 * @cotrain/sdk/protocol. Start at reduce.ts; the tables of what a run chooses between are codec.ts, weights.ts, aggregator.ts and outerOptimizer.ts. Formulas: protocol.md "Payload" and "Reduce".
 */
export { codecOf } from "./codec.ts";
export {
  fragmentCount,
  type FragmentLayout,
  fragmentLayouts,
  gatherFragment,
  type FlatParameters,
  scatterFragment,
  tensorViews,
} from "./fragments.ts";
export {
  dropsMomentum,
  finiteParameters,
  type FragmentStates,
  gateOutcomes,
  type GatePass,
  gateSample,
  gateSeed,
  passHolds,
  passOutcomes,
  searchHarm,
  type Suspect,
  type Suspicion,
  triedOf,
  type Trial,
} from "./gate.ts";
export { bitsOfFp32, measureFragment, parametersNorm } from "./measure.ts";
export { outerOptimizerOf } from "./outerOptimizer.ts";
export { CHUNK_ELEMENTS, type ChunkSource, encodeInto, inspectPayload, type SliceMemory, sourceOf } from "./payload.ts";
export { PayloadError } from "./payloadError.ts";
export { pseudoGradient } from "./pseudoGradient.ts";
export { type FragmentPayload, reduceFragment, type ReduceInput } from "./reduce.ts";
export {
  type LostRecord,
  type MeasuredPayload,
  mediansOf,
  screen,
  type ScreeningEntry,
  type ScreeningInput,
} from "./screening.ts";
export { canBeWeighed, pullOf, weigh } from "./weights.ts";
