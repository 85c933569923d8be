/** Reads and writes as methods of a client. */
import { createClient, http } from "viem";
import { hardhat } from "viem/chains";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as actions from "@cotrain/sdk/actions";
import * as errors from "@cotrain/sdk/errors";
import { isolated } from "./holders.ts";
import { alice, createWorld, hashOf, params, poster, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());

const digest = hashOf("link");

describe("a client with all actions", () => {
  it("has reads and writes with the addresses settled", async () => {
    await isolated(world, async () => {
      const { clientOf, addresses, runId, modelId, governor } = world;
      const client = clientOf(poster).extend(actions.cotrainActions({ addresses }));
      const { head: parent } = await client.headOf({ runId });
      const link = {
        runId,
        parentHead: parent,
        round: 1n,
        paramsVersion: 1,
        checkpointDigest: digest,
        receiptsRoot: digest,
      };
      const { event } = await client.postHead.sync(link);
      expect(event?.parentHead).toBe(parent);
      expect(await client.currentParamsVersion({ runId })).toBe(1);
      expect(await client.governorOf({ modelId })).toBe(governor);
      const change = { runId, replaces: 1, params };
      expect(client.setParams.call(change)).toEqual(actions.setParams.call({ addresses, ...change }));
      const { result } = await client.postHead.simulate({ ...link, round: 2n, parentHead: event!.head });
      expect(result).toMatch(/^0x[0-9a-f]{64}$/);
      await expect(client.setStatus({ runId, status: 1 })).rejects.toBeInstanceOf(
        errors.ModelAuthorityUnauthorizedError,
      );
    });
  });

  it("says what is missing: an account, a chain, a deployment", async () => {
    const { client, addresses, runId, clientOf } = world;
    await expect(actions.setStatus(client, { addresses, runId, status: 1 })).rejects.toBeInstanceOf(
      errors.AccountMissingError,
    );
    await expect(actions.setStatus(clientOf(alice), { runId, status: 1 })).rejects.toBeInstanceOf(
      errors.DeploymentUnknownError,
    );
    const elsewhere = createClient({ chain: hardhat, transport: http("http://127.0.0.1:1") });
    await expect(actions.headOf(elsewhere, { runId })).rejects.toThrow(
      "Cotrain has no published deployment on chain 31337; pass `addresses`.",
    );
  });
});
