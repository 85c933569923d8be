/**
 * What the contracts are designed against: the findings of the reviews by letter and number, the attacks of the design, and what
 * others got wrong. Each has the defences that hold it off, and for each defence a test that fails without it; docs/attacks.md has the
 * table. `tryAttack.ts` takes them out.
 */
import type { Attack } from "./attacks/attack.ts";
import { designed } from "./attacks/designed.ts";
import { governed } from "./attacks/governed.ts";
import { peers } from "./attacks/peers.ts";
import { reviewed } from "./attacks/reviewed.ts";

export { peers, reviewed };

export const attacks: readonly Attack[] = [...reviewed, ...designed, ...governed, ...peers];

/** The table of docs/attacks.md. */
export function tableOf(those: readonly Attack[]): string {
  const rows = those.map(({ name, defences, breakages = [] }) => {
    const tests = new Set(defences.map(({ test: [file, test] }) => `\`${file}.t.sol\` "${test}"`));
    return `| ${name} | ${[...tests, ...breakages.map((row) => `breakage "${row}"`)].join(", ")} |`;
  });
  return ["| attack | fails where its defence is taken out |", "|---|---|", ...rows, ""].join("\n");
}
