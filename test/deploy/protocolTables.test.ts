/** docs/protocol.md against the sources of the protocol: a second implementation is written from it, and reads its tables. */
import { structTypes, wireSchema } from "@cotrain/sdk/protocol";
import { type TSchema, Type } from "typebox";
import { describe, expect, test } from "vitest";

import { bodiesOf, update } from "../../deploy/protocolTables.ts";
import { definitionWith, oneOptimizer, protocolPage as page, twoOptimizers } from "../interop/variants.ts";

test("the page says what the sources say, and a meaning for every field", () => {
  expect(update(page)).toEqual({ text: page, problems: [] });
});

test.each([
  ["a field of another type", "| `attempt` | uint32 |", "| `attempt` | uint64 |", 'The table "struct Receipt" is not'],
  ["a field that is missing", /^\| `leaves` \| uint32 \|.*\n/m, "", 'The table "struct Receipt" is not'],
  ["a field that is not there", "| `acceptedAt` |", "| `more` | uint8 | x |\n| `acceptedAt` |", '"struct Ack" is not'],
  ["a table that is missing", /^<!-- document Assignment -->$/m, "", 'no table "document Assignment"'],
  ["a message that is missing", /^<!-- message JoinReply -->$/m, "", 'no table "message JoinReply"'],
  [
    "a message's field of another type",
    "| `uploading` | boolean |",
    "| `uploading` | count |",
    '"message Heartbeat" is not',
  ],
  ["a reply's variant that is missing", /^\| `\(kind "wait"\)\.reason`.*\n/m, "", '"message WorkReply" is not'],
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

const rowsOf = (text: string): string[] => text.split("\n").filter((row) => row.startsWith("| `innerOptimizer"));

/** The page with a meaning for each row that lacks one. */
const written = (text: string, meaning: string): string =>
  text.replaceAll(/^(\| `innerOptimizer.*)  \|$/gm, `$1 ${meaning} |`);

/** The page of a definition with an inner optimizer of the tests' own, whichever the protocol has. */
const bare = page.replaceAll(/^\| `innerOptimizer[ .].*\n/gm, "");
const one = written(update(bare, definitionWith(oneOptimizer)).text, "the first's");

describe("a field that is one of several objects", () => {
  const two = update(one, definitionWith(twoOptimizers));

  test("has the rows of each variant under the literal that tells it apart, those that were there with their meanings", () => {
    expect(rowsOf(two.text)).toEqual([
      "| `innerOptimizer` | object | constants of the inner step |",
      '| `innerOptimizer (kind "first").kind` | "first" | the first\'s |',
      '| `innerOptimizer (kind "first").beta` | number | the first\'s |',
      '| `innerOptimizer (kind "first").limit` | number (0)… | the first\'s |',
      '| `innerOptimizer (kind "second").kind` | "second" |  |',
      '| `innerOptimizer (kind "second").momentum` | number 0…(1) |  |',
      '| `innerOptimizer (kind "second").limit` | number (0)…1 |  |',
    ]);
    expect(two.problems.filter((problem) => problem.includes("has no meaning"))).toHaveLength(3);
  });

  test("keeps the meaning of a field that two variants have for each of them", () => {
    const whole = written(two.text, "the second's");
    expect(rowsOf(whole).filter((row) => row.includes("limit"))).toEqual([
      '| `innerOptimizer (kind "first").limit` | number (0)… | the first\'s |',
      '| `innerOptimizer (kind "second").limit` | number (0)…1 | the second\'s |',
    ]);
    expect(update(whole, definitionWith(twoOptimizers))).toEqual({ text: whole, problems: [] });
  });

  test("is refused where no literal tells its objects apart", () => {
    const a = Type.Object({ kind: Type.Literal("a"), name: Type.String() });
    const perhaps = Type.Object({ kind: Type.Optional(Type.Literal("b")) });
    for (const each of [Type.Union([a, Type.Object({ ...a.properties, more: Type.Null() })]), Type.Union([a, perhaps])])
      expect(() => update(page, definitionWith(each))).toThrow("cannot tell the objects of innerOptimizer apart");
  });
});

test("says that two rows have one name, and keeps neither's meaning", () => {
  const row = "| `innerOptimizer.beta` | number | the first's |\n";
  const twice = one.replace(row, row + row.replace("first", "second"));
  const { text, problems } = update(twice, definitionWith(oneOptimizer));
  expect(problems.join()).toContain('"document Definition": there are several rows of `innerOptimizer.beta`');
  expect(text).toBe(one.replace(row, "| `innerOptimizer.beta` | number |  |\n"));
});

test("refuses a source that would have two rows of one name", () => {
  const lists = Type.Union([Type.Array(Type.String()), Type.Array(Type.Number())]);
  expect(() => update(page, definitionWith(lists))).toThrow("no way to say two types of the field innerOptimizer[]");
});

/** What the page says of an inner optimizer of this form. */
const rowsWith = (schema: TSchema): string[] => rowsOf(update(page, definitionWith(schema)).text);

test("takes an object for a struct where its fields have the struct's types, not its names alone", () => {
  expect(rowsWith(wireSchema("Ack"))).toEqual(["| `innerOptimizer` | struct Ack | constants of the inner step |"]);
  const others = Type.Object(Object.fromEntries(structTypes.Ack.map(({ name }) => [name, Type.Number()])), {
    additionalProperties: false,
  });
  expect(rowsWith(others)).toContain("| `innerOptimizer.acceptedAt` | number |  |");
});

test("refuses a body that it could give no table", () => {
  const object = Type.Object({ round: Type.Number() });
  const fine = {
    Body: object,
    Either: Type.Union([object, Type.Object({ reason: Type.String() })]),
    MAX: 3,
    other: [],
  };
  expect(bodiesOf(fine).map(([name]) => name)).toEqual(["Body", "Either"]);
  for (const Body of [
    Type.Array(object),
    Type.Record(Type.String(), object),
    Type.Intersect([object, Type.Object({ reason: Type.String() })]),
    Type.Union([object, Type.Array(object)]),
  ])
    expect(() => bodiesOf({ Body })).toThrow("docs/protocol.md has no table for Body, ");
});
