/** A worker over the devices that it may train on: what becomes of it when the one in use fails. */
import { InternalError, UserError } from "../base/index.ts";
import { EngineClosedError, EngineError, isLost } from "../engine/index.ts";
import type { WorkerEvent } from "./events.ts";
import type { WorkerEnd, WorkerModules, WorkerOptions } from "./options.ts";
import { createRestingDevices } from "./restingDevices.ts";
import { runWorker } from "./runWorker.ts";
import { DivergedError } from "./training.ts";
import type { WorkerDevice } from "./workerDevice.ts";

/** What a machine or a device lacks now others may have taken, and give back; it is less on some devices than on others. */
const isMemoryShort = (error: unknown): boolean =>
  error instanceof UserError &&
  (error.code === "MEMORY_SHORT" || (error.code === "PROGRAM_TOO_LARGE" && error.details?.["needed"] !== undefined));
/** What another device may do better: this one is missing, refuses the program, or does not fit. */
const isUnfit = (error: unknown): boolean => error instanceof EngineError || isMemoryShort(error);
/**
 * What the same device may do better some rounds later. Losses that are no numbers may be the device's fault or the run's: it is the
 * run's where the last device has them, too.
 */
const mayPass = (error: unknown): boolean => isLost(error) || isMemoryShort(error) || error instanceof DivergedError;

function deviceAt(devices: readonly WorkerDevice[], at: number): WorkerDevice {
  const device = devices[at];
  if (!device) throw new InternalError("DEVICE_NONE", "A worker was started without a device.");
  return device;
}

/** What failed first, where more failed while it was cleaned up after. */
const firstOf = (error: unknown): unknown => (error instanceof SuppressedError ? firstOf(error.suppressed) : error);

/**
 * Runs a worker on the first of these devices. One that fails has left the round by then, so that nobody waits for it, and the next
 * takes its place. One that was lost, lacked memory or had losses that are no numbers is tried again some rounds later, between two rounds. The last one, or the only one, is opened
 * once again when it was lost, and ends the worker when it is lost anew before a round was accepted: whoever named one device knows
 * what the rest of the machine is for.
 * @throws as `runWorker`; UserError `DEVICE_LOST`
 */
export async function runOnDevices(
  options: WorkerOptions,
  modules: Omit<WorkerModules, keyof WorkerDevice>,
  devices: readonly WorkerDevice[],
): Promise<WorkerEnd> {
  const tally = { rounds: 0, tokens: 0 };
  const resting = createRestingDevices(devices.length);
  let joined = false;
  let at = 0;
  let goBack = new AbortController();
  /** By device why it failed last. */
  const failures = new Map<string, string>();
  const onEvent = (event: WorkerEvent): void => {
    if (event.type === "acknowledged" || event.type === "acknowledgedLate") {
      tally.rounds += 1;
      tally.tokens += event.tokens;
    }
    if (event.type === "joined")
      modules.onEvent?.({ ...event, device: deviceAt(devices, at).name, again: event.again || joined });
    else modules.onEvent?.(event);
    joined ||= event.type === "joined";
    if (event.type === "acknowledged" && resting.first(tally.rounds) < at) goBack.abort();
  };
  for (;;) {
    const { name, ...opened } = deviceAt(devices, at);
    goBack = new AbortController();
    const signal = AbortSignal.any([options.signal, goBack.signal]);
    try {
      const end = await runWorker({ ...options, signal }, { ...modules, ...opened, onEvent });
      if (end.kind !== "stopped" || options.signal.aborted) return { ...end, ...tally };
      at = resting.first(tally.rounds);
      const again = deviceAt(devices, at).name;
      onEvent({ type: "device", device: again, why: `The device ${again}, which failed, is tried again.` });
    } catch (caught) {
      const error = firstOf(caught);
      const replaced = isLost(error) || (at < devices.length - 1 && (isUnfit(error) || mayPass(error)));
      if (options.signal.aborted) throw error;
      const told = toldOf(error);
      if (!replaced) throw isUnfit(error) && failures.size > 0 ? noneOf(failures.set(name, told.reason), error) : error;
      failures.set(name, told.reason);
      const { next, ...rest } = resting.failed(at, tally.rounds, mayPass(error));
      const successor = next === undefined ? null : deviceAt(devices, next).name;
      onEvent({ type: "deviceFailed", device: name, ...told, next: successor, ...rest });
      if (next === undefined) throw lostTwice(name, error);
      at = next;
    }
  }
}

/** Characters of what a runtime or a dying process says that are told, and that are logged. */
const [MAX_WORDS, MAX_RAW] = [200, 4_096] as const;
/** Where in its own source a runtime was, and what follows: nothing for people. */
const SOURCE = /\S*\.(?:cc|cpp|cu|h):\d+.*$/;

/**
 * An error in a sentence, with the line that tells most of what the runtime, or the process as its last words, said; of a device
 * that is not there the error's own sentence says all.
 */
function toldOf(error: unknown): { readonly reason: string; readonly raw?: string } {
  const { message, cause } = error as Error;
  const raw = (cause instanceof Error ? cause.message : typeof cause === "string" ? cause : "").slice(0, MAX_RAW);
  const lines = raw
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
  const line = (error instanceof EngineClosedError ? lines.at(-1) : lines[0])?.replace(SOURCE, "").trim();
  const known = error instanceof EngineError && error.code.startsWith("DEVICE_");
  const reason = known || !line ? message : `${message.replace(/\.$/, "")}: ${shortened(line)}`;
  return raw === "" ? { reason } : { reason, raw };
}

/** Cut behind a word. */
const shortened = (line: string): string =>
  line.length <= MAX_WORDS ? line : `${line.slice(0, MAX_WORDS).replace(/\s+\S*$/, "")} …`;

/** Who is left without a device learns why of each. */
const noneOf = (failures: ReadonlyMap<string, string>, cause: unknown): EngineError =>
  new EngineError(
    (cause as UserError).code,
    `None of these devices can train. ${[...failures].map(([name, why]) => `${name}: ${why.replace(/\.?$/, ".")}`).join(" ")}`,
    { cause },
  );

const lostTwice = (name: string, cause: unknown): UserError =>
  new UserError(
    "DEVICE_LOST",
    `The device ${name} was lost twice before a round was accepted: look after its driver and its memory, or name another with --device.`,
    { cause },
  );
