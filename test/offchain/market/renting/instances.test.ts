/** What machines of providers are read from. */
import { expect, test } from "vitest";

import { momentOf, shellAt } from "../../../../offchain/src/market/base/instances.ts";
import { rowOf } from "../../../../offchain/src/market/base/rows.ts";

test.each([
  ["203.0.113.4", 22, "root"],
  ["ssh4.vast.ai", 10_022, "root"],
  ["2001:db8::1", 65_535, "shade-form_1"],
])("%s, %i, %s is an address of ssh", (host, port, user) => {
  expect(shellAt(host, port, user)).toEqual({ host, port, user });
});

test.each([
  ["-oProxyCommand=reboot", 22, "root"],
  ["a b", 22, "root"],
  ["a\nb", 22, "root"],
  ["a;b", 22, "root"],
  ["", 22, "root"],
  ["a", 0, "root"],
  ["a", 65_536, "root"],
  ["a", Number.NaN, "root"],
  ["a", 22, "-root"],
  ["a", 22, "ro ot"],
  [undefined, 22, "root"],
  ["a", undefined, "root"],
  ["a", 22, undefined],
] as const)("%s, %s, %s is none", (host, port, user) => {
  expect(shellAt(host, port, user)).toBeUndefined();
});

test("a moment without a zone is of UTC; what is none is none", () => {
  const moments = {
    z: "2026-11-29T00:00:00Z",
    bare: "2026-11-29T00:00:00.5",
    east: "2026-11-29T02:00:00+02:00",
    none: "soon",
  };
  const row = rowOf(moments);
  expect(["z", "bare", "east", "none", "absent"].map((path) => momentOf(row, path))).toEqual([
    Date.UTC(2026, 10, 29),
    Date.UTC(2026, 10, 29) + 500,
    Date.UTC(2026, 10, 29),
    undefined,
    undefined,
  ]);
});
