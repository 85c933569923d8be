/** Reading a provider's row: what is absent, what is of another form, and what no machine has. */
import { expect, test } from "vitest";

import { listOf, rowOf, valuesOf } from "../../../offchain/src/market/base/rows.ts";

const row = rowOf({
  name: " box ",
  id: 7,
  empty: "",
  none: null,
  ram: "64.5",
  deep: { list: [{ a: 1 }] },
  long: "x".repeat(201),
  line: "a\nb",
  escape: "\u001b[2J",
  right: "a\u202eb",
  minus: -1,
  big: 1e300,
  price: "1.5",
  yes: "yes",
});

test("what is absent, null or empty is undefined", () => {
  for (const path of ["nothing", "none", "empty", "deep.nothing", "name.length", "id.toFixed"]) {
    expect(row.text(path)).toBeUndefined();
    expect(row.list("nothing")).toEqual([]);
  }
  expect(row.whole("none")).toBeUndefined();
  expect(row.money("none", "usd")).toBeUndefined();
});

test("nothing is read of what objects inherit", () => {
  expect(rowOf({}).text("constructor.name")).toBeUndefined();
  expect(rowOf({}).text("toString.name")).toBeUndefined();
});

test("text is trimmed, a whole number is text too", () => {
  expect([row.text("name"), row.text("id"), row.requireWhole("ram"), row.list("deep.list")[0]?.whole("a")]).toEqual([
    "box",
    "7",
    65,
    1,
  ]);
});

test.each([
  [() => row.text("long"), '"long" has more than 200 characters'],
  [() => row.text("line"), '"line" has characters that are not printed'],
  [() => row.text("escape"), '"escape" has characters that are not printed'],
  [() => row.text("right"), '"right" has characters that are not printed'],
  [() => row.text("deep"), '"deep" is no text'],
  [() => row.requireText("nothing"), '"nothing" is missing'],
  [() => row.whole("minus"), '"minus" is no number that is not negative'],
  [() => row.whole("big"), '"big" is no number that is not negative'],
  [() => row.whole("price", 1e18), '"price" is larger than any machine\'s'],
  [() => row.money("name", "usd"), '"name" is no price'],
  [() => row.flag("yes"), '"yes" is neither true nor false'],
  [() => row.list("deep"), '"deep" is no list'],
  [() => rowOf([]), "a row is no object"],
  [() => listOf(Array.from({ length: 10_001 }), "rows"), '"rows" has more than 10000 entries'],
  [() => valuesOf([], "rows"), '"rows" is no map'],
])("%s is refused", (read, sentence) => {
  expect(read).toThrow(sentence);
});
