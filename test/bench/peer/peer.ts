/**
 * The inner step beside PyTorch's, eager and compiled: same model, parameters, tokens and optimizer, in one run. And what each takes
 * beyond its own products. PyTorch comes from PyPI, with all that its wheel asks for: 5 GB, so this section is measured only
 * where it is named. Where it cannot be had, the bench says so.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { bytesOf } from "../../../offchain/src/base/index.ts";
import { buildPrograms, initialParameters, presetOf, type PresetName } from "../../../offchain/src/engine/index.ts";
import { devices } from "../../../offchain/src/engine/runtime/node/index.ts";
import { cacheOf, NoPython, openEnvironment } from "../../pythonEnvironment.ts";
import { benchmarkStep, productFlops, type StepBenchmark, tokensOf } from "../engine.ts";
import { benchmarkProducts, type ProductsBenchmark } from "../products.ts";
import { type BenchOptions, percent, type Row, times, whole } from "../report.ts";

const PRESETS = ["1m", "3.5m", "20m"] as const satisfies readonly PresetName[];
const LEARNING_RATE = 1e-3;
const LIMIT_MS = 600_000;
const folder = fileURLToPath(new URL(".", import.meta.url));

/** What peer.py answers. */
interface Peer {
  readonly version: string;
  readonly products: ProductsBenchmark & { readonly flops: number };
  readonly eager: PeerStep;
  readonly compiled?: PeerStep;
  /** Why it could not be compiled. */
  readonly problem?: string;
}

interface PeerStep extends ProductsBenchmark {
  /** Of the first five steps. */
  readonly losses: readonly number[];
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
        rows.push(...(await compare(preset, threads, quick ? 1 : 3, (asked) => ask(python, cache, asked))));
      }
    return rows;
  } catch (error) {
    if (!(error instanceof NoPython)) throw error;
    return [{ what: "the step beside PyTorch's", result: `not run: ${error.message}` }];
  }
}

function ask(python: string, cache: string, asked: object): Peer {
  // Where a machine says which kernels BLAS shall take, that is not the fastest PyTorch.
  const { OPENBLAS_CORETYPE: _, ...environment } = process.env;
  const { status, stdout, stderr } = spawnSync(python, [join(folder, "peer.py")], {
    input: JSON.stringify(asked),
    encoding: "utf8",
    maxBuffer: 16 << 20,
    timeout: LIMIT_MS,
    env: { ...environment, TORCHINDUCTOR_CACHE_DIR: join(cache, "inductor") },
  });
  if (status === 0) return JSON.parse(stdout) as Peer;
  throw new NoPython(`PyTorch ended with ${status}: ${stderr.trim().split("\n").at(-1)}`);
}

async function compare(
  preset: PresetName,
  threads: number,
  seconds: number,
  peerOf: (asked: object) => Peer,
): Promise<Row[]> {
  const { model, microBatch, optimizer } = presetOf(preset);
  const parameters = initialParameters(model, 1);
  const directory = mkdtempSync(join(tmpdir(), "cotrain-peer-"));
  try {
    const file = join(directory, "parameters");
    writeFileSync(file, Buffer.concat(parameters.map(({ data }) => bytesOf(data))));
    const before = await benchmarkStep(preset, threads, seconds);
    const products = benchmarkProducts(preset, threads, seconds);
    const peer = peerOf({
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
    const after = await benchmarkStep(preset, threads, seconds);
    const ours = { steps: [before, after] as const, products, losses: await firstLosses(preset) };
    return rowsOf(`${preset}, ${threads} thread${threads > 1 ? "s" : ""}`, preset, ours, peer);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
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

interface Ours {
  readonly steps: readonly [before: StepBenchmark, after: StepBenchmark];
  readonly products: ProductsBenchmark;
  readonly losses: readonly number[];
}

function rowsOf(what: string, preset: PresetName, ours: Ours, peer: Peer): Row[] {
  const { model, microBatch } = presetOf(preset);
  const tokens = microBatch * model.sequence;
  const mean = (of: (step: StepBenchmark) => number): number => (of(ours.steps[0]) + of(ours.steps[1])) / 2;
  const own = mean(({ millisecondsPerStep }) => millisecondsPerStep);
  const rate = productFlops(model, microBatch) / ours.products.milliseconds / 1e6;
  const peerRate = peer.products.flops / peer.products.milliseconds / 1e6;
  const speed = (milliseconds: number): string => whole((tokens / milliseconds) * 1_000);
  const beside = ({ milliseconds, cpuMilliseconds }: PeerStep): string =>
    `${percent(milliseconds / own)} (${percent(cpuMilliseconds / mean((step) => step.cpuMillisecondsPerStep))} per processor second): ${speed(own)} of ${speed(milliseconds)} tokens/s`;
  const overhead = own / ours.products.milliseconds;
  const peerOverhead = peer.eager.milliseconds / peer.products.milliseconds;
  const compiled = peer.compiled;
  const apart = Math.max(...ours.losses.map((loss, i) => Math.abs(loss - (peer.eager.losses[i] ?? Number.NaN))));
  return [
    {
      what: `${what}: ONNX Runtime's products over PyTorch ${peer.version}'s`,
      result: `${percent(rate / peerRate)}: ${whole(rate)} of ${whole(peerRate)} GFLOP/s`,
    },
    {
      what: `${what}: a step over PyTorch eager's`,
      result: `${beside(peer.eager)}; the first losses differ by ${apart.toExponential(0)} at most`,
      // Where the products are slower, that is the runtime's matter.
      ...(rate >= peerRate ? { goal: "≥ 100%", met: own <= peer.eager.milliseconds } : {}),
    },
    {
      what: `${what}: a step over PyTorch compiled's`,
      result: compiled === undefined ? `not run: ${peer.problem}` : beside(compiled),
    },
    {
      what: `${what}: a step over its own products alone`,
      goal: "no more than PyTorch eager's",
      result: `${times(overhead)}; PyTorch's ${times(peerOverhead)} eager${compiled === undefined ? "" : `, ${times(compiled.milliseconds / peer.products.milliseconds)} compiled`}`,
      met: overhead <= peerOverhead,
    },
  ];
}
