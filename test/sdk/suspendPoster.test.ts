/** A run's poster is stopped by a quorum of validators. */
import * as actions from "@cotrain/sdk/actions";
import * as errors from "@cotrain/sdk/errors";
import { asAddress, domainFor, type Suspend, typedDataOf } from "@cotrain/sdk/protocol";
import { afterAll, beforeAll, expect, it } from "vitest";

import { isolated } from "./holders.ts";
import { alice, bob, createWorld, hashOf, poster, stranger, validators, type World } from "./world.ts";

let world: World;
beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.close());

it("stops heads and nothing else, once, by a quorum of the set in force", async () => {
  await isolated(world, async () => {
    const { client, clientOf, addresses, runId } = world;
    const args = { addresses, runId };
    const { head: parentHead } = await actions.headOf(client, args);
    const suspension: Suspend = {
      runId,
      poster: asAddress(poster.address),
      head: parentHead,
      setVersion: 1,
      deadline: BigInt(await world.now()) + 60n,
    };
    const signed = async (struct: Suspend, signers = validators.slice(0, 2)) => {
      const data = typedDataOf(domainFor(31337, addresses.checkpointRegistry), "Suspend", struct);
      const signatures = await Promise.all(signers.map((account) => account.signTypedData(data)));
      return { addresses, suspension: struct, signatures };
    };
    const refused = async (struct: Suspend, error: unknown, signers?: typeof validators) =>
      expect(actions.suspendPoster(clientOf(stranger), await signed(struct, signers))).rejects.toBeInstanceOf(error);
    await refused(suspension, errors.ValidatorSetNoQuorumError, validators.slice(0, 1));
    await refused({ ...suspension, poster: asAddress(bob.address) }, errors.CheckpointRegistryOtherPosterError);
    await refused({ ...suspension, setVersion: 2 }, errors.CheckpointRegistryStaleSetError);
    await refused({ ...suspension, deadline: 1n }, errors.CheckpointRegistrySuspensionExpiredError);
    expect(await actions.isSuspended(client, args)).toBe(false);

    const whole = await signed(suspension);
    const { event, receipt } = await actions.suspendPoster.sync(clientOf(stranger), whole);
    expect(event).toEqual({ runId, poster: poster.address, head: parentHead, setVersion: 1 });
    const { logs } = await actions.getAllLogs(client, actions.posterSuspended(args), { from: receipt.blockNumber });
    expect(logs.map((log) => log.args)).toEqual([event]);
    expect(await actions.isSuspended(client, args)).toBe(true);
    expect((await actions.runOf(client, args)).status).toBe(0);
    const link = { round: 1n, paramsVersion: 1, checkpointDigest: hashOf("1"), receiptsRoot: hashOf("receipts") };
    await expect(actions.postHead(clientOf(poster), { ...args, ...link, parentHead })).rejects.toBeInstanceOf(
      errors.CheckpointRegistrySuspendedError,
    );
    expect((await actions.suspendPoster.sync(clientOf(alice), whole)).event).toBeUndefined();
  });
});
