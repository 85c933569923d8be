/** The builds that a run begins with: for every device of the organiser's machine that computes its programs and proves it. */
import { CotrainError } from "@cotrain/sdk/errors";
import { type Build, type Digest, digestOfJson } from "@cotrain/sdk/protocol";

import { type Clock, systemClock } from "../base/index.ts";
import {
  type Device,
  endedBy,
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

/** What a GPU may take for a proof that nobody asked for, ms: a driver that hangs keeps nobody waiting for long. */
const UNASKED_MS = 30_000;

/** The same where products are in fp16, by the time of the proof in fp32: that is made once more, and two other engines are opened. */
const HALF_PROOFS = 4;

/** The most that a step with products in fp16 may take of the time of one in fp32: what is gained less may be noise. */
const HALF_TIME = 0.9;

type Stopwatch = Pick<Clock, "monotonic">;

export interface FirstBuildOptions {
  /** Devices of which there must be a build; what else this machine can make and prove comes besides. */
  readonly devices?: readonly string[];
  /** What is tried besides; default: every device that there is. */
  readonly here?: readonly Device[];
  /** Told, in a sentence, of a device of which there is no build. */
  readonly notice?: (sentence: string) => void;
  /** By which steps are timed; default: the system's. */
  readonly clock?: Stopwatch | undefined;
}

/** Steps of the run's model: bytes of the one in fp32, and the one with products in fp16. */
export interface FirstPrograms {
  readonly step: Uint8Array;
  readonly half: { readonly digest: Digest; readonly bytes: Uint8Array };
}

/** Not here, or the processor in disguise: nothing to tell of where nobody asked for it. */
const ABSENT: ReadonlySet<string> = new Set(["DEVICE_MISSING", "DEVICE_SOFTWARE"]);

/** A device that nobody named: a GPU in software is none, and one that does not answer is given up. */
const unasked = (device: Device): Device =>
  device.exact ? device : endedBy(AbortSignal.timeout(UNASKED_MS), inHardware(device));

/** A device to try, and whether there must be a build of it. */
interface Tried {
  readonly device: Device;
  readonly named: boolean;
}

/** Those that were named, and those of this machine that were not; the CPU first. */
function tried(asked: readonly string[], here: readonly Device[]): readonly Tried[] {
  const named = new Map(asked.map(deviceOf).map((device) => [device.name, device]));
  const others = here.filter(({ name }) => !named.has(name));
  return [
    ...others.map((device) => ({ device, named: false })),
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

const stepsOf = ({ open }: Device, program: Uint8Array, clock: Stopwatch): Promise<FirstSteps> =>
  twice(() => firstSteps(open, program, { steps: PROOF_STEPS, within: PROOF_MS, clock }));

/** A build in fp32 that is proven. */
interface Proven {
  readonly build: Build;
  /** The losses that its own were held against. */
  readonly first: DeviceLosses;
  readonly tookMs: number;
}

/** What there is of a device, or why there is nothing. */
type Trial = Proven | { readonly error: unknown };

/** That losses are near those of the first device, as far as both were computed. */
function requireNearFirst(name: string, { losses }: FirstSteps, first: DeviceLosses, bound?: number): void {
  requireNear({ name, losses }, { ...first, losses: first.losses.slice(0, losses.length) }, bound);
}

/** All at once: the value on one thread and the losses by one engine, then the value on all threads. */
async function prove(computed: Computed, step: Uint8Array, all: readonly Tried[], clock: Stopwatch): Promise<Trial[]> {
  const startedAt = clock.monotonic();
  const devices = all.map(({ device, named }) => (named ? device : unasked(device)));
  const found = devices.map(async (device) => {
    const steps = await stepsOf(device, step, clock);
    return { ...steps, tookMs: clock.monotonic() - startedAt };
  });
  return Promise.all(
    devices.map(async (device, i): Promise<Trial> => {
      try {
        const [own, due] = [await found[i], await found[0]];
        if (!own || !due) throw new EngineError("DEVICE_MISSING", `${device.name} computed nothing.`);
        await twice(() => requireSteady(device, step, own.value));
        const first = { name: devices[0]!.name, losses: due.losses };
        requireNearFirst(device.name, own, first);
        return { build: buildOf(computed, device, own.value), first, tookMs: own.tookMs };
      } catch (error) {
        return { error };
      }
    }),
  );
}

/**
 * The build with products in fp16 of a device that multiplies so and gains by it. Nobody asked for it, and there is the one in fp32: it
 * may not keep anybody waiting, whoever named the device. Steps of both are timed one after the other, when all proofs in fp32 are over.
 */
async function halfBuild(
  computed: Computed,
  { step, half }: FirstPrograms,
  given: Device,
  { first, tookMs }: Proven,
  { clock = systemClock, notice }: Pick<FirstBuildOptions, "clock" | "notice">,
): Promise<Build | undefined> {
  const patience = Math.ceil(Math.max(UNASKED_MS, HALF_PROOFS * tookMs));
  const signal = AbortSignal.timeout(patience);
  const device = endedBy(signal, given);
  try {
    if (!(await takesHalf(device))) return undefined;
    const full = await stepsOf(device, step, clock);
    const own = await stepsOf(device, half.bytes, clock);
    requireNearFirst(device.name, own, first, HALF_LOSS_BOUND);
    return own.stepMs <= HALF_TIME * full.stepMs
      ? buildOf(inHalf(computed, half.digest), device, own.value)
      : undefined;
  } catch (error) {
    if (!(error instanceof CotrainError)) throw error;
    const why = signal.aborted ? `It gave no answer within ${Math.round(patience / 1_000)} s.` : error.message;
    notice?.(`The run has no build with products in fp16 for ${device.name}: ${why}`);
    return undefined;
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
  { devices: asked = [], here, notice, clock = systemClock }: FirstBuildOptions,
): Promise<readonly [Build, ...Build[]]> {
  const all = tried(asked, here ?? (await devicesHere()));
  const trials = await prove(computed, programs.step, all, clock);
  const builds = new Map<string, Build>();
  const add = (build: Build): void => void builds.set(digestOfJson(build), build);
  for (const [i, trial] of trials.entries()) {
    const { device, named } = all[i]!;
    if ("build" in trial) {
      // Of GPUs that compute the same, one is timed.
      if (builds.has(digestOfJson(trial.build))) continue;
      add(trial.build);
      const half = await halfBuild(computed, programs, device, trial, { clock, ...(notice && { notice }) });
      if (half) add(half);
      continue;
    }
    const { error } = trial;
    if (named || !(error instanceof CotrainError)) throw error;
    if (!ABSENT.has(error.code) || device.exact)
      notice?.(`The run has no build for ${device.name}, on which this machine cannot train: ${error.message}`);
  }
  const [first, ...others] = builds.values();
  if (!first) throw new EngineError("DEVICE_MISSING", "No device of this machine computes what a build could say.");
  return [first, ...others];
}
