/** What postings look for on-chain. */
import { type ContractAddresses, digestOfJson, type ModelId } from "@cotrain/sdk/protocol";
import { expect, it } from "vitest";

import type { Journal } from "../../../offchain/src/chain/journal.ts";
import type { ChainReader } from "../../../offchain/src/chain/ports.ts";
import { createPostingKinds } from "../../../offchain/src/chain/postings.ts";

it("an activation is seen though the event of its root was left out when it was read", async () => {
  const modelId = digestOfJson("model") as unknown as ModelId;
  const root = {
    index: 1,
    fromEpoch: 1,
    epoch: 1,
    root: digestOfJson("root"),
    activatableAt: 1,
    deadline: 1,
    total: 1n,
  };
  const reader = {
    activationsOf: async () => [{ ...root, modelId, transaction: digestOfJson("activated"), block: 9 }],
    // Who names one that must be there has all read anew.
    rootsOf: async (_model: ModelId, wanted?: string) => (wanted === root.root ? [{ ...root, block: 5 }] : []),
  } as unknown as ChainReader;
  const modules = { reader, addresses: {} as ContractAddresses, journal: () => ({}) as Journal };
  const { activations } = createPostingKinds(modules);
  expect(await activations.done({ modelId, epoch: 1 })).toMatchObject({ block: 9, root: { root: root.root } });
});
