/**
 * Programs are hostile bytes: every entrance refuses the whole corpus in one sentence, nothing of the canary files leaves,
 * and good programs still pass.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { EngineError, readSignature } from "../../offchain/src/engine/index.ts";
import { openEngine } from "../../offchain/src/engine/engine.ts";
import { operators } from "../../offchain/src/engine/inspect/operators.ts";
import { inspectProgram } from "../../offchain/src/engine/inspect/inspect.ts";
import { CANARY, CANARY_FILE, conditionals, goodPrograms, hostilePrograms } from "./hostileCorpus.ts";

const root = mkdtempSync(join(tmpdir(), "cotrain-canary-"));
const home = process.cwd();
const canaryPath = join(root, "a", "b", CANARY_FILE);
const corpus = hostilePrograms(canaryPath);

beforeAll(() => {
  mkdirSync(join(root, "a", "b", "keys"), { recursive: true });
  for (const place of ["a/b", "a/b/keys", "a", "."]) writeFileSync(join(root, place, CANARY_FILE), CANARY.repeat(8));
  process.chdir(join(root, "a", "b")); // where a careless runtime would look first
});
afterAll(() => {
  process.chdir(home);
  rmSync(root, { recursive: true, force: true });
});

/** Everything that an error tells, causes included. */
const told = (error: unknown): string =>
  error instanceof Error ? `${error.message} ${JSON.stringify(error)} ${told(error.cause)}` : String(error);

async function refusal(load: () => unknown): Promise<EngineError> {
  try {
    await load();
  } catch (error) {
    if (error instanceof EngineError) return error;
    throw error;
  }
  throw new RangeError("it was accepted");
}

const MEMORY = 4 * 2 ** 30;
const entrances: Readonly<Record<string, (program: Uint8Array) => unknown>> = {
  "reading a signature": (program) => readSignature(program, MEMORY),
  "the engine": (program) => openEngine({ programs: { step: program }, threads: 1, memory: MEMORY }),
};

describe.each(Object.entries(entrances))("a hostile program at %s", (_, load) => {
  test.each(corpus)("$name", async ({ bytes, why }) => {
    const error = await refusal(() => load(bytes));
    expect(error.code).toMatch(/^(PROGRAM_(FORBIDDEN|UNREADABLE|TOO_LARGE)|SIGNATURE_INVALID)$/);
    expect(error.message).toMatch(why);
    expect(error.message).toMatch(/^[^\n]{10,400}\.$/);
    expect(told(error)).not.toContain("canary");
  });
});

describe("the table", () => {
  test.each(["step", "eval", "logits"] as const)("the good %s program passes", (kind) => {
    expect(readSignature(goodPrograms[kind].bytes, MEMORY).signature.kind).toBe(kind);
  });

  test("bodies are held against it, so that one row would allow If and nothing else", () => {
    const kinds = { then_branch: "graph", else_branch: "graph" } as const;
    const allowing = new Map(operators).set("If", {
      inputs: [1, 1],
      outputs: [1, 1],
      attributes: kinds,
      memory: "none",
      shape: ({ bodies }) => bodies.get("then_branch") ?? [],
    });
    const forms = conditionals();
    expect(() => inspectProgram(forms.good, MEMORY)).toThrow(/operator "If" is not among/);
    expect(inspectProgram(forms.good, MEMORY, allowing).nodes).toBeGreaterThan(3);
    expect(() => inspectProgram(forms.external, MEMORY, allowing)).toThrow(/external data/);
    expect(() => inspectProgram(forms.random, MEMORY, allowing)).toThrow(/"RandomNormal" is not among/);
  });
});
