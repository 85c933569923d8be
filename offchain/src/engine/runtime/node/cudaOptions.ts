/** How a session is opened on CUDA, and which sentence tells what it lacks. */
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

import type { InferenceSession } from "onnxruntime-web";

import { EngineError } from "../../errors.ts";

/** Fetches ONNX Runtime's libraries for CUDA; said from the repository's root. */
const INSTALL_PROVIDER = "node node_modules/onnxruntime-node/script/install.js --onnxruntime-node-install=cuda12";

/** Where all of it stands in one place. */
const MANUAL = 'docs/operations.md, "GPUs", has all the steps; none of them was ever run on a real GPU.';

/** NVIDIA's libraries that those are linked against, by CUDA's version. From 13 on most packages name none. */
const packages = (cuda: "12" | "13"): string =>
  ["cuda-runtime", "cublas", "cufft", "curand", "cuda-nvrtc", "cudnn"]
    .map((part) => `nvidia-${part}${cuda === "12" || part === "cudnn" ? `-cu${cuda}` : ""}`)
    .join(" ");

/** CUDA's version by one of its libraries, whose own versions are CUDA's or follow it. */
const cudaOf = (library: string): "12" | "13" =>
  /^lib(?:cu|nv)\w+\.so\.13|^libcufft\.so\.12/.test(library) ? "13" : "12";

/** @param index of the GPU, as CUDA counts */
export const cudaOptions = (index: number): InferenceSession.SessionOptions => ({
  executionProviders: [{ name: "cuda", deviceId: index }],
  executionMode: "sequential",
  logSeverityLevel: 3,
  extra: {
    // Else parts of long sums are added as they come, in another order every time.
    session: { use_deterministic_compute: "1" },
    // It would turn products back that the builder turned round (products.ts).
    optimization: { disable_specified_optimizers: "GemmTransposeFusion" },
  },
});

/** Where ONNX Runtime looks for its provider; undefined where its package has none for the system. */
export function providerLibrary({ platform, arch }: Pick<NodeJS.Process, "platform" | "arch"> = process) {
  if (platform !== "linux" || arch !== "x64") return undefined;
  const entry = createRequire(import.meta.url).resolve("onnxruntime-node");
  return join(dirname(entry), "../bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so");
}

/** What is asked once a session was refused. */
interface Asked {
  readonly index: number;
  readonly library: string | undefined;
  /** What the system's loader says of a library that it cannot load. */
  readonly loaderSays: (path: string) => string;
}

/** In a word; a list of devices has room for no more. */
type Lacking = "GPU" | "driver" | "libraries";

/** What CUDA's errors mean, by what their text has in it (cudaError_t of CUDA's runtime). */
const meanings: readonly (readonly [RegExp, Lacking, (index: number) => string])[] = [
  [
    /driver version is insufficient|CUDA failure 35\b|^libcuda\.so/,
    "driver",
    () => "NVIDIA's driver is missing or older than CUDA's libraries: install the maker's newest.",
  ],
  [/no CUDA-capable device|CUDA failure 100\b/, "GPU", () => "There is no NVIDIA GPU here that CUDA can use."],
  [/invalid device ordinal|CUDA failure 101\b/, "GPU", (index) => `There is no GPU ${index} here: CUDA counts from 0.`],
];

const missing = (lacks: Lacking, sentence: string, cause?: unknown): EngineError =>
  new EngineError("DEVICE_MISSING", sentence, { cause, details: { lacking: lacks } });

/** The sentence for a machine without ONNX Runtime's own part, which costs no process to tell; undefined where it is there. */
export function whyNoProvider(library: string | undefined): EngineError | undefined {
  if (library === undefined)
    return missing(
      "libraries",
      "ONNX Runtime's package has CUDA for Linux on x86 alone: --device webgpu uses the GPU here.",
    );
  if (existsSync(library)) return undefined;
  return missing(
    "libraries",
    `ONNX Runtime's libraries for CUDA are not installed; "${INSTALL_PROVIDER}" fetches them, and NVIDIA's are needed besides: ${MANUAL}`,
  );
}

/**
 * The sentence for a GPU that is not there as far as can be told before anything is started; undefined where it may be.
 * @param index of the GPU, as CUDA counts
 * @param count of GPUs that nvidia-smi tells of, which not every container has: 0 says nothing
 */
export function whyNoIndex(index: number, count: number, library: string | undefined): EngineError | undefined {
  if (index < Math.max(1, count)) return undefined;
  if (count > 0)
    return missing("GPU", `There is no GPU ${index} here: CUDA may see ${count} of NVIDIA's, counted from 0.`);
  return library === undefined || existsSync(library)
    ? undefined
    : missing(
        "GPU",
        `Nothing here tells of a GPU ${index} of NVIDIA's, and ONNX Runtime's libraries for CUDA are not installed.`,
      );
}

/** The sentence for a session that CUDA refused; undefined where it is the program's own fault. */
export function whyNoCuda(cause: unknown, { index, library, loaderSays }: Asked): EngineError | undefined {
  if (library === undefined || !existsSync(library)) return whyNoProvider(library);
  const [, lacking] = /(lib\w+\.so[.\d]*): cannot open shared object/.exec(loaderSays(library)) ?? [];
  const message = lacking ?? (cause instanceof Error ? cause.message : String(cause));
  const known = meanings.find(([form]) => form.test(message));
  if (known) return missing(known[1], known[2](index), cause);
  return lacking === undefined
    ? undefined
    : missing(
        "libraries",
        `CUDA's library ${lacking} is not found: "pip install ${packages(cudaOf(lacking))}" brings all of them; LD_LIBRARY_PATH must name the folders nvidia/*/lib that it makes: ${MANUAL}`,
        cause,
      );
}
