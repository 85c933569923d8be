/** That the thorough tests try what they say: guards are found, breakages fit the sources, results do not claim too much. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { breakages } from "./breakages.ts";
import { root } from "./copy.ts";
import { allGuards, guardsOf } from "./guards.ts";
import { parts } from "./parts.ts";
import { digestOfSources, type Entry, falsehoods, honest } from "./results.ts";

describe("breakages", () => {
  it("have names of their own", () => {
    expect(new Set(breakages.map(({ name }) => name)).size).toBe(breakages.length);
  });

  it.each(breakages.map((breakage) => [breakage.name, breakage] as const))(
    "%s: its text stands once in its file, and its tests are there",
    (_name, { file, text, instead, tests }) => {
      expect(readFileSync(join(root, file), "utf8").split(text)).toHaveLength(2);
      expect(instead).not.toBe(text);
      expect(tests.length).toBeGreaterThan(0);
      expect(tests.filter((test) => !existsSync(join(root, test)))).toEqual([]);
    },
  );
});

describe("guards", () => {
  const source = `contract C {
    modifier onlyOwner() { if (msg.sender != owner) revert NotOwner(); _; }
    // if (x) revert InAComment();
    function f(uint256 a, uint256 b) external onlyOwner {
        if (a == 0 || (b > 1 && a < b)) revert Bad("or (this)");
        if (a == b) return;
        _require(a % 2 == 0 && b != 0, "even");
        _requireRange(a, b);
        if (a > 5) {
            revert Big(a);
        }
    }
    function g() external pure { revert Never(); }
}`;

  it("are each alternative of a condition, calls that revert by name, reverts alone, and modifiers where they are used", () => {
    expect(guardsOf("C.sol", source).map(({ line, text, instead }) => [line, text, instead])).toEqual([
      [2, "msg.sender != owner", "false"],
      [4, "onlyOwner", ""],
      [5, "a == 0", "false"],
      [5, "(b > 1 && a < b)", "false"],
      [7, "a % 2 == 0", "true"],
      [7, "b != 0", "true"],
      [8, "_requireRange(a, b);", ""],
      [9, "a > 5", "false"],
      [13, "revert Never();", ""],
    ]);
  });

  it("are found in every contract that reverts", () => {
    expect(allGuards().length).toBeGreaterThan(100);
  });
});

describe("results", () => {
  const outcome = { commit: "c", date: "2026-11-26T00:00:00.000Z", seconds: 1, tried: 1, sources: "aa" };
  const passed: Entry = { status: "passed", ...outcome };

  it("are of sources, not of pages that tell of them", () => {
    expect(digestOfSources(["README.md"])).toBe(digestOfSources(["docs/architecture.md"]));
    expect(digestOfSources(["package.json"])).not.toBe(digestOfSources(["README.md"]));
  });

  it("that passed for other sources have not passed for these", () => {
    expect(honest(passed, "aa")).toBe(passed);
    expect(honest(passed, "bb")).toEqual({ status: "not passed since", last: outcome });
    expect(honest(undefined, "aa")).toEqual({ status: "never run" });
  });

  it("are found out where they claim too much, say nothing, or speak of what there is not", () => {
    expect(falsehoods({ guards: passed }, { guards: "aa" })).toEqual([]);
    for (const entry of [{ status: "never run" }, { status: "not passed since", last: outcome }] satisfies Entry[])
      expect(falsehoods({ guards: entry }, { guards: "bb" })).toEqual([]);
    expect(falsehoods({ guards: passed }, { guards: "bb" })).toEqual([expect.stringContaining('"guards" passed, but')]);
    expect(falsehoods({}, { guards: "aa" })).toEqual([expect.stringContaining('says nothing of "guards"')]);
    expect(falsehoods({ others: passed }, {})).toEqual([expect.stringContaining('"others"')]);
  });

  it("depend on files that there are", () => {
    for (const { sources } of parts) expect(sources.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });
});
