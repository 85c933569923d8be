/** Budgets of a model, as a node tells them that may lie. */
import { createClient, custom } from "viem";
import { expect, it } from "vitest";

import { budgetsOf } from "../../../offchain/src/run/index.ts";
import { contracts } from "../contracts.ts";

it("are not asked for one by one where the node says that there are more than holders ever opened", async () => {
  let asked = 0;
  // An address, and as a number a great many.
  const word = `0x${"00".repeat(12)}${"be".repeat(20)}`;
  const request = async (): Promise<string> => {
    asked += 1;
    return word;
  };
  const client = createClient({ transport: custom({ request }) });
  const place = {
    connection: { call: (ask: (on: typeof client) => unknown) => ask(client) },
    addresses: contracts,
    modelId: `0x${"b2".repeat(32)}`,
    fromBlock: 0,
  };
  await expect(budgetsOf(place as never)).rejects.toMatchObject({
    code: "BUDGETS_BEYOND",
    message: `The node says that this model has ${BigInt(word)} budgets, and 1024 at most are read: ask another node.`,
  });
  expect(asked).toBe(2);
});
