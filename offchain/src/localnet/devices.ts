/** What the workers of a local network compute with. */
import { AUTO, chooseDevices, probeDevices } from "../engine/runtime/node/index.ts";
import type { LocalnetContext } from "./context.ts";
import type { SessionDisplay } from "./display.ts";

/** How long steps of each device are counted before one is chosen, ms. */
const MEASURE_MS = 1_500;

/**
 * By entry of `--device` the devices of a worker, of which each takes the place of the one before it. Measured before anything else
 * runs that would slow some of them, once for all workers, which compute with one thread each.
 * @throws EngineError `DEVICE_MISSING` where none can train; the signal's reason
 */
export async function workerDevices(
  names: readonly string[],
  display: Pick<SessionDisplay, "update" | "say">,
  signal: AbortSignal,
): Promise<readonly (readonly string[])[]> {
  if (!names.includes(AUTO)) return names.map((name) => [name]);
  display.update({ activity: "Measuring this machine's devices" });
  const chosen = chooseDevices(await probeDevices({ milliseconds: MEASURE_MS, threads: 1, signal }));
  display.say([chosen.sentence]);
  return names.map((name) => (name === AUTO ? chosen.names : [name]));
}

/** How many workers there are: without a number as many as devices are named, and the usual number at least. */
export const workerCount = ({ options, config }: Pick<LocalnetContext, "options" | "config">): number =>
  config.explicit("workers") ? options.workers : Math.max(options.workers, options.device.length);
