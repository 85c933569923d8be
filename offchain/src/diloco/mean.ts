/** Aggregator 0: the weighted mean, acc = fround(acc + fround(w · d)) in ascending order of address. */
import type { Aggregator } from "./aggregator.ts";

export const mean: Aggregator<readonly number[]> = {
  needs: { passes: 1, rows: () => 0, planBytes: (payloads) => 8 * payloads },
  plan: ({ weights }) => weights,
  reduce: async (weights, chunk, gradient) => {
    for (const [payload, weight] of weights.entries()) await chunk.add(payload, weight, gradient);
  },
};
