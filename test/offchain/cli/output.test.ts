/** How numbers, lines and colours are written. */
import * as fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";

import {
  bar,
  formatBytes,
  formatCount,
  formatDuration,
  formatAddress,
  formatPercent,
  formatShares,
  formatShort,
  shortAddress,
  shortHex,
  sparkline,
  wrap,
  wrapCommand,
} from "../../../offchain/src/base/index.ts";
import { createOutput, table } from "../../../offchain/src/cli/output.ts";
import { hash } from "./pictures.ts";

/** Hundredths, or tenths of a percent. */
const unitsOf = (shown: string): bigint => BigInt(shown.replaceAll(/[,.%…]/g, ""));
const shownOf = (wei: bigint): bigint => unitsOf(formatShares(wei).replace("<0.01", "0.00"));

describe("numbers", () => {
  test("counts, sizes, durations, shares, percents, hashes", () => {
    expect([0, 999, 1_000, 12_345, 999_499, 1_048_576, 5e12].map(formatShort)).toEqual([
      "0",
      "999",
      "1.00 K",
      "12.3 K",
      "999 K",
      "1.05 M",
      "5.00 T",
    ]);
    expect(formatCount(1_234_567n)).toBe("1,234,567");
    expect([formatBytes(0), formatBytes(1_500)]).toEqual(["0 B", "1.50 KB"]);
    expect([-1, 0, 65_999, 3_723_000].map(formatDuration)).toEqual(["0:00", "0:00", "1:05", "1:02:03"]);
    expect([0n, 1n, 10n ** 16n - 1n, 700n * 10n ** 18n - 1n, 1_234_567n * 10n ** 16n].map(formatShares)).toEqual([
      "0.00",
      "<0.01",
      "0.01",
      "700.00",
      "12,345.67",
    ]);
    expect([(700n * 10n ** 18n) / 3n, 10n ** 18n + 10n ** 15n, 10n ** 18n + 1n].map(formatShares)).toEqual([
      "233.33…",
      "1.00…",
      "1.00",
    ]);
    expect([formatPercent(1n, 3n), formatPercent(2n, 3n), formatPercent(1n, 0n)]).toEqual(["33.3…%", "66.6…%", "–"]);
    expect([shortHex(hash("a")), shortHex("0x1234")]).toEqual(["0xaaaa…aaaa", "0x1234"]);
  });

  test("amounts and parts are rounded down, each by itself, but for the dust of divisions", () => {
    fc.assert(
      fc.property(fc.bigInt(0n, 10n ** 26n), fc.bigInt(0n, 10n ** 26n), (claimed, claimable) => {
        const [shownClaimed, shownClaimable] = [shownOf(claimed), shownOf(claimable)];
        const shownEarned = shownOf(claimed + claimable);
        const short = claimed - shownClaimed * 10n ** 16n;
        expect(short >= -(10n ** 7n) && short < 10n ** 16n).toBe(true);
        expect(shownClaimed).toBeLessThanOrEqual(shownEarned);
        expect(shownClaimable).toBeLessThanOrEqual(shownEarned);
      }),
    );
    expect([2_277_775n, 1_999_999n].map((thousandths) => formatShares(thousandths * 10n ** 15n))).toEqual([
      "2,277.77…",
      "1,999.99…",
    ]);
    expect([1n, 2n, 999n, 1_000n].map((part) => formatPercent(part, 1_000n))).toEqual([
      "0.1%",
      "0.2%",
      "99.9%",
      "100.0%",
    ]);
    for (const [part, text] of [
      [700n * 10n ** 18n - 4n, "100.0%"],
      [350n * 10n ** 18n + 4n, "50.0%"],
      [350n * 10n ** 18n + 10n ** 16n, "50.0…%"],
      [1n, "0.0%"],
    ] as const)
      expect(formatPercent(part, 700n * 10n ** 18n)).toBe(text);
  });

  test("percents of a whole add up to it, or say that digits follow", () => {
    const amount = fc.bigInt(0n, 10n ** 26n);
    fc.assert(
      fc.property(fc.array(amount, { minLength: 1, maxLength: 8 }), (parts) => {
        const whole = parts.reduce((sum, part) => sum + part, 0n);
        const shown = parts.map((part) => formatPercent(part, whole));
        fc.pre(whole > 0n && shown.every((text) => !text.includes("…")));
        expect(shown.reduce((sum, text) => sum + unitsOf(text), 0n)).toBe(1_000n);
      }),
      { examples: [[[1n, 1n, 1n]], [[1n, 2n, 5n]], [[7n, 0n, 13n]]] },
    );
  });

  test("addresses have one casing, whatever they come in", () => {
    const checksummed = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
    for (const given of [checksummed, checksummed.toLowerCase()]) {
      expect(formatAddress(given)).toBe(checksummed);
      expect(shortAddress(given)).toBe("0x5aAe…eAed");
    }
  });

  test("a command is wrapped between words, as a shell takes it", () => {
    fc.assert(
      fc.property(
        fc.array(fc.stringMatching(/^[a-z]{1,30}$/), { minLength: 1 }),
        fc.integer({ min: 40, max: 100 }),
        (words, width) => {
          const lines = wrapCommand(words.join(" "), width);
          expect(lines.every((line) => line.length <= width)).toBe(true);
          expect(lines.join("\n").replaceAll(/ \\\n +/g, " ")).toBe(words.join(" "));
        },
      ),
    );
  });

  test("a bar and a curve have their width whatever they show", () => {
    fc.assert(
      fc.property(fc.double(), fc.integer({ min: 0, max: 60 }), (fraction, width) => {
        expect(bar(fraction, width)).toHaveLength(width);
      }),
    );
    fc.assert(
      fc.property(
        fc.array(fc.double({ noNaN: true, min: 0, max: 20 })),
        fc.integer({ min: 0, max: 60 }),
        (values, width) => {
          expect(sparkline(values, width)).toMatch(/^[▁-█]*$/u);
          expect(sparkline(values, width)).toHaveLength(Math.min(values.length, width));
        },
      ),
    );
    expect(sparkline([1, 2, 3, 4, 5, 6, 7, 8], 8)).toBe("▁▂▃▄▅▆▇█");
    expect(sparkline([2, 2], 8)).toBe("▁▁");
  });

  test("wrapped text keeps its words and its width", () => {
    fc.assert(
      fc.property(fc.array(fc.stringMatching(/^[a-z]{1,30}$/)), fc.integer({ min: 1, max: 40 }), (words, width) => {
        const lines = wrap(words.join("\n"), width);
        expect(lines.every((line) => line.length > 0 && line.length <= width)).toBe(true);
        expect(lines.join("").replaceAll(" ", "")).toBe(words.join(""));
      }),
    );
    expect(wrap("to be or not to be", 6)).toEqual(["to be", "or not", "to be"]);
  });

  test("columns line up", () => {
    expect(
      table(
        [
          ["a", "1"],
          ["bbb", "22"],
        ],
        [1],
      ),
    ).toEqual(["a     1", "bbb  22"]);
    expect(table([])).toEqual([]);
  });
});

describe("colour", () => {
  const { isTTY } = process.stdout;
  afterEach(() => {
    process.stdout.isTTY = isTTY;
    vi.unstubAllEnvs();
  });

  test("only on a terminal, and not where NO_COLOR asks for none", () => {
    vi.stubEnv("NO_COLOR", undefined);
    process.stdout.isTTY = true;
    expect(createOutput(false).paint("bold", "x")).toBe("\u001b[1mx\u001b[22m");
    vi.stubEnv("NO_COLOR", "1");
    expect(createOutput(false).paint("bold", "x")).toBe("x");
    vi.stubEnv("NO_COLOR", undefined);
    process.stdout.isTTY = false;
    expect(createOutput(false).paint("bold", "x")).toBe("x");
  });
});
