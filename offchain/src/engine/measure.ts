/** How fast a device takes inner steps, measured in seconds: what a machine is worth to a run before it joins one. */
import type { Clock } from "../base/index.ts";
import { type TransformerConfig, initialParameters } from "./config.ts";
import { buildPrograms } from "./programs.ts";
import type { Device } from "./runtime/device.ts";

export interface MeasuredSteps {
  readonly tokensPerSecond: number;
  /** Opening the program and the first step, which compiles on some devices, ms. */
  readonly startMs: number;
}

/**
 * Takes steps of a model for about so long after a first one, which is not counted where more follow.
 * @param microBatch sequences of a step
 * @throws EngineError, EngineClosedError of a device that cannot
 */
export async function measureSteps(
  device: Device,
  { model, microBatch }: { readonly model: TransformerConfig; readonly microBatch: number },
  { milliseconds, clock }: { readonly milliseconds: number; readonly clock: Pick<Clock, "monotonic"> },
): Promise<MeasuredSteps> {
  const { step } = buildPrograms(model, { microBatch });
  const startedAt = clock.monotonic();
  const engine = await device.open({ programs: { step: step.bytes }, threads: 1 });
  try {
    await engine.setParameters(initialParameters(model, "measure").map(({ data }) => data));
    const input = {
      tokens: Int32Array.from({ length: microBatch * (model.sequence + 1) }, (_, i) => (i * 31) % model.vocabulary),
      learningRate: 1e-4,
    };
    await engine.step(input);
    const firstAt = clock.monotonic();
    let steps = 0;
    let elapsed = 0;
    while (elapsed < milliseconds) {
      await engine.step(input);
      steps++;
      elapsed = clock.monotonic() - firstAt;
    }
    const tokens = microBatch * model.sequence * steps;
    return { tokensPerSecond: (1_000 * tokens) / elapsed, startMs: firstAt - startedAt };
  } finally {
    await engine.close();
  }
}
