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

/** A build that this machine cannot have or open; another may do. */
const isUnusable = (error: unknown): boolean => error instanceof CotrainError && !error.retryable;

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
 * The first build whose conformance value this machine reproduces, else the first, in the order of {@link inOrder}. Builds
 * of one program have one value here, which is computed once. One whose program cannot be had or opened here is passed over. All of
 * them together have the time that a device may take: a run may admit 64, each of which takes a slow machine a quarter of an hour.
 * @throws what the last of them threw where none can be trained; what is retryable at once
 */
export async function chooseBuild(
  description: RunDescription,
  artefacts: Artefacts,
  { threads, signal }: Pick<WorkerOptions, "threads" | "signal">,
  modules: Pick<WorkerModules, "openTrainer" | "deviceClass" | "takesHalf" | "clock">,
): Promise<ChosenBuild> {
  const { openTrainer, clock = systemClock } = modules;
  const builds = await inOrder(description.builds, modules);
  const [first] = builds;
  if (!first) throw new InternalError("BUILD_NONE", "A run without builds was accepted.");
  const programs = new Set(builds.map(({ document }) => document.graphs.step));
  const until = clock.monotonic() + PREPARATION_MS;
  const isLate = (): boolean => clock.monotonic() >= until - EARLY_MS;
  let fallback: ChosenBuild | undefined;
  let failure: unknown;
  for (const step of programs) {
    if (isLate()) break;
    const same = builds.filter(({ document }) => document.graphs.step === step);
    try {
      const found = await tryBuild(same[0]!);
      const build = same.find(({ document }) => document.conformance === found.conformance);
      if (build) {
        await fallback?.trainer.close();
        return { ...found, build };
      }
      if (fallback) await found.trainer.close();
      else fallback = { ...found, build: same[0]! };
    } catch (error) {
      if (!isPassedOver(error)) {
        await fallback?.trainer.close();
        throw error;
      }
      failure = error;
    }
  }
  if (fallback) return fallback;
  throw failure;

  /** The one that was cut short is late, not lost with its device. */
  function isPassedOver(error: unknown): boolean {
    const cutShort = isLate() && error instanceof EngineClosedError && !signal.aborted;
    return isUnusable(error) || (fallback !== undefined && cutShort);
  }

  async function tryBuild(build: AdmittedBuild): Promise<Omit<ChosenBuild, "build">> {
    const program = await fetchStepProgram(artefacts, build);
    const trainer = await openTrainer({
      description,
      build,
      program,
      threads,
      signal,
      patience: Math.max(0, until - clock.monotonic()),
    });
    try {
      return { trainer, conformance: await trainer.conformance() };
    } catch (error) {
      await trainer.close();
      throw error;
    }
  }
}
