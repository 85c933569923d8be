/** Whole safetensors files in memory; the product writes them in chunks and reads headers. */
import { float32Of, joinChunks } from "../../../offchain/src/base/index.ts";
import { parseSafetensorsHeader, safetensorsChunks, type Tensor } from "../../../offchain/src/storage/safetensors.ts";

export function encodeSafetensors(tensors: readonly Tensor[], metadata?: Readonly<Record<string, string>>) {
  const { chunks, bytes } = safetensorsChunks(tensors, metadata);
  return joinChunks(chunks, bytes);
}

/** @returns tensors by ascending offset */
export function decodeSafetensors(file: Uint8Array): {
  readonly tensors: readonly Tensor[];
  readonly metadata: Readonly<Record<string, string>>;
} {
  const { tensors, metadata } = parseSafetensorsHeader(file, file.length);
  const valuesAt = (offset: number, bytes: number) => float32Of(file.subarray(offset, offset + bytes));
  return {
    tensors: tensors.map(({ name, shape, offset, bytes }) => ({ name, shape, values: valuesAt(offset, bytes) })),
    metadata,
  };
}
