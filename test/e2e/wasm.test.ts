/** WebAssembly beside the CPU: the same programs, nearly the same losses, and bits that follow from the inputs alone. */
import { expect, test } from "vitest";

import {
  buildPrograms,
  initialParameters,
  presets,
  type Engine,
  type OpenEngine,
} from "../../offchain/src/engine/index.ts";
import { devices } from "../../offchain/src/engine/runtime/node/index.ts";

const { model, microBatch } = presets["0.1m"];
const programs = buildPrograms(model, { microBatch });
const bytes = { step: programs.step.bytes, eval: programs.eval.bytes, logits: programs.logits.bytes };
const rows = microBatch * (model.sequence + 1);
const values = initialParameters(model, 7).map(({ data }) => data);
const tokens = Int32Array.from({ length: 200 * rows }, (_, i) => (i * 7 + (i >> 3)) % 97);

async function using<Result>(
  open: OpenEngine,
  threads: number,
  call: (engine: Engine) => Promise<Result>,
): Promise<Result> {
  const engine = await open({ programs: bytes, threads });
  try {
    await engine.setParameters(values);
    return await call(engine);
  } finally {
    await engine.close();
  }
}

const train = (engine: Engine, from: number, to: number) =>
  engine.train({ tokens: tokens.subarray(from * rows, to * rows), learningRate: 3e-3 });

test("200 steps have the CPU's losses to four digits, and so have evaluation and logits", async () => {
  const [cpu, wasm] = await Promise.all(
    [devices.cpu, devices.wasm].map(({ open }) =>
      using(open, 1, async (engine) => {
        const results = await train(engine, 0, 200);
        const { loss } = await engine.evaluate({ tokens: tokens.subarray(0, 2 * rows) });
        return {
          losses: [...results.map((result) => result.loss), loss],
          logits: await engine.logits(Int32Array.of(1, 2, 3)),
        };
      }),
    ),
  );
  expect(cpu?.losses.at(-1)).toBeLessThan(0.2);
  for (const [i, loss] of cpu!.losses.entries()) expect(Math.abs(loss - wasm!.losses[i]!)).toBeLessThan(1e-4);
  for (const [i, logit] of cpu!.logits.entries()) expect(Math.abs(logit - wasm!.logits[i]!)).toBeLessThan(0.05);
});

test("the bits are the same with every number of threads", async () => {
  const digests = [];
  for (const threads of [1, 2, 7]) {
    digests.push(
      await using(devices.wasm.open, threads, async (engine) => {
        await train(engine, 0, 4);
        return engine.stateDigest();
      }),
    );
  }
  expect(new Set(digests).size).toBe(1);
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
    expect(Math.abs(loss - Math.log(model.vocabulary))).toBeLessThan(0.1);
    await engine.setParameters(values);
    expect((await engine.parameters()).map(({ data }) => data)).toEqual(values);
  });
});

test("a program that is none is refused before a process starts", async () => {
  await expect(devices.wasm.open({ programs: { step: new Uint8Array([1, 2]) }, threads: 1 })).rejects.toMatchObject({
    code: "PROGRAM_UNREADABLE",
  });
});
