/** The table of gas in contracts/README.md says what test/contracts/gas.json does. */
import { readFileSync } from "node:fs";

import { expect, test } from "vitest";

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");
const { rows } = JSON.parse(read("test/contracts/gas.json")) as { readonly rows: Readonly<Record<string, number>> };

/** By the table's row what it is of the measured ones, and what it is beside. */
const plain = (name: string): readonly [string, string] => [name, `plain OpenZeppelin: ${name}`];
const measured: Readonly<Record<string, readonly [string, string?]>> = {
  "claim, depth 10, undelegated, first": ["claim, depth 10, undelegated, first"],
  "claim, depth 10, undelegated, later": ["claim, depth 10, undelegated, later"],
  "claim, depth 10, self-delegated, first": ["claim, depth 10, self-delegated, first"],
  "claim, depth 10, self-delegated, later": ["claim, depth 10, self-delegated, later"],
  "post a root, 5 of 7 sign, first": ["post root, 5 of 7, first"],
  "post a root, 5 of 7 sign, later": ["post root, 5 of 7, later"],
  "anchor a head": ["post head, later"],
  "propose, 2 words": plain("propose (setPoster, 2 words)"),
  "propose, 23 words": plain("propose (setParams, 23 words)"),
  "vote before the quorum": plain("castVote, before the quorum"),
  "vote that reaches it": plain("castVote, reaching the quorum"),
  "vote after it": plain("castVote, after the quorum"),
};

const inK = (gas: number): string => `${(gas / 1_000).toFixed(1)} k`;
const gasOf = (name: string): number => rows[name] ?? Number.NaN;

test.each(Object.entries(measured))("of %s", (what, [name, beside]) => {
  const others = beside === undefined ? "" : `plain OpenZeppelin ${inK(gasOf(beside))} `;
  expect(read("contracts/README.md")).toContain(`| ${what} | ${inK(gasOf(name))} | ${others}`);
});

test("of what comes on top", () => {
  const [one, two] = ["1 root", "2 roots"].map((roots) => gasOf(`claimMany, depth 10, undelegated, ${roots}, first`));
  const [single, batch] = [gasOf("post head, later"), gasOf("post 16 heads at once")];
  const page = read("contracts/README.md");
  expect(page).toContain(`| each further root in one claim | ${inK(two! - one!)} |`);
  expect(page).toContain(`| each further head of a batch of 16 | ${inK((batch - single) / 15)} |`);
});
