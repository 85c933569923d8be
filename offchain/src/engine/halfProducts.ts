/**
 * Whether a device multiplies in fp16. ONNX Runtime asks a GPU for WebGPU's `shader-f16` where its driver has that, and tells nobody;
 * without it, a program in fp16 fails when it runs. So a small one is run, and what it computes is looked at.
 */
import { CotrainError } from "@cotrain/sdk/base";

import { EngineError } from "./errors.ts";
import { createGraph, input, output } from "./graph.ts";
import { writeModel } from "./onnx.ts";
import * as op from "./ops.ts";
import type { Device } from "./runtime/device.ts";
import { SIGNATURE_KEY, type Signature } from "./signature.ts";

const SIZE = 8;
/** fp16 has no number between 1 and 1 + 2⁻¹⁰: however it is rounded, this becomes 1. */
const ROUNDED_OFF = 1 + 2 ** -12;
/** A driver that hangs is given up after this long, ms. */
const PATIENCE_MS = 60_000;

/** Σ of a product of two matrices, as an eval program. */
function probeProgram(): Uint8Array {
  const graph = createGraph("half", "fp16");
  const [a, b] = [input(graph, "a", [SIZE, SIZE]), input(graph, "b", [SIZE, SIZE])];
  input(graph, "tokens", [1, 2], "int64");
  output("loss", op.sumAll(op.widened(op.matMul(op.rounded(a), op.rounded(b)))));
  const signature: Signature = {
    version: 1,
    kind: "eval",
    vocabulary: 2,
    tokens: "tokens",
    parameters: ["a", "b"].map((name) => ({ name, input: name, output: name })),
    state: [],
    scalars: [],
    loss: "loss",
  };
  return writeModel(graph, { [SIGNATURE_KEY]: JSON.stringify(signature) });
}

/** Whether products on a device are in fp16 where a program has them so, whatever keeps it from that. */
async function multipliesInHalf(open: Device["open"]): Promise<boolean> {
  try {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const engine = await open({ programs: { eval: probeProgram() }, threads: 1, signal });
    try {
      const identity = Float32Array.from({ length: SIZE * SIZE }, (_, i) => (i % (SIZE + 1) === 0 ? 1 : 0));
      await engine.setParameters([new Float32Array(SIZE * SIZE).fill(ROUNDED_OFF), identity]);
      const { loss } = await engine.evaluate({ tokens: Int32Array.of(0, 1) });
      return Math.abs(loss / SIZE ** 2 - 1) < (ROUNDED_OFF - 1) / 4;
    } finally {
      await engine.close();
    }
  } catch (error) {
    if (!(error instanceof CotrainError)) throw error;
    return false;
  }
}

/** Whether builds with products in fp16 are for a device: a processor has no use for them, though it could compute what they do. */
export const takesHalf = async ({ exact, open }: Pick<Device, "exact" | "open">): Promise<boolean> =>
  !exact && multipliesInHalf(open);

/** @throws EngineError `DEVICE_HALF` */
export async function requireHalf(device: Device): Promise<void> {
  if (await takesHalf(device)) return;
  throw new EngineError(
    "DEVICE_HALF",
    device.exact
      ? `${device.name} has no use for products in fp16, which it would compute in fp32 and round: its builds are in fp32.`
      : `${device.name} does not multiply in fp16 here, for which WebGPU needs the GPU's shader-f16: its builds are in fp32.`,
  );
}
