/**
 * Bytes and the numbers in them. All formats of Cotrain are little-endian and so is every machine it runs on; views
 * instead of per-element conversion are right only there, hence the guard at import.
 */
import type { Hex } from "@cotrain/sdk/protocol";

import { InternalError, UserError } from "./errors.ts";

if (new Uint8Array(Uint16Array.of(1).buffer)[0] !== 1) {
  throw new UserError("BIG_ENDIAN", "Cotrain runs on little-endian machines only; this one is big-endian.");
}

/** The bytes of a typed array, shared and not copied. */
export function bytesOf(view: ArrayBufferView<ArrayBuffer>): Uint8Array<ArrayBuffer>;
export function bytesOf(view: ArrayBufferView): Uint8Array;
export function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/**
 * fp32 little-endian bytes as numbers: a view when the bytes are aligned to 4, else a copy.
 * @throws InternalError when the length is no multiple of 4
 */
export function float32Of(bytes: Uint8Array): Float32Array {
  if (bytes.byteLength % 4 !== 0) {
    throw new InternalError("BYTES_UNALIGNED", `${bytes.byteLength} bytes are not a whole number of fp32 values.`);
  }
  if (bytes.byteOffset % 4 === 0) return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
  return new Float32Array(bytes.slice().buffer);
}

/**
 * uint16 little-endian bytes as numbers: a view when the bytes are aligned to 2, else a copy.
 * @throws InternalError when the length is odd
 */
export function uint16Of(bytes: Uint8Array): Uint16Array {
  if (bytes.byteLength % 2 !== 0) {
    throw new InternalError("BYTES_UNALIGNED", `${bytes.byteLength} bytes are not a whole number of uint16 values.`);
  }
  if (bytes.byteOffset % 2 === 0) return new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
  return new Uint16Array(bytes.slice().buffer);
}

const hexPairs = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Bytes as 0x-prefixed hex. */
export function hexOf(bytes: Uint8Array): Hex {
  let text = "";
  for (const byte of bytes) text += hexPairs[byte];
  return `0x${text}`;
}

/** The bytes of 0x-prefixed hex. */
export const bytesOfHex = (hex: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from({ length: (hex.length - 2) / 2 }, (_, i) => Number.parseInt(hex.slice(2 + 2 * i, 4 + 2 * i), 16));

/** A text's bytes in UTF-8. */
export const utf8 = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

/**
 * Frees an array's memory at once: the garbage collector may leave hundreds of MiB for seconds. Nobody may look at it any more. Of
 * an array that is a part of a larger buffer nothing is freed.
 */
export function giveBack({ buffer, byteLength }: ArrayBufferView): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}
