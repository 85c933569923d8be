/** That the thorough tests try what they say: mutations are found and noticed, breakages fit the sources, results do not claim too much. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { breakages } from "./breakages.ts";
import { root } from "./copy.ts";
import { equivalents } from "./equivalents.ts";
import { mutate } from "./mutations.ts";
import { parts } from "./parts.ts";
import { lastingIdOf, mutateAll, openSweep, soliditySources } from "./sweep.ts";
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

describe("mutations", () => {
  const source = `pragma solidity ^0.8.30;
contract C {
    address owner; uint256 public total; // μ takes two bytes
    event Added(uint256 amount); error Bad(string why);
    constructor() { owner = msg.sender; }
    modifier onlyOwner() { if (msg.sender != owner) revert Bad("who"); _; }
    // if (x) revert Bad("in a comment");
    function add(uint256 a, uint256 b) external onlyOwner returns (uint256) {
        if (a == 0 || (b > 1 && a < b)) revert Bad("or (this)");
        if (a == 7) {
            total += a + 1;
        } else total = b;
        for (uint256 i = 0; i < 1; ++i) delete owner;
        while (b > 0) --b;
        emit Added(a);
        return total;
    }
}`;
  const { mutations } = mutate("C.sol", source, 1);

  it("are guards, boundaries, effects and events, each once", () => {
    expect(mutations.map(({ line, place, what }) => `${line} ${place}: ${what}`)).toEqual([
      "5 constructor: without owner = msg.sender",
      "6 onlyOwner: false for msg.sender != owner",
      "8 add: without onlyOwner",
      "9 add: false for a == 0",
      "9 add: >= in b > 1",
      "9 add: true for b > 1",
      "9 add: <= in a < b",
      "9 add: true for a < b",
      "9 add: false for (b > 1 && a < b)",
      "10 add: false for a == 7",
      "10 add: true for a == 7",
      "11 add: no 1 in a + 1",
      "11 add: without total += a + 1",
      "12 add: without total = b",
      "13 add: <= in i < 1",
      "13 add: without delete owner",
      "14 add: >= in b > 0",
      "14 add: false for b > 0",
      "14 add: without --b",
      "15 add: without emit Added(a)",
    ]);
    expect(new Set(mutations.map(({ number }) => number)).size).toBe(mutations.length);
  });

  it("are noticed by a test that fails with one on, and by no other", async () => {
    const tests = `pragma solidity ^0.8.30;
import {C} from "contracts/C.sol";
contract CTest {
    function test_adds() public {
        require(new C().add(7, 0) == 8);
        require(new C().add(1, 1) == 1);
    }
    function test_refuses() public {
        try new C().add(0, 0) { revert(); } catch {}
    }
}`;
    const { sources, mutations: all } = mutateAll({ "contracts/C.sol": source });
    const sweep = await openSweep(sources, { "test/contracts/C.t.sol": tests });
    const noticed: string[] = [];
    for (const mutation of all) if (await sweep.noticed(mutation)) noticed.push(mutation.what);
    expect(noticed).toEqual([
      "without owner = msg.sender",
      "false for a == 0",
      "false for a == 7",
      "true for a == 7",
      "no 1 in a + 1",
      "without total += a + 1",
      "without total = b",
      ">= in b > 0",
      "without --b",
    ]);
  });

  it("are not found where a contract reads what the switch is set by", () => {
    expect(() => mutate("C.sol", "contract C { function f() { block.coinbase; } }", 1)).toThrow("C.sol reads");
  });

  it("of the contracts have names of their own, and those that change nothing are among them", () => {
    const ids = mutateAll(soliditySources("contracts")).mutations.map(lastingIdOf);
    expect(ids.length).toBeGreaterThan(300);
    expect(new Set(ids).size).toBe(ids.length);
    expect(Object.keys(equivalents).filter((id) => !ids.includes(id))).toEqual([]);
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
