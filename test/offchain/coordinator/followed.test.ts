/** Which roots are known to be active by more than an RPC's word. */
import { digestOfJson, type Hex, zeroHash } from "@cotrain/sdk/protocol";
import { expect, it } from "vitest";

import { type RunState, settledForAll } from "../../../offchain/src/coordinator/machine/state.ts";

/** An epoch that was computed here, signed, and said to be active. */
const epochOf = (epoch: number, previousRoot: Hex, root: Hex) => ({
  epoch,
  pass: 1,
  state: "active",
  root,
  transaction: null,
  computed: {
    manifest: digestOfJson(epoch),
    attestation: { epoch: String(epoch), previousRoot, root },
    validators: [],
    threshold: 2,
    postingDelay: 1,
  },
  signatures: [{}, {}],
});

const settled = (...epochs: readonly ReturnType<typeof epochOf>[]): number =>
  settledForAll({ settledEpoch: epochs.length, epochs } as unknown as RunState);

it("a root is, when a later one that validators signed names it as the one before", () => {
  const [a, b] = [digestOfJson("a"), digestOfJson("b")];
  expect(settled(epochOf(1, zeroHash, a))).toBe(0);
  expect(settled(epochOf(1, zeroHash, a), epochOf(2, a, b))).toBe(1);
});

it("an epoch that adds no pay, whose root is that of the one before, does not follow itself", () => {
  const [a, b] = [digestOfJson("a"), digestOfJson("b")];
  expect(settled(epochOf(1, zeroHash, a), epochOf(2, a, a))).toBe(1);
  expect(settled(epochOf(1, zeroHash, a), epochOf(2, a, a), epochOf(3, a, b))).toBe(2);
});
