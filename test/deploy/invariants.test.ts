/** The invariants of contracts/README.md: each stands in a test that names it by its number, and no loop of a contract is without a bound. */
import { readdirSync, readFileSync } from "node:fs";

import { describe, expect, test } from "vitest";

const read = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

const rows = [...read("contracts/README.md").matchAll(/^\| (\d+) +\| .* \| (`.*) +\|$/gm)].map(([, number, cell]) => ({
  number: Number(number),
  tests: [...cell!.matchAll(/`(\w+)\.(?:t\.sol|test\.ts)` "([^"]+)"/g)].map(([, file, name]) => ({ file, name })),
}));

/** How a test says which invariant it holds: at the head of a message, or in what stands above it. */
const names = (number: number): RegExp =>
  new RegExp(`"(?:\\d+, )*${number}(?:, \\d+)* [a-z]|\\(${number}\\)\\.|Invariant ${number}\\b`);

describe("the invariants", () => {
  test("are thirty-two, each with a test", () => {
    expect(rows.map(({ number }) => number)).toEqual(Array.from({ length: 32 }, (_, index) => index + 1));
    expect(rows.filter(({ tests }) => tests.length === 0)).toEqual([]);
  });

  test.each(rows)("$number is named where it is held", ({ number, tests }) => {
    for (const { file, name } of tests) {
      const solidity = name!.startsWith("test") || name!.startsWith("invariant");
      const source = read(solidity ? `test/contracts/${file}.t.sol` : `test/deploy/${file}.test.ts`);
      expect(source).toContain(solidity ? `function ${name}(` : `test("${name}"`);
      expect(source).toMatch(names(number));
    }
  });
});

/** What ends each loop. */
const bounds: Readonly<Record<string, string>> = {
  "emission/Emission.sol: while (last >= first)":
    "the changes of a budget within 30 days, each a decision of the holders",
  "emission/Emission.sol: while (first <= current)": "the epochs of 30 days, as far as budgets differ in them",
  "emission/Emission.sol: while (low < high)": "a binary search",
  "training/RunRegistry.sol: for (uint256 i = 0; i < config.builds.length; ++i)": "who registers pays",
  "training/CheckpointRegistry.sol: for (; i < heads.length; ++i)": "who posts pays",
  "training/CheckpointRegistry.sol: for (uint256 i = 0; i < count; ++i)": "who posts pays",
  "attestation/ValidatorSet.sol: for (uint256 i = 0; i < size; ++i)": "64 members",
  "attestation/ValidatorSet.sol: for (uint256 i = 0; i < validators.length; ++i)": "64 members",
  "attestation/ValidatorSet.sol: while (j < validators.length && validators[j] < member)": "64 members",
  "attestation/ValidatorSet.sol: while (sets.versions[version].effectiveAt > block.timestamp)":
    "sets that the holders decided within one window",
  "attestation/ValidatorSet.sol: for (uint256 i = 0; i < members.length; ++i)": "64 members",
  "attestation/ValidatorSet.sol: for (uint256 from = 0; from < signatures.length; from += SIGNATURE)": "who sends pays",
  "attestation/ValidatorSet.sol: while (member < signer && next < size)": "64 members",
  "libraries/RunParamsRules.sol: for (uint256 i = 0; i < FIELDS; ++i)": "the fields of the parameters",
  "rewards/ComputeRewards.sol: for (uint256 i = 0; i < claims.length; ++i)": "who claims pays",
  "rewards/ComputeRewards.sol: for (uint256 i = 0; i < leaves.length; ++i)": "who claims pays",
  "rewards/CodeGrants.sol: for (uint256 i = 0; i < config.list.length; ++i)": "who creates the model pays",
  "rewards/CodeGrants.sol: for (uint256 i = 0; i < ids.length; ++i)": "who burns pays",
  "governance/Bootstrap.sol: for (uint256 i = 0; i < targets.length; ++i)": "who proposes pays",
  "models/ModelRegistry.sol: for (uint256 i = 0; i < config.founders.list.length; ++i)": "who creates the model pays",
};

/** The head of a loop up to the bracket that closes it. */
function headAt(source: string, at: number): string {
  let depth = 0;
  for (let end = source.indexOf("(", at); ; end += 1) {
    if (source[end] === "(") depth += 1;
    if (source[end] === ")" && --depth === 0) return source.slice(at, end + 1);
  }
}

// Invariant 30: what a stranger can make longer, no call of another goes through.
test("no loop goes over what strangers make longer", () => {
  const files = readdirSync(new URL("../../contracts", import.meta.url), { recursive: true, encoding: "utf8" });
  const found = files
    .filter((file) => file.endsWith(".sol"))
    .flatMap((file) => {
      const source = read(`contracts/${file}`).replaceAll(/\/\/.*$/gm, "");
      const loops = [...source.matchAll(/\b(?:for|while) \(/g)].map(({ index }) => headAt(source, index));
      expect(source).not.toMatch(/\bdo \{/);
      return loops.map((head) => `${file}: ${head}`);
    });
  expect([...new Set(found)].toSorted()).toEqual(Object.keys(bounds).toSorted());
});
