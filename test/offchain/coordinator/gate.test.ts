/** What the loss gate makes of a state that is no number, whatever the program would say of it. */
import { describe, expect, it } from "vitest";

import type { Run } from "../../../offchain/src/coordinator/index.ts";
import { lossOf } from "../../../offchain/src/coordinator/screening.ts";
import { passHolds } from "../../../offchain/src/diloco/index.ts";

let measured = 0;
let kept = 0;
const loss = async (parameters: readonly Float32Array[]): Promise<number> => {
  measured += 1;
  kept = parameters.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
  return 1_000_000;
};
const run = { gate: { loss } } as unknown as Run;
const good = { params: Float32Array.of(1, 2), outer: Float32Array.of(0, 0) };

// foundation 2
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

  it("is told from one whose outer state is not there any more when it is measured", async () => {
    const shard = new Float32Array(4);
    await lossOf(run, [{ params: shard.subarray(0, 2), outer: shard.subarray(2) }], [0]);
    expect(kept).toBe(8);
  });
});
