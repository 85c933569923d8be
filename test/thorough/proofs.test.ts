/** That the proofs and Slither's part judge what they are told, and that the page of the proofs says what is proved. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { root } from "./copy.ts";
import { proofs, tableOf } from "./proofs.ts";
import { unanswered } from "./slither.ts";
import { judge, symbolicItems } from "./symbolic.ts";

const text = (file: string): string => readFileSync(join(root, file), "utf8");

describe("proofs", () => {
  it.each(proofs.map((proof) => [proof.check, proof] as const))(
    "%s: stands in its contract, and each guard once in its file",
    (check, { contract, guards }) => {
      const files = ["Claims", "Budgets", "Emission"].map((name) => text(`test/contracts/symbolic/${name}.t.sol`));
      const own = files.filter((file) => file.includes(`contract ${contract} is Ground`));
      expect(own).toHaveLength(1);
      expect(own[0]?.split(`function ${check}(`)).toHaveLength(2);
      expect(guards.length).toBeGreaterThan(0);
      for (const guard of guards) {
        expect(text(guard.file).split(guard.text)).toHaveLength(2);
        expect(guard.instead).not.toBe(guard.text);
      }
    },
  );

  it("are all that test/contracts/symbolic has", () => {
    const files = ["Claims", "Budgets", "Emission"].map((name) => text(`test/contracts/symbolic/${name}.t.sol`));
    const checks = files.flatMap((file) => [...file.matchAll(/function (check_\w+)/g)].map((match) => match[1]));
    expect(checks).toHaveLength(proofs.length);
    expect(new Set(checks)).toEqual(new Set(proofs.map(({ check }) => check)));
  });

  it("have names of their own, each with its guards", () => {
    const count = proofs.reduce((sum, { guards }) => sum + 1 + guards.length, 0);
    expect(new Set(symbolicItems()).size).toBe(count);
  });

  it("stand in docs/proofs.md as they are", () => {
    expect(text("docs/proofs.md")).toContain(tableOf(proofs));
  });

  it("hold by no answer but a clear one, and break by values alone", () => {
    const answer = { name: "check_a()", exitcode: 0, num_bounded_loops: 0 };
    expect(judge(answer, true)).toBeUndefined();
    expect(judge({ ...answer, exitcode: 1 }, false)).toBeUndefined();
    expect(judge(answer, false)).toMatch(/^it holds without the guard/);
    expect(judge({ ...answer, exitcode: 1 }, true)).toMatch(/^values were found/);
    expect(judge({ ...answer, num_bounded_loops: 1 }, true)).toMatch(/^a loop has more/);
    for (const shouldHold of [true, false]) {
      expect(judge(undefined, shouldHold)).toBe("halmos gave no answer");
      for (const exitcode of [2, 3, 4, 5, 127]) expect(judge({ ...answer, exitcode }, shouldHold)).toBeDefined();
    }
  });
});

describe("Slither", () => {
  it("is answered finding by finding, by detector and place; an answer to none is told", () => {
    const spend = {
      check: "arbitrary-send",
      impact: "High",
      description: "A.spend(uint256) (a.sol#1) uses\n\t- x.y(z)\n",
    };
    const call = { check: "reentrancy-events", impact: "Low", description: "Reentrancy in B.set(RunId):\n" };
    const base = { check: "unimplemented", impact: "Low", description: "C (c.sol#1) does not implement:\n\t- D.e()\n" };
    const answers = { "arbitrary-send A.spend": "a", "reentrancy-events B.set": "b" };
    expect(unanswered([spend, call], answers)).toEqual([]);
    expect(unanswered([spend, base], answers)).toEqual([
      "unimplemented C (Low): C (c.sol#1) does not implement: - D.e()",
      "reentrancy-events B.set: it is answered, but no longer found",
    ]);
  });
});
