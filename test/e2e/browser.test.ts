/** The engine in a browser: the same code and programs, WebAssembly's very bits, WebGPU's losses. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { devices } from "../../offchain/src/engine/runtime/node/index.ts";
import { canRun } from "../needs.ts";
import { vectorOf } from "../vectors/conformance.ts";
import { type BrowserStage, openBrowser } from "./browser/stage.ts";
import { lossesOn, programs } from "./steps.ts";

/** More steps than are taken until a timer has fired three times. */
const DUE = 60;

const files = new Map([["/step.onnx", programs.step]]);

describe.runIf(canRun("training in a browser", "chromium"))("in Chromium", () => {
  let browser: BrowserStage;
  beforeAll(async () => {
    browser = await openBrowser({ files, gpu: true });
  });
  afterAll(() => browser?.close());

  test("WebAssembly has the bits that it has everywhere, on one thread and on several", async () => {
    expect(await browser.call("mayShareMemory")).toBe(true);
    expect(await browser.call("runtimeOf", "wasm")).toBe(devices.wasm.runtime());
    for (const threads of [1, 3]) {
      const value = await browser.call("conformanceOf", "wasm", "/step.onnx", threads);
      expect(value).toBe(vectorOf("exact-wasm", "0.1m"));
    }
  });

  test("a GPU by WebGPU has the CPU's losses, keeps its state, and takes what was saved", async () => {
    const { losses, digests } = await browser.call("training", "webgpu", 4);
    const due = await lossesOn(devices.cpu.open, 4);
    for (const [i, loss] of due.entries()) expect(Math.abs(loss - losses[i]!)).toBeLessThan(1e-4);
    const [before, after, again] = digests;
    expect(after).not.toBe(before);
    expect(again).toBe(before);
  });

  test("a page goes on while WebAssembly trains in it, and stops it", async () => {
    for (const inOneCall of [true, false]) {
      const steps = await browser.call("stepsUntilStopped", "wasm", DUE, inOneCall);
      expect(steps).toBeGreaterThan(0);
      expect(steps).toBeLessThan(DUE);
    }
  });

  test.each(["wasm", "webgpu"] as const)("a page ends an engine on %s by its signal", async (name) => {
    const { codes, steps, after } = await browser.call("endedBySignal", name, DUE);
    expect(codes).toEqual(["ENGINE_CLOSED", "ENGINE_CLOSED", "ENGINE_CLOSED"]);
    expect(steps).toBeLessThan(DUE);
    expect(after).toBe(1);
  });

  test("a worker asks its device whether it multiplies in fp16, as under Node: SwiftShader does not", async () => {
    expect(await browser.call("takesHalf", "webgpu")).toEqual({ takes: false, asked: true });
    expect(await browser.call("takesHalf", "wasm")).toEqual({ takes: false, asked: false });
  });

  test("a device claims what it claims under Node, and has all threads of the machine", async () => {
    for (const name of ["wasm", "webgpu"] as const) {
      const { allThreads, ...claims } = await browser.call("claimsOf", name);
      const { exact, exactness } = devices[name];
      expect(claims).toEqual({ exact, exactness: exactness() });
      expect(allThreads || name === "webgpu").toBe(true);
    }
  });
});

test.runIf(canRun("a browser without a GPU", "chromium"))(
  "a page says that it may use no GPU, nor threads",
  async () => {
    const browser = await openBrowser({ files, gpu: false, isolated: false });
    try {
      expect(await browser.call("refusal", "webgpu")).toBe("DEVICE_MISSING");
      expect(await browser.call("threadsOf", "wasm")).toBe(1);
    } finally {
      await browser.close();
    }
  },
);
