/**
 * Programs are hostile bytes: every entrance refuses the whole corpus in one sentence, nothing of the canary files leaves,
 * and good programs still pass.
 */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { CotrainError } from "@cotrain/sdk/errors";

import { readSignature } from "../../offchain/src/engine/index.ts";
import { inspectProgram } from "../../offchain/src/engine/inspect/inspect.ts";
import { operators } from "../../offchain/src/engine/inspect/operators.ts";
import { CANARY, CANARY_FILE, conditionals, goodPrograms, hostilePrograms } from "./hostileCorpus.ts";
import { serveRun, type ServedRun } from "../offchain/validator/servedRun.ts";
import { entrancesOf, MEMORY } from "./hostileEntrances.ts";

const root = mkdtempSync(join(tmpdir(), "cotrain-canary-"));
const home = process.cwd();
const working = join(root, "a", "b");
const canaryPath = join(working, CANARY_FILE);
const corpus = hostilePrograms(canaryPath);
let world: ServedRun;
let entrances: ReturnType<typeof entrancesOf>;

beforeAll(async () => {
  mkdirSync(join(working, "keys"), { recursive: true });
  for (const place of ["a/b", "a/b/keys", "a", "."]) writeFileSync(join(root, place, CANARY_FILE), CANARY.repeat(8));
  mkdirSync(join(root, "world"));
  world = await serveRun(join(root, "world"), "hostile");
  entrances = entrancesOf(world);
  process.chdir(working); // where a careless runtime would look first
});
afterAll(async () => {
  process.chdir(home);
  await world?.close();
  rmSync(root, { recursive: true, force: true });
});

/** Everything that an error tells, causes included. */
const told = (error: unknown): string =>
  error instanceof Error ? `${error.message} ${JSON.stringify(error)} ${told(error.cause)}` : String(error);

async function refusal(load: () => Promise<unknown>): Promise<CotrainError> {
  try {
    await load();
  } catch (error) {
    if (error instanceof CotrainError) return error;
    throw error;
  }
  throw new RangeError("it was accepted");
}

/** By entrance the file outside the engine in which a stranger's program gets to it, null for the engine's own ones. */
const guarded: Readonly<Record<string, string | null>> = {
  "the reading of a signature": null,
  "the engine itself": null,
  "the engine's process": null,
  conformance: null,
  "a worker's trainer": "worker/deviceTrainer.ts",
  "a validator's held-out loss": "validator/loss.ts",
  "the coordinator's gate": "coordinator/gateMeter.ts",
  "cotrain generate": "cli/text.ts",
  "cotrain checkpoint import": "cli/commands/checkpoint.ts",
  "cotrain builds propose": "run/builds.ts",
  "the look at a build's programs": "run/programs.ts",
};
/** Hands on none but programs that it has built itself. */
const own = ["run/firstBuilds.ts"];
/** Chooses a device alone; what is measured with it is a program of the engine's own. */
const choosing = [
  "cli/commands/builds.ts",
  "cli/commands/doctor.ts",
  "cli/commands/machine.ts",
  "localnet/devices.ts",
  "localnet/request.ts",
  "worker/node/daemon.ts",
];
/** What of the engine takes the bytes of a program. */
const TAKES =
  /\b(openEngine|openEngineHost|engineHostOn|openCpuEngine|devices|deviceOf|probeDevices|measureSteps|readSignature|conformance|firstLosses|firstSteps|readModel|inspectProgram)\b/;
/** At the top of a file, and where it is used first. */
const ENGINE_IMPORT =
  /^import (?!type )(\{[^}]*\}) from "\.{2}\/[^"]*engine\/[^"]*";|^\s*(?:const|let) (\{[^}]*\}) = await import\("\.{2}\/[^"]*engine\/[^"]*"\);/gm;

test("every file that hands a program to the engine is an entrance in this table", () => {
  const sources = join(import.meta.dirname, "../../offchain/src");
  const handsOn = (file: string): boolean =>
    [...readFileSync(join(sources, file), "utf8").matchAll(ENGINE_IMPORT)].some(([, first, later]) =>
      TAKES.test(first ?? later ?? ""),
    );
  const files = readdirSync(sources, { recursive: true, encoding: "utf8" }).map((file) => file.replaceAll("\\", "/"));
  const found = files.filter((file) => file.endsWith(".ts") && !file.startsWith("engine/") && handsOn(file));
  const due = [...own, ...choosing, ...Object.values(guarded).filter((file) => file !== null)];
  expect(found.toSorted()).toEqual(due.toSorted());
  expect(Object.keys(entrances).toSorted()).toEqual(Object.keys(guarded).toSorted());
});

// foundation 1
describe.each(Object.keys(guarded))("a hostile program at %s", (entrance) => {
  test("is refused, whatever is hostile about it", { timeout: 300_000 }, async () => {
    const load = entrances[entrance];
    if (!load) throw new RangeError(`no entrance ${entrance}`);
    expect(corpus.length).toBeGreaterThan(80);
    for (const { name, bytes, why } of corpus) {
      const error = await refusal(() => load(bytes));
      const { message, retryable } = error;
      const leaked = told(error).includes("canary");
      expect({ name, message, retryable, leaked }).toEqual({
        name,
        message: expect.stringMatching(why),
        retryable: false,
        leaked: false,
      });
      expect(message).toMatch(/^[^\n]{10,400}\.$/);
    }
  });
});

test("an import that is refused leaves nothing behind", async () => {
  await refusal(() => entrances["cotrain checkpoint import"]!(corpus[0]!.bytes));
  expect(readdirSync(join(root, "world", "imported"))).toEqual([]);
});

test("without the inspection ONNX Runtime does read the canary", async () => {
  // The attack is real: this is what the corpus's first program does in a process that has the runtime and a file.
  const [first] = corpus;
  writeFileSync(join(working, "hostile.onnx"), first!.bytes);
  const script = `
    const ort = require(${JSON.stringify(join(home, "node_modules/onnxruntime-node"))});
    const { readFileSync } = require("node:fs");
    (async () => {
      const session = await ort.InferenceSession.create(readFileSync("hostile.onnx"), { logSeverityLevel: 4 });
      const feeds = {};
      for (const { name, type, shape } of session.inputMetadata) {
        const size = shape.reduce((a, b) => a * b, 1);
        feeds[name] = type === "int64"
          ? new ort.Tensor("int64", new BigInt64Array(size), shape)
          : new ort.Tensor("float32", new Float32Array(size).fill(shape.length === 0 ? 1 : 0), shape);
      }
      const { "next.model.norm.weight": leaked } = await session.run(feeds, ["next.model.norm.weight"]);
      process.stdout.write(Buffer.from(leaked.data.buffer, leaked.data.byteOffset, 40));
    })();`;
  const { stdout } = await promisify(execFile)(process.execPath, ["-e", script], {
    cwd: working,
    env: { ORT_DISABLE_TELEMETRY: "1" },
  });
  expect(stdout).toBe(CANARY.repeat(2).slice(0, 40));
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

test("the runtime is loaded by the engine alone, and the engine by its process alone", () => {
  const rooms = join(home, "offchain", "src");
  const importing = (pattern: RegExp): string[] =>
    readdirSync(rooms, { recursive: true, encoding: "utf8" })
      .filter((path) => path.endsWith(".ts") && pattern.test(readFileSync(join(rooms, path), "utf8")))
      .sort();
  const runtimes = ["cpu", "cuda", "wasm", "webgpu"].map((name) => `engine/runtime/node/${name}.ts`);
  // A browser is the wall around its pages. Nothing else enters there.
  const pages = ["wasm", "webgpu"].map((name) => `engine/runtime/browser/${name}.ts`);
  const pageDevices = "engine/runtime/browser/devices.ts";
  expect(importing(/"[^"]*\/browser\/[^"]*"/)).toEqual([]);
  expect(
    importing(/^import (?!type ).*"onnxruntime-[\w/]+"|import\("onnxruntime|require\("onnxruntime-\w+"\)/m),
  ).toEqual(["engine/runtime/browser/page.ts", ...pages, ...runtimes]);
  expect(importing(/^import (?!type ).*"\.\.\/(wasm|webgpu)\.ts"/m)).toEqual([...pages, ...runtimes.slice(2)]);
  expect(
    importing(
      /import\(".*\/(cpu|cuda|wasm|webgpu)\.ts"\)|^import (?!type ).*open\w+Engine\b.*\/(cpu|cuda|wasm|webgpu)\.ts"/m,
    ),
  ).toEqual([pageDevices, "engine/runtime/node/host/process.ts"]);
  expect(importing(/^import (?!type ).*openEngine\b.*openEngine\.ts"/m)).toEqual([...pages, ...runtimes]);
});
