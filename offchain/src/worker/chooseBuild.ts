/** Which of a run's builds a machine trains, by the values that it computes. */
import type { Hex } from "@cotrain/sdk/protocol";

import { InternalError } from "../base/index.ts";
import { type AdmittedBuild, type Artefacts, fetchStepProgram, type RunDescription } from "./artefacts.ts";
import type { WorkerModules } from "./options.ts";
import type { Trainer } from "./trainer.ts";

/** A trainer that has computed its build's conformance value. */
export interface ChosenBuild {
  readonly trainer: Trainer;
  readonly build: AdmittedBuild;
  readonly conformance: Hex;
}

/**
 * The first build whose conformance value this machine reproduces, else the first; those of its device's class come first. Builds
 * of one program have one value here, which is computed once.
 */
export async function chooseBuild(
  description: RunDescription,
  artefacts: Artefacts,
  threads: number | undefined,
  { openTrainer, deviceClass }: Pick<WorkerModules, "openTrainer" | "deviceClass">,
): Promise<ChosenBuild> {
  const rank = ({ document }: AdmittedBuild): number => (document.deviceClass === deviceClass ? 0 : 1);
  const builds = [...description.builds].sort((a, b) => rank(a) - rank(b));
  const [first] = builds;
  if (!first) throw new InternalError("BUILD_NONE", "A run without builds was accepted.");
  const programs = new Set(builds.map(({ document }) => document.graphs.step));
  let fallback: ChosenBuild | undefined;
  for (const step of programs) {
    const same = builds.filter(({ document }) => document.graphs.step === step);
    const program = await fetchStepProgram(artefacts, same[0]!);
    const trainer = await openTrainer({ description, build: same[0]!, program, threads });
    const conformance = await trainer.conformance();
    const build = same.find(({ document }) => document.conformance === conformance);
    if (build) {
      await fallback?.trainer.close();
      return { trainer, build, conformance };
    }
    if (fallback) await trainer.close();
    else fallback = { trainer, build: first, conformance };
  }
  return fallback!;
}
