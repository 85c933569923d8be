/**
 * From θ_r and θ_i to the bytes that are sent, one fragment at a time and in chunks, so that the thread that keeps the
 * session alive is never blocked for longer than a chunk takes (about 3 ms), whatever the size of the model.
 */
import type { Digest } from "@cotrain/sdk/protocol";

import { createSha256, InternalError, turn } from "../base/index.ts";
import {
  CHUNK_ELEMENTS,
  codecOf,
  encodeInto,
  type FragmentLayout,
  type FlatParameters,
  pseudoGradient,
} from "../diloco/index.ts";

/** A fragment ready to be sent. */
export interface EncodedFragment {
  readonly index: number;
  readonly elements: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** sha256 of `bytes`. */
  readonly digest: Digest;
  /** Error feedback for the next round if this one is aggregated, [elements]. */
  readonly residual: Float32Array;
}

/** Copies the elements [start, start + out.length) of a fragment out of the parameters. */
function gatherRange(parameters: FlatParameters, layout: FragmentLayout, start: number, out: Float32Array): void {
  const end = start + out.length;
  for (const { name, offset, elements } of layout.tensors) {
    const from = Math.max(start, offset);
    const to = Math.min(end, offset + elements);
    if (from >= to) continue;
    const values = parameters.get(name);
    if (values?.length !== elements) {
      throw new InternalError(
        "TENSOR_MISMATCH",
        `Tensor ${name} has ${values?.length ?? "no"} elements, not ${elements}.`,
      );
    }
    out.set(values.subarray(from - offset, to - offset), from - start);
  }
}

export interface EncodeInput {
  /** Number in RunParams.codec. */
  readonly codec: number;
  readonly layout: FragmentLayout;
  /** θ_r of the fragment, [layout.elements]; becomes the residual. */
  readonly base: Float32Array;
  /** θ_i by name. */
  readonly local: FlatParameters;
  /** Error feedback, [layout.elements]. */
  readonly residual: Float32Array | undefined;
}

/**
 * Encodes Δ = fround(θ_r − θ_i) of one fragment. θ_r is not needed after it: the residual takes its memory.
 * @throws InternalError `CODEC_NON_FINITE` when training diverged
 */
export async function encodeFragment(input: EncodeInput): Promise<EncodedFragment> {
  const { layout, base } = input;
  const codec = codecOf(input.codec);
  const elements = layout.elements;
  const bytes = new Uint8Array(codec.encodedLength(elements));
  const local = new Float32Array(Math.min(CHUNK_ELEMENTS, elements));
  for (let start = 0; start < elements; start += CHUNK_ELEMENTS) {
    const count = Math.min(CHUNK_ELEMENTS, elements - start);
    const here = local.subarray(0, count);
    gatherRange(input.local, layout, start, here);
    const delta = pseudoGradient(base.subarray(start, start + count), here);
    const run = { elements, start, delta, residual: input.residual?.subarray(start, start + count) };
    base.set(encodeInto(bytes, codec, run), start);
    await turn();
  }
  return { index: layout.index, elements, bytes, digest: await sha256Chunked(bytes), residual: base };
}

/** Bytes hashed between two turns of the event loop: about 2 ms. */
const HASH_CHUNK_BYTES = 4 << 20;

/** sha256 with a turn of the event loop every few MiB. */
export async function sha256Chunked(bytes: Uint8Array): Promise<Digest> {
  const hash = createSha256();
  for (let start = 0; start < bytes.length; start += HASH_CHUNK_BYTES) {
    hash.update(bytes.subarray(start, start + HASH_CHUNK_BYTES));
    if (start + HASH_CHUNK_BYTES < bytes.length) await turn();
  }
  return hash.digest();
}
