/** WebAssembly under Node: bits that follow from the inputs alone. */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { expect, onTestFinished, test } from "vitest";

import { conformance } from "../../offchain/src/engine/index.ts";
import { devices } from "../../offchain/src/engine/runtime/node/index.ts";
import { BUN } from "../bun.ts";
import { findNpmTool } from "../npmTool.ts";
import { canRun } from "../needs.ts";
import { vectorOf } from "../vectors/conformance.ts";
import { programs, rows, textOf, tokens, train, using, values, vocabulary } from "./steps.ts";

test("the bits are the same on every machine and with every number of threads", async () => {
  // Whoever gets another value has another runtime, or a processor that breaks WebAssembly's specification.
  for (const threads of [1, 7])
    expect(await conformance(devices.wasm.open, programs.step, threads)).toBe(vectorOf("exact-wasm", "0.1m"));
});

/** The same code as in the engine's process, which Bun runs on JavaScriptCore. */
const inBun = (file: string, threads: number): string => `
  const { conformance } = await import("./offchain/src/engine/index.ts");
  const { openWasmEngine } = await import("./offchain/src/engine/runtime/node/wasm.ts");
  const program = new Uint8Array(await Bun.file(${JSON.stringify(file)}).arrayBuffer());
  console.log(await conformance(openWasmEngine, program, ${threads}));
  process.exit(0);
`;

test.runIf(canRun("WebAssembly without V8", "bun"))(
  "another maker's engine of WebAssembly has the same bits",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "cotrain-bun-"));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const file = join(folder, "step.onnx");
    writeFileSync(file, programs.step);
    for (const threads of [1, 2]) {
      const args = ["--conditions=cotrain-source", "-e", inBun(file, threads)];
      const { stdout } = await promisify(execFile)(findNpmTool(BUN)!, args);
      expect(stdout.trim()).toBe(vectorOf("exact-wasm", "0.1m"));
    }
  },
);

test("whoever asks goes on meanwhile, and a request to stop is heard after the step that is running", async () => {
  await using(devices.wasm.open, 1, async (engine) => {
    // Minutes of them, should nobody stop it: a machine that is busy elsewhere has this process wait for seconds.
    const due = 2_000;
    const stop = new AbortController();
    let heartbeats = 0;
    const timer = setInterval(() => {
      if (++heartbeats === 3) stop.abort();
    }, 10);
    const input = { tokens: textOf("long", due * rows), learningRate: 1e-3 };
    const results = await engine.train(input, { signal: stop.signal });
    clearInterval(timer);
    expect(heartbeats).toBeGreaterThanOrEqual(3);
    expect(results.length).toBeGreaterThan(0);
    expect(results.length).toBeLessThan(due / 2);
  });
});

test("evaluation and logits are nearly the CPU's", async () => {
  const [cpu, wasm] = await Promise.all(
    [devices.cpu, devices.wasm].map(({ open }) =>
      using(open, 1, async (engine) => {
        await train(engine, 0, 20);
        const { loss } = await engine.evaluate({ tokens: tokens.subarray(0, 2 * rows) });
        return { loss, logits: await engine.logits(Int32Array.of(1, 2, 3)) };
      }),
    ),
  );
  expect(Math.abs(cpu!.loss - wasm!.loss)).toBeLessThan(1e-4);
  for (const [i, logit] of cpu!.logits.entries()) expect(Math.abs(logit - wasm!.logits[i]!)).toBeLessThan(1e-3);
});

test("what was saved goes on as the original does, and new parameters are taken", async () => {
  await using(devices.wasm.open, 1, async (engine) => {
    await train(engine, 0, 2);
    const saved = await engine.save();
    const [after] = await train(engine, 2, 3);
    const end = await engine.stateDigest();
    await engine.restore(saved);
    expect(await train(engine, 2, 3)).toEqual([after]);
    expect(await engine.stateDigest()).toBe(end);
    const { loss } = await engine.evaluate({ tokens: tokens.subarray(0, rows), parameters: values });
    expect(Math.abs(loss - Math.log(vocabulary))).toBeLessThan(0.1);
    await engine.setParameters(values);
    expect((await engine.parameters()).map(({ data }) => data)).toEqual(values);
  });
});

test("a program that is none is refused before a process starts", async () => {
  await expect(devices.wasm.open({ programs: { step: new Uint8Array([1, 2]) }, threads: 1 })).rejects.toMatchObject({
    code: "PROGRAM_UNREADABLE",
  });
});
