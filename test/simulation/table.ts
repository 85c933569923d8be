/** What the scenarios brought over several seeds, as the table of docs/economy.md. */
import { formatEther } from "viem";

import type { Finding } from "./attacks.ts";
import type { Scenario } from "./scenarios.ts";

/** A scenario and what came of it with each seed. */
export interface Played {
  readonly scenario: Pick<Scenario, "name">;
  readonly findings: readonly Finding[];
}

/** A number of units for people: four digits that matter, thousands apart. */
function told(value: number): string {
  if (value === 0) return "0";
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(3)));
}

const wei = (value: bigint): number => Number(formatEther(value));

/** The middle one of several numbers, with the least and the greatest where they are told apart. */
function spread(values: readonly number[]): string {
  const sorted = values.toSorted((a, b) => a - b);
  const [least, middle, most] = [sorted[0], sorted[sorted.length >> 1], sorted.at(-1)].map((value) => told(value ?? 0));
  return least === most ? String(middle) : `${middle} (${least} to ${most})`;
}

const middleOf = (findings: readonly Finding[], of: (finding: Finding) => number): number =>
  findings.map(of).toSorted((a, b) => a - b)[findings.length >> 1] ?? 0;

/** At which price an attack pays, by the middle of its seeds. */
export function pays(findings: readonly Finding[]): string {
  const of = (value: (finding: Finding) => number): number => middleOf(findings, value);
  // What divisions leave is nothing.
  const shares = Math.round(of(({ gain }) => wei(gain.shares)) * 1e6) / 1e6;
  const coins = of(({ gain }) => wei(gain.coins));
  const dollars = of(({ gain }) => Number(gain.dollars) / 1e6);
  const rented = of((finding) => wei(finding.rented));
  if (shares <= 0 && coins <= 0 && dollars <= 0) return "never";
  if (rented > 0) {
    const each = [
      [shares, "shares"],
      [coins, "coins"],
      [dollars, "dollars"],
    ] as const;
    const parts = each.filter(([value]) => value > 0).map(([value, unit]) => `${told(value / rented)} ${unit}`);
    return `where a vote rents for less than ${parts.join(" and ")}`;
  }
  if (dollars < 0) return `at ${told(-dollars / shares)} dollars a share, as for everybody`;
  if (coins < 0) return `where a share is worth more than ${told(-coins / shares)} coins`;
  return "always";
}

/** Rows of the table. */
export function tableOf(played: readonly Played[]): string {
  const head = [
    "| who does what | shares gained | coins gained | dollars gained | workers lose for good, shares | pay is late, days | defenders' coins | it pays |",
    "|---|---|---|---|---|---|---|---|",
  ];
  const rows = played.map(({ scenario: { name }, findings }) => {
    const cells = [
      spread(findings.map(({ gain }) => Math.round(wei(gain.shares) * 1e6) / 1e6)),
      spread(findings.map(({ gain }) => wei(gain.coins))),
      spread(findings.map(({ gain }) => Number(gain.dollars) / 1e6)),
      spread(findings.map(({ lost }) => Math.round(wei(lost)))),
      spread(findings.map(({ late }) => late)),
      spread(findings.map(({ defenders }) => wei(defenders))),
      pays(findings),
    ];
    return `| ${[name, ...cells].join(" | ")} |`;
  });
  return [...head, ...rows].join("\n").replaceAll("| -0 |", "| 0 |");
}

const [BEGIN, END] = ["<!-- generated: npm run thorough -- economy -->", "<!-- end -->"];

/** The page with another table. @throws where it has no place for one */
export function withTable(page: string, table: string, words: string): string {
  const [before, rest] = page.split(BEGIN);
  const [, after] = rest?.split(END) ?? [];
  if (before === undefined || after === undefined) throw new TypeError("the page has a place for the table");
  return `${before}${BEGIN}\n\n${words}\n\n${table}\n\n${END}${after}`;
}
