/**
 * The conformance vector: the state after three steps from fixed inputs. A machine that gets the organiser's digest
 * computes the same bits and belongs to the same class. Inputs follow from the program's signature alone.
 */
import type { Hex } from "@cotrain/sdk/protocol";

import { createRandom } from "../base/index.ts";
import { elements } from "./graph.ts";
import type { OpenEngine } from "./runtime/device.ts";

const STEPS = 3;

/** Uniform in (−0.05, 0.05), near 1 for vectors, as norms are; from integers and one division, so exact everywhere. */
function fill(name: string, shape: readonly number[]): Float32Array {
  const random = createRandom(`conformance ${name}`);
  const centre = shape.length === 1 ? 1 : 0;
  return Float32Array.from({ length: elements(shape) }, () => centre + (random.uint32() / 2 ** 32 - 0.5) / 10);
}

/**
 * State digest after three steps of a step program from fixed parameters, fresh optimizer state and fixed tokens.
 * @throws what `open` throws
 */
export async function conformance(
  open: OpenEngine,
  step: Uint8Array,
  threads = 1,
  /** Told what a step took, µs: a first guess at the machine's speed. */
  timed: (micros: number) => void = () => undefined,
): Promise<Hex> {
  const engine = await open({ programs: { step }, threads });
  try {
    const { batch, tokensPerSequence, vocabulary } = engine.shapes.step!;
    await engine.setParameters(engine.tensors.map(({ name, shape }) => fill(name, shape)));
    const random = createRandom("conformance tokens");
    const tokens = Int32Array.from({ length: STEPS * batch * tokensPerSequence }, () => random.below(vocabulary));
    const startedAt = performance.now();
    await engine.train({ tokens, learningRate: 1e-3 });
    timed(Math.max(1, Math.round(((performance.now() - startedAt) * 1_000) / STEPS)));
    return await engine.stateDigest();
  } finally {
    await engine.close();
  }
}

/** Batches that come again and again. One alone is learned by heart, and what is left of its loss then depends on the last bits. */
const BATCHES = 8;

/**
 * Losses of the first steps from the same values and data: what devices that compute other bits are compared by.
 * @throws what `open` throws
 */
export async function firstLosses(open: OpenEngine, step: Uint8Array, steps: number): Promise<number[]> {
  const engine = await open({ programs: { step }, threads: 1 });
  try {
    await engine.setParameters(engine.tensors.map(({ name, shape }) => fill(name, shape)));
    const { batch, tokensPerSequence, vocabulary } = engine.shapes.step!;
    const size = batch * tokensPerSequence;
    const random = createRandom("conformance losses");
    const data = Int32Array.from({ length: BATCHES * size }, () => random.below(vocabulary));
    const losses: number[] = [];
    while (losses.length < steps) {
      const at = (losses.length % BATCHES) * size;
      const results = await engine.train({ tokens: data.subarray(at, at + size), learningRate: 1e-3 });
      losses.push(...results.map(({ loss }) => loss));
    }
    return losses;
  } finally {
    await engine.close();
  }
}
