/**
 * The inner step beside PyTorch's, eager and compiled: same model, parameters, tokens and optimizer, in one run. And what each takes
 * beyond its own products. PyTorch comes from PyPI, with all that its wheel asks for: 5 GB, so this section is measured only
 * where it is named. Where it cannot be had, the bench says so.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { bytesOf } from "../../../offchain/src/base/index.ts";
import { buildPrograms, initialParameters, presetOf, type PresetName } from "../../../offchain/src/engine/index.ts";
import { devices } from "../../../offchain/src/engine/runtime/node/index.ts";
import { cacheOf, NoPython, openEnvironment } from "../../pythonEnvironment.ts";
import { benchmarkStep, productFlops, tokensOf } from "../engine.ts";
import { benchmarkProducts, type ProductsBenchmark } from "../products.ts";
import { type BenchOptions, median, percent, type Row, times, whole } from "../report.ts";

const PRESETS = ["1m", "3.5m", "20m"] as const satisfies readonly PresetName[];
const LEARNING_RATE = 1e-3;
const folder = fileURLToPath(new URL(".", import.meta.url));

/** What peer.py made. */
interface Made {
  readonly version: string;
  /** Of a step's products. */
  readonly flops: number;
  /** Of the first five steps. */
  readonly losses: readonly number[];
  /** Why it could not be compiled. */
  readonly problem?: string;
}

interface Peer {
  readonly made: Made;
  readonly time: (what: "eager" | "compiled" | "products") => Promise<ProductsBenchmark>;
  readonly close: () => void;
}

export async function benchmarkPeer(
  { quick, note }: BenchOptions,
  presets: readonly PresetName[] = PRESETS,
): Promise<Row[]> {
  const cache = cacheOf("peer");
  try {
    note("PyTorch out of PyPI, unless it is there");
    const python = openEnvironment(join(folder, "requirements.txt"), cache);
    const rows: Row[] = [];
    for (const threads of [1, 2])
      for (const preset of presets) {
        note(`${preset} beside PyTorch, ${threads} threads`);
        rows.push(...(await compare(preset, threads, quick ? 1 : 2, (asked) => openPeer(python, cache, asked))));
      }
    return rows;
  } catch (error) {
    if (!(error instanceof NoPython)) throw error;
    return [{ what: "the step beside PyTorch's", result: `not run: ${error.message}` }];
  }
}

async function openPeer(python: string, cache: string, asked: object): Promise<Peer> {
  // Where a machine says which kernels BLAS shall take, that is not the fastest PyTorch.
  const { OPENBLAS_CORETYPE: _, ...environment } = process.env;
  const child = spawn(python, [join(folder, "peer.py")], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...environment, TORCHINDUCTOR_CACHE_DIR: join(cache, "inductor") },
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ask = async (line: string): Promise<unknown> => {
    child.stdin.write(`${line}\n`);
    const { done, value } = await lines.next();
    if (done) throw new NoPython("PyTorch ended: see above");
    return JSON.parse(value);
  };
  return {
    made: (await ask(JSON.stringify(asked))) as Made,
    time: async (what) => (await ask(what)) as ProductsBenchmark,
    close: () => void child.kill(),
  };
}

/** Ours and PyTorch's in turns, so that a neighbour on the machine disturbs all alike. */
async function compare(
  preset: PresetName,
  threads: number,
  seconds: number,
  open: (asked: object) => Promise<Peer>,
): Promise<Row[]> {
  const { model, microBatch, optimizer } = presetOf(preset);
  const parameters = initialParameters(model, 1);
  const directory = mkdtempSync(join(tmpdir(), "cotrain-peer-"));
  try {
    const file = join(directory, "parameters");
    writeFileSync(file, Buffer.concat(parameters.map(({ data }) => bytesOf(data))));
    const peer = await open({
      threads,
      seconds,
      config: model,
      microBatch,
      optimizer,
      learningRate: LEARNING_RATE,
      parameters: file,
      tensors: parameters.map(({ name }) => name),
      tokens: [...tokensOf(preset)],
    });
    const turns: Turn[] = [];
    for (let round = 0; round < 3; round++) {
      const step = await benchmarkStep(preset, threads, seconds);
      turns.push({
        own: { milliseconds: step.millisecondsPerStep, cpuMilliseconds: step.cpuMillisecondsPerStep },
        eager: await peer.time("eager"),
        products: benchmarkProducts(preset, threads, seconds),
        peerProducts: await peer.time("products"),
        ...(peer.made.problem === undefined ? { compiled: await peer.time("compiled") } : {}),
      });
    }
    peer.close();
    const what = `${preset}, ${threads} thread${threads > 1 ? "s" : ""}`;
    return rowsOf(what, preset, turns, peer.made, await firstLosses(preset));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

interface Turn {
  readonly own: ProductsBenchmark;
  readonly eager: ProductsBenchmark;
  readonly compiled?: ProductsBenchmark;
  readonly products: ProductsBenchmark;
  readonly peerProducts: ProductsBenchmark;
}

/** Of five steps, as peer.py takes them. */
async function firstLosses(preset: PresetName): Promise<number[]> {
  const { model, microBatch, optimizer } = presetOf(preset);
  const { step } = buildPrograms(model, { microBatch, optimizer });
  const engine = await devices.cpu.open({ programs: { step: step.bytes }, threads: 1 });
  try {
    await engine.setParameters(initialParameters(model, 1).map(({ data }) => data));
    const losses = [];
    for (let i = 0; i < 5; i++)
      losses.push((await engine.step({ tokens: tokensOf(preset), learningRate: LEARNING_RATE })).loss);
    return losses;
  } finally {
    await engine.close();
  }
}

function rowsOf(
  what: string,
  preset: PresetName,
  turns: readonly Turn[],
  made: Made,
  losses: readonly number[],
): Row[] {
  const { model, microBatch } = presetOf(preset);
  const middle = (of: keyof Turn, kind: keyof ProductsBenchmark = "milliseconds"): number =>
    median(turns.map((turn) => turn[of]?.[kind] ?? Number.NaN));
  const rate = productFlops(model, microBatch) / middle("products") / 1e6;
  const peerRate = made.flops / middle("peerProducts") / 1e6;
  const speed = (of: keyof Turn): string => whole((microBatch * model.sequence * 1_000) / middle(of));
  const beside = (of: keyof Turn): string =>
    `${percent(middle(of) / middle("own"))} (${percent(middle(of, "cpuMilliseconds") / middle("own", "cpuMilliseconds"))} per processor second): ${speed("own")} of ${speed(of)} tokens/s`;
  const overhead = middle("own") / middle("products");
  const peerOverhead = middle("eager") / middle("peerProducts");
  const compiled = made.problem === undefined;
  const apart = Math.max(...losses.map((loss, i) => Math.abs(loss - (made.losses[i] ?? Number.NaN))));
  return [
    {
      what: `${what}: ONNX Runtime's products over PyTorch ${made.version}'s`,
      result: `${percent(rate / peerRate)}: ${whole(rate)} of ${whole(peerRate)} GFLOP/s`,
    },
    {
      what: `${what}: a step over PyTorch eager's`,
      result: `${beside("eager")}; the first losses differ by ${apart.toExponential(0)} at most`,
      // Where the products are slower, that is the runtime's matter.
      ...(rate >= peerRate ? { goal: "≥ 100%", met: middle("own") <= middle("eager") } : {}),
    },
    {
      what: `${what}: a step over PyTorch compiled's`,
      result: compiled ? beside("compiled") : `not run: ${made.problem}`,
    },
    {
      what: `${what}: a step over its own products alone`,
      goal: "no more than PyTorch eager's",
      result: `${times(overhead)}; PyTorch's ${times(peerOverhead)} eager${compiled ? `, ${times(middle("compiled") / middle("peerProducts"))} compiled` : ""}`,
      met: overhead <= peerOverhead,
    },
  ];
}
