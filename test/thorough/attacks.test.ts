/** That no finding and no attack is without a test that stands for it, and that the page of attacks says which. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { describe, expect, it } from "vitest";

import { attacks, peers, reviewed, tableOf } from "./attacks.ts";
import { breakages } from "./breakages.ts";
import { root } from "./copy.ts";
import { itemsOf, sourceOf, switched } from "./tryAttack.ts";

const text = (file: string): string => readFileSync(join(root, file), "utf8");

/** Nothing says what A14 and A17 were about. */
const letters = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16, 18, 19].map((number) => `A${number}`);

/** How a test says for which finding it stands; A9 is also the last of the invariants. */
const named = (letter: string): RegExp => (letter === "A9" ? /\bA9\b|Invariant 32\b/ : new RegExp(`\\b${letter}\\b`));

describe("attacks", () => {
  it("are each finding of the reviews, in order, what others got wrong, and those of the design", () => {
    expect(reviewed.map(({ name }) => name.split(" ")[0])).toEqual(letters);
    expect(peers).toHaveLength(5);
    expect(new Set(attacks.map(({ name }) => name)).size).toBe(attacks.length);
  });

  it.each(attacks.map((attack) => [attack.name, attack] as const))(
    "%s: has a test, and each defence stands once in its file",
    (_name, { defences, breakages: rows = [] }) => {
      expect(defences.length + rows.length).toBeGreaterThan(0);
      expect(rows.filter((row) => breakages.every(({ name }) => name !== row))).toEqual([]);
      for (const { file, text: standing, instead, test } of defences) {
        expect({ standing, parts: sourceOf(file).split(standing).length }).toEqual({ standing, parts: 2 });
        expect(instead).not.toBe(standing);
        expect(text(`test/contracts/${test[0]}.t.sol`)).toContain(`function ${test[1]}(`);
      }
    },
  );

  it.each(reviewed.map((attack) => [attack.name.split(" ")[0] ?? "", attack] as const))(
    "%s is named above the tests that stand for it",
    (letter, { defences }) => {
      for (const [file, name] of defences.map(({ test }) => test)) {
        const above = text(`test/contracts/${file}.t.sol`).split(`function ${name}(`)[0]?.split("\n\n").at(-1);
        expect(above, `${file}.t.sol ${name}`).toMatch(named(letter));
      }
    },
  );

  it("have items of their own", () => {
    const count = attacks.reduce((sum, { defences }) => sum + defences.length, 0);
    expect(itemsOf(attacks).size).toBe(count);
  });

  it("stand in docs/attacks.md as they are", () => {
    expect(text("docs/attacks.md")).toContain(tableOf(attacks));
  });
});

describe("a defence behind its switch", () => {
  const defence = { file: "contracts/A.sol", test: ["A", "test_a"] } as const;

  it("is a statement, an expression, or what it says itself", () => {
    const source = "a = 1; if (b > c) d(); e;";
    expect(switched(source, { ...defence, text: "a = 1;", instead: "a = 2;" }, 3)).toBe(
      "if (Switch__.on(3)) { a = 2; } else { a = 1; } if (b > c) d(); e;",
    );
    expect(switched(source, { ...defence, text: "b > c", instead: "b >= c" }, 3)).toBe(
      "a = 1; if ((Switch__.on(3) ? b >= c : b > c)) d(); e;",
    );
    expect(switched(source, { ...defence, text: "e;", instead: "f({{off}});" }, 3)).toBe(
      "a = 1; if (b > c) d(); f(Switch__.on(3));",
    );
  });

  it("stands within another of the same text", () => {
    const once = switched("a = 1;", { ...defence, text: "a = 1;", instead: "a = 2;" }, 1);
    expect(switched(once, { ...defence, text: "a = 1;", instead: "a = 3;" }, 2)).toBe(
      "if (Switch__.on(1)) { a = 2; } else { if (Switch__.on(2)) { a = 3; } else { a = 1; } }",
    );
  });

  it("is missed where its text is gone", () => {
    expect(() => switched("b;", { ...defence, text: "a;", instead: "" }, 1)).toThrow('"a;" stands nowhere.');
  });
});
