/** Where a run lives on-chain, as every page names it: read from a node. */
import { codeGrantsOf } from "@cotrain/sdk/actions";
import { asModelId } from "@cotrain/sdk/protocol";
import { getAddress } from "viem";
import { afterAll, beforeAll, expect, it } from "vitest";

import { chainFacts, contractNames } from "../../../offchain/src/run/index.ts";
import { createWorld, type World } from "../../sdk/world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());

it("names every contract, those as well that Emission alone names", async () => {
  const { client, addresses, modelId, sale, shares } = world;
  const where = { chainId: 31_337, rpcUrl: "http://127.0.0.1:8545", addresses, modelId: asModelId(modelId) };
  const { contracts } = await chainFacts(client, where);
  // The escrow is of no model: whoever names it knows it from the deployment's file.
  expect([...Object.keys(contracts), "computeEscrow"]).toEqual(Object.keys(contractNames));
  expect(contracts).toMatchObject({
    shares: getAddress(shares),
    emission: getAddress(addresses.emission),
    codeGrants: getAddress(await codeGrantsOf(client, { addresses })),
    capitalSale: getAddress(sale),
  });
});
