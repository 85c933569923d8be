/** What the vectors are made of: hashes of ethers and Node, CIDs and trees by hand. */
import { createHash } from "node:crypto";
import { AbiCoder, concat, keccak256, toUtf8Bytes } from "ethers";

export const coder = AbiCoder.defaultAbiCoder();

/** A recognisable hash for a field. */
export const hash = (label: string): string => keccak256(toUtf8Bytes(label));
export const sha256 = (data: string | Uint8Array): string => `0x${createHash("sha256").update(data).digest("hex")}`;
export const address = (label: string): string => `0x${hash(label).slice(-40)}`;
export const zero32 = `0x${"00".repeat(32)}`;

export interface Field {
  readonly name: string;
  readonly type: string;
}

export function parseType(typeString: string): { name: string; fields: Field[] } {
  const [, name = "", list = ""] = /^(\w+)\((.*)\)$/.exec(typeString) ?? [];
  const fields = list.split(",").map((part) => {
    const [type = "", field = ""] = part.split(" ");
    return { name: field, type };
  });
  return { name, fields };
}

/** RFC 4648 base32 in lower case without padding. */
function base32(bytes: Uint8Array): string {
  let bits = "";
  for (const byte of bytes) bits += byte.toString(2).padStart(8, "0");
  const groups = bits.match(/.{1,5}/g) ?? [];
  return groups.map((group) => "abcdefghijklmnopqrstuvwxyz234567"[Number.parseInt(group.padEnd(5, "0"), 2)]).join("");
}

/** CIDv1 (0x01) of raw bytes (0x55) under SHA-256 (0x12) of 32 bytes (0x20). */
export const cidBytes = (digest: string): Buffer => Buffer.from(`01551220${digest.slice(2)}`, "hex");
export const cidOf = (digest: string): string => `b${base32(cidBytes(digest))}`;

/** OpenZeppelin's standard tree: leaves are double hashes, sorted; a node hashes its children in ascending order. */
export function tree(types: readonly string[], rows: readonly (readonly string[])[]) {
  const leaves = rows.map((row) => {
    const encoded = coder.encode([...types], [...row]);
    return { encoded, leaf: keccak256(keccak256(encoded)) };
  });
  const sorted = leaves.map(({ leaf }) => leaf).sort();
  const nodes: string[] = Array.from({ length: 2 * sorted.length - 1 }, () => "");
  for (const [index, leaf] of sorted.entries()) nodes[nodes.length - 1 - index] = leaf;
  for (let index = nodes.length - 1 - sorted.length; index >= 0; index--)
    nodes[index] = keccak256(concat([nodes[2 * index + 1]!, nodes[2 * index + 2]!].sort()));
  const proofOf = (leaf: string): string[] => {
    const proof: string[] = [];
    for (let index = nodes.indexOf(leaf); index > 0; index = Math.floor((index - 1) / 2))
      proof.push(nodes[index % 2 === 1 ? index + 1 : index - 1]!);
    return proof;
  };
  return { root: nodes[0]!, leaves: leaves.map((entry) => Object.assign(entry, { proof: proofOf(entry.leaf) })) };
}
