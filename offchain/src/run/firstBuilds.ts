/** The builds that a run begins with: for every device of the organiser's machine that computes its programs and proves it. */
import { CotrainError } from "@cotrain/sdk/errors";
import { type Build, type Digest, digestOfJson } from "@cotrain/sdk/protocol";

import type { Clock } from "../base/index.ts";
import {
  type Device,
  EngineClosedError,
  EngineError,
  type FirstSteps,
  firstSteps,
  takesHalf,
} from "../engine/index.ts";
import { deviceOf, devicesHere, inHardware } from "../engine/runtime/node/index.ts";
import {
  buildOf,
  type Computed,
  type DeviceLosses,
  HALF_LOSS_BOUND,
  inHalf,
  requireNear,
  requireSteady,
} from "./builds.ts";

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
  /** By which steps are timed; default: the system's. */
  readonly clock?: Pick<Clock, "monotonic"> | undefined;
}

/** Steps of the run's model: bytes of the one in fp32, and the one with products in fp16. */
export interface FirstPrograms {
  readonly step: Uint8Array;
  readonly half: { readonly digest: Digest; readonly bytes: Uint8Array };
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

/** What there is of a device: builds that are proven, or why there is none. */
type Trial = { readonly builds: readonly Build[] } | { readonly error: unknown };

/** That losses are near those of the first device, as far as both were computed. */
function requireNearFirst(name: string, { losses }: FirstSteps, first: DeviceLosses, bound?: number): void {
  requireNear({ name, losses }, { ...first, losses: first.losses.slice(0, losses.length) }, bound);
}

/** All at once: the value on one thread and the losses by one engine, then the value on all threads. */
async function prove(
  computed: Computed,
  { step, half }: FirstPrograms,
  all: readonly { readonly device: Device }[],
  { clock, notice }: Pick<FirstBuildOptions, "clock" | "notice">,
): Promise<Trial[]> {
  const stepsOf = ({ open }: Device, program: Uint8Array): Promise<FirstSteps> =>
    twice(() => firstSteps(open, program, { steps: PROOF_STEPS, within: PROOF_MS, clock }));
  const found = all.map(({ device }) => stepsOf(device, step));
  return Promise.all(
    all.map(async ({ device }, i): Promise<Trial> => {
      try {
        const [own, due] = [await found[i], await found[0]];
        if (!own || !due) throw new EngineError("DEVICE_MISSING", `${device.name} computed nothing.`);
        await twice(() => requireSteady(device, step, own.value));
        const first = { name: all[0]!.device.name, losses: due.losses };
        requireNearFirst(device.name, own, first);
        return { builds: [buildOf(computed, device, own.value), ...(await halfBuild(device, own, first))] };
      } catch (error) {
        return { error };
      }
    }),
  );

  /** With products in fp16, where the device multiplies so and gains by it. Nobody asked for it: without it there is the other. */
  async function halfBuild(device: Device, { stepMs }: FirstSteps, first: DeviceLosses): Promise<Build[]> {
    try {
      if (!(await takesHalf(device))) return [];
      const own = await stepsOf(device, half.bytes);
      requireNearFirst(device.name, own, first, HALF_LOSS_BOUND);
      return own.stepMs < stepMs ? [buildOf(inHalf(computed, half.digest), device, own.value)] : [];
    } catch (error) {
      if (!(error instanceof CotrainError)) throw error;
      notice?.(`The run has no build with products in fp16 for ${device.name}: ${error.message}`);
      return [];
    }
  }
}

/**
 * Makes and proves a build for each device that there is, and one more with products in fp16 for each that is faster so; the CPU's
 * comes first, and the others' losses are held against its.
 * @throws UserError, EngineError where a device that was named has none, or no device has
 */
export async function firstBuilds(
  computed: Computed,
  programs: FirstPrograms,
  { devices: asked = [], here, notice, clock }: FirstBuildOptions,
): Promise<readonly [Build, ...Build[]]> {
  const all = tried(asked, here ?? (await devicesHere()));
  const trials = await prove(computed, programs, all, { clock, ...(notice && { notice }) });
  const builds = new Map<string, Build>();
  for (const [i, trial] of trials.entries()) {
    if ("builds" in trial) {
      for (const build of trial.builds) builds.set(digestOfJson(build), build);
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
