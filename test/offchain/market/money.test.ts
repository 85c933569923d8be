/** Money out of what providers write: exact, rounded up, never a float, never a figure that no machine costs. */
import { assert, bigInt, integer, property } from "fast-check";
import { describe, expect, test } from "vitest";

import { formatUsd } from "../../../offchain/src/base/index.ts";
import { microUsdOf, microUsdOfBid, parseDecimal, storagePerHour } from "../../../offchain/src/market/money.ts";

describe("decimals", () => {
  test.each([
    ["1.25", 125n, 2],
    [1.25, 125n, 2],
    ["0", 0n, 0],
    [1e-7, 1n, 7],
    ["2E3", 2_000n, 0],
    [1.6567999999999998, 16_567_999_999_999_998n, 16],
  ])("%s", (value, digits, scale) => {
    expect(parseDecimal(value)).toEqual({ digits, scale });
  });

  test.each([
    "",
    "-1",
    "+1",
    "1,5",
    "0x10",
    "1.",
    ".5",
    "1e999",
    "NaN",
    "Infinity",
    "1".repeat(25),
    `0.${"1".repeat(41)}`,
    null,
    true,
    [1],
    -0.1,
    Number.NaN,
    Infinity,
  ])("%s is none", (value) => {
    expect(parseDecimal(value)).toBeUndefined();
  });

  test("every number of a JSON text is taken as it was written", () => {
    assert(
      property(integer({ min: 0, max: 9_999_999 }), integer({ min: 0, max: 999_999 }), (whole, millionths) => {
        const text = `${whole}.${String(millionths).padStart(6, "0")}`;
        const money = microUsdOf(JSON.parse(text), "usd");
        expect(money).toBe(
          whole >= 100_000 && whole * 1e6 + millionths > 1e11
            ? undefined
            : BigInt(whole) * 1_000_000n + BigInt(millionths),
        );
      }),
    );
  });
});

describe("units", () => {
  test.each([
    ["dollars", 2.49, "usd", 1, 2_490_000n],
    ["a GPU's share of eight", "2.49", "usd", 8, 19_920_000n],
    ["cents", 2_392, "cents", 1, 23_920_000n],
    ["a gigabyte-hour, by the month", 0.00014, "usdPerGbHour", 1, 102_200n],
    // 600 blocks of six seconds an hour.
    ["uact of a block", "1826.5", "uactPerBlock", 1, 1_095_900n],
    ["what is left of a millionth, upwards", "0.0000001", "usd", 1, 1n],
    ["nothing", 0, "usd", 1, 0n],
    ["the most that is believed", "100000", "usd", 1, 100_000_000_000n],
    ["more", "100000.000001", "usd", 1, undefined],
    ["of no GPU", "1", "usd", 0, undefined],
  ] as const)("%s", (_, value, unit, times, money) => {
    expect(microUsdOf(value, unit, times)).toBe(money);
  });

  test("a bid is of uact or of nothing", () => {
    expect(microUsdOfBid("2500", "uact", 2)).toBe(3_000_000n);
    expect(() => microUsdOfBid("2500", "uakt")).toThrow('A price in "uakt" has no rate to US dollars: only uact has.');
  });

  test("storage by the hour is rounded up", () => {
    expect(storagePerHour(150_000n, 100)).toBe(20_548n);
  });

  test("what is shown is never below what is paid", () => {
    assert(
      property(bigInt({ min: 0n, max: 100_000_000_000n }), (money) => {
        const shown = microUsdOf(formatUsd(money), "usd") ?? -1n;
        expect(shown >= money && shown - money < 100n).toBe(true);
      }),
    );
    expect(formatUsd(1_234_501n)).toBe("1.2346");
  });
});
