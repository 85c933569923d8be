/** What the workers of a local network compute with. */
import { AUTO, type Place, placeOf } from "../engine/index.ts";
import { chooseDevices, deviceOf, probeDevices } from "../engine/runtime/node/index.ts";
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
  return names.flatMap((name) => (name === AUTO ? eachFirst(chosen.names) : [[name]]));
}

/** The devices of a worker for each GPU of the fastest kind, which is its first; for one of a kind alone those of one worker. */
function eachFirst(names: readonly string[]): (readonly string[])[] {
  const row = placeOf(names[0] ?? "");
  return names
    .filter((name) => placeOf(name) === row)
    .map((first) => [first, ...names.filter((name) => name !== first)]);
}

/** The GPUs among devices, each once however it is written. */
const gpusAmong = (names: readonly string[]): Set<string> =>
  new Set(names.map(deviceOf).flatMap(({ name, exact }) => (exact ? [] : [name])));

/**
 * How many workers there are where no number is given: as many as devices are named, and the usual number at least. Several GPUs
 * have one each: two that share one would be half as fast as the others, and may not fit its memory.
 */
export function workerCount(
  { options: { workers }, config }: Pick<LocalnetContext, "options" | "config">,
  devices: readonly (readonly string[])[],
): number {
  if (config.explicit("workers")) return workers;
  const named = devices.flatMap(([first]) => first ?? []);
  return gpusAmong(named).size > 1 ? named.length : Math.max(workers, named.length);
}

/** What each worker computes with, before anything is measured: where that decides, what takes most of the machine's memory may. */
export function workerPlaces(context: Pick<LocalnetContext, "options" | "config">): readonly Place[] {
  const { device } = context.options;
  const places = device.map((name) => (name === AUTO ? "cpu" : placeOf(deviceOf(name).name)));
  const count = workerCount(
    context,
    device.map((name) => (name === AUTO ? [] : [name])),
  );
  return Array.from({ length: count }, (_, i) => places[i % places.length] ?? "cpu");
}

/** What `run.json` keeps of `--device`, for commands that name the next start: it is this machine's, and no start takes it unasked. */
export const keptDevice = ({ options, config }: Pick<LocalnetContext, "options" | "config">): string | null =>
  config.explicit("device") ? options.device.join(",") : null;
