/** Devices for the tests of builds, whose values and losses are stated. */
import { type Device, type Engine, presets } from "../../../offchain/src/engine/index.ts";
import { devices } from "../../../offchain/src/engine/runtime/node/index.ts";

const { model, microBatch } = presets["0.1m"];

/** A device that computes this, by the number of threads, with losses that are so far off. */
export function fakeDevice(
  name: string,
  of: (threads: number) => string,
  off: readonly number[] = [0],
  exact = true,
): Device {
  const shapes = { step: { batch: microBatch, tokensPerSequence: model.sequence + 1, vocabulary: model.vocabulary } };
  const open: Device["open"] = async ({ threads }) => {
    let at = 0;
    const train = async () => [{ loss: 7 - at + (off[at++ % off.length] ?? 0), gradientNorm: 1 }];
    return {
      shapes,
      tensors: [],
      pid: 1,
      setParameters: async () => undefined,
      train,
      // It does not round products to fp16.
      evaluate: async () => ({ loss: 64 * (1 + 2 ** -12), tokens: 1 }),
      stateDigest: async () => of(threads),
      resetOptimizer: async () => void (at = 0),
      close: async () => undefined,
    } as unknown as Engine;
  };
  const own = { name, exact, threads: () => 2, exactness: () => `class of ${name}`, runtime: () => `${name} 1` };
  return { ...devices.cpu, ...own, open };
}
