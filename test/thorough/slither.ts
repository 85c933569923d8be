/**
 * Slither's detectors on the contracts. A finding is mended, or answered in findings.ts with the reason.
 */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

import { answered, unasked } from "./findings.ts";
import { openWorkshop } from "./foundry.ts";
import { pythonWith } from "./pythonTool.ts";

const LIMIT_MINUTES = 20;

/** A finding, as Slither tells it. */
interface Finding {
  readonly check: string;
  readonly impact: string;
  readonly description: string;
}

/** A finding by its detector and the function, or else the contract, that its words name first; lines would not last. */
function nameOf({ check, description }: Finding): string {
  const [place = "nowhere"] =
    /\b[A-Z]\w*\.\w+(?=[\s(])|^[A-Z]\w*/.exec(description.replace(/^(Reentrancy|Low level call) in /, "")) ?? [];
  return `${check} ${place}`;
}

/** @returns a line for each finding without an answer, and for each answer without a finding */
export function unanswered(findings: readonly Finding[], answers: Readonly<Record<string, string>>): readonly string[] {
  const found = new Set(findings.map(nameOf));
  return [
    ...findings
      .filter((finding) => !(nameOf(finding) in answers))
      .map(
        (finding) => `${nameOf(finding)} (${finding.impact}): ${finding.description.trim().replaceAll(/\s+/g, " ")}`,
      ),
    ...Object.keys(answers)
      .filter((name) => !found.has(name))
      .map((name) => `${name}: it is answered, but no longer found`),
  ];
}

/** @throws ToolMissing */
export function openSlither(): { attempt: () => Promise<string | undefined>; close: () => void } {
  const python = pythonWith("slither");
  const workshop = openWorkshop({ sources: "contracts", tests: "none" });
  return {
    attempt: async () => {
      const file = join(workshop.directory, "findings.json");
      rmSync(file, { force: true });
      const { output } = await workshop.run(
        python,
        ["-m", "slither", ".", "--exclude-dependencies", "--exclude", Object.keys(unasked).join(","), "--json", file],
        LIMIT_MINUTES,
      );
      if (!existsSync(file)) return `Slither gave no answer: ${output.trim().slice(-3_000)}`;
      const { success, error, results } = JSON.parse(readFileSync(file, "utf8")) as {
        success: boolean;
        error: string | null;
        results: { detectors?: readonly Finding[] };
      };
      if (!success) return `Slither failed: ${error?.slice(-3_000)}`;
      const lines = unanswered(results.detectors ?? [], answered);
      return lines.length === 0 ? undefined : lines.join("\n");
    },
    close: workshop.remove,
  };
}
