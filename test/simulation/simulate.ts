/**
 * The economic simulation: each scenario on a model of its own, for each seed, against the real contracts; then the table in
 * docs/economy.md. `npm run thorough -- economy` calls it, and `.ci/run` with one seed, which writes nothing.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

import { openChain, type SimulatedChain } from "./chain.ts";
import { buyers, delegates, endBootstrapOf, live, openEconomy, workers } from "./economy.ts";
import type { Finding } from "./attacks.ts";
import { type Beginning, brokenBy, played, type Scenario, scenarios } from "./scenarios.ts";
import { tableOf, withTable } from "./table.ts";

const PAGE = join(resolve(fileURLToPath(import.meta.url), "../../.."), "docs/economy.md");

/** Plays all scenarios with one seed. @param found is told of each */
async function playAll(
  chain: SimulatedChain,
  seed: number,
  found: (scenario: Scenario, finding: Finding) => void,
): Promise<void> {
  await chain.isolated(async () => {
    const economy = await openEconomy(chain, seed);
    const play = async (beginning: Beginning): Promise<void> => {
      for (const scenario of scenarios.filter(({ begins }) => begins === beginning))
        found(scenario, await chain.isolated(() => played(scenario, economy)));
    };
    await play("birth");
    await live(economy, 20);
    await delegates(economy, [...workers, ...buyers]);
    await live(economy, 40);
    await play("young");
    await live(economy, 94);
    await endBootstrapOf(economy);
    await play("grown");
  });
}

/**
 * Simulates the economy with seeds 1 to `seeds`.
 * @param write whether the table goes into docs/economy.md
 * @returns what must hold and does not, if anything
 */
export async function simulateEconomy(seeds: number, write: boolean): Promise<string | undefined> {
  const chain = await openChain();
  const findings = new Map<Scenario, Finding[]>(scenarios.map((scenario) => [scenario, []]));
  const broken: string[] = [];
  try {
    for (let seed = 1; seed <= seeds; seed++) {
      await playAll(chain, seed, (scenario, finding) => {
        findings.get(scenario)?.push(finding);
        for (const words of brokenBy(scenario, finding))
          broken.push(`seed ${seed}: "${scenario.name}" does not hold: it ${words}`);
      });
      process.stdout.write(`seed ${seed}: ${scenarios.length} scenarios, ${broken.length} sentences do not hold\n`);
    }
  } finally {
    await chain.close();
  }
  const table = tableOf([...findings].map(([scenario, each]) => ({ scenario, findings: each })));
  process.stdout.write(`${table}\n`);
  if (broken.length > 0) return broken.join("\n");
  if (write) {
    const words = `Played on ${new Date().toISOString().slice(0, 10)} with seeds 1 to ${seeds}.`;
    writeFileSync(PAGE, withTable(readFileSync(PAGE, "utf8"), table, words));
  }
  return undefined;
}
