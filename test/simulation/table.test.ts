/** That the simulation can fail, and that its page tells of every scenario. */
import { readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

import type { Finding } from "./attacks.ts";
import { brokenBy, scenarios } from "./scenarios.ts";
import { pays, tableOf, withTable } from "./table.ts";

const share = 10n ** 18n;
const nothing: Finding = {
  gain: { shares: 0n, coins: 0n, dollars: 0n },
  lost: 0n,
  defenders: 0n,
  late: 0,
  rented: 0n,
  more: {},
};
const gaining = (gain: Partial<Finding["gain"]>, rest: Partial<Finding> = {}): Finding => ({
  ...nothing,
  ...rest,
  gain: { ...nothing.gain, ...gain },
});

describe("the economic simulation", () => {
  it("names what of an attack that must not pay did", () => {
    const caught = scenarios.find(({ name }) => name.includes("holders of 20% vote"));
    expect(brokenBy(caught!, gaining({ shares: 1n, coins: -5n * share }, { lost: share, defenders: -1n }))).toEqual([
      "takes no share",
      "every worker is paid in the end",
      "costs no defender",
    ]);
    expect(brokenBy(caught!, gaining({ coins: -5n * share }))).toEqual([]);
  });

  it("says at which price an attack pays", () => {
    expect(pays([nothing])).toBe("never");
    expect(pays([gaining({ coins: -share })])).toBe("never");
    expect(pays([gaining({ shares: 7n * share })])).toBe("always");
    expect(pays([gaining({ shares: 100n * share, coins: -share })])).toBe(
      "where a share is worth more than 0.01 coins",
    );
    expect(pays([gaining({ shares: share }, { rented: 4n * share })])).toBe(
      "where a vote rents for less than 0.25 shares",
    );
    expect(pays([gaining({ shares: 4n * share, dollars: -1_000_000n })])).toBe(
      "at 0.25 dollars a share, as for everybody",
    );
  });

  it("tells the middle of the seeds and how far they are apart", () => {
    const findings = [3n, 1n, 2_000n].map((count) => gaining({ shares: count * share }));
    const [, , row] = tableOf([{ scenario: { name: "somebody tries" }, findings }]).split("\n");
    expect(row).toBe("| somebody tries | 3 (1 to 2,000) | 0 | 0 | 0 | 0 | 0 | always |");
  });

  it("has a row of docs/economy.md for each scenario", () => {
    const page = readFileSync("docs/economy.md", "utf8");
    for (const { name } of scenarios) expect(page).toContain(`\n| ${name} | `);
    expect(() => withTable("a page", "", "")).toThrow(TypeError);
  });
});
