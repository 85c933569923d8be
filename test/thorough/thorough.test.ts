/** That the thorough tests try what they say: mutations are found and noticed, breakages fit the sources, results do not claim too much, records hold for what they say. */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { type Breakage, breakages } from "./breakages.ts";
import { root } from "./copy.ts";
import { equivalents } from "./equivalents.ts";
import { mutate } from "./mutations.ts";
import { parts } from "./parts.ts";
import { lastingIdOf, mutateAll, openSweep, soliditySources } from "./sweep.ts";
import { digestOfAll, digestsOf, holding, linesOf, pruned, readRecords, standing } from "./records.ts";
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

describe("records", () => {
  const row = { name: "a row", file: "src/a.ts", text: "1", instead: "2", tests: ["test/room/a.test.ts"] };
  let tree: string;
  const write = (file: string, text: string): void => {
    mkdirSync(dirname(join(tree, file)), { recursive: true });
    writeFileSync(join(tree, file), text);
  };
  const digestOf = (changes: Partial<Breakage> = {}): string | undefined =>
    digestsOf([{ ...row, ...changes }], tree).get(row.name);
  beforeEach(() => {
    tree = mkdtempSync(join(tmpdir(), "cotrain-records-"));
    write("src/a.ts", "one 1");
    write("src/b.ts", "");
    write("test/harness.ts", 'import "./deeper.ts";');
    write("test/deeper.ts", "");
    write("test/room/a.test.ts", 'import { a } from "../../src/a.ts";\nimport {\n  open,\n} from "../harness.ts";\n');
  });
  afterEach(() => rmSync(tree, { recursive: true }));

  it("hold for the row, its file, its tests and what these import from test/, and for no other file", () => {
    const before = digestOf();
    expect(digestOf()).toBe(before);
    for (const changes of [{ text: "one" }, { instead: "3" }, { tests: [...row.tests, "test/harness.ts"] }])
      expect(digestOf(changes)).not.toBe(before);
    for (const file of ["src/b.ts", "test/deeper.ts"]) {
      write(file, "// another");
      expect(digestOf()).toBe(before);
    }
    write(
      "test/room/a.test.ts",
      `// foundation 3, foundation 15\n${readFileSync(join(tree, "test/room/a.test.ts"), "utf8")}`,
    );
    expect(digestOf()).toBe(before);
    const known = new Set([before]);
    for (const [count, file] of ["src/a.ts", "test/harness.ts", "test/room/a.test.ts"].entries()) {
      write(file, `${readFileSync(join(tree, file), "utf8")} 1`);
      known.add(digestOf());
      expect(known.size).toBe(count + 2);
    }
  });

  it("are a part's passing only where every row has one that holds; those of rows that are gone are dropped", () => {
    const of = digestOf() ?? "";
    const recorded = { of, seconds: 1, noticed: ["it"] };
    const digests = new Map([["a row", of]]);
    expect([...holding({ "a row": recorded }, digests)]).toEqual(["a row"]);
    expect(digestOfAll({ "a row": recorded }, digests)).toMatch(/^[0-9a-f]{64}$/);
    for (const records of [{}, { another: recorded }, { "a row": { ...recorded, of: "other" } }])
      expect(digestOfAll(records, digests)).toBeUndefined();
    expect(pruned({ "a row": recorded, another: recorded }, digests)).toEqual({ "a row": recorded });
  });

  it("are counted: those that hold, those of other sources, and rows without any", () => {
    const digests = new Map(["a", "b", "c", "d", "e", "f"].map((name) => [name, `${name} now`]));
    const tried = { seconds: 1, noticed: ["it"] };
    const records = {
      a: { ...tried, of: "a now" },
      b: { ...tried, of: "b before" },
      c: { ...tried, of: "c before" },
      gone: { ...tried, of: "gone now" },
    };
    expect(standing(records, digests)).toBe(
      "1 of 6 rows of breakages have a record that holds; 2 have one of other sources, 3 none.",
    );
  });

  it("are a line each, by name, whoever wrote them first", () => {
    const [first, second] = [
      { of: "1", seconds: 1, noticed: ["x"] },
      { hung: true, noticed: [], seconds: 2, of: "2" },
    ] as const;
    const lines =
      '{\n"a": {"of":"1","seconds":1,"noticed":["x"]},\n"b": {"of":"2","seconds":2,"noticed":[],"hung":true}\n}\n';
    expect(linesOf({ b: second, a: first })).toBe(lines);
    expect(JSON.parse(linesOf({}))).toEqual({});
  });

  it("speak of no row that there is not", () => {
    expect(readRecords()).toEqual(pruned(readRecords(), digestsOf(breakages)));
  });
});

describe("mutations", () => {
  const source = `pragma solidity ^0.8.30;
contract C {
    address owner; uint256 public total; // μ takes two bytes
    event Added(uint256 amount); error Bad(string why);
    constructor() { owner = msg.sender; }
    modifier onlyOwner() { if (msg.sender != owner) revert Bad("who"); _; }
    // if (x) revert Bad("in a comment");
    function add(uint256 a, uint8, uint256 b) external onlyOwner returns (uint256) {
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
        require(new C().add(7, 0, 0) == 8);
        require(new C().add(1, 0, 1) == 1);
    }
    function test_refuses() public {
        try new C().add(0, 0, 0) { revert(); } catch {}
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
    expect(honest(passed, { digest: "aa", recorded: false })).toBe(passed);
    expect(honest(passed, { digest: "bb", recorded: false })).toEqual({ status: "not passed since", last: outcome });
    // A row lacks its record.
    expect(honest(passed, { digest: undefined, recorded: true })).toMatchObject({ status: "not passed since" });
    expect(honest(undefined, { digest: "aa", recorded: false })).toEqual({ status: "never run" });
    expect(honest({ status: "never run" }, { digest: undefined, recorded: true })).toEqual({ status: "in part" });
    expect(honest({ status: "in part" }, { digest: undefined, recorded: false })).toEqual({ status: "never run" });
  });

  it("are found out where they claim too much, say nothing, or speak of what there is not", () => {
    const [same, other] = [
      { digest: "aa", recorded: false },
      { digest: "bb", recorded: false },
    ];
    expect(falsehoods({ guards: passed }, { guards: same })).toEqual([]);
    for (const entry of [{ status: "never run" }, { status: "not passed since", last: outcome }] satisfies Entry[])
      expect(falsehoods({ guards: entry }, { guards: other })).toEqual([]);
    expect(falsehoods({ guards: passed }, { guards: other })).toEqual([
      expect.stringContaining('"guards" passed, but'),
    ]);
    expect(falsehoods({ guards: { status: "in part" } }, { guards: other })).toEqual([
      expect.stringContaining('says "in part" of "guards", but it is "never run"'),
    ]);
    expect(falsehoods({}, { guards: same })).toEqual([expect.stringContaining('says nothing of "guards"')]);
    expect(falsehoods({ others: passed }, {})).toEqual([expect.stringContaining('"others"')]);
  });

  it("depend on files that there are", () => {
    const paths = parts.flatMap(({ sources }) => (typeof sources === "function" ? [] : sources));
    expect(paths.filter((path) => !existsSync(join(root, path)))).toEqual([]);
  });
});
