/** Whether WebGPU has a GPU, told by opening it without Vulkan's drivers of software. */
import { EngineClosedError, EngineError } from "../../errors.ts";
import { presets } from "../../presets.ts";
import { buildPrograms } from "../../programs.ts";
import { mapsOf, WITHOUT_SOFTWARE } from "./adapters.ts";
import { engineHostOn } from "./host/host.ts";

/** What opening a small program may take, ms. */
const PATIENCE_MS = 20_000;

/** Maps of a process that opened WebGPU so; undefined where it does not open, or not in time. */
export async function mapsWithoutSoftware(): Promise<string | undefined> {
  const { name, value } = WITHOUT_SOFTWARE;
  const own = process.env[name];
  const open = engineHostOn("webgpu", 0, undefined, { [name]: own ? `${own},${value}` : value });
  const { model, microBatch } = presets["0.1m"];
  const programs = { step: buildPrograms(model, { microBatch }).step.bytes };
  try {
    const engine = await open({ programs, threads: 1, signal: AbortSignal.timeout(PATIENCE_MS) });
    try {
      return engine.pid === undefined ? undefined : await mapsOf(engine.pid);
    } finally {
      await engine.close();
    }
  } catch (error) {
    if (error instanceof EngineError || error instanceof EngineClosedError) return undefined;
    throw error;
  }
}
