/** The builds that a run begins with: for every device of the organiser's machine that computes its programs and proves it. */
import { CotrainError } from "@cotrain/sdk/errors";
import { type Build, digestOfJson } from "@cotrain/sdk/protocol";

import { type Device, EngineClosedError, EngineError, firstSteps } from "../engine/index.ts";
import { deviceOf, devicesHere, inHardware } from "../engine/runtime/node/index.ts";
import { buildOf, type Computed, requireNear, requireSteady } from "./builds.ts";

/** Inner steps whose losses are compared, as `cotrain builds propose` does; fewer where they take longer than {@link PROOF_MS}. */
const PROOF_STEPS = 32;
const PROOF_MS = 1_000;

/** What a GPU that nobody named may take for all of it, ms: a driver that hangs keeps nobody waiting for long. */
const UNASKED_MS = 30_000;

export interface FirstBuildOptions {
  /** Devices of which there must be a build; what else this machine can make and prove comes besides. */
  readonly devices?: readonly string[];
  /** What is tried besides; default: every device that there is. */
  readonly here?: readonly Device[];
  /** Told, in a sentence, of a device of which there is no build. */
  readonly notice?: (sentence: string) => void;
}

/** Not here, or the processor in disguise: nothing to tell of where nobody asked for it. */
const ABSENT: ReadonlySet<string> = new Set(["DEVICE_MISSING", "DEVICE_SOFTWARE"]);

/** A device that nobody named: a GPU in software is none, and one that does not answer is given up. */
function unasked(device: Device): Device {
  if (device.exact) return device;
  const { open, ...rest } = inHardware(device);
  const signal = AbortSignal.timeout(UNASKED_MS);
  return { ...rest, open: (options) => open({ ...options, signal }) };
}

/** Those that were named, and those of this machine that were not; the CPU first. */
function tried(
  asked: readonly string[],
  here: readonly Device[],
): { readonly device: Device; readonly named: boolean }[] {
  const named = new Map(asked.map(deviceOf).map((device) => [device.name, device]));
  const others = here.filter(({ name }) => !named.has(name));
  return [
    ...others.map((device) => ({ device: unasked(device), named: false })),
    ...[...named.values()].map((device) => ({ device, named: true })),
  ].toSorted((a, b) => Number(b.device.name === "cpu") - Number(a.device.name === "cpu"));
}

/** Once more where the engine's process was killed: a run stays without the build for good. */
async function twice<T>(make: () => Promise<T>): Promise<T> {
  return make().catch((error: unknown) => {
    if (!(error instanceof EngineClosedError)) throw error;
    return make();
  });
}

/** What there is of a device: a build that is proven, or why there is none. */
type Trial = { readonly build: Build } | { readonly error: unknown };

/** All at once: the value on one thread and the losses by one engine, then the value on all threads. */
async function prove(
  computed: Computed,
  step: Uint8Array,
  all: readonly { readonly device: Device }[],
): Promise<Trial[]> {
  const found = all.map(({ device }) =>
    twice(() => firstSteps(device.open, step, { steps: PROOF_STEPS, within: PROOF_MS })),
  );
  return Promise.all(
    all.map(async ({ device }, i): Promise<Trial> => {
      try {
        const [own, due] = [await found[i], await found[0]];
        if (!own || !due) throw new EngineError("DEVICE_MISSING", `${device.name} computed nothing.`);
        await twice(() => requireSteady(device, step, own.value));
        const compared = Math.min(own.losses.length, due.losses.length);
        const reference = { name: all[0]!.device.name, losses: due.losses.slice(0, compared) };
        requireNear({ name: device.name, losses: own.losses }, reference);
        return { build: buildOf(computed, device, own.value) };
      } catch (error) {
        return { error };
      }
    }),
  );
}

/**
 * Makes and proves a build for each device that there is; the CPU's comes first, and the others' losses are held against its.
 * @throws UserError, EngineError where a device that was named has none, or no device has
 */
export async function firstBuilds(
  computed: Computed,
  step: Uint8Array,
  { devices: asked = [], here, notice }: FirstBuildOptions,
): Promise<readonly [Build, ...Build[]]> {
  const all = tried(asked, here ?? (await devicesHere()));
  const trials = await prove(computed, step, all);
  const builds = new Map<string, Build>();
  for (const [i, trial] of trials.entries()) {
    if ("build" in trial) {
      builds.set(digestOfJson(trial.build), trial.build);
      continue;
    }
    const { error } = trial;
    const { device, named } = all[i]!;
    if (named || !(error instanceof CotrainError)) throw error;
    if (!ABSENT.has(error.code) || device.exact)
      notice?.(`The run has no build for ${device.name}, on which this machine cannot train: ${error.message}`);
  }
  const [first, ...others] = builds.values();
  if (!first) throw new EngineError("DEVICE_MISSING", "No device of this machine computes what a build could say.");
  return [first, ...others];
}
