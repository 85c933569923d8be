/** What an assignment is to be trained on: token ids out of verified shards, learning rates out of the schedule. */
import type { Assignment } from "@cotrain/sdk/protocol";

import { batchesOf, openSequences } from "../data/index.ts";
import { learningRateAt } from "../engine/index.ts";
import type { Artefacts, RunDescription } from "./artefacts.ts";
import type { StepsOf } from "./options.ts";

/** Turns assignments into inner steps; shards come through the cache when first needed. */
export function openAssignmentSteps(description: RunDescription, artefacts: Artefacts): Promise<StepsOf> {
  const { definition, data } = description;
  const sequences = openSequences(artefacts.reader, data, "train", definition.sequence);
  const stepsOf = async (assignment: Assignment, firstStep: number): Promise<Awaited<ReturnType<StepsOf>>> => {
    const batches = batchesOf(sequences, assignment);
    const size = assignment.batch * (assignment.sequence + 1);
    const tokens = new Uint16Array(assignment.steps * size);
    for (let step = 0; step < assignment.steps; step++) {
      const ids = await batches.at(step);
      for (let i = 0; i < size; i++) tokens[step * size + i] = Number(ids[i]);
    }
    const peak = assignment.innerLrPpb / 1e9;
    const learningRates = Array.from({ length: assignment.steps }, (_, step) =>
      learningRateAt(definition.schedule, peak, {
        globalStep: assignment.globalStep + step,
        optimizerStep: firstStep + step,
      }),
    );
    return { tokens, learningRates };
  };
  return Promise.resolve(stepsOf);
}
