/** Whether an assignment is one that this worker can compute and that earns something. */
import { type Address, type Assignment, digestOfJson, innerStepsOf, type RunParams } from "@cotrain/sdk/protocol";

import { roundNumber, UserError } from "../base/index.ts";
import { isCountable } from "../data/index.ts";

/** Token ids of an assignment, which are all held at once: 512 MiB. */
const MAX_ASSIGNMENT_IDS = 2 ** 28;

/**
 * What makes an assignment one of this worker's that it can compute, and one of the run's: a receipt for another earns nothing.
 * Its `globalStep` is held against its base.
 * @param due.params those of the version that the assignment names
 * @throws UserError `ASSIGNMENT_UNFIT` that says what does not fit
 */
export function checkAssignment(
  assignment: Assignment,
  due: {
    readonly runId: string;
    readonly worker: Address;
    readonly batch: number;
    readonly sequence: number;
    readonly params: Pick<RunParams, "innerSteps" | "rampInnerSteps" | "rampRounds" | "innerLrPpb" | "codec">;
  },
): void {
  const refuse = (what: string): never => {
    throw new UserError(
      "ASSIGNMENT_UNFIT",
      `Assignment ${assignment.assignmentId} of round ${roundNumber(assignment.round)} ${what}: refused.`,
      { details: { assignment: digestOfJson(assignment) } },
    );
  };
  if (assignment.runId !== due.runId) refuse(`is of run ${assignment.runId}`);
  if (assignment.worker !== due.worker) refuse(`is for ${assignment.worker}`);
  if (assignment.batch !== due.batch)
    refuse(`has ${assignment.batch} sequences a step; the program takes ${due.batch}`);
  if (assignment.sequence !== due.sequence)
    refuse(`has sequences of ${assignment.sequence}; the program takes ${due.sequence}`);
  if (!assignment.ranges.every(isCountable)) refuse("has data past the last position that can be counted");
  const sequences = assignment.ranges.reduce((sum, { count }) => sum + count, 0);
  if (assignment.steps < 1 || assignment.steps * assignment.batch !== sequences) {
    refuse(`has ${sequences} sequences for ${assignment.steps} steps of ${assignment.batch}`);
  }
  const { params } = due;
  const innerSteps = innerStepsOf(params, assignment.round);
  if (assignment.steps > innerSteps) refuse(`has ${assignment.steps} steps; its round has ${innerSteps}`);
  if (assignment.innerLrPpb !== params.innerLrPpb)
    refuse(`has a learning rate of ${assignment.innerLrPpb} ppb; the run's is ${params.innerLrPpb}`);
  if (assignment.codec !== params.codec) refuse(`has codec ${assignment.codec}; the run's is ${params.codec}`);
  const ids = sequences * (assignment.sequence + 1);
  if (ids > MAX_ASSIGNMENT_IDS) refuse(`has ${ids} token ids; ${MAX_ASSIGNMENT_IDS} at most can be held`);
}
