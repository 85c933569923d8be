/**
 * The conformance vector: the state after three steps from fixed inputs. A machine that gets the organiser's digest
 * computes the same bits and belongs to the same class. Inputs follow from the program's signature alone.
 */
import type { Hex } from "@cotrain/sdk/protocol";

import { type Clock, createRandom, systemClock } from "../base/core.ts";
import { elements } from "./graph.ts";
import type { Engine } from "./engine.ts";
import type { OpenEngine } from "./runtime/device.ts";

const STEPS = 3;

/**
 * What each exact class computes of the preset 1m, as test/vectors/conformance.json has it: a device shows by it which one it is in,
 * whatever it claims.
 */
export const conformanceOf1m: Readonly<Record<string, Hex>> = {
  "exact-x86": "0x558e209e03ff971da882480bd2d528d0dccd02a8601de8f8b83351cf0eff321d",
  "exact-wasm": "0x2d39f664877f7a501d267e86feb1954f01520366b8cb1a016a5f535ac9a383fc",
};

/** Uniform in (−0.05, 0.05), near 1 for vectors, as norms are; from integers and one division, so exact everywhere. */
function fill(name: string, shape: readonly number[]): Float32Array {
  const random = createRandom(`conformance ${name}`);
  const centre = shape.length === 1 ? 1 : 0;
  return Float32Array.from({ length: elements(shape) }, () => centre + (random.uint32() / 2 ** 32 - 0.5) / 10);
}

/** Fixed parameters, as all that is compared begins with them. */
const begin = (engine: Engine): Promise<void> =>
  engine.setParameters(engine.tensors.map(({ name, shape }) => fill(name, shape)));

/** {@link conformance} on an engine that is open, whose optimizer is fresh. */
export async function stateAfter(engine: Engine, timed: (micros: number) => void = () => undefined): Promise<Hex> {
  const { batch, tokensPerSequence, vocabulary } = engine.shapes.step!;
  await begin(engine);
  const random = createRandom("conformance tokens");
  const tokens = Int32Array.from({ length: STEPS * batch * tokensPerSequence }, () => random.below(vocabulary));
  const startedAt = performance.now();
  await engine.train({ tokens, learningRate: 1e-3 });
  timed(Math.max(1, Math.round(((performance.now() - startedAt) * 1_000) / STEPS)));
  return engine.stateDigest();
}

/** Batches that come again and again. One alone is learned by heart, and what is left of its loss then depends on the last bits. */
const BATCHES = 8;

/** How many steps' losses are computed. */
interface LossSteps {
  readonly steps: number;
  /** Ends it early, after so many ms, with three steps at least. */
  readonly within?: number;
  /** Default: the system's. */
  readonly clock?: Pick<Clock, "monotonic"> | undefined;
}

async function lossesOf(
  engine: Engine,
  { steps, within = Infinity, clock = systemClock }: LossSteps,
): Promise<{ readonly losses: readonly number[]; readonly stepMs: number }> {
  await begin(engine);
  const { batch, tokensPerSequence, vocabulary } = engine.shapes.step!;
  const size = batch * tokensPerSequence;
  const random = createRandom("conformance losses");
  const data = Int32Array.from({ length: BATCHES * size }, () => random.below(vocabulary));
  const losses: number[] = [];
  const times: number[] = [];
  const startedAt = clock.monotonic();
  const enough = (): boolean => losses.length >= STEPS && clock.monotonic() - startedAt >= within;
  while (losses.length < steps && !enough()) {
    const at = (losses.length % BATCHES) * size;
    const begun = clock.monotonic();
    const results = await engine.train({ tokens: data.subarray(at, at + size), learningRate: 1e-3 });
    times.push(clock.monotonic() - begun);
    losses.push(...results.map(({ loss }) => loss));
  }
  return { losses, stepMs: times.toSorted((a, b) => a - b)[times.length >> 1] ?? 0 };
}

async function withEngine<T>(opening: Promise<Engine>, use: (engine: Engine) => Promise<T>): Promise<T> {
  const engine = await opening;
  try {
    return await use(engine);
  } finally {
    await engine.close();
  }
}

/**
 * State digest after three steps of a step program from fixed parameters, fresh optimizer state and fixed tokens.
 * @param timed told what a step took, µs: a first guess at the machine's speed
 * @throws what `open` throws
 */
export const conformance = (
  open: OpenEngine,
  step: Uint8Array,
  threads = 1,
  timed?: (micros: number) => void,
): Promise<Hex> => withEngine(open({ programs: { step }, threads }), (engine) => stateAfter(engine, timed));

/**
 * Losses of the first steps from the same values and data: what devices that compute other bits are compared by.
 * @throws what `open` throws
 */
export const firstLosses = async (open: OpenEngine, step: Uint8Array, steps: number): Promise<readonly number[]> =>
  withEngine(open({ programs: { step }, threads: 1 }), async (engine) => (await lossesOf(engine, { steps })).losses);

/** What a device computed of a step program's first steps. */
export interface FirstSteps {
  readonly value: Hex;
  readonly losses: readonly number[];
  /** How long one took once the program was warm: the median, which one that was held up does not change. */
  readonly stepMs: number;
}

/** What a device computes of a step program: {@link conformance} and {@link firstLosses}, by one engine. */
export const firstSteps = (open: OpenEngine, step: Uint8Array, steps: LossSteps): Promise<FirstSteps> =>
  withEngine(open({ programs: { step }, threads: 1 }), async (engine) => {
    const value = await stateAfter(engine);
    await engine.resetOptimizer();
    return { value, ...(await lossesOf(engine, steps)) };
  });
