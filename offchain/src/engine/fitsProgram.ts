/**
 * Whether a program is the one that a build's document and its run's definition describe. Tokens are paid, work is dealt and results
 * weigh by the document, and machines compute by the program: where the two differ, somebody is paid for steps that nobody took.
 */
import { batchOf, type Build, type Definition } from "@cotrain/sdk/protocol";

import { stateElements } from "./optimizer.ts";
import type { ProgramKind, ProgramOutline } from "./signature.ts";

/** Whoever looks at a program without running it may have a smaller machine than those that do: where it runs, memory counts. */
export const LARGEST_MACHINE = 2 ** 40;

type Described = Pick<Build, "microBatch" | "accumulation">;
type Defined = Pick<Definition, "model" | "innerOptimizer" | "sequence" | "table">;

/** Tokens of a call: sequences, and of each one its length and, where the next token is predicted, that. */
function tokensDue(kind: ProgramKind, build: Described, { sequence }: Defined): readonly [number, number] | undefined {
  if (kind === "step") return [batchOf(build), sequence + 1];
  return kind === "eval" ? [build.microBatch, sequence + 1] : undefined;
}

/** Numbers in tensors. */
const numbersIn = (tensors: ProgramOutline["state"]): number =>
  tensors.reduce((sum, { shape }) => sum + shape.reduce((all, length) => all * length, 1), 0);

/**
 * What does not fit of a program that a build names for something.
 * @param kind what the build names it for
 * @returns half a sentence, empty where all fits
 */
export function problemOfProgram(
  kind: ProgramKind,
  build: Described,
  definition: Defined,
  { signature, batch, tokensPerSequence, parameters, state }: Omit<ProgramOutline, "model">,
): string {
  if (signature.kind !== kind) return `its program for ${kind} is one for ${signature.kind}`;
  const due = definition.table.map(({ name, shape }) => ({ name, shape }));
  if (JSON.stringify(parameters) !== JSON.stringify(due))
    return `its program for ${kind} has other parameters than the run's definition`;
  const tokens = tokensDue(kind, build, definition);
  if (tokens && tokens.join() !== [batch, tokensPerSequence].join())
    return `its program for ${kind} takes ${batch} sequences of ${tokensPerSequence} tokens where ${tokens[0]} of ${tokens[1]} are due`;
  const { vocabulary } = definition.model;
  if (vocabulary !== undefined && vocabulary !== signature.vocabulary)
    return `its program for ${kind} knows ${signature.vocabulary} tokens where the model has ${String(vocabulary)}`;
  const held = kind === "step" ? stateElements(definition.innerOptimizer, definition.table) : 0;
  if (numbersIn(state) !== held)
    return `its program for ${kind} keeps ${numbersIn(state)} numbers of an optimizer's state where ${held} are due`;
  return "";
}
