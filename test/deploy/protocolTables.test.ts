/** docs/protocol.md against the sources of the protocol: a second implementation is written from it, and reads its tables. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

import { update } from "../../deploy/protocolTables.ts";

const page = readFileSync(fileURLToPath(new URL("../../docs/protocol.md", import.meta.url)), "utf8");

test("the page says what the sources say, and a meaning for every field", () => {
  expect(update(page)).toEqual({ text: page, problems: [] });
});

test.each([
  ["a field of another type", "| `attempt` | uint32 |", "| `attempt` | uint64 |", 'The table "struct Receipt" is not'],
  ["a field that is missing", /^\| `leaves` \| uint32 \|.*\n/m, "", 'The table "struct Receipt" is not'],
  ["a field that is not there", "| `acceptedAt` |", "| `more` | uint8 | x |\n| `acceptedAt` |", '"struct Ack" is not'],
  ["a table that is missing", /^<!-- document Assignment -->$/m, "", 'no table "document Assignment"'],
  ["a table of nothing", "<!-- params -->", "<!-- struct Wish -->\n\n<!-- params -->", "source knows nothing"],
  ["a field without a meaning", /(\| `payloadDigest` \| bytes32 \|).*\|/, "$1  |", "has no meaning"],
  [
    "a code of another number",
    "| 2 | `payloadMalformed` |",
    "| 7 | `payloadMalformed` |",
    '"codes outcomeCode" is not',
  ],
  ["a route elsewhere", "`/v1/runs/:runId/blobs/:cid`", "`/blobs/:cid`", 'The table "routes" is not'],
])("notices %s", (_, from, to, problem) => {
  const changed = page.replace(from, to);
  expect(changed).not.toBe(page);
  const { text, problems } = update(changed);
  expect(problems.join("\n")).toContain(problem);
  // Written again, the tables are right; what people write is left to them.
  expect(update(text).problems.join()).not.toContain("is not what");
});
