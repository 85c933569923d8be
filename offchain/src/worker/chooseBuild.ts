/** Which of a run's builds a machine trains, by the values that it computes. */
import { CotrainError } from "@cotrain/sdk/errors";
import type { Hex } from "@cotrain/sdk/protocol";

import { InternalError, systemClock } from "../base/index.ts";
import { EngineClosedError, EngineError, PREPARATION_MS } from "../engine/index.ts";
import { type AdmittedBuild, type Artefacts, fetchStepProgram, type RunDescription } from "./artefacts.ts";
import type { WorkerModules, WorkerOptions } from "./options.ts";
import type { Trainer } from "./trainer.ts";

/** A trainer that has computed its build's conformance value. */
export interface ChosenBuild {
  readonly trainer: Trainer;
  readonly build: AdmittedBuild;
  readonly conformance: Hex;
}

/** Whoever is cut short by a timer may be so some milliseconds early. */
const EARLY_MS = 1_000;

const NONE_SAYS_IT = "All builds of the run multiply in fp16, and this device computes what none of them says.";

/** A build that this machine cannot have or open; another may do. */
const isUnusable = (error: unknown): boolean => error instanceof CotrainError && !error.retryable;

const isEnded = (error: unknown): boolean => error instanceof EngineClosedError;

/** A device that is lost is so whatever is wrong with the builds that came after. */
const heavier = (before: unknown, error: unknown): unknown => (isEnded(before) ? before : error);

const isHalf = ({ document }: AdmittedBuild): boolean => document.precision === "fp16";

/**
 * Those that a device can have, in the order in which they are tried: of its own class first, and there what multiplies in fp16, which
 * was admitted since it is faster.
 * @throws EngineError `DEVICE_HALF` where all are in fp16, and it does not multiply so
 */
async function inOrder(
  builds: readonly AdmittedBuild[],
  { deviceClass, takesHalf }: Pick<WorkerModules, "deviceClass" | "takesHalf">,
): Promise<readonly AdmittedBuild[]> {
  const takes = builds.some(isHalf) && ((await takesHalf?.()) ?? false);
  const usable = builds.filter((build) => takes || !isHalf(build));
  if (builds.length > 0 && usable.length === 0)
    throw new EngineError("DEVICE_HALF", "All builds of the run multiply in fp16, and this device does not.");
  const rank = (build: AdmittedBuild): number =>
    build.document.deviceClass === deviceClass ? (isHalf(build) ? 0 : 1) : isHalf(build) ? 3 : 2;
  return usable.toSorted((a, b) => rank(a) - rank(b));
}

/**
 * The first build whose conformance value this machine reproduces, else the first in fp32, in the order of {@link inOrder}. One in fp16
 * is proven for what computes its value alone: how its products add up, and so how far off its losses are, is the device's matter.
 * Builds of one program have one value here, which is computed once. One whose program cannot be had or opened here, or ends its engine,
 * is passed over. All of them together have the time that a device may take: a run may admit 64, each of which takes a slow machine a
 * quarter of an hour.
 * @throws EngineError `DEVICE_HALF` where all are in fp16, and it computes no one's value; where none can be trained what ended an
 * engine, else what the last of them threw; what is retryable at once
 */
export async function chooseBuild(
  description: RunDescription,
  artefacts: Artefacts,
  { threads, signal }: Pick<WorkerOptions, "threads" | "signal">,
  modules: Pick<WorkerModules, "openTrainer" | "deviceClass" | "takesHalf" | "clock">,
): Promise<ChosenBuild> {
  const { openTrainer, clock = systemClock } = modules;
  const builds = await inOrder(description.builds, modules);
  if (builds.length === 0) throw new InternalError("BUILD_NONE", "A run without builds was accepted.");
  const programs = new Set(builds.map(({ document }) => document.graphs.step));
  const begunAt = clock.monotonic();
  let fallback: ChosenBuild | undefined;
  let failure: unknown;
  /** Ms that are left to a build. Until one is open that can be trained whatever it computes, those in fp16 have half of the time. */
  const leftFor = (build: AdmittedBuild): number =>
    begunAt + (isHalf(build) && !fallback ? PREPARATION_MS / 2 : PREPARATION_MS) - clock.monotonic();
  const isLate = (build: AdmittedBuild): boolean => leftFor(build) <= EARLY_MS;
  for (const step of programs) {
    const same = builds.filter(({ document }) => document.graphs.step === step);
    const [one] = same;
    if (!one || isLate(one)) continue;
    try {
      const found = await tryBuild(one);
      const build = same.find(({ document }) => document.conformance === found.conformance);
      if (build) {
        await fallback?.trainer.close();
        return { ...found, build };
      }
      const whole = same.find((each) => !isHalf(each));
      if (fallback || !whole) await found.trainer.close();
      else fallback = { ...found, build: whole };
    } catch (error) {
      if (!isPassedOver(error)) {
        await fallback?.trainer.close();
        throw error;
      }
      failure = heavier(failure, error);
    }
  }
  if (fallback) return fallback;
  throw failure ?? new EngineError("DEVICE_HALF", NONE_SAYS_IT);

  /** Also what ends its engine: its program may, while the device is well. One that is lost ends every other as well. */
  function isPassedOver(error: unknown): boolean {
    return isUnusable(error) || (isEnded(error) && !signal.aborted);
  }

  async function tryBuild(build: AdmittedBuild): Promise<Omit<ChosenBuild, "build">> {
    const program = await fetchStepProgram(artefacts, build);
    const trainer = await openTrainer({
      description,
      build,
      program,
      threads,
      signal,
      patience: Math.max(0, leftFor(build)),
    });
    try {
      return { trainer, conformance: await trainer.conformance() };
    } catch (error) {
      await trainer.close();
      throw error;
    }
  }
}
