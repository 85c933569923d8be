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

/** The first build whose conformance value this machine reproduces, else the first. */
export async function chooseBuild(
  description: RunDescription,
  artefacts: Artefacts,
  threads: number | undefined,
  { openTrainer }: Pick<WorkerModules, "openTrainer">,
): Promise<ChosenBuild> {
  let fallback: ChosenBuild | undefined;
  for (const build of description.builds) {
    const program = await fetchStepProgram(artefacts, build);
    const trainer = await openTrainer({ description, build, program, threads });
    const conformance = await trainer.conformance();
    const candidate = { trainer, build, conformance };
    if (conformance === build.document.conformance) {
      await fallback?.trainer.close();
      return candidate;
    }
    if (fallback) await trainer.close();
    else fallback = candidate;
  }
  if (fallback) return fallback;
  throw new InternalError("BUILD_NONE", "A run without builds was accepted.");
}
