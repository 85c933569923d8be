/** Who reads a model's wiring reads the escrow's too, where its deployment names one. */
import type { Wire } from "@cotrain/sdk/actions";
import { asModelId } from "@cotrain/sdk/protocol";
import { expect, it } from "vitest";

import type { ReadFrom } from "../../../offchain/src/chain/reads/events.ts";
import { readModels } from "../../../offchain/src/chain/reads/models.ts";
import { keyOf } from "./world.ts";

const escrow = `0x${"e5".repeat(20)}` as const;
const wrong: Wire = {
  what: "ComputeEscrow.vaultImplementation",
  says: escrow,
  expected: `0x${"00".repeat(20)}`,
};

/** Deployment and model say nothing wrong; the escrow does. */
function wrongWires(named: typeof escrow | undefined): Promise<Wire[]> {
  const answers: Wire[][] = [[], [], [wrong]];
  const from = { connection: { call: async () => answers.shift() ?? [] }, addresses: {}, escrow: named };
  return readModels(from as unknown as ReadFrom).wrongWires(asModelId(keyOf("model")));
}

it("tells vaults that are not of the escrow's making", async () => {
  expect(await wrongWires(escrow)).toEqual([wrong]);
});

it("asks no escrow where none is named", async () => {
  expect(await wrongWires(undefined)).toEqual([]);
});
