/** What a program is held against before a process starts for it: the memory of its GPU, and the machine's for what crosses. */
import { expect, test, vi } from "vitest";

import { buildPrograms, presets } from "../../../offchain/src/engine/index.ts";
import { engineHostOn } from "../../../offchain/src/engine/runtime/node/host/host.ts";

const MEBIBYTE = 2 ** 20;

vi.mock(import("../../../offchain/src/engine/runtime/node/machine.ts"), async (original) => ({
  ...(await original()),
  availableMemory: () => MEBIBYTE,
}));
vi.mock(import("../../../offchain/src/engine/runtime/node/placeMemory.ts"), async () => ({
  programMemory: async (place, index) => (place === "cuda" && index === 1 ? 3 : 100_000) * MEBIBYTE,
}));

const { model, microBatch } = presets["0.1m"];
const options = { programs: { step: buildPrograms(model, { microBatch }).step.bytes }, threads: 1 };

test("a program is opened on no GPU that has no memory for it, nor where the machine has none for its state", async () => {
  await expect(engineHostOn("cuda", 1)(options)).rejects.toMatchObject({
    code: "PROGRAM_TOO_LARGE",
    message: expect.stringContaining(String(3)),
  });
  await expect(engineHostOn("cuda")(options)).rejects.toMatchObject({
    code: "PROGRAM_TOO_LARGE",
    message: expect.stringMatching(/of the machine's memory beside the GPU's; 1 MiB are available/),
  });
});
