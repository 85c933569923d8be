/** What postings look for on-chain. */
import { type ContractAddresses, digestOfJson, type ModelId } from "@cotrain/sdk/protocol";
import { expect, it } from "vitest";

import type { Journal } from "../../../offchain/src/chain/journal.ts";
import type { ChainReader } from "../../../offchain/src/chain/ports.ts";
import { createPostingKinds } from "../../../offchain/src/chain/postings.ts";
import { readModels } from "../../../offchain/src/chain/reads/models.ts";

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
  expect(await activations.done({ modelId, epoch: 1, attestation: undefined as never })).toMatchObject({
    block: 9,
    root: { root: root.root },
  });
});

it("an activation waits while the root is disputed, however late it is", async () => {
  const modelId = digestOfJson("model") as unknown as ModelId;
  let activatableAt: number | undefined;
  const reader = { pendingRoot: async () => ({ activatableAt }), chainTime: async () => 10 } as unknown as ChainReader;
  const modules = { reader, addresses: {} as ContractAddresses, journal: () => ({}) as Journal };
  const { activations } = createPostingKinds(modules);
  const prepared = () => activations.prepare({ modelId, epoch: 1, attestation: undefined as never });
  expect(await prepared()).toMatchObject({ code: "ROOT_DISPUTED", retryable: true });
  activatableAt = 11;
  expect(await prepared()).toMatchObject({ code: "WINDOW_OPEN" });
  activatableAt = 10;
  expect(await prepared()).toBe("send");
});

it("the root in its window is the one that was posted under its digest, and is asked for again where its posting is left out", async () => {
  const modelId = digestOfJson("model") as unknown as ModelId;
  const digest = digestOfJson("attestation");
  const view = { digest, index: 2, fromEpoch: 3, toEpoch: 4, activatableAt: undefined, asOf: 1 };
  const other = { digest: digestOfJson("another"), root: digestOfJson("other root") };
  const told: object[] = [other];
  const events = { newRoots: async () => told } as unknown as Parameters<typeof readModels>[1];
  const from = { connection: { call: async () => view }, addresses: {} } as unknown as Parameters<typeof readModels>[0];
  const models = readModels(from, events);
  await expect(models.pendingRoot(modelId)).rejects.toMatchObject({ code: "CHAIN_RPC", retryable: true });
  told.push({ digest, index: 2, root: digestOfJson("root"), total: 7n, fromEpoch: 3, epoch: 4, deadline: 9 });
  expect(await models.pendingRoot(modelId)).toMatchObject({ root: digestOfJson("root"), total: 7n, epoch: 4 });
});
