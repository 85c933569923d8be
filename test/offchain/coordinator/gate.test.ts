/** What the loss gate makes of a state that is no number, whatever the program would say of it. */
import { describe, expect, it } from "vitest";

import type { Run } from "../../../offchain/src/coordinator/index.ts";
import { lossOf } from "../../../offchain/src/coordinator/screening.ts";
import { passHolds } from "../../../offchain/src/diloco/index.ts";

let measured = 0;
const run = { gate: { loss: async () => ((measured += 1), 1_000_000) } } as unknown as Run;
const good = { params: Float32Array.of(1, 2), outer: Float32Array.of(0, 0) };

// point 2
describe("a next checkpoint that is not finite", () => {
  it.each([
    ["NaN among its parameters", [good, { ...good, params: Float32Array.of(1, Number.NaN) }]],
    ["an infinite parameter", [{ ...good, params: Float32Array.of(-Infinity, 1) }, good]],
    ["an outer state that overflowed", [good, { ...good, outer: Float32Array.of(0, Infinity) }]],
  ])("with %s has no loss, is not even measured, and does not stand", async (_, states) => {
    measured = 0;
    const loss = await lossOf(run, states, [0]);
    expect({ loss, measured }).toEqual({ loss: null, measured: 0 });
    expect(passHolds(1_000_000, loss, { gateBound: 2 ** 32 - 1 })).toBe(false);
  });

  it("is told from one that is", async () => {
    expect(await lossOf(run, [good, good], [0])).toBe(1_000_000);
  });
});
