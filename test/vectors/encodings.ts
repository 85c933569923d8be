/**
 * How documents, numbers and archives become bytes, written from their specifications: RFC 8785 and
 * https://ipld.io/specs/transport/car/carv1/.
 */
import { cidBytes, cidOf, sha256 } from "./basics.ts";

export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

export const hexOf = (bytes: Uint8Array): string => `0x${Buffer.from(bytes).toString("hex")}`;

/** RFC 8785: keys by UTF-16 code units, numbers and strings as ECMAScript writes them. */
export function canonical(value: Json): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const entries = Object.entries(value as { readonly [key: string]: Json }).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join(",")}}`;
}
export const digestOf = (value: Json): string => sha256(canonical(value));

export function documentVector<T extends Json>(name: string, document: T) {
  const digest = digestOf(document);
  return { name, document, canonical: canonical(document), digest, cid: cidOf(digest) };
}

export const littleEndian = {
  fp32: (values: readonly number[]): Buffer => {
    const bytes = Buffer.alloc(4 * values.length);
    for (const [i, value] of values.entries()) bytes.writeFloatLE(value, 4 * i);
    return bytes;
  },
  uint16: (values: readonly number[]): Buffer => Buffer.from(values.flatMap((value) => [value & 255, value >> 8])),
  uint64: (value: number): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(value));
    return bytes;
  },
};

/** CARv1: a header in DAG-CBOR, {"roots": [root], "version": 1}; then each block as length, CID and bytes. */
export function carVector(root: string, blocks: readonly Buffer[]) {
  const varint = (value: number): Buffer =>
    Buffer.from(value < 128 ? [value] : [(value & 127) | 128, ...varint(value >> 7)]);
  const framed = (...parts: readonly Buffer[]): Buffer[] => [
    varint(parts.reduce((sum, { length }) => sum + length, 0)),
    ...parts,
  ];
  // Map of 2, text "roots", list of 1, tag 42 on 37 bytes: 0 and the CID; text "version", 1.
  const header = Buffer.concat([
    Buffer.from("a2", "hex"),
    Buffer.from("65726f6f7473", "hex"),
    Buffer.from("81d82a582500", "hex"),
    cidBytes(root),
    Buffer.from("6776657273696f6e01", "hex"),
  ]);
  const bytes = Buffer.concat([
    ...framed(header),
    ...blocks.flatMap((block) => framed(cidBytes(sha256(block)), block)),
  ]);
  return {
    root: cidOf(root),
    blocks: blocks.map((block) => cidOf(sha256(block))),
    bytes: hexOf(bytes),
    digest: sha256(bytes),
  };
}

