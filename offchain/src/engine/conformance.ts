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
