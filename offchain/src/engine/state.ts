/** What training is at one moment, apart from the program: parameters, optimizer state, and the optimizer's step. */
import type { Hex } from "@cotrain/sdk/protocol";

import { bytesOf, createBlake3 } from "../base/core.ts";
import type { NamedTensor } from "./config.ts";

/** The inner optimizer's memory. */
export interface OptimizerState {
  /** Steps taken since it was fresh. */
  readonly step: number;
  /** In the signature's order: for AdamW all m, then all v. */
  readonly tensors: readonly NamedTensor[];
}

/** Everything that a replay needs to go on exactly where training was. */
export interface TrainingState {
  readonly parameters: readonly NamedTensor[];
  readonly optimizer: OptimizerState;
}

/**
 * BLAKE3 of parameters, optimizer tensors, residual (a codec's error memory, if there is one) and the optimizer's step
 * as uint64, all little-endian fp32 in the fixed order of the program's signature, without separators: the lengths are
 * fixed by the program.
 */
export function digestState({ parameters, optimizer }: TrainingState, residual: readonly Float32Array[] = []): Hex {
  const hasher = createBlake3();
  for (const { data } of parameters) hasher.update(bytesOf(data));
  for (const { data } of optimizer.tensors) hasher.update(bytesOf(data));
  for (const data of residual) hasher.update(bytesOf(data));
  hasher.update(bytesOf(new BigUint64Array([BigInt(optimizer.step)])));
  return hasher.digest();
}
