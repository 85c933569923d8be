/** Names of machines at providers. */
import { expect, test } from "vitest";

import { labelOf, parseLabel } from "../../../../offchain/src/market/base/labels.ts";

test("a label says whose the machine is, and is read back", () => {
  const label = { installation: "0123abcd", lease: "89abcdef", attempt: 12 };
  expect(labelOf(label)).toBe("ct-0123abcd-89abcdef-12");
  expect(parseLabel(labelOf(label))).toEqual(label);
  expect(labelOf({ ...label, attempt: 999_999_999 }).length).toBeLessThanOrEqual(60);
});

test.each([
  undefined,
  "",
  "ct-0123abcd-89abcdef",
  "ct-0123abcd-89abcdef-0",
  "ct-0123abcd-89abcdef-01",
  "ct-0123ABCD-89abcdef-1",
  "ct-0123abcd-89abcdef-1 ",
  "x-ct-0123abcd-89abcdef-1",
  "ct-0123abcd-89abcdef-1\n",
  "ct-0123abcd-89abcdef-9999999999",
])("%s is none of ours", (name) => {
  expect(parseLabel(name)).toBeUndefined();
});

test.each([{ installation: "x" }, { lease: "89ABCDEF" }, { attempt: 0 }, { attempt: 1.5 }, { attempt: -1 }])(
  "%o makes no label",
  (change) => {
    expect(() => labelOf({ installation: "0123abcd", lease: "89abcdef", attempt: 1, ...change })).toThrow(
      "eight hexadecimal digits",
    );
  },
);
