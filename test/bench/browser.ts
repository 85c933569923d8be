/** The inner step on WebAssembly in a page beside the same under Node, in turns. */
import { buildPrograms, presetOf, type PresetName } from "../../offchain/src/engine/index.ts";
import { devices } from "../../offchain/src/engine/runtime/node/index.ts";
import { chromium } from "../chromium.ts";
import { type BrowserStage, openBrowser } from "../e2e/browser/stage.ts";
import { benchmarkStep } from "./engine.ts";
import { type BenchOptions, median, percent, type Row, whole } from "./report.ts";

const addressOf = (preset: PresetName): string => `/${preset}.onnx`;

/** Programs of presets by where a page finds them. */
const programsOf = (presets: readonly PresetName[]): ReadonlyMap<string, Uint8Array> =>
  new Map(
    presets.map((preset) => {
      const { model, microBatch } = presetOf(preset);
      return [addressOf(preset), buildPrograms(model, { microBatch }).step.bytes];
    }),
  );

interface Asked {
  readonly preset: PresetName;
  readonly threads: number;
  readonly seconds: number;
  readonly turns: number;
}

async function onWasm(browser: BrowserStage, { preset, threads, seconds, turns }: Asked): Promise<Row> {
  const { model, microBatch } = presetOf(preset);
  const perStep = microBatch * model.sequence;
  const [page, node]: [number[], number[]] = [[], []];
  for (let turn = 0; turn < turns; turn++) {
    page.push(perStep / (await browser.call("secondsPerStep", "wasm", addressOf(preset), threads, seconds)));
    node.push((await benchmarkStep(preset, threads, seconds, { device: devices.wasm })).tokensPerSecond);
  }
  const [own, beside] = [median(page), median(node)];
  return {
    what: `${preset}, ${threads} thread${threads > 1 ? "s" : ""}: wasm in Chromium over wasm under Node`,
    result: `${percent(own / beside)}: ${whole(own)} of ${whole(beside)} tokens/s`,
  };
}

export async function benchmarkBrowser({ quick, note }: BenchOptions): Promise<Row[]> {
  if (chromium() === undefined)
    return [{ what: "the step in a page", result: "not run: Chromium is not there (.ci/run fetches it)" }];
  const presets = quick ? (["0.1m"] as const) : (["0.1m", "1m"] as const);
  const measured = { seconds: quick ? 1 : 4, turns: quick ? 1 : 3 };
  const browser = await openBrowser({ files: programsOf(presets), gpu: false });
  try {
    const rows: Row[] = [];
    for (const preset of presets)
      for (const threads of [1, 2]) {
        note(`${preset}, ${threads} threads: a page beside Node`);
        rows.push(await onWasm(browser, { preset, threads, ...measured }));
      }
    return rows;
  } finally {
    await browser.close();
  }
}
