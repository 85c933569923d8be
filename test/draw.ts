/** Samples: another seed draws others, and the same one the same, in whatever order the items come. */
import { createHash } from "node:crypto";

const placeOf = (seed: string, item: string): string => createHash("sha256").update(`${seed} ${item}`).digest("hex");

/** So many of the items, drawn by a seed. */
export const drawn = (items: readonly string[], count: number, seed: string): string[] =>
  items
    .map((item) => ({ item, at: placeOf(seed, item) }))
    .toSorted((a, b) => (a.at < b.at ? -1 : 1))
    .slice(0, count)
    .map(({ item }) => item);
