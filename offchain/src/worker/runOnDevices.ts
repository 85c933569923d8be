/** A worker over the devices that it may train on: what becomes of it when the one in use fails. */
import { InternalError, UserError } from "../base/index.ts";
import { EngineClosedError, EngineError, RuntimeError } from "../engine/index.ts";
import type { WorkerEvent } from "./events.ts";
import type { WorkerEnd, WorkerModules, WorkerOptions } from "./options.ts";
import { runWorker } from "./runWorker.ts";
import { DivergedError } from "./training.ts";

/** A device, and how trainers are opened on it. */
export interface WorkerDevice extends Pick<WorkerModules, "deviceClass" | "openTrainer" | "place"> {
  readonly name: string;
}

/** What computes is gone, out of memory or reset: its process died, or it answered with an error. */
const isLost = (error: unknown): boolean => error instanceof EngineClosedError || error instanceof RuntimeError;
/** A run takes less of the machine's memory on some devices than on others; its disk is the same for all. */
const isMemoryShort = (error: unknown): boolean => error instanceof UserError && error.code === "MEMORY_SHORT";
/** What another device may do better: this one is missing, refuses the program, does not fit, or computes no numbers. */
const isUnfit = (error: unknown): boolean =>
  error instanceof EngineError || error instanceof DivergedError || isMemoryShort(error);

/** What failed first, where more failed while it was cleaned up after. */
const firstOf = (error: unknown): unknown => (error instanceof SuppressedError ? firstOf(error.suppressed) : error);

/**
 * Runs a worker on the first of these devices. One that fails has left the round by then, so that nobody waits for it, and the next
 * takes its place. The last one, or the only one, is opened once again when it was lost, and ends the worker when it is lost anew
 * before a round was accepted: whoever named one device knows what the rest of the machine is for.
 * @throws as `runWorker`; UserError `DEVICE_LOST`
 */
export async function runOnDevices(
  options: WorkerOptions,
  modules: Omit<WorkerModules, "deviceClass" | "openTrainer" | "place">,
  devices: readonly WorkerDevice[],
): Promise<WorkerEnd> {
  const tally = { rounds: 0, tokens: 0 };
  let joined = false;
  const onEvent = (event: WorkerEvent): void => {
    if (event.type === "acknowledged" || event.type === "acknowledgedLate") {
      tally.rounds += 1;
      tally.tokens += event.tokens;
    }
    modules.onEvent?.(event.type === "joined" && joined ? { ...event, again: true } : event);
    joined ||= event.type === "joined";
  };
  /** Rounds that were accepted when the last device was lost. */
  let lostAt: number | undefined;
  for (let at = 0; ;) {
    const device = devices[at];
    if (!device) throw new InternalError("DEVICE_NONE", "A worker was started without a device.");
    const { name, ...opened } = device;
    try {
      return { ...(await runWorker(options, { ...modules, ...opened, onEvent })), ...tally };
    } catch (caught) {
      const error = firstOf(caught);
      const following = devices[at + 1];
      if (options.signal.aborted || !(isLost(error) || (following && isUnfit(error)))) throw error;
      const again = lostAt !== tally.rounds;
      const next = following ?? (again ? device : undefined);
      onEvent({ type: "deviceFailed", device: name, reason: reasonOf(error), next: next?.name ?? null });
      if (following) at++;
      else if (again) lostAt = tally.rounds;
      else throw lostTwice(name, error);
    }
  }
}

/** Characters of what a runtime or a dying process says that are told. */
const MAX_WORDS = 200;

/** An error in a sentence, with the line that tells most of what the runtime, or the process as its last words, said. */
function reasonOf(error: unknown): string {
  const { message, cause } = error as Error;
  const lines = (cause instanceof Error ? cause.message : typeof cause === "string" ? cause : "")
    .split("\n")
    .map((line) => line.trim())
    .filter(Boolean);
  const line = error instanceof EngineClosedError ? lines.at(-1) : lines[0];
  return line === undefined ? message : `${message.replace(/\.$/, "")}: ${line.slice(0, MAX_WORDS)}`;
}

const lostTwice = (name: string, cause: unknown): UserError =>
  new UserError(
    "DEVICE_LOST",
    `The device ${name} was lost twice before a round was accepted: look after its driver and its memory, or name another with --device.`,
    { cause },
  );
