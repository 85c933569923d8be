/** Into how many fragments a model's parameters are split when a run is created: so many that each can be stored and sent whole. */
import { elementsOf, fragmentTable, MAX_FRAGMENTS, MAX_SHARD_BYTES, type TensorEntry } from "@cotrain/sdk/protocol";

import { UserError } from "../base/index.ts";
import { tensorSpecs, type TransformerConfig } from "../engine/core.ts";

/** Of every run whose shards are small with so few. */
const FEWEST = 4;
/** Bytes of a shard where a tensor is not larger by itself. */
const WANTED_BYTES = MAX_SHARD_BYTES / 2;
/** A shard has parameters and the outer optimizer's buffer, fp32 both. */
const PARAMETER_BYTES = 8;
/** Names and shapes of a shard's tensors: its header, more than it has. */
const HEADER_BYTES = 1 << 20;

export const fragmentsIn = (table: readonly TensorEntry[]): number =>
  1 + Math.max(...table.map(({ fragment }) => fragment));

const shardBytes = (table: readonly TensorEntry[], fragments: number): number[] => {
  const bytes = Array.from({ length: fragments }, () => HEADER_BYTES);
  for (const { shape, fragment } of table) bytes[fragment]! += PARAMETER_BYTES * elementsOf(shape);
  return bytes;
};

/**
 * The fragment table of a model: layer by layer, or tensor by tensor where a layer is too large. As few fragments as make no shard
 * larger than half of what is allowed, else than what is allowed.
 * @throws UserError `PRESET_TOO_LARGE` for a model with a tensor that no shard holds, since a tensor lies in one fragment
 */
export function tableOf(model: TransformerConfig): TensorEntry[] {
  const layered = tensorSpecs(model);
  const single = layered.map(({ name, shape }) => ({ name, shape }));
  for (const most of [WANTED_BYTES, MAX_SHARD_BYTES]) {
    for (let fragments = FEWEST; fragments <= Math.min(MAX_FRAGMENTS, layered.length); fragments += FEWEST) {
      for (const specs of [layered, single]) {
        const table = fragmentTable(specs, fragments);
        const used = new Set(table.map(({ fragment }) => fragment)).size;
        if (used === fragments && Math.max(...shardBytes(table, fragments)) <= most) return table;
      }
    }
  }
  const largest = single.toSorted((a, b) => elementsOf(b.shape) - elementsOf(a.shape))[0]!;
  throw new UserError(
    "PRESET_TOO_LARGE",
    `The tensor ${largest.name} of ${largest.shape.join(" × ")} needs a shard of ${PARAMETER_BYTES * elementsOf(largest.shape)} bytes; ${MAX_SHARD_BYTES} are allowed, and a tensor lies in one fragment.`,
  );
}
