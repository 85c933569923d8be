/**
 * The proofs of proofs.ts, by halmos: each must hold, and must not once a guard that it is about is taken out of the contract,
 * else it would say nothing of the guard.
 */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

import { openWorkshop, type Workshop } from "./foundry.ts";
import { type Proof, proofs } from "./proofs.ts";
import { pythonWith } from "./pythonTool.ts";

const FOLDER = "test/contracts/symbolic";
/** Of one proof; most take seconds. */
const LIMIT_MINUTES = 20;
/** What halmos takes of one question to its solver. */
const QUESTION_SECONDS = 600;
/** Turns of a loop that are followed. A proof that would need more is no proof. */
const TURNS = 8;

interface Tried {
  readonly proof: Proof;
  readonly guard?: Proof["guards"][number];
}

const tries: ReadonlyMap<string, Tried> = new Map(
  proofs.flatMap((proof) => [
    [nameOf(proof), { proof }] as const,
    ...proof.guards.map((guard) => [`${nameOf(proof)}, broken without ${guard.what}`, { proof, guard }] as const),
  ]),
);

function nameOf({ contract, check }: Proof): string {
  return `${contract}.${check.replace("check_", "")}`;
}

export const symbolicItems = (): readonly string[] => [...tries.keys()];

/** What halmos says of one function. */
interface Answer {
  readonly name: string;
  /** 0 where it holds, 1 where values break it; else it is no answer. */
  readonly exitcode: number;
  readonly num_bounded_loops?: number;
}

const noAnswer: Readonly<Record<number, string>> = {
  2: "its solver had not enough time",
  3: "halmos came to something that it does not know",
  4: "every path reverts",
};

/** @returns what is wrong with an answer, where the proof should hold, or should be broken */
export function judge(answer: Answer | undefined, shouldHold: boolean): string | undefined {
  if (answer === undefined) return "halmos gave no answer";
  if (answer.exitcode > 1) return noAnswer[answer.exitcode] ?? "halmos failed";
  const holds = answer.exitcode === 0;
  if (holds && (answer.num_bounded_loops ?? 0) > 0)
    return `a loop has more than ${TURNS} turns: it was not followed to its end`;
  if (holds === shouldHold) return undefined;
  return holds ? "it holds without the guard, of which it then says nothing" : "values were found that break it";
}

async function ask(
  workshop: Workshop,
  python: string,
  { contract, check }: Proof,
): Promise<{ answer?: Answer; said: string }> {
  const file = join(workshop.directory, "answer.json");
  rmSync(file, { force: true });
  const solver = join(python, "../yices-smt2");
  const { output } = await workshop.run(
    python,
    [
      ["-m", "halmos"],
      ["--match-contract", `^${contract}$`],
      ["--match-test", `^${check}\\(`],
      ["--loop", String(TURNS)],
      // The one that its package brings; by name it would look for others, and download them.
      ["--solver-command", `${solver} --smt2-model-format --bvconst-in-decimal`],
      ["--solver-timeout-assertion", `${QUESTION_SECONDS}s`],
      ["--json-output", file],
      ["--no-status", "--early-exit"],
    ].flat(),
    LIMIT_MINUTES,
  );
  if (!existsSync(file)) return { said: output };
  const { test_results: results } = JSON.parse(readFileSync(file, "utf8")) as {
    test_results: Readonly<Record<string, readonly Answer[]>>;
  };
  const answer = Object.values(results)
    .flat()
    .find(({ name }) => name.startsWith(`${check}(`));
  return answer === undefined ? { said: output } : { answer, said: output };
}

/** @throws ToolMissing */
export function openSymbolic(): { attempt: (item: string) => Promise<string | undefined>; close: () => void } {
  const python = pythonWith("halmos");
  const workshop = openWorkshop({ sources: FOLDER, tests: FOLDER });
  return {
    attempt: async (item) => {
      const tried = tries.get(item);
      if (tried === undefined) return "there is no such proof";
      const { proof, guard } = tried;
      const source = guard && workshop.read(guard.file);
      if (guard !== undefined && source?.split(guard.text).length !== 2)
        return `${guard.file} does not hold the guard's text once`;
      try {
        if (guard !== undefined && source !== undefined)
          workshop.write(
            guard.file,
            source.replace(guard.text, () => guard.instead ?? ""),
          );
        const { answer, said } = await ask(workshop, python, proof);
        const problem = judge(answer, guard === undefined);
        return problem && `${problem}: ${said.trim().slice(-2_000)}`;
      } finally {
        if (guard !== undefined && source !== undefined) workshop.write(guard.file, source);
      }
    },
    close: workshop.remove,
  };
}
